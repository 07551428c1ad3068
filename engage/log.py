"""Reading the event log: what `engage.wire` wrote, as the engine's Events."""

import json
import sys
import uuid
from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from heapq import merge
from operator import itemgetter
from typing import Any, Final

import msgspec

from engage.wire import Times, event_time
from rules import FORGOTTEN, LINKED, MERGED, MESSAGE_FAILED, SERVICE, Event, Gift, Link
from rules.groups import CHANGED, KNOWN, PREFIX

_READ: Final = 200  # entries at a time
_REMEMBERED: Final = 1_000_000  # messageIds of a log, twice: as the decider does
Id = str | int | float | None


class Call(Times, omit_defaults=True):
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


class Logged(msgspec.Struct, omit_defaults=True):
    """A LogRecord with the call decoded."""

    p: str
    r: int
    e: Call
    i: str | None = None
    k: str | None = None
    s: int | None = None
    c: dict[str, Any] | None = None
    v: str | None = None
    w: list[str] = []  # who handed it on: see rules.merge

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


def raw_records(payload: bytes) -> list[msgspec.Raw]:
    """The records of one log entry as they are written; none where nobody can read it (a decider has put it aside)."""
    try:
        return _decode_raw(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return []


def decode_entry(payload: bytes) -> list[Logged | Unreadable]:
    """The records of one log entry, in order."""
    try:
        return list(_decode_all(payload))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # One event holds a number that no 64-bit type can: its neighbours are decoded as ever.
        try:
            return [_decode_or_put_aside(raw) for raw in _decode_raw(payload)]
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:  # bytes that nobody wrote: a damaged disk
            return [Unreadable(payload, str(error))]


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
    traits = call.traits
    # RudderStack's clients put what an identify call says of its user there, and some of them nowhere else.
    if not traits and record.kind == "identify" and isinstance(elsewhere := context.get("traits"), dict):
        traits = elsewhere
    return Event(
        type=record.kind,
        name=call.event if record.kind in ("track", SERVICE) and call.event else record.kind,
        message_id=record.message_id,
        timestamp=record.time,
        person=record.p,
        user_id=_text(call.userId),
        anonymous_id=_text(call.anonymousId),
        properties=call.properties or {},
        traits=traits or {},
        context={**record.c, **context} if record.c else context,
        group_id=_text(call.groupId),
        previous_id=_text(call.previousId),
        via=tuple(record.w),
        vouched=record.v,
    )


def _text(value: Id) -> str | None:
    if value is None or value == "":
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def failure(person: str, delivery_id: str, reason: str, now: int) -> bytes:
    """A log entry that says that a delivery could not be made. It is the service's own word: no sign of the person."""
    call = Call(type=SERVICE, event=MESSAGE_FAILED, properties={"delivery_id": delivery_id, "reason": reason})
    return msgspec.json.encode([Logged(person, now, call, i=f"failed:{delivery_id}", k=SERVICE)])


def linked(link: Link, message_id: str, now: int) -> Logged:
    """Tells a person whom they turned out to be, as the call `message_id` of that one says."""
    call = Call(type=SERVICE, event=LINKED, properties={"into": link.into, "by": link.by})
    return Logged(link.person, now, call, i=f"linked:{link.into}:{message_id}", k=SERVICE)


def merged(gift: Gift, now: int) -> Logged:
    """Brings a person's state to whom they turned out to be."""
    properties = {"from": gift.person, "state": b64encode(gift.state).decode()}
    call = Call(type=SERVICE, event=MERGED, properties=properties)
    return Logged(gift.into, now, call, i=f"merged:{gift.person}:{gift.number}", k=SERVICE)


def group_changed(group: str, traits: dict[str, Any], message_id: str, now: int) -> Logged:
    """Tells a group what a member's call says of it."""
    call = Call(type=SERVICE, event=CHANGED, properties={"traits": traits})
    return Logged(PREFIX + group, now, call, i=f"group:{message_id}", k=SERVICE)


def group_known(person: str, traits: dict[str, Any], number: int, now: int) -> Logged:
    """Tells a shard what a group is like."""
    call = Call(type=SERVICE, event=KNOWN, properties={"traits": traits, "number": number})
    return Logged(person, now, call, i=f"known:{number}", k=SERVICE)


def forgotten(person: str, now: int) -> Logged:
    """Asks the decider to forget a person."""
    return Logged(person, now, Call(type=SERVICE, event=FORGOTTEN), i=f"forgotten:{uuid.uuid4()}", k=SERVICE)


def forwarded(record: Logged, to: str) -> Logged:
    """The same call, for whom its person turned out to be."""
    return msgspec.structs.replace(record, p=to, w=[*record.w, record.p])


def dedup_key(record: Logged) -> bytes:
    """Ten bytes by which a call of a person counts once; it counts again each time it comes round (see `rules.merge`)."""
    hops = f"\0{len(record.w)}" if record.w else ""
    return blake2b(f"{record.p}\0{record.message_id}{hops}".encode(), digest_size=10).digest()


def read_logs(client: Any, logs: Sequence[str]) -> Iterator[tuple[float, Logged]]:
    """The records of several logs in the order in which they were received; see `read_log`."""
    shares = [0.0] * len(logs)

    def follow(number: int) -> Iterator[tuple[tuple[int, int], int, Logged]]:
        for share, order, record in _read(client, logs[number]):
            shares[number] = share
            yield order, number, record

    for _, _, record in merge(*(follow(number) for number in range(len(logs))), key=itemgetter(0, 1)):
        yield sum(shares) / len(logs), record


def read_log(client: Any, log: str) -> Iterator[tuple[float, Logged]]:
    """The records of a log in order, each messageId of a person once, with the share of the log that lies behind."""
    return ((share, record) for share, _, record in _read(client, log))


def _read(client: Any, log: str) -> Iterator[tuple[float, tuple[int, int], Logged]]:
    end = newest(client, log)
    start = "-"
    first = None
    seen: set[bytes] = set()
    before: set[bytes] = set()
    while entries := client.xrange(log, start, f"{end}-18446744073709551615", count=_READ):
        for entry, fields in entries:
            at, sequence = map(int, entry.split(b"-"))
            order = at, sequence
            first = at if first is None else first
            share = (at - first) / max(1, end - first)
            for record in decode_entry(fields[b"e"]):
                if not isinstance(record, Logged):
                    continue
                hashed = dedup_key(record)
                if hashed in seen or hashed in before:
                    continue
                seen.add(hashed)
                yield share, order, record
        if len(seen) >= _REMEMBERED:
            seen, before = set(), seen
        start = f"({entries[-1][0].decode()}"


def newest(client: Any, log: str) -> int:
    """When the newest entry of a log was received, ms."""
    found = client.xrevrange(log, count=1)
    return int(found[0][0].partition(b"-")[0]) if found else 0
