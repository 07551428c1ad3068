"""What a project denies or hashes never reaches the disk; who does not consent, or asks not to be tracked, leaves no event."""

import json
import time
from pathlib import Path

import jwt
import msgspec
import pytest

from engage.errors import StoreUnavailable
from engage.policies import Standing
from engage.privacy import PREFIX, Policy, hashed
from rules import Privacy
from tests.commands import Command, engage, started
from tests.conftest import Service, StartService, until
from tests.wire.conftest import Wire

IDENTITY = "an-identity-secret-of-more-than-32-characters"
PROJECT = {
    "id": "shop",
    "privacy": {
        "deny": ["properties.card", "context.userAgent", "traits.address.street"],
        "hash": ["traits.email", "properties.order"],
        "consent": "Personalization",
    },
}
RULE = {
    "id": "vip",
    "trigger": "Wake",
    "condition": {"==": [{"var": "user.traits.email"}, "to be filled in"]},
    "message": "hello",
    "frequency": "always",
}
MESSAGE = {"id": "hello", "kind": "banner", "content": {"en": {"text": "Hello"}}}


def policy(**privacy) -> Policy:
    return Policy(Privacy(**privacy), "secret")


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        ({"traits": {"email": "a", "n": 1}}, {"traits": {"email": hashed("s", "a"), "n": 1}}),
        ({"context": {"traits": {"email": "a"}}}, {"context": {"traits": {"email": hashed("s", "a")}}}),
        ({"traits": {"email": None}}, {"traits": {"email": None}}),
        ({"traits": {"email": 7}}, {"traits": {"email": hashed("s", 7)}}),
        ({"properties": {"card": {"number": "4"}, "n": 1}}, {"properties": {"n": 1}}),
        ({"properties": {"card.number": "4", "cards": 1}}, {"properties": {"cards": 1}}),
        ({"properties": {"items": [{"coupon": 1, "n": 1}, {"n": 2}, 3]}}, {"properties": {"items": [{"n": 1}, {"n": 2}, 3]}}),
        ({"properties": {"items": "none"}}, {"properties": {"items": "none"}}),
        ({"properties": None, "traits": [1]}, {"properties": None, "traits": [1]}),
        ({"card": 1}, {"card": 1}),
    ],
)  # fmt: skip
def test_fields_are_removed_and_hashed_wherever_they_stand(event, kept):
    made = Policy(Privacy(deny=["properties.card", "properties.items.coupon"], hash=["traits.email"]), "s")
    assert json.loads(made.event(json.dumps(event).encode())) == kept


@pytest.mark.parametrize(
    "event",
    [
        b'{"traits": {"email": "SECRET"}, "traits": {}}',
        b'{"traits": {"email": "SECRET", "email": 1}}',
        b'{"traits": {"em\\u0061il": "SECRET"}}',
        b' {"traits"  : [ {"email"\n: "SECRET"} ] }',
        b'{"traits": {"email": 1e999, "n": "x"}, "context": {"traits": {"email": {"a": "SECRET"}}}}',
    ],
)
def test_no_way_of_writing_it_hides_a_field(event):
    for made in (policy(hash=["traits.email"]), policy(deny=["traits.email"])):
        assert made.concerns(event)
        assert b"SECRET" not in made.event(event)


@pytest.mark.parametrize(
    "bag",
    [
        {"a": {"b": {"c": "SECRET"}}},
        {"a.b": {"c": "SECRET"}},
        {"a": {"b.c": "SECRET"}},
        {"a.b.c": "SECRET"},
        {"a.b.c.d": "SECRET"},
        {"a.b": [{"c": "SECRET"}]},
    ],
)
def test_a_name_with_dots_is_the_same_path_wherever_the_dots_are(bag):
    for made in (policy(hash=["properties.a.b.c"]), policy(deny=["properties.a.b.c"])):
        event = json.dumps({"properties": {**bag, "a.x": 1}}).encode()
        assert made.concerns(event)
        assert b"SECRET" not in made.event(event)
        assert json.loads(made.event(event))["properties"]["a.x"] == 1


def test_what_holds_no_such_name_is_not_even_looked_at():
    made = policy(deny=["traits.email"], hash=["properties.a/b"])
    assert not made.concerns(b'{"traits": {"mail": "a"}, "event": "email opened"}')
    assert made.concerns(b'{"properties": {"a\\/b": 1}}')


def test_part_of_what_is_hashed_or_denied_as_a_whole_goes_with_it():
    whole = {"traits": {"address": {"street": "x"}}}
    one = policy(hash=["traits.address"], deny=["traits.address.street"]).event(json.dumps(whole).encode())
    assert json.loads(one)["traits"]["address"].startswith(PREFIX)
    other = policy(deny=["traits.address"], hash=["traits.address.street"]).event(json.dumps(whole).encode())
    assert json.loads(other) == {"traits": {}}


