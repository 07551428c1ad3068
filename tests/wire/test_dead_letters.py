"""What could not be taken, decided or delivered is kept where an operator finds it: with the reason, the place, and what was sent."""

import gzip
import json
import uuid

import httpx
import pytest

from engage.settings import load_settings
from engage.store import connect
from engage.wire import MAX_BATCH_BYTES
from tests.conftest import until
from tests.wire.conftest import Wire

ROUTE = "/api/dead-letters"


def letters(wire: Wire, needle: str, **query: str) -> list[dict]:
    """Those that hold the needle, the newest first."""
    found = wire.http.get(ROUTE, params={"limit": "500", **query}, auth=(wire.product.secret_key, "")).json()["letters"]
    return [letter for letter in found if needle in json.dumps(letter)]


def track(user: str, **fields: object) -> dict:
    return {"type": "track", "userId": user, "event": "Ok", **fields}


def test_a_malformed_event_of_a_batch_is_kept_with_reason_and_place_and_its_neighbours_land(
    wire: Wire, person: str
) -> None:
    sent = [
        track(person),
        track(person, event=5, properties={"n": 1}),
        {"type": "nonsense", "userId": person},
        track(person, properties=[1]),
        track(person, messageId="last"),
    ]
    reply = wire.post("/v1/batch", {"batch": sent}).json()
    assert [result["status"] for result in reply["results"]] == [200, 400, 400, 400, 200]
    found = letters(wire, person)
    assert [letter["error"] for letter in reversed(found)] == [reply["results"][n]["error"] for n in (1, 2, 3)]
    assert [letter["event"] for letter in reversed(found)] == sent[1:4]
    assert {letter["kind"] for letter in found} == {"malformed"}
    assert found[-1]["error"]["field"] == "$.batch[1].event"
    assert found[-1]["error"]["got"] == "a whole number"
    assert found[-1]["received_at"].endswith("Z")
    assert len(wire.events(person)) == 2


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/track", b'{"userId": "%s"}', "$.event"),
        ("/v1/track", b'{"userId": "%s", "event": "E", ', "$"),
        ("/v1/identify", b'{"user": "%s"}', "$.userId"),
        ("/v1/batch", b'{"batch": {"userId": "%s"}}', "$.batch"),
        ("/v1/batch", b'{"batch": [{"type": "nothing", "userId": "%s"}]}', "$.batch[0].type"),
        ("/v1/batch", b'{"context": 7, "batch": [{"userId": "%s"}]}', "$.context"),
        ("/v1/track", b"%s is no JSON", "$"),
        ("/v1/track", b'{"userId": "%s", "properties": ' + b"[" * 100 + b"]" * 100 + b"}", "$"),
    ],
)
def test_what_is_wrong_as_a_whole_is_kept_too(wire: Wire, person: str, path: str, body: bytes, field: str) -> None:
    body = body.replace(b"%s", person.encode())
    reply = wire.post(path, body)
    assert reply.status_code == 400
    [letter] = letters(wire, person)
    assert letter["error"]["field"] == field
    try:
        item = json.loads(body)
    except ValueError:
        assert letter["event"] == body.decode()
    else:
        sent = letter["event"] if isinstance(letter["event"], dict) else json.loads(letter["event"])
        assert sent == (item["batch"][0] if "[0]" in field else item)


@pytest.mark.parametrize("place", ["basic", "body", "query"])
def test_whose_it_is_follows_from_the_key_wherever_it_stands(wire: Wire, person: str, place: str) -> None:
    body = {"userId": person, **({"writeKey": wire.key} if place == "body" else {})}
    query = {"writeKey": wire.key} if place == "query" else {}
    auth = {"auth": (wire.key, "")} if place == "basic" else {"auth": None}
    assert wire.post("/v1/track", body, params=query, **auth).status_code == 400
    assert len(letters(wire, person)) == 1


def test_without_a_key_nothing_is_kept_and_the_mistake_is_said_all_the_same(wire: Wire, person: str) -> None:
    reply = wire.post("/v1/track", {"userId": person, "event": 5}, auth=("wrong", ""))
    assert (reply.status_code, reply.json()["error"]["field"]) == (400, "$.event")
    assert letters(wire, person) == []


