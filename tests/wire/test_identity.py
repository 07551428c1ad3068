"""An anonymous visitor and the user they become are one person, wherever the two lived: through the whole product."""

import itertools
import random
import uuid

from tests.conftest import until
from tests.wire.conftest import Wire

_numbers = itertools.count()


def _names() -> tuple[str, str]:
    number = next(_numbers)
    return f"visitor-{number}-{uuid.uuid4()}", f"member-{number}"


def _merged(wire: Wire, anonymous: str, user: str) -> dict:
    """The user's state, once the visitor is part of it."""

    def found() -> dict | None:
        known = wire.known(user)
        return known["state"] if known and f"a:{anonymous}" in known["state"]["merged"] else None

    return until(found, what=f"{anonymous} is {user}")


def _anonymous(wire: Wire, anonymous: str, event: str, **fields: object) -> None:
    assert wire.post("/v1/track", {"anonymousId": anonymous, "event": event, **fields}).status_code == 200


def _identify(wire: Wire, anonymous: str, user: str, **traits: object) -> None:
    body = {"anonymousId": anonymous, "userId": user, "traits": traits, "messageId": f"i-{anonymous}-{user}"}
    assert wire.post("/v1/identify", body).status_code == 200


def test_history_traits_and_what_is_pending_go_with_the_person(wire: Wire) -> None:
    anonymous, user = _names()
    assert wire.post("/v1/identify", {"anonymousId": anonymous, "traits": {"city": "Kyoto"}}).status_code == 200
    _anonymous(wire, anonymous, "Wake")
    _anonymous(wire, anonymous, "Export Failed")
    inbox = {"writeKey": wire.key, "anonymousId": anonymous}
    waiting = until(lambda: wire.http.get("/v1/inbox", params=inbox).json()["deliveries"], what="a delivery")
    _identify(wire, anonymous, user, plan="team")
    _merged(wire, anonymous, user)
    moved = wire.wait_inbox(user)
    assert [found["delivery_id"] for found in moved] == [found["delivery_id"] for found in waiting]
    until(lambda: not wire.http.get("/v1/inbox", params=inbox).json()["deliveries"], what="the old inbox is empty")
    assert wire.server(f"/api/users/{anonymous}").json()["person"] == f"u:{user}"
    assert wire.server(f"/api/users/{user}").json()["traits"] == {"city": "Kyoto", "plan": "team"}
    wire.track(user, "Export Failed")  # the second, with the visitor's
    assert {found["rule_id"] for found in wire.wait_inbox(user, 2)} == {"always", "twice"}


def test_a_delivery_that_moved_is_claimed_once_and_can_be_given_back(wire: Wire) -> None:
    anonymous, user = _names()
    _anonymous(wire, anonymous, "Wake")
    wire_anonymous = {"writeKey": wire.key, "anonymousId": anonymous}
    until(lambda: wire.http.get("/v1/inbox", params=wire_anonymous).json()["deliveries"], what="a delivery")
    _identify(wire, anonymous, user)
    (delivery,) = wire.wait_inbox(user)
    path = f"/v1/deliveries/{delivery['delivery_id']}"
    assert wire.post(f"{path}/claim", b"").json() == {"claimed": True}
    assert wire.post(f"{path}/claim", b"").json() == {"claimed": False}
    assert wire.post(f"{path}/release", b"").json() == {"released": True}
    assert [found["delivery_id"] for found in wire.wait_inbox(user)] == [delivery["delivery_id"]]
    assert wire.post(f"{path}/claim", b"").json() == {"claimed": True}
    wire.track(user, "Message Shown", properties={"delivery_id": delivery["delivery_id"]})
    until(
        lambda: not wire.server(f"/api/users/{user}").json()["state"]["pending"], what="it is known to have been shown"
    )


