"""The short way of a plain batch leads where the long one does."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from engage.anonymize import holds_ip
from engage.body import read_batch, read_event, read_plain
from engage.identity import Identity, Request
from engage.projects import Project
from engage.wire import LogRecord, plain_records, to_record
from rules import SERVER

SENT, RECEIVED, CONTEXT = 1_700_000_000_000, 1_700_000_001_000, Raw(b'{"locale":"ja-JP"}')
PLAIN = {"type": "track", "event": "Report Exported", "messageId": "m-1", "userId": "user-1"}
BROWSERS = {
    "context": {"page": {"path": "/", "tags": ["a", {"b": []}]}, "ip": None, "userAgent": "Mozilla/5.0 " * 20},
    "traits": {"plan": "pro"},
    "anonymousId": "a-1",
    "timestamp": "2026-11-26T12:00:00.000Z",
    "integrations": {},
    "_metadata": {"bundled": ["Segment.io"]},
}


def nested(levels: int) -> dict:
    return {"a": nested(levels - 1)} if levels else {}


TEXTS = st.sampled_from(["", "a", "ü\\u0000" * 3, "x" * 256, "x" * 257])
ODD = st.one_of(st.none(), TEXTS, st.integers(), st.floats(allow_nan=False), st.just([1]), st.just({}))
FIELDS = {
    "type": st.one_of(st.sampled_from(["track", "identify", "page", "screen", "group", "alias", "Track"]), ODD),
    **dict.fromkeys(("event", "messageId", "userId", "anonymousId", "previousId", "groupId", "writeKey"), ODD),
    **dict.fromkeys(("timestamp", "originalTimestamp", "sentAt", "userHash", "userToken"), ODD),
    **{name: st.one_of(ODD, st.sampled_from([nested(31), nested(32)])) for name in ("properties", "traits", "more")},
    "context": st.one_of(ODD, st.fixed_dictionaries({}, optional=dict.fromkeys(("ip", "userHash", "userToken"), ODD))),
}
EVENTS = st.tuples(
    st.sampled_from([{}, PLAIN, PLAIN | BROWSERS, PLAIN | {"properties": {"x": "y" * 6_000}}]),
    st.fixed_dictionaries({}, optional=FIELDS),
).map(lambda parts: parts[0] | parts[1])


def short_way(body: bytes, verified: str | None = None) -> list[LogRecord] | None:
    items = read_batch(body).batch
    events = read_plain(body, items)
    return None if events is None else plain_records(events, items, SENT, RECEIVED, CONTEXT, verified)


def long_way(body: bytes, trusted: bool) -> list[LogRecord]:
    request, identity = Request(trusted), Identity(Project("p", "P", "wk"))
    for item in read_batch(body).batch:
        event = read_event(bytes(item))
        assert not holds_ip(event.context)
        record = to_record(event, item, None, SENT, RECEIVED, CONTEXT)
        assert identity.admit(record, event, request) is None
    return request.records


def encoded(events: list) -> bytes:
    return msgspec.json.encode({"batch": events})


@given(st.lists(st.one_of(EVENTS, ODD), max_size=20), st.booleans())
def test_what_goes_the_short_way_becomes_the_same_records(events: list, trusted: bool) -> None:
    body = encoded(events)
    if (records := short_way(body, SERVER if trusted else None)) is not None:
        assert msgspec.json.encode(records) == msgspec.json.encode(long_way(body, trusted))


@pytest.mark.parametrize("more", [{}, BROWSERS, {"userId": None, "anonymousId": "a"}, {"type": "page", "event": None}])
def test_what_clients_send_goes_the_short_way(more: dict) -> None:
    for size in (1, 20, 100):
        records = short_way(encoded([PLAIN | more] * size))
        assert records is not None
        assert len(records) == size


@pytest.mark.parametrize(
    "more",
    [
        {"type": "group", "groupId": "g"},
        {"event": None},
        {"messageId": None},
        {"userId": None},
        {"userId": 7},
        {"userHash": "x"},
        {"context": {"ip": "198.51.100.7"}},
        {"context": {"userToken": "x"}},
        {"properties": nested(32)},
        {"properties": {str(number): 0 for number in range(1_001)}},
        {"properties": {"x": "y" * 33_000}},
    ],
)
def test_one_event_that_needs_a_look_takes_its_batch_the_long_way(more: dict) -> None:
    for place in (0, 19):
        events = [PLAIN] * 20
        events[place] = PLAIN | more
        assert short_way(encoded(events)) is None
