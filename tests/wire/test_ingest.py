"""The way in over real HTTP: who may send what, and what becomes of it."""

import base64
import gzip
import json
import socket
import zlib

import httpx
import pytest
import redis

from engage.cors import ALLOW_HEADERS
from engage.keys import ShardKeys
from engage.settings import load_settings
from engage.times import now_ms
from tests.conftest import until

CALLS = {
    "track": {"event": "Opened"},
    "identify": {"traits": {"plan": "free"}},
    "page": {"properties": {"path": "/a"}},
    "screen": {},
    "group": {"groupId": "g1", "traits": {"size": 3}},
    "alias": {"previousId": "old"},
}


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("short", [False, True], ids=["long", "short"])
def test_each_call_of_the_tracking_api_lands_under_its_long_and_short_path(wire, person, kind, short):
    sent = {"userId": person, "messageId": f"{person}-1", "context": {"ip": None, "app": {"name": "x"}}, **CALLS[kind]}
    assert wire.post(f"/v1/{kind[0] if short else kind}", sent).json() == {"success": True}
    [logged] = wire.events(person)
    assert {name: logged[name] for name in sent} == sent
    assert logged["type"] == kind


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/v1/import"])
def test_a_batch_has_a_result_for_each_event_and_a_good_one_survives_bad_neighbours(wire, person, path):
    batch = [
        {"type": "track", "event": "A", "userId": person},
        {"type": "track", "userId": person},
        {"type": "nonsense", "userId": person},
        {"type": "track", "event": "B"},
        17,
        {"type": "track", "event": ["C"], "userId": person},
        {"type": "track", "event": "D", "userId": person, "properties": {"big": "x" * 40_000}},
        {"type": "page", "userId": person},
    ]
    reply = wire.post(path, {"batch": batch})
    assert reply.status_code == 200
    results = reply.json()["results"]
    assert [result["status"] for result in results] == [200, 400, 400, 400, 400, 400, 413, 200]
    fields = [result["error"]["field"] for result in results[1:-1]]
    assert fields == [
        f"$.batch[{index}]{rest}"
        for index, rest in ((1, ".event"), (2, ".type"), (3, ".userId"), (4, ""), (5, ".event"), (6, ""))
    ]
    assert [event.get("event") or event["type"] for event in wire.events(person)] == ["A", "page"]


def test_a_batch_of_which_nothing_can_be_taken_is_the_senders_mistake(wire):
    reply = wire.post("/v1/batch", {"batch": [{"type": "track"}]})
    assert reply.status_code == 400
    assert reply.json()["success"] is False
    assert wire.post("/v1/batch", {"batch": []}).json() == {"success": True, "results": []}


