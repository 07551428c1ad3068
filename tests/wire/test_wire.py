"""The pure parts of ingest: repairing, bounding, timing and recording what clients send."""

import asyncio
import gzip
import json
import re
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage.body import inflate
from engage.commit import ENTRY_BYTES, GroupCommit
from engage.errors import InvalidEvent
from engage.log import decode_entry, to_event
from engage.wire import (
    MAX_DEPTH,
    MAX_ID,
    PROOFS,
    LogRecord,
    Times,
    decode_event,
    encode_records,
    event_time,
    parse_time,
    repair,
    to_record,
    too_deep,
    too_many_keys,
    without_proof,
)
from tests.wire.conftest import Waiter

NOW = 1_800_000_000_000
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def record(body: bytes, kind: str | None = None):
    return to_record(decode_event(body), msgspec.Raw(body), kind, None, NOW, None)


def depth(value) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(json_values)
def test_a_clean_body_is_left_as_it_is(value):
    for ascii_only in (True, False):
        try:
            body = json.dumps(value, ensure_ascii=ascii_only).encode()
        except UnicodeEncodeError:
            continue  # a lone surrogate has no UTF-8
        if "\\ud" not in body.decode().lower():
            assert repair(body) is body


@given(st.text(st.characters(min_codepoint=0xD7F0, max_codepoint=0xE010), max_size=6) | st.text(max_size=6))
def test_lone_surrogates_become_replacement_characters_and_pairs_stay(text):
    body = json.dumps({"event": text + "😀"}).encode()
    repaired = json.loads(repair(body))["event"]
    assert repaired == re.sub("[\ud800-\udfff]", "\ufffd", json.loads(body)["event"])


def test_what_is_not_utf8_is_replaced():
    assert repair(b'{"event":"caf\xe9"}') == '{"event":"caf\ufffd"}'.encode()


@given(json_values, st.integers(0, 2 * MAX_DEPTH))
def test_depth_is_measured_as_json_nests_not_as_brackets_count(value, extra):
    for _ in range(extra):
        value = {"in": value, "text": '}]{["\\'}
    assert too_deep(json.dumps(value).encode()) == (depth(value) > MAX_DEPTH)


def test_a_very_deep_body_is_refused_without_harm():
    assert too_deep(b"[" * 100_000 + b"]" * 100_000)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_iso_times_with_any_offset_are_the_same_moment(moment, offset):
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    expected = round(aware.timestamp() * 1000)
    assert abs(parse_time(aware.isoformat()) - expected) <= 1
    utc = aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
    assert abs(parse_time(utc) - expected) <= 1


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "9" * 400, None])
def test_what_is_no_time_is_none(text):
    assert parse_time(text) is None


@pytest.mark.parametrize("number", [1e308, float("1e400"), -1e308])
def test_numbers_beyond_time_do_no_harm(number):
    assert event_time(Times(timestamp=number), None, NOW) in range(NOW + 1)


@pytest.mark.parametrize(
    ("original", "sent_at", "expected"),
    [
        (None, None, NOW),
        ("2001-01-01T00:00:00Z", None, 978_307_200_000),
        (NOW + 5_000, None, NOW),  # a clock that runs ahead: never in the future
        (NOW + 3_600_000 - 2_000, NOW + 3_600_000, NOW - 2_000),  # an hour ahead, sent 2 s after it happened
        (NOW - 3_600_000 - 2_000, NOW - 3_600_000, NOW - 2_000),  # an hour behind
    ],
)
def test_client_clocks_are_corrected(original, sent_at, expected):
    assert event_time(Times(timestamp=original), sent_at, NOW) == expected
    assert event_time(Times(originalTimestamp=original), sent_at, NOW) == expected
    assert event_time(Times(originalTimestamp=original, timestamp=original), sent_at, NOW) == expected
    if sent_at is not None:
        assert event_time(Times(timestamp=original, sentAt=sent_at), None, NOW) == expected


@pytest.mark.parametrize(
    ("timestamp", "original", "expected"),
    [
        (NOW - 5_000, NOW - 9_000, NOW - 5_000),  # given, or corrected by somebody before: not corrected again
        (NOW + 5_000, NOW - 9_000, NOW),
        (-5_000, NOW - 9_000, 0),
        ("no time", NOW - 9_000, NOW - 8_000),
        (NOW - 5_000, "no time", NOW - 4_000),
    ],
)
def test_a_timestamp_beside_another_original_one_is_taken_as_it_is(timestamp, original, expected):
    times = Times(timestamp=timestamp, originalTimestamp=original)
    assert event_time(times, NOW - 1_000, NOW) == expected


