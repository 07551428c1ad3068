"""A person is removed, and it is shown: nothing in the store names them, their neighbours are as they were."""

import threading
import uuid

import httpx
import msgspec
import pytest

from engage.erasing import _of_task
from engage.log import Call, Logged, to_event
from engage.rulebooks import live_definitions
from engage.settings import load_settings
from engage.store import connect
from engage.times import now_ms
from engage.wire import parse_time
from rules import compile_rulebook
from rules.replay import Replay
from tests.conftest import until
from tests.wire.conftest import Wire
from worker.transaction import MOVE, SPREAD, TELL


@pytest.fixture
def store(wire: Wire):
    client = connect(load_settings({"ENGAGE_DATA_DIR": str(wire.product.data_dir)}).redis_url)
    yield client
    client.close()


def _erase(wire: Wire, name: str) -> httpx.Response:
    return wire.http.delete(f"/api/users/{name}", auth=(wire.product.secret_key, ""), timeout=60)


def _everything(store) -> bytes:
    """All keys and all that they hold."""
    found = []
    for key in store.scan_iter(count=1_000):
        kind = store.type(key)
        found.append(key)
        if kind == b"string":
            found.append(store.get(key))
        elif kind == b"hash":
            found += [part for pair in store.hgetall(key).items() for part in pair]
        elif kind == b"stream":
            found += [part for _, fields in store.xrange(key) for part in fields.values()]
        elif kind == b"zset":
            found += store.zrange(key, 0, -1)
        elif kind == b"set":
            found += store.smembers(key)
    return b"\n".join(part for part in found if part is not None)


def _busy_life(wire: Wire, user: str, visitor: str, neighbour: str) -> str:
    """Traits, history, a running delay, a pending message, another name, something put aside; neighbours in the same entries."""
    for call in (
        {"type": "identify", "anonymousId": visitor, "traits": {"email": f"{visitor}@example.com"}},
        {"type": "track", "anonymousId": visitor, "event": "Export Failed"},
        {"type": "identify", "anonymousId": visitor, "userId": user, "traits": {"name": f"Name of {user}"}},
        {"type": "group", "userId": user, "groupId": "those-who-stay", "traits": {"plan": "free"}},
        {"type": "track", "userId": user, "event": "Wake"},
        {"type": "track", "userId": user, "event": "Divide", "properties": {"by": 0}},
        {"type": "track", "userId": user, "event": "Trial Started"},
    ):
        beside = [{"type": "track", "userId": f"{neighbour}{n}", "event": "Beside"} for n in range(8)]
        assert wire.post("/v1/batch", {"batch": [*beside, call]}).status_code == 200
    until(
        lambda: (found := wire.known(user)) and f"a:{visitor}" in found["state"]["merged"],
        what="the visitor is the user",
    )
    return wire.wait_inbox(user)[0]["delivery_id"]


def _nothing_on_disk(wire: Wire, *names: str) -> None:
    """No file of the service: neither the store's, which a restart would read, nor the database, nor what was logged."""

    def found() -> list[str]:
        files = [*(path for path in wire.product.data_dir.rglob("*") if path.is_file()), wire.product.log_path]
        held = {path: path.read_bytes() for path in files if path.exists()}
        return [str(path) for path, content in held.items() if any(name.encode() in content for name in names)]

    until(lambda: not found(), what="no file names them")  # a file that was written anew is taken away a moment later


def test_nothing_of_a_removed_person_is_left_and_the_neighbours_are_as_before(wire: Wire, store) -> None:
    user, visitor, neighbour = (f"{kind}-{uuid.uuid4().hex}" for kind in ("leaver", "visitor", "stays"))
    delivery = _busy_life(wire, user, visitor, neighbour)
    until(lambda: wire.server("/api/stats").json()["rules"].get("divided", {}).get("failed"), what="it was put aside")
    before = [wire.server(f"/api/users/{neighbour}{n}/export").json() for n in range(8)]
    assert user.encode() in _everything(store)

    reply = _erase(wire, user)
    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert told["user"] == user
    assert {f"u:{user}", f"a:{visitor}"} <= set(told["names"])
    assert told["erased"]["events"] >= 6
    assert told["erased"]["states"] >= 2
    assert told["erased"]["deliveries"] >= 1
    assert told["erased"]["put_aside"] >= 1
    assert told["erased"]["decisions"] >= 3
    assert set(told["left"].values()) == {0}
    assert told["rewritten"] is True
    _nothing_on_disk(wire, user, visitor)

    everything = _everything(store)
    assert user.encode() not in everything
    assert visitor.encode() not in everything
    for name in (user, visitor):
        assert wire.server(f"/api/users/{name}").status_code == 404
        assert wire.server(f"/api/users/{name}/export").status_code == 404
    assert wire.inbox(user) == []
    assert wire.post(f"/v1/deliveries/{delivery}/claim", b"").status_code == 404
    assert [wire.server(f"/api/users/{neighbour}{n}/export").json() for n in range(8)] == before
    for rule, found in wire.server("/api/stats").json()["rules"].items():
        states = sum(found[name] for name in ("shown", "waiting", "cancelled", "expired", "failed"))
        assert found["matched"] == states + sum(found["suppressed"].values()), rule

    wire.track(user, "Export Failed")  # somebody new: the failures before do not count
    assert [r["considered"][0]["outcome"] for r in wire.decided(user, 1)] == ["not_matched"]
    assert len(wire.events(user)) == 1
    assert _erase(wire, user).status_code == 200


