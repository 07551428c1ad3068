"""Groups: what one member's call says is known to the rules of all members, in whatever shard they are."""

import uuid

from tests.conftest import until
from tests.wire.conftest import Wire


def _group(wire: Wire, user: str, group: str, **traits: object) -> None:
    reply = wire.post("/v1/group", {"userId": user, "groupId": group, "traits": traits})
    assert reply.status_code == 200, reply.text


def _known(wire: Wire, group: str, **traits: object) -> None:
    until(lambda: wire.server(f"/api/groups/{group}").json().get("traits") == traits, what=f"{group} is {traits}")


def _last_outcome(wire: Wire, user: str, number: int) -> str:
    return wire.decided(user, number)[-1]["considered"][0]["outcome"]


def test_all_members_rules_read_what_one_member_said(wire: Wire) -> None:
    group = f"group-{uuid.uuid4().hex}"
    members = [f"member-{uuid.uuid4().hex}" for _ in range(8)]  # of several shards
    for member in members:
        _group(wire, member, group)
    _group(wire, members[0], group, plan="enterprise", seats=20)
    _known(wire, group, plan="enterprise", seats=20)
    for member in members:

        def told(member: str = member) -> bool:
            wire.track(member, "Account Looked At")
            return len(wire.inbox(member)) == 1

        until(told, what=f"{member} is told")


def test_the_member_who_says_it_is_decided_with_it_at_once(wire: Wire) -> None:
    group, member = f"group-{uuid.uuid4().hex}", f"member-{uuid.uuid4().hex}"
    calls = [
        {"type": "group", "groupId": group, "traits": {"plan": "free"}},
        {"type": "track", "event": "Account Looked At"},
        {"type": "group", "groupId": group, "traits": {"plan": "enterprise"}},
        {"type": "track", "event": "Account Looked At"},
    ]
    assert wire.post("/v1/batch", {"batch": [{"userId": member, **call} for call in calls]}).status_code == 200
    outcomes = [one["outcome"] for record in wire.decided(member, 4) for one in record["considered"]]
    assert outcomes == ["matched"]  # the other was excluded by its traits
    told = wire.server(f"/api/users/{member}/explain/account").json()
    assert told["outcome"] == "matched", told


def test_changes_of_several_members_unite_and_a_repeated_one_says_nothing_new(wire: Wire) -> None:
    group = f"group-{uuid.uuid4().hex}"
    members = [f"member-{uuid.uuid4().hex}" for _ in range(4)]
    for number, member in enumerate(members):
        _group(wire, member, group, **{f"trait{number}": number})
        _group(wire, member, group, **{f"trait{number}": number})
    _known(wire, group, **{f"trait{number}": number for number in range(4)})
    _group(wire, members[0], group, trait0=None)
    _known(wire, group, trait1=1, trait2=2, trait3=3)
    assert wire.server("/api/groups/nobody").status_code == 404