@pytest.mark.parametrize(
    ("body", "kind", "field"),
    [
        ({"userId": "u"}, None, "$.type"),
        ({"type": "trak", "userId": "u"}, None, "$.type"),
        ({"userId": "u"}, "track", "$.event"),
        ({"userId": "u", "event": ""}, "track", "$.event"),
        ({"userId": "u", "event": "e" * 300}, "track", "$.event"),
        ({"event": "e"}, "track", "$.userId"),
        ({"event": "e", "userId": "", "anonymousId": None}, "track", "$.userId"),
        ({"event": "e", "userId": "u" * (MAX_ID + 1)}, "track", "$.userId"),
        ({"event": "e", "userId": "u", "messageId": "m" * (MAX_ID + 1)}, "track", "$.messageId"),
        ({"userId": "u"}, "group", "$.groupId"),
        ({"userId": "u"}, "alias", "$.previousId"),
    ],
)
def test_an_invalid_event_names_its_field(body, kind, field):
    with pytest.raises(InvalidEvent) as caught:
        record(json.dumps(body).encode(), kind)
    assert caught.value.field == field


@pytest.mark.parametrize("name", ["properties", "traits", "context"])
def test_bags_are_objects_or_null(name):
    decode_event(b'{"%s":null}' % name.encode())
    decode_event(b'{"%s":{"a":[1,{"b":2}]}}' % name.encode())
    with pytest.raises(msgspec.ValidationError, match=name):
        decode_event(b'{"%s":[1]}' % name.encode())


@pytest.mark.parametrize(
    ("ids", "person"),
    [
        ({"userId": 7}, "u:7"),
        ({"userId": 7.0}, "u:7"),
        ({"userId": 0}, "u:0"),
        ({"userId": "7", "anonymousId": "a"}, "u:7"),
        ({"userId": None, "anonymousId": "a"}, "a:a"),
        ({"anonymousId": 12}, "a:12"),
        ({"userId": "鈴木"}, "u:鈴木"),
    ],
)
def test_ids_may_be_numbers_or_null(ids, person):
    assert record(json.dumps({"event": "e", **ids}).encode(), "track").p == person


def test_a_missing_message_id_is_assigned_and_differs():
    body = b'{"userId":"u","event":"e"}'
    assert record(body, "track").i != record(body, "track").i


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_the_log_gives_back_what_was_sent(properties):
    sent = {"event": "e", "userId": "u", "messageId": "m", "properties": properties}
    try:
        body = json.dumps(sent, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    [logged] = decode_entry(encode_records([record(body, "track")]))
    event = to_event(logged)
    assert (event.person, event.message_id, event.name, event.timestamp) == ("u:u", "m", "e", NOW)
    assert json.loads(json.dumps(event.properties)) == json.loads(json.dumps(properties))


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400, "-" + "9" * 400, "1" + "0" * 30, "9" * 9_000])
def test_a_number_no_type_can_hold_harms_neither_its_event_nor_its_neighbours(number):
    huge = b'{"event":"e","userId":"u","properties":{"n":%s,"s":"x"}}' % number.encode()
    plain = b'{"event":"e","userId":"u","properties":{"n":1}}'
    first, second = decode_entry(encode_records([record(huge, "track"), record(plain, "track")]))
    assert to_event(first).properties["s"] == "x"
    assert isinstance(to_event(first).properties["n"], int | float)
    assert to_event(second).properties == {"n": 1}


def test_envelope_context_lies_below_the_events_own():
    body = b'{"event":"e","userId":"u","context":{"locale":"ja","page":{"path":"/a"}}}'
    envelope = msgspec.Raw(b'{"locale":"en","app":"x"}')
    made = to_record(decode_event(body), msgspec.Raw(body), "track", None, NOW, envelope)
    [logged] = decode_entry(encode_records([made]))
    assert to_event(logged).context == {"locale": "ja", "app": "x", "page": {"path": "/a"}}


HASH = "ab12" * 16
FIELD = {"userHash": HASH}


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")], ids=["compact", "spaced"])
@pytest.mark.parametrize(
    "carried",
    [
        {**FIELD, "event": "e"},
        {"event": "e", **FIELD},
        {"event": "e", "userToken": "a.b-_.c", **FIELD},
        {"event": "e", "userToken": "a.b-_.c", "properties": {"x": 1}},
        {"event": "e", "context": FIELD},
        {"event": "e", "context": {**FIELD, "app": 1}},
        {"event": "e", "context": {"app": 1, **FIELD}, **FIELD},
        {"event": "e", "userHash": 'a","event":"other'},
        {"event": "e", "userHash": "\\"},
        {"event": "e", "userHash": "é"},
        {"event": "e", "userHash": ["a", {"userHash": "b"}]},
        {"event": "e", "userHash": "", "userToken": ""},
    ],
)
def test_a_proof_is_taken_out_wherever_it_stands_and_nothing_else_is(carried, separators):
    sent = {"messageId": "m", **carried, "big": 10**40}
    found = without_proof(body := json.dumps(sent, separators=separators).encode(), decode_event(body))
    expected = {name: value for name, value in sent.items() if name not in PROOFS}
    if "context" in expected:
        expected["context"] = {name: value for name, value in expected["context"].items() if name not in PROOFS}
    assert json.loads(found) == expected
    assert list(json.loads(found)) == list(expected)


