"""Identity verification on the running product: what proves a userId, what is refused without proof, and what is counted."""

import itertools
import time

import httpx
import jwt
import pytest
import redis

from engage.keys import ShardKeys
from engage.settings import load_settings
from engage.verification import user_hash
from tests.commands import Command, Done, engage, started
from tests.conftest import Service, until
from tests.wire.conftest import Wire, write_definitions

SECRET = "the identity secret of these tests, long"
OLD = "the identity secret before, still valid"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def guarded(module_service, tmp_path_factory) -> Service:
    environment = {
        "ENGAGE_IDENTITY_SECRET": SECRET,
        "ENGAGE_IDENTITY_SECRET_OLD": OLD,
        "ENGAGE_IDENTITY_ENFORCE": "all",
    }
    return module_service(rules=write_definitions(tmp_path_factory.mktemp("guarded") / "definitions"), env=environment)


@pytest.fixture
def wire(guarded):
    made = Wire(guarded)
    yield made
    made.http.close()


@pytest.fixture
def user() -> str:
    return f"user-{next(_numbers)}"


def token(user: str, seconds: float = 600, secret: str = SECRET, **claims: object) -> str:
    return jwt.encode({"sub": user, "exp": int(time.time() + seconds), **claims}, secret, "HS256")


def track(user: str, event: str = "Wake", **fields: object) -> dict:
    return {"type": "track", "userId": user, "event": event, **fields}


def state(wire: Wire, name: str) -> dict:
    return until(lambda: wire.known(name), what=f"{name} is known")


def unknown(wire: Wire, name: str) -> bool:
    return wire.server(f"/api/users/{name}").status_code == 404


def stored(guarded: Service) -> bytes:
    """Everything that lies in the logs and in what was put aside."""
    found = []
    with redis.Redis.from_url(load_settings({"ENGAGE_DATA_DIR": str(guarded.data_dir)}).redis_url) as store:
        for key in (*(ShardKeys("default", shard).log for shard in range(8)), "{default}:dead-letters"):
            found += [b"".join(fields.values()) for _, fields in store.xrange(key)]
    return b"\n".join(found)


def run_engage(running: Service, *arguments: str, run: Command = engage) -> Done:
    return run(*arguments, "--data", running.data_dir, env=running.environment)


PLACES = ["event", "context", "envelope", "envelope-context"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["userHash", "userHash, old", "userToken", "token as userHash"])
def test_a_proof_counts_wherever_it_stands_and_does_not_go_into_the_log(guarded, wire, user, kind, place):
    name = "userToken" if kind == "userToken" else "userHash"
    proof = user_hash(OLD if "old" in kind else SECRET, user) if kind.startswith("userHash") else token(user)
    event, envelope = track(user, messageId=f"{user}-1"), {}
    carrier = event if place in ("event", "context") else envelope
    carrier |= {name: proof} if "context" not in place else {"context": {name: proof, "app": {"name": "x"}}}
    assert wire.post("/v1/batch", {**envelope, "batch": [event]}).json()["results"] == [{"status": 200}]
    query = {name: proof}
    until(lambda: wire.inbox(user, **query), what="the message it woke")
    [logged] = wire.events(user)
    assert (logged["event"], logged["messageId"]) == ("Wake", f"{user}-1")
    assert name not in logged
    assert logged.get("context", {}) in ({}, {"app": {"name": "x"}})
    assert proof.encode() not in stored(guarded)