def test_what_is_too_large_is_told_and_not_kept(wire: Wire, person: str) -> None:
    large = track(person, properties={"text": "x" * 40_000})
    assert wire.post("/v1/batch", {"batch": [large, track(person)]}).json()["results"][0]["status"] == 413
    newest = wire.server(f"{ROUTE}?limit=1").json()["letters"][0]
    assert (newest["error"]["code"], newest["event"]) == ("payload_too_large", None)
    assert newest["error"]["field"] == "$.batch[0]"


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/v1/track", "{}"),
        ("/v1/track", "{} and no JSON"),
        ("/v1/track", "[{}]"),
        ("/v1/batch", '{"batch": [{}], "sentAt": []}'),
        ("/v1/batch", '{"batch": [{}]}'),
    ],
)
def test_a_letter_holds_no_proof_and_no_address(wire: Wire, person: str, path: str, form: str) -> None:
    context = {"userToken": "eyJ5ec3e7.e30.x", "ip": "198.51.100.77"}
    event = {"userId": person, "userHash": "5ec3e7" * 10, "context": context}
    assert wire.post(path, form.replace("{}", json.dumps(event)).encode()).status_code == 400
    [letter] = letters(wire, person)
    assert "5ec3e7" not in json.dumps(letter)
    assert "198.51.100.77" not in json.dumps(letter)


def test_where_an_escape_may_hide_a_proof_nothing_is_kept(wire: Wire, person: str) -> None:
    body = b'{"userId": "%b", "user\\u0054oken": "eyJ5ec3e7.e30.x",' % person.encode()
    assert wire.post("/v1/track", body).status_code == 400
    newest = wire.server(f"{ROUTE}?limit=1").json()["letters"][0]
    assert (newest["error"]["field"], newest["event"]) == ("$", None)


@pytest.mark.parametrize(
    ("headers", "body", "field"),
    [
        ({}, b"x" * (MAX_BATCH_BYTES + 1), "$"),
        ({"transfer-encoding": "chunked"}, b"x" * (MAX_BATCH_BYTES + 1), "$"),
        ({"content-encoding": "gzip"}, b"no gzip", "$"),
        ({"content-encoding": "gzip"}, gzip.compress(b" " * (MAX_BATCH_BYTES + 1)), "$"),
        ({"content-encoding": "br"}, b"{}", "Content-Encoding"),
    ],
)
def test_of_a_body_that_nobody_can_read_the_reason_is_kept(
    wire: Wire, headers: dict[str, str], body: bytes, field: str
) -> None:
    def newest() -> dict:
        return wire.server(f"{ROUTE}?limit=1").json()["letters"][0]

    def send(key: str) -> httpx.Response:
        parts = (body[at : at + 65_536] for at in range(0, len(body), 65_536))
        content = parts if "transfer-encoding" in headers else body
        return wire.http.post("/v1/batch", content=content, headers=headers, auth=(key, ""))

    wire.post("/v1/track", b"one before")
    before = newest()
    reply = send("nobody")
    assert reply.status_code in (400, 413)
    assert newest() == before  # nobody's
    assert send(wire.key).json() == reply.json()
    letter = newest()
    assert letter != before
    assert (letter["kind"], letter["error"], letter["event"]) == ("malformed", reply.json()["error"], None)
    assert letter["error"]["field"] == field
    wire.track("somebody", "Goes On")


