"""Rules through the whole product, and what the server side says of them."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from rules import document_schema
from tests.conftest import until


def test_a_count_in_a_window_wakes_on_the_second_failure_and_once_per_person(wire, person):
    for _ in range(4):
        wire.track(person, "Export Failed")
    records = wire.decided(person, 4)
    outcomes = [considered["outcome"] for record in records for considered in record["considered"]]
    assert outcomes == ["not_matched", "matched", "capped", "capped"]
    assert len(wire.wait_inbox(person)) == 1


def test_a_failure_outside_the_window_does_not_count(wire, person):
    wire.track(person, "Export Failed", timestamp="2020-01-01T00:00:00Z")
    wire.track(person, "Export Failed")
    assert [r["considered"][0]["outcome"] for r in wire.decided(person, 2)] == ["not_matched", "not_matched"]


def test_a_delay_delivers_later_and_a_cancel_calls_it_off(wire, person):
    wire.track(person, "Wait")
    assert wire.inbox(person) == []
    assert wire.wait_inbox(person)[0]["rule_id"] == "later"
    other = f"{person}-cancelled"
    wire.track(other, "Wait")
    wire.track(other, "Stop")
    assert [c["outcome"] for r in wire.decided(other, 2) for c in r["considered"]] == ["delayed", "cancelled"]
    wire.track(other, "Wait")  # and again, undisturbed: one delivery in all
    assert len(wire.wait_inbox(other)) == 1


def test_a_cancel_also_takes_back_what_was_not_shown_yet(wire, person):
    wire.track(person, "Wait")
    [delivery] = wire.wait_inbox(person)
    wire.track(person, "Stop")
    until(lambda: wire.inbox(person) == [], what="taken back")
    assert wire.post(f"/v1/deliveries/{delivery['delivery_id']}/claim", b"").json() == {"claimed": False}


def test_what_was_cancelled_while_claimed_is_not_offered_again(wire, person):
    wire.track(person, "Wait")
    [delivery] = wire.wait_inbox(person)
    path = f"/v1/deliveries/{delivery['delivery_id']}"
    assert wire.post(f"{path}/claim", b"").json() == {"claimed": True}
    wire.track(person, "Stop")
    wire.track(person, "Wake")
    assert [waiting["rule_id"] for waiting in wire.wait_inbox(person)] == ["always"]  # the withdrawal went before
    assert wire.post(f"{path}/release", b"").json() == {"released": False}
    assert [waiting["rule_id"] for waiting in wire.inbox(person)] == ["always"]


def test_what_did_not_happen_in_time_wakes_a_rule(wire, person):
    wire.track(person, "Trial Started")
    assert wire.wait_inbox(person)[0]["rule_id"] == "absent"
    busy = f"{person}-busy"
    wire.track(busy, "Trial Started")
    wire.track(busy, "Project Created")
    assert [c["outcome"] for r in wire.decided(busy, 2) for c in r["considered"]] == ["waiting", "cancelled"]


def test_history_waits_for_news(wire, person):
    wire.track(person, "First")
    first = wire.decided(person, 1)[0]
    assert (first["event"]["name"], first["considered"], first["deliveries"]) == ("First", [], [])
    cursor = wire.server(f"/api/users/{person}/history").json()["cursor"]
    quiet = wire.server(f"/api/users/{person}/history?after={cursor}&wait=0.2").json()
    assert quiet["records"] == []
    wire.track(person, "Wake")
    [record] = wire.server(f"/api/users/{person}/history?after={cursor}&wait=20").json()["records"]
    assert record["deliveries"][0]["rule_id"] == "always"


@pytest.mark.parametrize("kind", ["userId", "anonymousId"])
def test_history_waits_also_for_somebody_not_heard_of_yet(wire, person, kind):
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(wire.server, f"/api/users/{person}/history?wait=15")
        time.sleep(0.3)
        wire.post("/v1/track", {kind: person, "event": "First"})
        [record] = asked.result().json()["records"]
    assert record["event"]["name"] == "First"


def test_a_wrong_method_names_the_right_one(wire):
    for path, right in (("/v1/track", "POST"), ("/v1/inbox", "GET")):
        reply = wire.http.request("PUT", path)
        assert (reply.status_code, right in reply.headers["allow"]) == (405, True)
        assert f"Expected {reply.headers['allow']}, got PUT" in reply.json()["error"]["message"]


def test_a_user_is_found_by_user_id_and_by_anonymous_id(wire, person):
    wire.post("/v1/identify", {"userId": person, "traits": {"plan": "free"}})
    wire.post("/v1/track", {"anonymousId": f"anonymous-{person}", "event": "A"})
    until(lambda: wire.known(person), what="known")
    assert wire.server(f"/api/users/{person}").json()["traits"] == {"plan": "free"}
    anonymous = until(
        lambda: (r := wire.server(f"/api/users/anonymous-{person}")).status_code == 200 and r, what="known"
    )
    assert anonymous.json()["person"] == f"a:anonymous-{person}"


def test_the_documents_in_force_are_listed(wire):
    listed = wire.server("/api/rules").json()
    assert listed["version"] >= 1
    assert "always" in {rule["id"] for rule in listed["rules"]}
    assert wire.server("/api/messages/hello").json()["kind"] == "banner"


@pytest.mark.parametrize(
    "path",
    ["/api/rules", "/api/users/x", "/api/users/x/history", "/api/users/x/export", "/api/stats", "/api/messages/hello"],
)
def test_the_server_side_needs_the_secret_key(wire, path):
    for auth in (None, (wire.key, ""), ("wrong", "")):
        reply = wire.http.get(path, auth=auth) if auth else wire.http.get(path)
        assert (reply.status_code, reply.json()["error"]["code"]) == (401, "unauthorized")
    bearer = wire.http.get(path, headers={"authorization": f"Bearer {wire.product.secret_key}"})
    assert bearer.status_code in (200, 404)


@pytest.mark.parametrize("kind", ["rule", "message", "segment"])
def test_an_editor_fetches_the_schemas_without_a_key(product, kind):
    reply = httpx.get(f"{product.url}/api/schemas/{kind}.json", headers={"origin": "https://editor.example"})
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/schema+json")
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.json() == document_schema(kind)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("POST", "/v1/nowhere", 404),
        ("DELETE", "/v1/inbox", 405),
        ("GET", "/v1/inbox", 401),
        ("GET", "/v1/stream", 401),
        ("GET", "/v1/articles/x", 401),
        ("POST", "/v1/deliveries/x/claim", 401),
        ("GET", "/sdk/none.js", 404),
        ("GET", "/api/rules", 401),
        ("GET", "/api/schemas/article.json", 404),
    ],
)
def test_every_error_has_the_one_shape(product, method, path, status):
    reply = httpx.request(method, product.url + path)
    assert reply.status_code == status
    assert set(reply.json()) == {"error"}
    error = reply.json()["error"]
    assert {"code", "message"} <= set(error) <= {"code", "message", "expected", "got", "field", "hint"}
    assert reply.headers["content-type"] == "application/json"


def test_the_snippet_is_served_compressed_and_its_parts_for_ever(product):
    loader = httpx.get(f"{product.url}/sdk/engage.js", headers={"accept-encoding": "gzip"})
    assert (loader.status_code, loader.headers["content-encoding"]) == (200, "gzip")
    assert loader.headers["cache-control"] == "public, no-cache"
    again = httpx.get(f"{product.url}/sdk/engage.js", headers={"if-none-match": loader.headers["etag"]})
    assert again.status_code == 304
    part = next(
        name for name in httpx.get(f"{product.url}/sdk/manifest.json").json()["files"] if name.startswith("tour")
    )
    served = httpx.get(f"{product.url}/sdk/{part}", headers={"origin": "https://a.example"})
    assert "immutable" in served.headers["cache-control"]
    assert served.headers.get_list("access-control-allow-origin") == ["*"]


def test_metrics_tell_of_events_decisions_deliveries_lag_and_latencies(wire, person):
    wire.track(person, "Wake")
    wire.wait_inbox(person)
    text = wire.http.get("/metrics").text
    for name in (
        'engage_ingest_events_total{outcome="accepted"}', "engage_commit_seconds_bucket", "engage_events_total",
        'engage_decisions_total{outcome="matched"}', 'engage_deliveries_total{state="delivered"}', "engage_log_lag_seconds",
        "engage_decision_latency_seconds_bucket", "engage_outbox_entries", "engage_streams", "engage_store_up 1.0",
    ):  # fmt: skip
        assert name in text
    assert wire.http.get("/healthz").json() == {"status": "ok"}
    assert wire.http.get("/readyz").json()["ready"] is True
    totals = wire.server("/api/stats").json()["totals"]
    assert totals["events"] >= 1
    assert totals["delivered"] >= 1