def test_what_is_claimed_before_the_merge_and_given_back_after_it_reaches_the_user(wire: Wire) -> None:
    anonymous, user = _names()
    _anonymous(wire, anonymous, "Wake")
    params = {"writeKey": wire.key, "anonymousId": anonymous}
    (delivery,) = until(lambda: wire.http.get("/v1/inbox", params=params).json()["deliveries"], what="a delivery")
    path = f"/v1/deliveries/{delivery['delivery_id']}"
    assert wire.post(f"{path}/claim", b"").json() == {"claimed": True}
    _identify(wire, anonymous, user)
    _merged(wire, anonymous, user)
    assert wire.inbox(user) == []
    assert wire.post(f"{path}/release", b"").json() == {"released": True}
    assert [found["delivery_id"] for found in wire.wait_inbox(user)] == [delivery["delivery_id"]]


def test_in_any_order_and_however_often_it_is_said_everything_counts_once(wire: Wire) -> None:
    dice = random.Random(7)
    pairs = [_names() for _ in range(12)]
    calls = []
    for anonymous, user in pairs:
        identify = {"type": "identify", "anonymousId": anonymous, "userId": user, "messageId": f"i-{user}"}
        calls += [identify] * 3
        for number in range(4):
            who = {"anonymousId": anonymous} if number % 2 else {"userId": user}
            call = {"type": "track", "event": "Export Failed", "messageId": f"{user}-{number}", **who}
            calls += [call] * dice.choice([1, 2])
    dice.shuffle(calls)
    for start in range(0, len(calls), 7):
        assert wire.post("/v1/batch", {"batch": calls[start : start + 7]}).status_code == 200
    for anonymous, user in pairs:

        def counted(user: str = user) -> bool:
            state = wire.server(f"/api/users/{user}").json()["state"]
            return max((track["count"] for track in state["tracks"].values()), default=0) == 4

        _merged(wire, anonymous, user)
        until(counted, what=f"4 events of {user}")
        until(lambda user=user: len(wire.inbox(user)) == 1, what=f"one message for {user}")
        sent = wire.server(f"/api/users/{user}/export").json()["events"]
        assert {event["messageId"] for event in sent} == {f"i-{user}", *(f"{user}-{n}" for n in range(4))}


def test_two_people_at_one_browser_stay_two(wire: Wire) -> None:
    anonymous, first = _names()
    _, second = _names()
    _anonymous(wire, anonymous, "Export Failed")
    _identify(wire, anonymous, first)
    _merged(wire, anonymous, first)
    _identify(wire, anonymous, second)
    wire.track(second, "Wake")
    wire.wait_inbox(second)
    assert wire.server(f"/api/users/{second}").json()["state"]["merged"] == []
    assert wire.server(f"/api/users/{anonymous}").json()["person"] == f"u:{first}"


def test_an_alias_of_an_alias_and_a_circle_end_in_one_person(wire: Wire) -> None:
    names = [_names()[1] for _ in range(3)]
    for name in names:
        wire.track(name, "Export Failed", messageId=f"one-of-{name}")
    for previous, user in zip(names, [*names[1:], names[0]], strict=True):
        assert wire.post("/v1/alias", {"previousId": previous, "userId": user}).status_code == 200

    def one() -> bool:
        known = [found for name in names if (found := wire.known(name))]
        counts = [max((t["count"] for t in found["state"]["tracks"].values()), default=0) for found in known]
        return len({found["person"] for found in known}) == 1 and counts == [3, 3, 3]

    until(one, what="all three are one")


def test_a_rule_that_is_explained_knows_what_was_done_under_another_name(wire: Wire) -> None:
    anonymous, user = _names()
    _anonymous(wire, anonymous, "Export Failed")
    _identify(wire, anonymous, user)
    _merged(wire, anonymous, user)
    wire.track(user, "Export Failed")
    wire.wait_inbox(user)
    told = wire.server(f"/api/users/{user}/explain/twice").json()
    assert told["outcome"] == "matched", told
    assert told["clauses"][0]["value"] == "true"