def test_the_write_key_comes_by_basic_auth_in_the_body_or_in_the_query(wire, person):
    event = {"userId": person, "event": "A"}
    basic = base64.b64encode(f"{wire.key}:".encode()).decode()
    assert wire.http.post("/v1/track", json=event, headers={"authorization": f"Basic {basic}"}).status_code == 200
    assert wire.http.post("/v1/track", json={**event, "writeKey": wire.key}).status_code == 200
    assert wire.http.post("/v1/track", json=event, params={"writeKey": wire.key}).status_code == 200
    assert (
        wire.http.post("/v1/batch", json={"batch": [{**event, "type": "track"}], "writeKey": wire.key}).status_code
        == 200
    )
    for given in (
        {},
        {"authorization": "Basic ???"},
        {"authorization": "Basic " + base64.b64encode(b"wrong:").decode()},
    ):
        reply = wire.http.post("/v1/track", json=event, headers=given)
        assert (reply.status_code, reply.json()["error"]["code"]) == (401, "unauthorized")
    assert len(wire.decided(person, 4)) == 4


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/track", b"", 400, "invalid_event"),
        ("/v1/track", b"{", 400, "invalid_event"),
        ("/v1/track", b"[]", 400, "invalid_event"),
        ("/v1/track", b'"text"', 400, "invalid_event"),
        ("/v1/track", b'{"userId":"u","event":NaN}', 400, "invalid_event"),
        ("/v1/track", b'{"userId":{},"event":"e"}', 400, "invalid_event"),
        ("/v1/track", b'{"userId":"u","event":"e","properties":[]}', 400, "invalid_event"),
        (
            "/v1/track",
            b'{"userId":"u","event":"e","properties":' + b'{"a":' * 100 + b"1" + b"}" * 100 + b"}",
            400,
            "invalid_event",
        ),
        (
            "/v1/track",
            b'{"userId":"u","event":"e","properties":' + b"[" * 16_000 + b"]" * 16_000 + b"}",
            400,
            "invalid_event",
        ),
        ("/v1/batch", b"[" * 100_000 + b"]" * 100_000, 400, "invalid_event"),
        ("/v1/track", b'{"userId":"u","event":"' + b"e" * 40_000 + b'"}', 413, "payload_too_large"),
        ("/v1/batch", b'{"batch":[' + b" " * 600_000 + b"]}", 413, "payload_too_large"),
        ("/v1/batch", b'{"batch":[' + b",".join([b"1"] * 2_501) + b"]}", 413, "payload_too_large"),
        ("/v1/batch", b'{"batch":{}}', 400, "invalid_event"),
        ("/v1/batch", b"{}", 400, "invalid_event"),
    ],
    ids=lambda value: value[:24].decode() if isinstance(value, bytes) else str(value),
)
def test_what_cannot_be_taken_is_refused_with_what_was_expected_and_where(wire, path, body, status, code):
    reply = wire.post(path, body)
    assert reply.status_code == status
    error = reply.json()["error"]
    assert error["code"] == code
    assert error["expected"]
    assert error["field"].startswith("$")


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/json", "application/json; charset=utf-8", "application/x-www-form-urlencoded", None],
)
def test_any_content_type_will_do_for_json(wire, person, kind):
    headers = {"content-type": kind} if kind else {}
    assert wire.post("/v1/track", {"userId": person, "event": "A"}, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)],
)
def test_bodies_may_be_compressed(wire, person, encoding, pack):
    body = json.dumps({"userId": person, "event": "A"}).encode()
    assert wire.post("/v1/track", pack(body), headers={"content-encoding": encoding}).status_code == 200


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", gzip.compress(b'{"batch":[' + b" " * 50_000_000 + b"]}"), 413),
        ("gzip", gzip.compress(b"{}")[:-9], 400),
        ("gzip", b"no gzip", 400),
        ("br", b"{}", 400),
    ],
    ids=["bomb", "truncated", "garbage", "unknown"],
)
def test_compressed_bodies_are_inflated_under_a_cap(wire, encoding, body, status):
    reply = wire.post("/v1/batch", body, headers={"content-encoding": encoding})
    assert reply.status_code == status
    assert reply.json()["error"]["message"]


def test_a_body_in_pieces_without_a_length_is_capped_too(wire):
    def pieces():
        yield b'{"batch":['
        for _ in range(100):
            yield b" " * 10_000

    assert wire.http.post("/v1/batch", content=pieces(), auth=(wire.key, "")).status_code == 413


def test_what_is_not_utf8_and_lone_surrogates_are_repaired_and_the_neighbours_unharmed(wire, person):
    body = (
        b'{"batch":[{"type":"track","event":"caf\xe9","userId":"%s"},{"type":"track","event":"x\\ud800","userId":"%s"},'
        % ((person.encode(),) * 2)
    )
    body += '{"type":"track","event":"日本 \\ud83d\\ude00","userId":"%s"}]}'.encode() % person.encode()
    assert wire.post("/v1/batch", body).status_code == 200
    assert [event["event"] for event in wire.events(person)] == ["caf\ufffd", "x\ufffd", "日本 😀"]


def test_huge_numbers_duplicate_keys_and_prototype_names_do_no_harm(wire, person):
    body = (
        b'{"userId":"%s","event":"A","event":"B","properties":{"n":1e999,"m":%s,"__proto__":{"x":1},"constructor":1}}'
        % (person.encode(), b"9" * 4_000)
    )
    assert wire.post("/v1/track", body).status_code == 200
    wire.track(person, "After")
    assert [record["event"]["name"] for record in wire.decided(person, 2)] == ["B", "After"]