def test_what_cannot_be_delivered_or_decided_stands_there_too(wire: Wire, person: str) -> None:
    wire.track(person, "Divide", properties={"by": 0})
    until(lambda: letters(wire, person, kind="undelivered"), what="a message that cannot be rendered")
    [letter] = letters(wire, person, kind="undelivered")
    assert letter["delivery"]["rule_id"] == "divided"
    assert "can't divide by 0" in letter["error"]["message"]
    assert letter["id"].partition("@")[2].isdigit()
    store = connect(load_settings({"ENGAGE_DATA_DIR": str(wire.product.data_dir)}).redis_url)
    store.xadd("{default.0}:failed", {"d": json.dumps({"p": person, "e": {"event": "X"}}), "reason": "for a test"})
    store.xadd("{default.1}:failed", {"d": f"{person}: nobody can read this", "reason": "for a test"})
    store.close()
    found = letters(wire, "for a test", kind="undecided")
    assert {json.dumps(letter["event"]) for letter in found} == {
        '{"event": "X"}',
        f'"{person}: nobody can read this"',
    }


def test_pages_go_from_the_newest_to_the_oldest_and_none_comes_twice(wire: Wire, person: str) -> None:
    assert wire.post("/v1/batch", {"batch": [{"userId": person, "n": n} for n in range(25)]}).status_code == 400
    seen: list[dict] = []
    before: dict[str, str] = {}
    while page := wire.http.get(
        ROUTE, params={"limit": "10", "kind": "malformed", **before}, auth=(wire.product.secret_key, "")
    ).json()["letters"]:
        seen += page
        before = {"before": page[-1]["id"]}
    assert [letter["event"]["n"] for letter in seen if person in json.dumps(letter)] == list(range(24, -1, -1))
    assert len({letter["id"] for letter in seen}) == len(seen)


@pytest.mark.parametrize(("query", "field"), [("kind=other", "kind"), ("before=7", "before"), ("limit=501", "limit")])
def test_a_wrong_question_is_told_and_a_write_key_may_not_ask(wire: Wire, query: str, field: str) -> None:
    assert wire.server(f"{ROUTE}?{query}").json()["error"]["field"] == field
    assert wire.http.get(ROUTE, auth=(wire.key, "")).status_code == 401


def test_the_list_keeps_the_newest_thousand(service) -> None:
    wire = Wire(service())
    for start in range(0, 1_500, 500):
        bad = [{"userId": "u", "n": start + n} for n in range(500)]
        body = gzip.compress(json.dumps({"batch": bad}).encode())
        assert wire.post("/v1/batch", body, headers={"content-encoding": "gzip"}).status_code == 400
    newest = wire.server(f"{ROUTE}?limit=500").json()["letters"]
    older = wire.server(f"{ROUTE}?limit=500&before={newest[-1]['id']}").json()["letters"]
    numbers = [letter["event"]["n"] for letter in newest + older]
    assert numbers == list(range(1_499, 499, -1))
    assert wire.server(f"{ROUTE}?before={older[-1]['id']}").json() == {"letters": []}
    wire.http.close()


@pytest.mark.parametrize(
    "body",
    [
        '{"userId": "%s", "type": "track"}',
        '{"anonymousId": "%s", "type": "track"}',
        '{"userId": "%s", "type": "track", ',
        '["%s"]',
        '[{"userId": "%s"}]',
        '{"batch": [{"userId": "%s"}], "userId": {}}',
    ],
)
def test_who_is_removed_is_gone_from_here_too(wire: Wire, body: str) -> None:
    user = f"leaver-{uuid.uuid4().hex}"
    wire.track(user, "Ok")
    until(lambda: wire.known(user), what="the user is known")
    assert wire.post("/v1/track", body.replace("%s", user).encode()).status_code == 400
    assert len(letters(wire, user)) == 1
    gone = wire.http.delete(f"/api/users/{user}", auth=(wire.product.secret_key, ""), timeout=60).json()
    assert (gone["erased"]["put_aside"], gone["left"]["put_aside"]) == (1, 0)
    assert letters(wire, user) == []


def test_malformed_events_cost_their_key_too(service) -> None:
    wire = Wire(service(env={"ENGAGE_RATE_PER_KEY": "1/10"}))
    for _ in range(2):  # the second goes into debt
        assert wire.post("/v1/batch", {"batch": [{"userId": "u"}] * 9}).status_code == 400
    assert wire.post("/v1/track", {"userId": "u"}).status_code == 429
    assert wire.post("/v1/track", track("u")).status_code == 429
    wire.http.close()
