"""What clients send: the Segment HTTP Tracking API as typed Structs, and its way into a log record.

Source of the form: Segment Spec (Common Fields) and the HTTP Tracking API. Properties, traits and context stay raw
bytes on this path: nobody here reads them.
"""

import re
import uuid
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from json import JSONDecodeError, dumps, loads
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Raw

from engage.errors import InvalidEvent

MAX_EVENT_BYTES: Final = 32 * 1024
MAX_BATCH_BYTES: Final = 500 * 1024
MAX_BATCH_EVENTS: Final = 2_500
MAX_DEPTH: Final = 32
MAX_KEYS: Final = 1_000  # of all objects of an event
KEYS_ARE_COUNTED_FROM: Final = 5 * MAX_KEYS  # bytes; in fewer there are not so many: each takes 5 (`"":0,`)
MAX_ID: Final = 256  # characters
MAX_NAME: Final = 256
TYPES: Final = ("track", "identify", "page", "screen", "group", "alias")

Id = str | int | float | None
BROKEN: Final = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)  # what a decoder says of what it cannot read
NOTHING: Final = Raw(b"")


class JsonObject(msgspec.Struct, gc=False):
    """Any JSON object: its fields are checked to be JSON and passed over, nothing is built."""


class WireContext(msgspec.Struct, gc=False):
    """A call's or a batch's context: JSON as in a JsonObject, the client's address, which is not kept (`engage.anonymize`), and the proof of the
    userId that clients may carry there."""

    ip: Raw = NOTHING
    userHash: Any = None
    userToken: Any = None


_NO_CONTEXT: Final = WireContext()


class WireEvent(msgspec.Struct, gc=False):
    """One call as a client sends it; unknown fields are kept in the log and ignored here."""

    type: str | None = None
    event: str | None = None
    messageId: Id = None
    userId: Id = None
    anonymousId: Id = None
    previousId: Id = None
    groupId: Id = None
    timestamp: str | int | float | None = None
    originalTimestamp: str | int | float | None = None
    sentAt: str | int | float | None = None
    writeKey: str | None = None
    properties: JsonObject | None = None
    traits: JsonObject | None = None
    context: WireContext | None = None
    userHash: Any = None
    userToken: Any = None


_PlainText = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]


class _PlainContext(msgspec.Struct, gc=False):
    ip: None = None
    userHash: None = None
    userToken: None = None


class PlainEvent(msgspec.Struct, gc=False, kw_only=True):
    """A WireEvent as nearly all are: of one person, with an id of its own, and nothing in it that must be verified or taken out.
    The decoder sees to that, so that nothing is left to look at."""

    type: Literal["track", "identify", "page", "screen"]
    event: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)] | None = None
    messageId: _PlainText
    userId: _PlainText | None = None
    anonymousId: _PlainText | None = None
    previousId: Id = None
    groupId: Id = None
    timestamp: str | int | float | None = None
    originalTimestamp: str | int | float | None = None
    sentAt: str | int | float | None = None
    writeKey: str | None = None
    properties: JsonObject | None = None
    traits: JsonObject | None = None
    context: _PlainContext | None = None
    userHash: None = None
    userToken: None = None


class _PlainBatch(msgspec.Struct):
    batch: list[PlainEvent]


class WireBatch(msgspec.Struct):
    """What is common to the events of a batch; `context` is an object (`decode_context`) or null."""

    batch: list[Raw]
    sentAt: str | int | float | None = None
    writeKey: str | None = None
    context: Raw = NOTHING
    userHash: Any = None
    userToken: Any = None


class LogRecord(msgspec.Struct, gc=False, omit_defaults=True):
    """One event in the log: the `p`erson, when it was `r`eceived (ms), and the `e`vent, byte for byte as it was sent. Where
    the event does not say them itself: the message `i`d and the `k`ind of call. Of its batch: when that was `s`ent (ms), and
    the `c`ontext. How its userId was `v`erified, where it was: by a `h`ash or a `t`oken, by the secret `k`ey, or it is what the
    `c`laims of a token say; an alias that asks for a proof and has `n`one.

    The time of the event follows from these (`event_time`): whoever reads the log works it out, not who writes it.
    """

    p: str
    r: int
    e: Raw
    i: str | None = None
    k: str | None = None
    s: int | None = None
    c: Raw | None = None
    v: str | None = None