@pytest.mark.parametrize(
    ("proof", "field", "got"),
    [
        (lambda user: {}, "userHash", "neither"),
        (lambda user: {"userHash": "0" * 64}, "userHash", "the hash of another userId, or by another secret"),
        (lambda user: {"userHash": user_hash(SECRET, "bob")}, "userHash", "the hash of another userId, or by another secret"),
        (lambda user: {"userHash": "short"}, "userHash", "a text of 5 characters"),
        (lambda user: {"userToken": token("bob")}, "userToken", "one for 'bob'"),
        (lambda user: {"userToken": token(user, -300)}, "userToken", "one that has expired"),
        (lambda user: {"userToken": token(user, secret="another secret that nobody knows")}, "userToken", "one that another secret signed"),
        (lambda user: {"userToken": jwt.encode({"sub": user, "exp": 9e9}, None, "none")}, "userToken", "one that is not signed with HS256"),
        (lambda user: {"userToken": jwt.encode({"sub": user}, SECRET, "HS256")}, "userToken", 'one that is not valid (Token is missing the "exp" claim)'),
        (lambda user: {"userHash": token(user, -300)}, "userToken", "one that has expired"),
        (lambda user: {"userToken": "a.b.c"}, "userToken", None),
    ],
    ids=["none", "wrong", "of another", "short", "for another", "expired", "another secret", "unsigned", "endless", "as a hash", "no JWT"],
)  # fmt: skip
def test_without_proof_nothing_is_read_changed_or_woken_for_a_user(guarded, wire, user, proof, field, got):
    given = proof(user)
    for path in ("/v1/inbox", "/v1/stream"):
        reply = wire.http.get(path, params={"writeKey": wire.key, "userId": user, **given})
        said = reply.json()["error"]
        assert (reply.status_code, said["code"], said["field"]) == (403, "forbidden", field)
        assert got is None or said["got"] == got
        assert not [value for value in given.values() if value in reply.text]
    neighbour = track(f"{user}-b", userHash=user_hash(SECRET, f"{user}-b"))
    reply = wire.post("/v1/batch", {"batch": [track(user, **given), neighbour]})
    assert (reply.status_code, reply.json()["success"]) == (200, True)
    first, second = reply.json()["results"]
    assert (first["status"], first["error"]["field"], second) == (403, f"$.batch[0].{field}", {"status": 200})
    alone = wire.post("/v1/batch", {"batch": [track(user, **given)]})
    assert (alone.status_code, alone.json()["success"], alone.json()["results"][0]["status"]) == (200, True, 403)
    single = wire.post("/v1/track", track(user, messageId=f"{user}-x", **given))
    assert (single.status_code, single.json()["error"]["field"]) == (403, f"$.{field}")
    state(wire, f"{user}-b")
    assert unknown(wire, user)
    kept = wire.server("/api/dead-letters?limit=1").json()["letters"][0]
    assert {name: kept["event"][name] for name in ("userId", "event", "messageId")} == {
        "userId": user, "event": "Wake", "messageId": f"{user}-x",
    }  # fmt: skip
    assert kept["error"]["field"] == f"$.{field}"
    assert not [value for value in given.values() if value.encode() in stored(guarded)]


def test_an_unproven_users_event_is_the_anonymous_visitors_and_links_nobody(wire, user):
    visitor = f"{user}-visitor"
    batch = [
        {"type": "identify", "userId": user, "anonymousId": visitor, "traits": {"plan": "gold"}, "userHash": "f" * 64},
        {"type": "alias", "userId": user, "anonymousId": visitor, "previousId": "victim"},
        track(user, anonymousId=visitor, properties={"userId": "kept"}),
    ]
    assert wire.post("/v1/batch", {"batch": batch}).json()["results"] == [{"status": 200}] * 3
    events = until(lambda: len(found := wire.events(visitor)) == 3 and found, what="three events")
    assert [(event["type"], "userId" in event, "previousId" in event) for event in events] == [
        ("identify", False, False),
        ("alias", False, False),
        ("track", False, False),
    ]
    assert events[2]["properties"] == {"userId": "kept"}
    assert (state(wire, visitor)["person"], state(wire, visitor)["traits"]) == (f"a:{visitor}", {"plan": "gold"})
    assert unknown(wire, user)


def test_an_alias_of_a_page_gives_over_its_own_visitor_alone(wire, user):
    proof = {"userHash": user_hash(SECRET, user)}
    alias = {"type": "alias", "userId": user, "anonymousId": "mine", **proof}
    reply = wire.post("/v1/batch", {"batch": [{**alias, "previousId": "mine"}, {**alias, "previousId": "victim"}]})
    results = reply.json()["results"]
    assert [result["status"] for result in results] == [200, 403]
    assert results[1]["error"]["field"] == "$.batch[1].previousId"
    server = {"type": "alias", "userId": user, "previousId": "victim", "messageId": f"{user}-server"}
    trusted = wire.post("/v1/batch", {"batch": [server]}, auth=(wire.product.secret_key, ""))
    assert trusted.json()["results"] == [{"status": 200}]
    assert wire.post("/v1/alias", {"anonymousId": "a", "previousId": "victim"}).status_code == 200
    logged = until(lambda: len(found := wire.events(user)) == 2 and found, what="both")
    assert [event["previousId"] for event in logged] == ["mine", "victim"]
    assert "previousId" not in wire.events("a")[-1]


def test_a_server_with_the_secret_key_is_believed_and_no_page_may_use_it(wire, user):
    server = {"auth": (wire.product.secret_key, "")}
    assert wire.post("/v1/track", track(user), **server).status_code == 200
    assert until(lambda: wire.inbox(user, userHash=user_hash(SECRET, user)), what="the message it woke")
    refused = wire.post("/v1/track", track(user), headers={"origin": "https://app.example.com"}, **server)
    assert (refused.status_code, refused.json()["error"]["field"]) == (403, "Authorization")
    assert wire.product.secret_key not in refused.text
    assert wire.post("/v1/track", {**track(user), "writeKey": wire.product.secret_key}, auth=None).status_code == 401


