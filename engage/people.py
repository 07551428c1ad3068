"""What the service knows of one person, as the server API shows it."""

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from engage.inbox import holder
from engage.keys import ShardKeys, shard_of
from engage.log import Logged, decode_record, dedup_key
from engage.times import iso
from rules import SERVICE, State, decode_state

_READ: Final = 100  # log entries looked through at a time


class _Stored(msgspec.Struct):
    """A record of which the person is read, and the rest left as it was sent."""

    p: str
    e: dict[str, msgspec.Raw]
    k: str = ""
    w: list[str] = []


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


async def events_of(client: Any, project: str, shards: int, state: State) -> list[dict[str, Any]]:
    """The person's events in the log, under all their names, each once, oldest first, in Segment's form: as they were sent, with what the
    server assigned."""
    names: dict[int, set[str]] = {}
    for name in (state.person, *state.merged):
        names.setdefault(shard_of(name, shards), set()).add(name)
    found: list[tuple[int, dict[str, Any]]] = []
    for shard, some in sorted(names.items()):
        found += [one async for one in _events_of(client, ShardKeys(project, shard).log, some)]
    found.sort(key=lambda one: one[0])
    return [event for _, event in found]


async def _events_of(client: Any, log: str, names: set[str]) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    start = "-"
    seen: set[bytes] = set()
    while entries := await client.xrange(log, start, "+", count=_READ):
        for _, fields in entries:
            for raw in _decode_entry(fields[b"e"]):
                stored = _decode_stored(raw)
                if stored.p in names and stored.k != SERVICE and not stored.w:
                    record = decode_record(raw)
                    if (key := dedup_key(record)) in seen:
                        continue  # sent again
                    seen.add(key)
                    yield record.r, _segment_form(stored, record)
        start = f"({entries[-1][0].decode()}"


async def find(client: Any, project: str, shards: int, name: str) -> State | None:
    """The state of whom a userId or anonymousId names, whoever they turned out to be; None before their first event was decided."""
    for person in (f"u:{name}", f"a:{name}"):
        seen: set[str] = set()
        blob = await client.get(ShardKeys(project, shard_of(person, shards)).state(person))
        while blob:
            state = decode_state(blob)
            into = state.merged_into
            if into is None:
                return state
            blob = None
            if into not in seen:  # else a circle, about to be mended
                seen.add(into)
                blob = await client.get(ShardKeys(project, shard_of(into, shards)).state(into))
            if not blob:
                return state
    return None


def _segment_form(stored: _Stored, record: Logged) -> dict[str, Any]:
    sent: dict[str, Any] = dict(stored.e)
    sent.pop("writeKey", None)
    if record.c:  # its batch's context lies below its own
        sent["context"] = {**record.c, **(record.e.context or {})}
    return {
        **sent,
        "type": record.kind,
        "messageId": record.message_id,
        "timestamp": iso(record.time),
        "receivedAt": iso(record.r),
    }


async def deliveries_of(client: Any, project: str, shards: int, state: State) -> list[dict[str, Any]]:
    """What became of the deliveries that the person's state remembers, oldest first."""
    found = []
    for rule_id, records in state.records.items():
        for record in records:
            held = await holder(client, project, shards, record.delivery_id)
            found.append(
                {
                    "delivery_id": record.delivery_id,
                    "rule_id": rule_id,
                    "decided_at": iso(record.decided_at),
                    "expires_at": None if record.expires_at is None else iso(record.expires_at),
                    "shown_at": None if record.shown_at is None else iso(record.shown_at),
                    "state": "unknown" if held is None else held.state,
                }
            )
    return sorted(found, key=lambda delivery: delivery["decided_at"])
