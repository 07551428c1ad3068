"""Reading the event log: what `engage.wire` wrote, as the engine's Events."""

import json
import sys
from typing import Any, Final

import msgspec

from engage.wire import Times, event_time
from rules import Event

Id = str | int | float | None


class Call(Times):
    """One call as it was sent, with its values decoded."""

    type: str | None = None
    messageId: Id = None
    event: str | None = None
    userId: Id = None
    anonymousId: Id = None
    previousId: Id = None
    groupId: Id = None
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    context: dict[str, Any] | None = None


class Logged(msgspec.Struct):
    """A LogRecord with the call decoded."""

    p: str
    r: int
    e: Call
    i: str | None = None
    k: str | None = None
    s: int | None = None
    c: dict[str, Any] | None = None

    @property
    def message_id(self) -> str:
        return self.i or str(self.e.messageId)

    @property
    def kind(self) -> str:
        return self.k or str(self.e.type)

    @property
    def time(self) -> int:
        """When it happened, ms: see `event_time`."""
        return event_time(self.e, self.s, self.r)


_decode_one = msgspec.json.Decoder(Logged).decode
_decode_all = msgspec.json.Decoder(list[Logged]).decode
_decode_raw = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Unreadable(msgspec.Struct):
    """A record that nobody can read, and why: it is put aside, so that its neighbours are decided as ever."""

    raw: bytes
    reason: str


def decode_entry(payload: bytes) -> list[Logged | Unreadable]:
    """The records of one log entry, in order."""
    try:
        return list(_decode_all(payload))
    except msgspec.MsgspecError:
        # One event holds a number that no 64-bit type can: its neighbours are decoded as ever.
        return [_decode_or_put_aside(raw) for raw in _decode_raw(payload)]


def _decode_or_put_aside(raw: msgspec.Raw) -> Logged | Unreadable:
    try:
        return decode_record(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Unreadable(bytes(raw), str(error))


def decode_record(raw: msgspec.Raw) -> Logged:
    """One record of an entry. Raises ValueError where it is none."""
    try:
        return _decode_one(raw)
    except msgspec.MsgspecError:
        return msgspec.convert(json.loads(bytes(raw), parse_int=_int, parse_float=_float), Logged)


LARGEST_INT: Final = 2**63 - 1


def _int(text: str) -> int | float:
    if len(text) < 20 and abs(value := int(text)) <= LARGEST_INT:
        return value
    return _float(text[:400] + "e" + str(max(0, len(text) - 400)))


def _float(text: str) -> float:
    """A number no double can hold becomes the largest of its sign."""
    value = float(text)
    return max(-sys.float_info.max, min(sys.float_info.max, value))


def to_event(record: Logged) -> Event:
    """The engine's view of a record; the batch's context lies below the event's own."""
    call = record.e
    context = call.context or {}
    return Event(
        type=record.kind,
        name=call.event if record.kind == "track" and call.event else record.kind,
        message_id=record.message_id,
        timestamp=record.time,
        person=record.p,
        user_id=_text(call.userId),
        anonymous_id=_text(call.anonymousId),
        properties=call.properties or {},
        traits=call.traits or {},
        context={**record.c, **context} if record.c else context,
        group_id=_text(call.groupId),
        previous_id=_text(call.previousId),
    )


def _text(value: Id) -> str | None:
    if value is None or value == "":
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
