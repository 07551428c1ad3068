"""Back-tests over the API: run by a worker, told as they go, cancelled, taken up again; and they change nothing."""

import json

import httpx
import pytest

from engage.settings import load_settings
from engage.store import connect
from tests.commands import engage
from tests.conftest import until

DRAFT = {"id": "draft", "trigger": "Backtested", "message": "hello", "frequency": "always"}


def api(wire, method, path, **given):
    return wire.http.request(method, f"/api/backtests{path}", auth=(wire.product.secret_key, ""), **given)


def ended(wire, identifier):
    def settled():
        found = api(wire, "GET", f"/{identifier}").json()
        return found["status"] in ("finished", "failed", "cancelled") and found

    return until(settled, what=f"{identifier} has ended", seconds=60)


def store_of(wire):
    return connect(load_settings({"ENGAGE_DATA_DIR": str(wire.product.data_dir)}).redis_url)


def test_a_draft_is_run_and_gives_what_the_command_line_gives(wire, person, tmp_path):
    for _ in range(3):
        wire.track(person, "Backtested")
    wire.decided(person, 3)
    reply = api(wire, "POST", "", json={"rule": DRAFT, "last": "1d"})
    assert reply.status_code == 202
    asked = reply.json()
    assert reply.headers["location"] == f"/api/backtests/{asked['id']}"
    assert asked["status"] in ("queued", "running")  # a worker may have taken it at once
    assert (asked["progress"], asked["last_ms"]) == (0.0, 86_400_000)
    found = ended(wire, asked["id"])
    assert (found["status"], found["progress"], found["error"]) == ("finished", 1.0, None)
    assert {"users", "deliveries", "by_day", "goals", "displaced"} <= set(found["result"])
    assert [len(one["at"]) for one in found["result"]["who"] if one["user"] == person] == [3]
    (tmp_path / "draft.json").write_text(json.dumps(DRAFT))
    words = ("rules", "backtest", tmp_path / "draft.json", "--last", "1d", "--format", "json")
    done = engage(*words, env=wire.product.environment)
    told = json.loads(done.stdout)
    mine = [[one for one in answer["who"] if one["user"] == person] for answer in (told, found["result"])]
    assert mine[0] == mine[1]
    assert api(wire, "GET", "").json()["backtests"][0]["id"] == asked["id"]


def test_a_live_rule_and_all_of_them(wire, person):
    wire.track(person, "Wake")
    wire.wait_inbox(person)
    one = ended(wire, api(wire, "POST", "", json={"rule": "always"}).json()["id"])
    assert one["result"]["rule_id"] == "always"
    every = ended(wire, api(wire, "POST", "", json={"all": True, "last": 3_600_000}).json()["id"])
    assert {"always", "twice", "tried"} <= {rule["rule_id"] for rule in every["result"]["rules"]}


def test_drafts_may_bring_their_messages_and_segments(wire, person):
    wire.track(person, "Backtested")
    wire.decided(person, 1)
    drafts = {
        "rule": {"id": "new", "trigger": "Backtested", "message": "fresh", "condition": {"segment": "some"}},
        "messages": [{"id": "fresh", "kind": "banner", "content": {"en": {"text": "Hi"}}}],
        "segments": [{"id": "some", "condition": {"did": ["Backtested"]}}],
    }
    found = ended(wire, api(wire, "POST", "", json=drafts).json()["id"])
    assert found["status"] == "finished"
    assert person in {one["user"] for one in found["result"]["who"]}


def test_it_is_told_as_it_goes(wire):
    identifier = api(wire, "POST", "", json={"rule": "always"}).json()["id"]
    address = f"{wire.product.url}/api/backtests/{identifier}/stream"
    with httpx.stream("GET", address, auth=(wire.product.secret_key, ""), timeout=30) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in reply.iter_lines() if line]
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert names[-1] == "finished"
    assert set(names[:-1]) <= {"progress"}
    assert json.loads(lines[-1].removeprefix("data: "))["result"]["rule_id"] == "always"


def test_it_changes_nothing(wire, person):
    wire.track(person, "Wake")
    wire.wait_inbox(person)
    inbox, user = wire.inbox(person), wire.server(f"/api/users/{person}").json()
    stats = wire.server("/api/stats").json()["rules"].get("always")
    ended(wire, api(wire, "POST", "", json={"rule": {**DRAFT, "trigger": "Wake"}}).json()["id"])
    assert wire.inbox(person) == inbox
    assert wire.server(f"/api/users/{person}").json() == user
    assert wire.server("/api/stats").json()["rules"].get("always") == stats


def test_one_whose_worker_was_killed_is_run_again(wire):
    """The run is put into the state that a killed worker leaves: running, with no sign of life."""
    identifier = api(wire, "POST", "", json={"rule": "always"}).json()["id"]
    ended(wire, identifier)
    with store_of(wire) as store:
        key = f"{{default}}:backtest:{identifier}"
        assert store.hget(key, "status") == b"finished"
        store.hdel(key, "result", "ended")
        store.hset(key, mapping={"status": "running", "alive": 1, "token": "gone", "progress": "0.4"})
    assert ended(wire, identifier)["status"] == "finished"


def test_a_worker_that_is_killed_comes_back(wire):
    before = wire.product.kill("backtest")
    wire.product.wait_restarted("backtest", before)
    assert ended(wire, api(wire, "POST", "", json={"rule": "always"}).json()["id"])["status"] == "finished"


def test_one_that_was_cancelled_stays_so(wire):
    with store_of(wire) as store:
        identifier = api(wire, "POST", "", json={"rule": "always"}).json()["id"]
        ended(wire, identifier)
        key = f"{{default}}:backtest:{identifier}"
        store.hset(key, mapping={"status": "running", "token": "somebody", "alive": 10**14})
        assert api(wire, "DELETE", f"/{identifier}").json()["status"] == "cancelled"
        assert api(wire, "DELETE", f"/{identifier}").json()["status"] == "cancelled"
        assert store.hget(key, "status") == b"cancelled"


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"{", 400, "JSON"),
        ({}, 400, "a rule, or the id of a live one"),
        ({"rule": "alwyas"}, 404, "did you mean `always`?"),
        ({"rule": "always", "last": "soon"}, 400, "Expected a duration such as 7d or 12h, got 'soon' - at $.last"),
        ({"rule": "always", "last": "0s"}, 400, "longer than nothing"),
        ({"rule": "always", "all": True}, 400, "either `rule` or `all`"),
        ({"rule": "always", "more": 1}, 400, "more"),
        ({"rule": {**DRAFT, "message": "helo"}}, 422, "The message `helo` does not exist; did you mean `hello`?"),
        ({"rule": {**DRAFT, "condition": {"did": []}, "priority": 101}}, 422, "$.priority"),
        ({"rule": {**DRAFT, "condition": {"!": [[[[{"var": "user.nam"}]]]]}}}, 422, "user.nam"),
        (b'{"rule": {"id": "d", "trigger": "x", "message": "hello", "condition": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}", 400, ""),
        (b'{"rule": "always", "x": "' + b"x" * 5_000_000 + b'"}', 413, "4194304"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(wire, body, status, text):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = api(wire, "POST", "", content=content)
    assert reply.status_code == status, reply.text
    assert text in reply.text
    assert "error" in reply.json()


def test_who_may_ask(wire):
    assert wire.http.post("/api/backtests", json={"rule": "always"}).status_code == 401
    assert api(wire, "GET", "/nobody").status_code == 404
    assert api(wire, "DELETE", "/nobody").status_code == 404
    assert api(wire, "GET", "/nobody/stream").status_code == 404