@pytest.mark.parametrize("bag", ["properties", "traits"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_field_of_the_same_name_among_properties_is_no_proof(bag, order):
    sent = dict([("userHash", HASH), (bag, FIELD | {"text": f'"userHash":"{HASH}",'}), ("event", "e")][::order])
    body = json.dumps(sent, separators=(",", ":")).encode()
    assert json.loads(without_proof(body, decode_event(body))) == {bag: sent[bag], "event": "e"}


def test_a_key_written_with_escapes_is_a_proof_all_the_same():
    body = b'{"event":"e","user\\u0048ash":"abc","properties":{"userHash":"abc","n":1.50}}'
    event = decode_event(body)
    assert event.userHash == "abc"
    assert without_proof(body, event) == b'{"event":"e","properties":{"userHash":"abc","n":1.50}}'


def test_gzip_of_python_is_what_inflate_reads():
    assert inflate(gzip.compress(b"{}"), b"gzip") == b"{}"


def test_a_large_flush_becomes_several_entries_in_order():
    records = [LogRecord("u:a", NOW, msgspec.Raw(b'"%s"' % (b"x" * 30_000)), str(number)) for number in range(100)]
    written: list[tuple[str, bytes]] = []

    async def append(entries):
        written.extend(entries)

    async def commit():
        group = GroupCommit(append)
        group.add(records, {"u:a": "log"}, 0)
        group.wait(waiter := Waiter())
        assert await waiter.told is None

    asyncio.run(commit())
    assert max(len(payload) for _, payload in written) <= ENTRY_BYTES
    assert [record["i"] for _, payload in written for record in json.loads(payload)] == [r.i for r in records]


def test_a_secret_key_in_a_page_is_told_from_a_wrong_key(wire):
    reply = wire.http.post("/v1/track", json={"event": "x", "userId": "u"}, auth=("nothing", ""))
    assert (reply.status_code, reply.json()["error"]["got"]) == (401, "an unknown one")
    reply = wire.http.get("/v1/inbox", params={"writeKey": wire.product.secret_key, "userId": "u"})
    assert reply.status_code == 401
    assert (
        reply.json()["error"]["hint"]
        == "a secret key belongs on servers only: take it out of the page, and use the write key"
    )
    assert wire.product.secret_key not in reply.text


@pytest.mark.parametrize("ask", [too_deep, too_many_keys])
@pytest.mark.parametrize(
    "text", [b"{" * 33 + b'"' + b'\\"' * 200_000, b'"' + b'\\":' * 200_000, b"{" * 33 + b'"\\' * 200_000]
)
def test_a_text_that_never_closes_costs_no_more_than_its_length(ask, text):
    """With the square of it this would not end."""
    assert ask(text) in (True, False)


@pytest.mark.parametrize(
    ("which", "path", "field", "got"),
    [
        (None, "/v1/track", "writeKey", "none"),
        ("nothing", "/v1/track", "writeKey", "an unknown one"),
        ("sk_nothing", "/v1/track", "writeKey", "an unknown secret key"),
        (None, "/api/stats", "Authorization", "none"),
        ("nothing", "/api/stats", "Authorization", "an unknown one"),
        ("the write key", "/api/stats", "Authorization", "the write key"),
    ],
)
def test_a_refusal_tells_which_kind_of_key_came(wire, which, path, field, got):
    key = {None: None, "the write key": (wire.key, "")}.get(which, (which or "", ""))
    if path.startswith("/v1"):
        reply = wire.http.post(path, json={"event": "x", "userId": "u"}, auth=key)
    else:
        reply = wire.http.get(path, auth=key)
    error = reply.json()["error"]
    assert (reply.status_code, error["field"], error["got"]) == (401, field, got)
    assert "`engage keys`" in error["hint"]


def test_a_secret_key_in_a_body_is_told_as_such(wire):
    event = {"event": "x", "userId": "u", "writeKey": wire.product.secret_key}
    error = wire.http.post("/v1/track", json=event).json()["error"]
    assert (error["got"], error["field"]) == ("a secret key", "writeKey")
    assert wire.product.secret_key not in str(error)