@pytest.mark.parametrize(
    ("consent", "taken"),
    [
        (None, True),
        ({"categoryPreferences": {"Personalization": True}}, True),
        ({"categoryPreferences": {"Personalization": False}}, False),
        ({"categoryPreferences": {"Personalization": "yes"}}, False),
        ({"categoryPreferences": {"Other": True}}, False),
        ({"categoryPreferences": []}, False),
        ({}, False),
        ("yes", False),
    ],
)
def test_only_a_plain_yes_is_consent_where_consent_is_spoken_of(consent, taken):
    made = policy(consent="Personalization")
    context = {"consent": consent}
    assert made.consents(json.dumps({"context": context}).encode()) is taken
    assert made.context_consents(json.dumps(context).encode()) is taken
    assert made.consents(b'{"context": {}}', otherwise=False) is False


# The running service.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("private") / "definitions"
    for kind, document in (("project", PROJECT), ("rules", RULE), ("messages", MESSAGE)):
        (folder / kind).mkdir(parents=True)
        (folder / kind / f"{document['id']}.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="module")
def private(module_service: StartService, folder: Path) -> Service:
    environment = {"ENGAGE_RESPECT_DNT": "yes", "ENGAGE_IDENTITY_SECRET": IDENTITY, "ENGAGE_IDENTITY_ENFORCE": "off"}
    return module_service(rules=folder, env=environment)


@pytest.fixture
def there(private: Service):
    made = Wire(private)
    yield made
    made.http.close()


def on_disk(service: Service) -> bytes:
    return b"".join(path.read_bytes() for path in service.data_dir.rglob("*") if path.is_file())


def stored(value: str, service: Service, run: Command = engage) -> str:
    return run("hash", value, env=service.environment).stdout.strip()


def test_nothing_denied_or_hashed_reaches_the_disk_by_any_way(there: Wire, private: Service) -> None:
    user, mark = "kept", f"mark-{time.time_ns()}"
    claims = {"traits": {"email": f"signed-{mark}"}, "group": {"id": "g", "traits": {"email": f"group-{mark}"}}}
    token = jwt.encode({"sub": user, "exp": int(time.time()) + 600, **claims}, IDENTITY, "HS256")
    batch = [
        {"type": "identify", "userId": user, "traits": {"email": mark, "address": {"street": mark, "city": "Kyoto"}}},
        {"type": "track", "userId": user, "event": "A", "properties": {"card": mark, "order": mark, "n": 1}},
        {"type": "group", "userId": user, "groupId": "g", "traits": {"email": mark}},
        {"type": "page", "userId": user, "context": {"userAgent": mark, "locale": "ja"}},
        {"type": "track", "userId": user, "event": "B"},
    ]
    assert (
        there.post("/v1/batch", {"batch": batch, "context": {"userAgent": mark, "ip": "192.0.2.1"}}).status_code == 200
    )
    assert there.post("/v1/track", {"userId": user, "event": "C", "properties": {"card": mark}}).status_code == 200
    assert there.post("/v1/track", {"userId": user, "event": "D", "userToken": token}).status_code == 200
    assert (
        there.post("/v1/track", {"anonymousId": "x", "event": "E", "context": {"traits": {"email": mark}}}).status_code
        == 200
    )
    assert there.post("/v1/identify", {"anonymousId": "x", "userId": user}).status_code == 200
    until(lambda: (found := there.known(user)) and "a:x" in found["state"]["merged"], what="merged")
    events = there.events(user)
    assert [event["event"] for event in events if event["type"] == "track"] == ["A", "B", "C", "D", "E"]
    first = next(event for event in events if event.get("event") == "A")
    assert first["properties"] == {"order": stored(mark, private), "n": 1}
    assert first.get("context", {}) == {}
    found = there.server(f"/api/users/{user}").json()["traits"]
    assert found == {"email": stored(f"signed-{mark}", private), "address": {"city": "Kyoto"}}
    assert mark.encode() not in on_disk(private)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/track", '{"userId": "m", "event": 3, "properties": {"card": "MARK"}}'),
        ("/v1/track", '{"userId": "m", "event": "A", "properties": {"card": "MARK"'),
        (
            "/v1/batch",
            '{"batch": [{"type": 3, "userId": "m", "traits": {"email": "MARK"}}, {"type": "page", "userId": "m"}]}',
        ),
        ("/v1/batch", '{"batch": [{"type": "track", "userId": "m", "traits": {"email": "MARK"}}], "sentAt": {}}'),
        ("/v1/batch", '{"batch": [{"type": 3, "event": "MARK", "context": {"consent": {}}}]}'),
        ("/v1/batch", '{"batch": [{"type": 3, "event": "MARK"}], "context": {"consent": {}}}'),
    ],
)
def test_nor_does_it_by_a_dead_letter(there: Wire, private: Service, path: str, body: str) -> None:
    mark = f"mark-{time.time_ns()}"
    assert there.post(path, body.replace("MARK", mark).encode()).status_code in (200, 400)
    there.track("after-it", "A")  # what was put aside before is on disk
    assert mark.encode() not in on_disk(private)