def test_ids_may_be_numbers_and_null(wire):
    reply = wire.post("/v1/batch", {"batch": [{"type": "track", "event": "A", "userId": 424242, "anonymousId": None}]})
    assert reply.status_code == 200
    assert [event["userId"] for event in wire.events("424242")] == [424242]


@pytest.mark.parametrize(
    ("ids", "path"),
    [
        ({"userId": "鈴木 ☃"}, "鈴木 ☃"),
        ({"userId": "with/slash"}, "with%2Fslash"),
        ({"userId": "o'brien\"<b>&"}, "o'brien\"<b>&"),
        ({"userId": "", "anonymousId": "anonymous-only"}, "anonymous-only"),
    ],
)
def test_people_are_found_again_whatever_their_id_looks_like(wire, ids, path):
    assert wire.post("/v1/track", {"event": "A", **ids}).status_code == 200
    assert [event["event"] for event in wire.events(path)] == ["A"]


def test_a_message_id_counts_once_in_a_batch_and_over_requests(wire, person):
    one = {"type": "track", "event": "Once", "userId": person, "messageId": f"{person}-m"}
    two = {**one, "messageId": f"{person}-n"}
    wire.post("/v1/batch", {"batch": [one, two, one]})
    wire.post("/v1/batch", {"batch": [two, one]})
    wire.track(person, "Last")
    assert [record["event"]["name"] for record in wire.decided(person, 3)] == ["Once", "Once", "Last"]
    assert len(wire.events(person)) == 3  # the log may hold more; each is told once


def test_the_same_message_id_of_two_people_is_two_events(wire, person):
    for user in (f"{person}-a", f"{person}-b"):
        wire.track(user, "Same", messageId="m-1")
        assert len(wire.decided(user, 1)) == 1


def test_times_are_corrected_for_the_clients_clock(wire, person):
    event = {"type": "track", "event": "A", "userId": person}
    batch = [{**event, "timestamp": "2031-01-01T00:00:00+09:00"}, {**event, "timestamp": "no time"}, event]
    assert wire.post("/v1/batch", {"batch": batch, "sentAt": "2031-01-01T00:00:10+09:00"}).status_code == 200
    first, second, third = wire.events(person)
    received = first["receivedAt"]
    assert first["timestamp"] < received
    assert second["timestamp"] == third["timestamp"] == received


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"timestamp": "2020-02-29T21:00:00.123+09:00"}, "2020-02-29T12:00:00.123Z"),
        ({"timestamp": "2020-02-29T12:00:00"}, "2020-02-29T12:00:00.000Z"),
        ({"timestamp": 1_582_977_600}, "2020-02-29T12:00:00.000Z"),
        ({"timestamp": 1_582_977_600_123}, "2020-02-29T12:00:00.123Z"),
        ({"timestamp": "2999-01-01T00:00:00Z"}, None),
        ({"timestamp": 1e300}, None),
        ({"timestamp": None}, None),
    ],
)
def test_times_come_in_many_forms_and_none_lies_in_the_future(wire, person, times, expected):
    assert wire.post("/v1/track", {"userId": person, "event": "A", **times}).status_code == 200
    [event] = wire.events(person)
    assert event["timestamp"] == (expected or event["receivedAt"])


def test_preflights_allow_what_segments_and_rudderstacks_clients_send(wire):
    origin = {"origin": "https://app.example.com", "access-control-request-method": "POST"}
    for path in ("/v1/batch", "/v1/t", "/v1/deliveries/x/claim"):
        reply = wire.http.options(path, headers={**origin, "access-control-request-headers": "authorization"})
        assert reply.status_code == 204
        assert reply.headers["access-control-allow-origin"] == origin["origin"]
        allowed = {name.strip() for name in reply.headers["access-control-allow-headers"].split(",")}
        assert allowed >= {
            "authorization",
            "content-type",
            "x-retry-count",
            "anonymousid",
            "sentat",
            "rsa-retry-attempt",
            "rsa-retry-reason",
            "rsa-since-first-attempt",
            "rsa-since-last-attempt",
        }
    assert b"*" not in ALLOW_HEADERS
    reply = wire.post("/v1/track", {"userId": "u", "event": "A"}, headers={"origin": origin["origin"]})
    assert reply.headers["access-control-allow-origin"] == origin["origin"]
    refused = wire.http.post("/v1/track", content=b"{", headers={"origin": origin["origin"]})
    assert refused.headers["access-control-allow-origin"] == origin["origin"]  # else a page cannot read why