decode_event = msgspec.json.Decoder(WireEvent).decode
decode_batch = msgspec.json.Decoder(WireBatch).decode
decode_plain_batch = msgspec.json.Decoder(_PlainBatch).decode
decode_context = msgspec.json.Decoder(WireContext | None).decode
encode_records = encode_record = msgspec.json.Encoder().encode
decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
decode_items = msgspec.json.Decoder(list[Raw]).decode
_encode = msgspec.json.Encoder().encode

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
# Escapes one by one, so that an escaped backslash is not taken for the start of the next; group 1: a lone surrogate.
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F])|.)", re.DOTALL)
_from_iso = datetime.fromisoformat
_LONE = re.compile("[\ud800-\udfff]")
_LATEST = 2**53  # ms; what is beyond is no time, and might not fit where times are kept
PROOFS: Final = ("userHash", "userToken")
BRACKET = ord("[")  # a number is looked for five times as fast as b"["
# Possessive, and up to the end where it never closes: else a text of escaped quotes would cost the square of its length.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)


def repair(body: bytes) -> bytes:
    """The body with what is not UTF-8, and lone surrogates, replaced by U+FFFD. Costs nothing for a clean body."""
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError:
            body = body.decode("utf-8", "replace").encode()
    if body.find(b"\\") >= 0 and _SURROGATE.search(body) and any(found[1] for found in _ESCAPE.finditer(body)):
        try:
            text = dumps(loads(body), ensure_ascii=False, separators=(",", ":"))
        except (JSONDecodeError, RecursionError, ValueError):
            return body  # not JSON for another reason: the decoder says which
        body = _LONE.sub("\ufffd", text).encode()
    return body


def too_deep(body: bytes) -> bool:
    """Whether a JSON text nests deeper than MAX_DEPTH. Counting brackets settles nearly all bodies at once."""
    if body.count(b"{") + (body.count(b"[") if BRACKET in body else 0) <= MAX_DEPTH:
        return False
    depth = 0
    for char in _STRING.sub(b"", body):
        if char in b"{[":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif char in b"}]":
            depth -= 1
    return False


def too_many_keys(body: bytes) -> bool:
    """Whether a JSON text has more than MAX_KEYS keys."""
    if body.count(b":") <= MAX_KEYS:
        return False
    return _STRING.sub(b"", body).count(b":") > MAX_KEYS


def parse_time(value: str | float | None) -> int | None:
    """ISO 8601 (or epoch seconds / milliseconds) → ms since the epoch; None where it is not a time."""
    try:
        if isinstance(value, str):
            moment = _from_iso(value)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            return int(moment.timestamp() * 1000 + 0.5)
        return None if value is None or abs(value) > _LATEST else int(value if value > 1e11 else value * 1000)
    except (ValueError, OverflowError):
        return None


class Times(msgspec.Struct):
    """What a call says about its times: ISO 8601, or epoch seconds or milliseconds."""

    timestamp: str | int | float | None = None
    originalTimestamp: str | int | float | None = None
    sentAt: str | int | float | None = None


def event_time(times: Times, sent_at: int | None, received_at: int) -> int:
    """`receivedAt − (sentAt − originalTimestamp)`, Segment's correction for client clocks, never after `received_at`
    and never before the epoch; a time that cannot be read is the time of receipt. `sent_at` is the batch's.

    A `timestamp` beside another `originalTimestamp` is what a person gave (RudderStack's clients send both then), or what
    somebody has corrected already, and is taken as it is.
    """
    time, original = parse_time(times.timestamp), parse_time(times.originalTimestamp)
    if time is not None and original is not None and time != original:
        return max(0, min(time, received_at))
    if time is None:
        time = original
    if time is None:
        return received_at
    if sent_at is None:
        sent_at = parse_time(times.sentAt)
    if sent_at is not None:
        time += received_at - sent_at
    return max(0, min(time, received_at))


def identifier(value: Id, field: str) -> str | None:
    """An id as text; numbers are written out, the empty string is none."""
    if isinstance(value, str):
        if not value:
            return None
    elif value is None:
        return None
    else:
        value = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if len(value) > MAX_ID:
        raise InvalidEvent(f"at most {MAX_ID} characters", str(len(value)), field=f"$.{field}")
    return value


