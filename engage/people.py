"""What the service knows of one person, as the server API shows it."""

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from engage.keys import ShardKeys
from engage.log import Logged, decode_record
from engage.times import iso
from rules import State

_READ: Final = 100  # log entries looked through at a time


class _Stored(msgspec.Struct):
    """A record of which the person is read, and the rest left as it was sent."""

    p: str
    e: dict[str, msgspec.Raw]
    c: msgspec.Raw = msgspec.Raw(b"null")


_decode_entry = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_stored = msgspec.json.Decoder(_Stored).decode


def named(value: Any) -> Any:
    """Structs, also those that are stored as arrays, as objects with named fields."""
    if isinstance(value, msgspec.Struct):
        return {field: named(getattr(value, field)) for field in value.__struct_fields__}
    if isinstance(value, dict):
        return {key: named(item) for key, item in value.items()}
    if isinstance(value, list):
        return [named(item) for item in value]
    return value


def describe(name: str, state: State) -> dict[str, Any]:
    """The answer of `GET /api/users/{id}`: who it is and the state that decisions are made on; times in ms."""
    return {"id": name, "person": state.person, "traits": state.traits, "state": named(state)}


async def events_of(client: Any, keys: ShardKeys, person: str) -> AsyncIterator[dict[str, Any]]:
    """The person's events in the log, oldest first, in Segment's form: as they were sent, with what the server assigned."""
    start = "-"
    while entries := await client.xrange(keys.log, start, "+", count=_READ):
        for _, fields in entries:
            for raw in _decode_entry(fields[b"e"]):
                stored = _decode_stored(raw)
                if stored.p == person:
                    yield _segment_form(stored, decode_record(raw))
        start = f"({entries[-1][0].decode()}"


def _segment_form(stored: _Stored, record: Logged) -> dict[str, Any]:
    sent = dict(stored.e)
    sent.pop("writeKey", None)
    context = stored.c if bytes(stored.c) != b"null" and "context" not in sent else None
    return {
        **sent,
        **({"context": context} if context is not None else {}),
        "type": record.kind,
        "messageId": record.message_id,
        "timestamp": iso(record.time),
        "receivedAt": iso(record.r),
    }


async def deliveries_of(client: Any, keys: ShardKeys, state: State) -> list[dict[str, Any]]:
    """What became of the deliveries that the person's state remembers, oldest first."""
    found = []
    for rule_id, records in state.records.items():
        for record in records:
            kept = await client.hgetall(keys.delivery(record.delivery_id))
            found.append(
                {
                    "delivery_id": record.delivery_id,
                    "rule_id": rule_id,
                    "decided_at": iso(record.decided_at),
                    "expires_at": None if record.expires_at is None else iso(record.expires_at),
                    "shown_at": None if record.shown_at is None else iso(record.shown_at),
                    "state": kept.get(b"state", b"unknown").decode(),
                }
            )
    return sorted(found, key=lambda delivery: delivery["decided_at"])