def test_a_users_delivery_is_claimed_and_given_back_with_their_proof_alone(wire, user):
    proof = {"userId": user, "userHash": user_hash(SECRET, user)}
    wire.post("/v1/track", track(user, userHash=proof["userHash"]))
    [delivery] = until(lambda: wire.inbox(user, userHash=proof["userHash"]), what="the message")
    mallory = {"userId": "mallory", "userHash": user_hash(SECRET, "mallory")}
    for what in ("claim", "release"):
        path = f"/v1/deliveries/{delivery['delivery_id']}/{what}"
        for body, field in (
            ({}, "userId"),
            (mallory, "userId"),
            ({"userId": user}, "userHash"),
            ({**proof, "userHash": "0"}, "userHash"),
        ):
            reply = wire.post(path, body)
            assert (reply.status_code, reply.json()["error"]["field"]) == (403, field)
    path = f"/v1/deliveries/{delivery['delivery_id']}"
    assert wire.post(f"{path}/claim", proof).json() == {"claimed": True}
    assert wire.http.post(f"{path}/release", params={"writeKey": wire.key, **proof}).json() == {"released": True}
    assert wire.post(f"{path}/claim", {"userId": user, "userToken": token(user)}).json() == {"claimed": True}


def test_what_a_token_says_is_applied_once_and_no_unsigned_word_changes_it(wire, user):
    signed = token(user, traits={"plan": "free", "seats": 3}, group={"id": "acme", "traits": {"tier": "basic"}})
    lie = {"type": "identify", "userId": user, "traits": {"plan": "gold", "name": "Aiko"}, "userToken": signed}
    joined = {"type": "group", "userId": user, "groupId": "evil", "traits": {"tier": "top"}, "userToken": signed}
    own = {**joined, "groupId": "acme", "traits": {"tier": "top", "colour": "red"}}
    reply = wire.post("/v1/batch", {"batch": [lie, joined, own]})
    assert reply.json()["results"] == [{"status": 200}] * 3
    # Another proof, that signs nothing, does not help either.
    unsigned = {**lie, "userToken": None, "userHash": user_hash(SECRET, user), "messageId": f"{user}-last"}
    assert wire.post("/v1/identify", unsigned).status_code == 200
    events = until(lambda: len(found := wire.events(user)) == 6 and found, what="six events")
    assert [event["type"] for event in events] == ["identify", "group", "identify", "group", "group", "identify"]
    known = until(lambda: (s := state(wire, user))["state"]["session"]["events"] == 6 and s, what="all are decided")
    assert known["traits"] == {"plan": "free", "seats": 3, "name": "Aiko"}
    assert known["state"]["group_id"] == "acme"
    assert known["state"]["group_traits"] == {"tier": "basic", "colour": "red"}
    # The server may change all of it; a new token too.
    server = {"type": "identify", "userId": user, "traits": {"plan": "team"}}
    wire.post("/v1/batch", {"batch": [server]}, auth=(wire.product.secret_key, ""))
    until(lambda: state(wire, user)["traits"]["plan"] == "team", what="the server's word")
    wire.post("/v1/track", track(user, "Other", userToken=token(user, traits={"plan": "pro"}, group="other")))
    until(lambda: state(wire, user)["traits"]["plan"] == "pro", what="the new token's word")
    until(lambda: state(wire, user)["state"]["group_id"] == "other", what="the new token's group")


def test_who_is_removed_is_gone_from_what_was_refused_too(guarded, wire, user):
    wire.post("/v1/track", track(user, messageId=f"{user}-refused"))
    assert f"{user}-refused".encode() in stored(guarded)
    gone = wire.http.delete(f"/api/users/{user}", auth=(wire.product.secret_key, ""), timeout=60)
    assert (gone.status_code, gone.json()["erased"]["put_aside"], gone.json()["left"]["put_aside"]) == (200, 1, 0), (
        gone.text
    )
    assert f"{user}-refused".encode() not in stored(guarded)