def without(raw: bytes, fields: Collection[str], context_fields: Collection[str] = ()) -> bytes:
    """A JSON object without some of its fields, and its context without some of its own; the others as they were written."""
    kept = decode_fields(raw)
    for name in fields:
        kept.pop(name, None)
    if context_fields and bytes(context := kept.get("context", NOTHING)).startswith(b"{"):
        inner = decode_fields(context)
        for name in context_fields:
            inner.pop(name, None)
        kept["context"] = Raw(_encode(inner))
    return _encode(kept)


def without_proof(raw: bytes, event: WireEvent) -> bytes:
    """An event without the userHash and userToken that it carries: they open an inbox, so they do not go into the log."""
    inner = event.context or _NO_CONTEXT
    given = [v for v in (event.userHash, event.userToken, inner.userHash, inner.userToken) if v is not None]
    # Mostly there is one, plainly written: it is cut out with its comma. No text inside JSON holds bare quotes, so what is found
    # is a field; and once nothing of its name or value is left, it was the one.
    if len(given) == 1 and type(value := given[0]) is str and '"' not in value and "\\" not in value:
        name = b"userHash" if value is event.userHash or value is inner.userHash else b"userToken"
        text = value.encode()
        cut = raw.replace(b'"%b":"%b",' % (name, text), b"", 1)
        if len(cut) < len(raw) and text not in cut and name not in cut:
            return cut
    return without(raw, PROOFS, PROOFS)


def _check_call(event: WireEvent, kind: str | None) -> None:
    """What each kind of call needs beside a person."""
    if kind == "track":
        if not event.event:
            raise InvalidEvent("the event's name", repr(event.event), field="$.event")
    elif kind == "group":
        if identifier(event.groupId, "groupId") is None:
            raise InvalidEvent("the group's id", repr(event.groupId), field="$.groupId")
    elif kind == "alias":
        if identifier(event.previousId, "previousId") is None:
            raise InvalidEvent("the id the user had before", repr(event.previousId), field="$.previousId")
    elif kind is None or kind not in TYPES:
        raise InvalidEvent("one of " + ", ".join(TYPES), repr(kind), field="$.type")
    if event.event is not None and len(event.event) > MAX_NAME:
        raise InvalidEvent(f"at most {MAX_NAME} characters", str(len(event.event)), field="$.event")


def to_record(
    event: WireEvent, raw: Raw, kind: str | None, sent_at: int | None, received_at: int, context: Raw | None
) -> LogRecord:
    """The log record of a decoded event; `kind` is the call named by the path, else the event's own `type`.

    Raises InvalidEvent with the field, what was expected and what came.
    """
    own, user, message_id = event.type, event.userId, event.messageId
    _check_call(event, kind or own)
    # Nearly all ids are plain texts of some characters: for these nothing is called.
    if (type(user) is str and 0 < len(user) <= MAX_ID) or (user := identifier(user, "userId")) is not None:
        person = "u:" + user
    elif (anonymous := identifier(event.anonymousId, "anonymousId")) is not None:
        person = "a:" + anonymous
    else:
        raise InvalidEvent("a userId or an anonymousId", "neither", field="$.userId")
    if type(message_id) is str and 0 < len(message_id) <= MAX_ID:
        message_id = None  # the event says it itself
    else:
        message_id = identifier(message_id, "messageId") or str(uuid.uuid4())
    return LogRecord(person, received_at, raw, message_id, None if kind == own else kind, sent_at, context)


def plain_records(
    events: Sequence[PlainEvent],
    items: Sequence[Raw],
    sent_at: int | None,
    received_at: int,
    context: Raw | None,
    verified: str | None,
) -> list[LogRecord] | None:
    """The log records of a batch's events, each as `to_record` makes it; None where one of them needs more than that."""
    if any(event.event is None and event.type == "track" for event in events):
        return None
    try:
        return [
            LogRecord(
                "u:" + user if (user := event.userId) is not None else "a:" + event.anonymousId,  # type: ignore[operator]
                received_at,
                item,
                None,
                None,
                sent_at,
                context,
                verified,
            )
            for event, item in zip(events, items, strict=True)
        ]
    except TypeError:  # neither of the two ids
        return None