def test_a_condition_compares_with_the_hash(there: Wire, private: Service, folder: Path) -> None:
    rule = {**RULE, "condition": {"==": [{"var": "user.traits.email"}, stored("vip@example.com", private, started)]}}
    (folder / "rules" / "vip.json").write_text(json.dumps(rule))
    until(lambda: there.server("/api/rules/vip").json()["condition"] == rule["condition"], what="the rule is live")
    until(lambda: (r := there.server("/api/stats").json()["rulebook"])["in_force"] == r["published"], what="it decides")
    for user, email in (("v1", "vip@example.com"), ("v2", "no@example.com")):
        there.post("/v1/identify", {"userId": user, "traits": {"email": email}})
        there.track(user, "Wake")
    assert [delivery["rule_id"] for delivery in there.wait_inbox("v1")] == ["vip"]
    until(lambda: there.server("/api/users/v2/history").json()["records"], what="decided")
    assert there.inbox("v2") == []


def test_who_does_not_consent_leaves_no_event_and_is_told_so_with_200(there: Wire) -> None:
    no = {"consent": {"categoryPreferences": {"Personalization": False}}}
    yes = {"consent": {"categoryPreferences": {"Personalization": True}}}
    event = {"userId": "asked", "event": "A"}
    reply = there.post("/v1/track", {**event, "context": no})
    assert (reply.status_code, reply.json()) == (200, {"success": True, "skipped": "no_consent"})
    batch = [
        {**event, "type": "track", "messageId": "1"},
        {**event, "type": "track", "messageId": "2", "context": yes},
        {"type": "nothing"},
    ]
    reply = there.post("/v1/batch", {"batch": batch, "context": no})
    results = reply.json()["results"]
    assert reply.status_code == 200
    assert [(result["status"], result.get("skipped")) for result in results] == [
        (200, "no_consent"),
        (200, None),
        (200, "no_consent"),
    ]
    server = there.post("/v1/track", {**event, "context": no}, auth=(there.product.secret_key, ""))
    assert server.json()["skipped"] == "no_consent"
    assert [one["messageId"] for one in there.events("asked")] == ["2"]
    assert 'engage_ingest_events_total{outcome="no_consent"} 4.0' in there.http.get("/metrics").text


@pytest.mark.parametrize("header", ["DNT", "Sec-GPC"])
def test_a_browser_that_asks_not_to_be_tracked_leaves_no_event(there: Wire, header: str) -> None:
    user = f"not-{header}"
    event = {"userId": user, "event": "A"}
    reply = there.post("/v1/track", event, headers={header: "1"})
    assert (reply.status_code, reply.json()) == (200, {"success": True, "skipped": "do_not_track"})
    batch = there.post("/v1/batch", {"batch": [{**event, "type": "track"}] * 2}, headers={header: "1"})
    assert batch.json()["results"] == [{"status": 200, "skipped": "do_not_track"}] * 2
    assert there.post("/v1/track", {**event, "messageId": "0"}, headers={header: "0"}).json() == {"success": True}
    server = there.post(
        "/v1/track", {**event, "messageId": "s"}, headers={header: "1"}, auth=(there.product.secret_key, "")
    )
    assert server.json() == {"success": True}
    assert {one["messageId"] for one in there.events(user)} == {"0", "s"}


def test_a_change_takes_effect_without_a_restart(there: Wire, folder: Path) -> None:
    document = json.loads(json.dumps(PROJECT))
    document["privacy"]["deny"].append("properties.phone")
    (folder / "project" / "shop.json").write_text(json.dumps(document))

    def is_denied() -> bool:
        there.track("changing", "A", properties={"phone": "1"})
        return "phone" not in there.events("changing")[-1]["properties"]

    until(is_denied, what="it is denied")


def test_before_the_policy_is_known_an_event_is_refused_for_a_moment() -> None:
    standing = Standing()
    assert standing.active
    with pytest.raises(StoreUnavailable, match="not known yet"):
        _ = standing.policy
    standing.take(0, None)
    assert (standing.active, standing.policy) == (False, None)
    standing.take(1, policy(deny=["traits.email"]))
    assert standing.active
    assert msgspec.json.decode(standing.policy.event(b'{"traits":{"email":1}}')) == {"traits": {}}