def test_where_inboxes_are_guarded_no_alias_brings_another_users_messages_along(service, tmp_path):
    environment = {"ENGAGE_IDENTITY_SECRET": SECRET}  # `inbox` is the default
    wire = Wire(service(rules=write_definitions(tmp_path / "definitions"), env=environment))
    victim = {"userHash": user_hash(SECRET, "victim")}
    wire.track("victim", "Wake")
    until(lambda: wire.inbox("victim", **victim), what="the victim's message")
    mallory = {"userHash": user_hash(SECRET, "mallory")}
    for alias in (
        {"userId": "mallory", "previousId": "victim", **mallory},
        {"userId": "mallory", "previousId": "victim"},
        {"userId": "mallory", "anonymousId": "victim", "previousId": "victim"},
        {"anonymousId": "nobody", "previousId": "victim"},
    ):
        assert wire.post("/v1/alias", alias).status_code == 200
    # What a visitor has is still brought along, also without proof.
    assert wire.post("/v1/track", {"anonymousId": "visitor", "event": "Wake"}).status_code == 200
    assert wire.post("/v1/alias", {"userId": "aiko", "previousId": "visitor"}).status_code == 200
    until(lambda: wire.inbox("aiko", userHash=user_hash(SECRET, "aiko")), what="the visitor's message is Aiko's")
    wire.track("mallory", "Other")
    until(
        # Mallory and nobody have both asked for the visitor named victim: in the end they are one, who did all of it.
        lambda: (found := wire.known("mallory")) and found["state"]["session"]["events"] == 5,
        what="all is decided",
    )
    assert wire.inbox("mallory", **mallory) == []
    assert wire.http.get("/v1/inbox", params={"writeKey": wire.key, "anonymousId": "nobody"}).json() == {
        "deliveries": []
    }
    assert len(wire.inbox("victim", **victim)) == 1
    wire.http.close()


def test_an_open_stream_ends_with_its_token(wire, user):
    # Long expired for everybody but for the leeway of 60 s, of which two seconds are left.
    query = {"writeKey": wire.key, "userId": user, "userToken": token(user, -58)}
    started = time.monotonic()
    with httpx.stream("GET", f"{wire.product.url}/v1/stream", params=query, timeout=30) as stream:
        assert stream.status_code == 200
        for _ in stream.iter_bytes():
            pass
    assert time.monotonic() - started < 20


def test_the_figure_says_before_one_enforces_who_would_be_shut_out(service):
    running = service(env={"ENGAGE_IDENTITY_SECRET": SECRET, "ENGAGE_IDENTITY_ENFORCE": "off"})
    wire = Wire(running)
    batch = [
        *(track(f"good-{number}", userHash=user_hash(SECRET, f"good-{number}")) for number in range(6)),
        *(track(f"bad-{number}", userHash="0" * 64) for number in range(2)),
        track("nobody"),
        track("good-0", userToken=token("good-0")),
        {"type": "track", "anonymousId": "a", "event": "E"},
    ]
    assert wire.post("/v1/batch", {"batch": batch}).json()["results"] == [{"status": 200}] * len(batch)
    assert wire.inbox("nobody-else") == []  # a read counts too, and is not refused
    until(lambda: wire.server("/api/identity").json()["users"]["users"] == 10, what="ten users are counted")
    said = wire.server("/api/identity").json()
    assert (said["secrets"], said["enforce"], said["within_days"]) == (1, "off", 7)
    assert {name: said["users"][name] for name in ("valid", "invalid", "none", "unverified")} == {
        "valid": 6, "invalid": 2, "none": 2, "unverified": 4,
    }  # fmt: skip
    assert said["verified_share"] == pytest.approx(0.6)
    assert sum(day["valid"] for day in said["users"]["days"]) == 6
    page = wire.http.get("/metrics").text
    for proof, count in (("valid", 6), ("invalid", 2), ("none", 2)):
        assert f'engage_identity_users{{project="default",proof="{proof}"}} {count}.0' in page
    assert wire.http.get("/api/identity").status_code == 401
    with redis.Redis.from_url(load_settings({"ENGAGE_DATA_DIR": str(running.data_dir)}).redis_url) as store:
        [key] = list(store.scan_iter("{default}:identity:*:valid"))
        assert 7 * 86_400 < store.ttl(key) <= 8 * 86_400
    doctor = run_engage(running, "doctor")
    assert (
        "enforced: off; of 10 users of the last 7 days 60.0% always came verified, 4 did not (2 with an invalid proof)"
        in doctor.stdout
    )
    proven = run_engage(running, "identity", "check", token("aiko"), "--user", "aiko", run=started)
    assert (proven.returncode, proven.stdout.splitlines()[-1]) == (0, "good  userToken: proves 'aiko'")
    wrong = run_engage(running, "identity", "check", token("aiko", -300))
    assert wrong.returncode == 1
    assert "bad   exp: ended " in wrong.stdout
    wire.http.close()