def test_an_export_holds_all_there_is_and_can_be_decided_again(wire: Wire, store) -> None:
    user, visitor, neighbour = (f"{kind}-{uuid.uuid4().hex}" for kind in ("exported", "visitor", "beside"))
    _busy_life(wire, user, visitor, neighbour)
    wire.wait_inbox(user, 2)  # the absence's too

    def put_aside() -> bool:
        return bool(wire.server(f"/api/users/{user}/export").json()["put_aside"])

    until(put_aside, what="the delivery that fails is put aside")
    found = wire.server(f"/api/users/{visitor}/export").json()
    assert set(found) == {"user", "events", "deliveries", "decisions", "put_aside"}
    assert found["user"]["person"] == f"u:{user}"
    assert [(event["type"], event.get("event")) for event in found["events"]] == [
        ("identify", None), ("track", "Export Failed"), ("identify", None), ("group", None),
        ("track", "Wake"), ("track", "Divide"), ("track", "Trial Started"),
    ]  # fmt: skip
    assert {event.get("userId") or event["anonymousId"] for event in found["events"]} == {user, visitor}
    assert all({"messageId", "timestamp", "receivedAt"} <= set(event) for event in found["events"])
    assert {d["rule_id"]: d["message"]["content"]["text"] for d in found["deliveries"] if d["state"] == "pending"} == {
        "always": f"Hello Name of {user}",
        "absent": f"Hello Name of {user}",
    }
    [failed] = found["put_aside"]
    assert (failed["kind"], failed["delivery"]["rule_id"]) == ("undelivered", "divided")
    assert failed["error"]["message"]
    assert {one["person"] for one in found["decisions"]} <= {f"u:{user}", f"a:{visitor}"}

    _, definitions = live_definitions(store, "default")
    replay = Replay(compile_rulebook(definitions), lambda delivery: False)
    decided = set()
    for event in found["events"]:
        received = parse_time(event["receivedAt"])
        call = to_event(Logged(f"u:{user}", received, msgspec.convert(event, Call)))
        decided |= {delivery.rule_id for outcome in replay.event(call, received) for delivery in outcome.deliveries}
    for outcome in replay.finish(now_ms()):
        decided |= {delivery.rule_id for delivery in outcome.deliveries}
    assert decided == {"always", "absent", "divided"}
    state = replay.states[f"u:{user}"]
    assert (state.traits, state.group_traits) == (found["user"]["traits"], found["user"]["state"]["group_traits"])


def test_what_comes_in_while_somebody_is_removed_is_decided_and_kept(wire: Wire) -> None:
    user, other = f"leaver-{uuid.uuid4().hex}", f"other-{uuid.uuid4().hex}"
    for _ in range(30):
        wire.post(
            "/v1/batch", {"batch": [{"type": "track", "userId": who, "event": "Beside"} for who in (user, other)]}
        )
    until(lambda: len(wire.events(other)) == 30, what="all is decided")
    stop, sent = threading.Event(), []

    def send() -> None:
        with httpx.Client(base_url=wire.product.url, auth=(wire.key, "")) as client:
            while not stop.is_set() or len(sent) < 50:
                message = uuid.uuid4().hex
                body = {"userId": other, "event": "Beside", "messageId": message}
                assert client.post("/v1/track", json=body).status_code == 200
                sent.append(message)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        assert set(_erase(wire, user).json()["left"].values()) == {0}
    finally:
        stop.set()
        sender.join()
    assert {event["messageId"] for event in wire.events(other)} >= set(sent)
    until(
        lambda: (found := wire.known(other)) and found["state"]["session"]["events"] == 30 + len(sent),
        what="all is counted",
    )


def test_nobody_and_a_wrong_key_are_told(wire: Wire) -> None:
    assert _erase(wire, f"nobody-{uuid.uuid4().hex}").json()["error"]["field"] == "id"
    assert wire.http.delete("/api/users/somebody", auth=(wire.key, "")).status_code == 401


def test_two_removals_at_once_go_one_after_the_other(wire: Wire, store) -> None:
    user = f"leaver-{uuid.uuid4().hex}"
    wire.track(user, "Beside")
    until(lambda: wire.known(user), what="known")
    store.set("{default}:erasing", "another", px=60_000)
    try:
        refused = _erase(wire, user)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    finally:
        store.delete("{default}:erasing")
    assert _erase(wire, user).status_code == 200


@pytest.mark.parametrize("kind", [TELL, SPREAD])
@pytest.mark.parametrize(("names", "is_theirs"), [({"u:ann"}, True), ({"u:bob"}, False)])
def test_a_record_that_waits_to_be_handed_on_is_of_the_person_it_names(
    kind: str, names: set[str], is_theirs: bool
) -> None:
    record = b'{"p":"u:ann","r":1,"k":"group","e":{"groupId":"acme"}}'
    assert _of_task({b"k": kind.encode(), b"d": record}, names) is is_theirs


@pytest.mark.parametrize("kind", ["withdraw", MOVE])
def test_a_pair_that_waits_is_of_the_people_it_names(kind: str) -> None:
    assert _of_task({b"k": kind.encode(), b"d": b'["u:ann","u:bob"]'}, {"u:bob"})