def test_settings_for_analytics_next(wire):
    settings = wire.http.get(f"/v1/projects/{wire.key}/settings", headers={"origin": "https://a.example"}).json()
    assert settings["integrations"]["Segment.io"]["apiKey"] == wire.key
    assert settings["integrations"]["Segment.io"]["apiHost"].endswith("/v1")
    assert wire.http.get("/v1/projects/wrong/settings").status_code == 404


@pytest.mark.parametrize("context", [5, "x", [1], True])
def test_a_batchs_context_is_an_object_and_a_wrong_one_stops_nobody(wire, person, context):
    batch = [{"type": "track", "event": "A", "userId": person}]
    reply = wire.post("/v1/batch", {"batch": batch, "context": context})
    assert (reply.status_code, reply.json()["error"]["field"]) == (400, "$.context")
    assert wire.post("/v1/batch", {"batch": batch, "context": None}).status_code == 200
    assert [record["event"]["name"] for record in wire.decided(person, 1)] == ["A"]


def test_an_escaped_backslash_before_a_lone_surrogate_is_seen_through(wire, person):
    good = json.dumps({"type": "track", "event": "Good", "userId": person}).encode()
    bad = good.replace(b"Good", rb"C:\\ud83d\ude00")
    assert wire.post("/v1/batch", b'{"batch":[' + good + b"," + bad + b"]}").status_code == 200
    assert [event["event"] for event in wire.events(person)] == ["Good", "C:\\ud83d\ufffd"]


def test_a_batchs_context_may_not_blow_up_the_log(wire, person):
    batch = [{"type": "track", "event": "A", "userId": person}] * 2_000
    reply = wire.post("/v1/batch", {"batch": batch, "context": {"x": "y" * 2_000}})
    assert (reply.status_code, reply.json()["error"]["field"]) == (413, "$.context")
    assert wire.post("/v1/batch", {"batch": batch, "context": {"x": "y" * 500}}).status_code == 200


def test_a_time_and_a_number_beyond_all_measure_stop_nobody(wire, person):
    body = b'{"sentAt":1e300,"batch":[{"type":"track","event":"A","userId":"%s","properties":{"x":1e999}}]}'
    assert wire.post("/v1/batch", body % person.encode()).status_code == 200
    assert [record["event"]["name"] for record in wire.decided(person, 1)] == ["A"]


def test_a_head_without_an_end_is_refused(product):
    address = httpx.URL(product.url)
    with socket.create_connection((address.host, address.port), timeout=20) as connection:
        connection.sendall(b"POST /v1/track HTTP/1.1\r\nhost: x\r\nx: ")
        try:
            for _ in range(200):
                connection.sendall(b"y" * 4096)
        except OSError:
            pass  # it has hung up
        reply = connection.recv(4096)
    assert reply.startswith(b"HTTP/1.1 431 ")
    assert b'"headers_too_large"' in reply


def test_an_event_that_nobody_can_read_is_put_aside_and_the_shard_goes_on(service):
    running = service()
    url = load_settings({"ENGAGE_DATA_DIR": str(running.data_dir)}).redis_url
    sent = {"type": "track", "event": "A", "messageId": "m", "userId": "somebody"}
    good = {"p": "u:somebody", "r": now_ms(), "e": sent}
    with (
        redis.Redis.from_url(url) as store,
        httpx.Client(base_url=running.url, auth=(running.secret_key, "")) as client,
    ):
        for shard in range(8):
            store.xadd(ShardKeys("default", shard).log, {"e": json.dumps([{**good, "e": 5}, good, {**good, "c": [1]}])})

        def totals() -> dict[str, int]:
            return client.get("/api/stats").json()["totals"]

        until(lambda: totals().get("events") == 8, what="the good ones are decided")
        assert totals()["events_failed"] == 16
        [(_, fields), _] = store.xrange(ShardKeys("default", 0).failed)
    assert json.loads(fields[b"d"])["e"] == 5
    assert b"Expected `object`, got `int`" in fields[b"reason"]
