"""What the service knows of one person, as the server API shows it."""

from collections.abc import AsyncIterator, Collection
from typing import Any, Final

import msgspec

from engage import dead_letters, keys
from engage.inbox import Held, holder
from engage.keys import ShardKeys, shard_of
from engage.log import Logged, decode_record, dedup_key, raw_records
from engage.times import iso
from rules import SERVICE, State, decode_state

_READ: Final = 100  # log entries looked through at a time


class _Stored(msgspec.Struct):
    """A record of which the person is read, and the rest left as it was sent."""

    p: str
    e: dict[str, msgspec.Raw]
    k: str = ""
    w: list[str] = []


class _Of(msgspec.Struct):
    """Whom a decision, a delivery or what was put aside is of."""

    person: str | None = None
    p: str | None = None
    timer: str | None = None


_decode_of = msgspec.json.Decoder(_Of).decode
_decode_stored = msgspec.json.Decoder(_Stored).decode


def is_of(raw: Any, names: Collection[str]) -> bool:
    """Whether a decision, a delivery or what was put aside is of one of them."""
    try:
        found = _decode_of(raw)
    except msgspec.MsgspecError:  # nobody can read it: then by its letters
        return any(msgspec.json.encode(name) in bytes(raw) for name in names)
    return any(name in names for name in (found.person, found.p, found.timer))


async def entries_of(client: Any, stream: str) -> AsyncIterator[tuple[bytes, dict[bytes, bytes]]]:
    """All entries of a stream, oldest first."""
    start = "-"
    while entries := await client.xrange(stream, start, "+", count=_READ):
        for entry, fields in entries:
            yield entry, fields
        start = f"({entries[-1][0].decode()}"


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
    seen: set[bytes] = set()
    async for _, fields in entries_of(client, log):
        for raw in raw_records(fields[b"e"]):
            stored = _decode_stored(raw)
            if stored.p in names and stored.k != SERVICE and not stored.w:
                record = decode_record(raw)
                if (key := dedup_key(record)) in seen:
                    continue  # sent again
                seen.add(key)
                yield record.r, _segment_form(stored, record)


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
    """The person's deliveries, oldest first: those that the state remembers, with what became of each, and those that only the store still
    holds. `message`: what was made for the person, while it is kept."""
    found: dict[str, dict[str, Any]] = {}
    for rule_id, records in state.records.items():
        for record in records:
            found[record.delivery_id] = {
                "delivery_id": record.delivery_id,
                "rule_id": rule_id,
                "decided_at": iso(record.decided_at),
                "expires_at": None if record.expires_at is None else iso(record.expires_at),
                "shown_at": None if record.shown_at is None else iso(record.shown_at),
                "state": "unknown",
                "message": None,
            }
    held = {identifier: await holder(client, project, shards, identifier) for identifier in found}
    async for identifier, place in _held(client, project, shards, state):
        held.setdefault(identifier, place)
    for identifier, one in held.items():
        if one is not None:
            raw = await client.hget(one.keys.delivery(identifier), "d")
            message = msgspec.json.decode(raw) if raw else None
            delivery = found.setdefault(identifier, _forgotten(identifier, message))
            delivery |= {"state": one.state, "message": message}
    # Of several decided in one millisecond the state knows the order.
    return sorted(found.values(), key=lambda delivery: delivery["decided_at"] or "")


def _forgotten(identifier: str, message: dict[str, Any] | None) -> dict[str, Any]:
    """A delivery that only the store still holds: its times went with the state's record."""
    times = dict.fromkeys(("decided_at", "expires_at", "shown_at"))
    return {"delivery_id": identifier, "rule_id": (message or {}).get("rule_id"), **times}


async def _held(client: Any, project: str, shards: int, state: State) -> AsyncIterator[tuple[str, Held]]:
    """Every delivery of the person that the store holds, where it is now."""
    names = {state.person, *state.merged}
    for shard in sorted({shard_of(name, shards) for name in names}):
        start = ShardKeys(project, shard).delivery("")
        async for key in client.scan_iter(f"{start}*", count=10_000):
            person, where = await client.hmget(key, "person", "state")
            if person is not None and person.decode() in names and where != b"moved":
                identifier = key.decode().removeprefix(start)
                if (one := await holder(client, project, shards, identifier)) is not None:
                    yield identifier, one


async def put_aside_of(client: Any, project: str, shards: int, state: State) -> list[dict[str, Any]]:
    """The dead letters that are of the person: events that nobody could take or decide, deliveries that nobody could make, and events that
    came without proof of being theirs."""
    names = {state.person, *state.merged}
    found = []
    for shard in sorted({shard_of(name, shards) for name in names}):
        async for entry, fields in entries_of(client, ShardKeys(project, shard).failed):
            if is_of(fields[b"d"], names):
                found.append(dead_letters.from_shard(entry, fields))
    async for _, fields in entries_of(client, keys.dead_letters(project)):
        if dead_letters.is_of(fields[b"d"], names):
            found.append(dead_letters.from_door(fields))
    return found


async def decisions_of(client: Any, project: str, shards: int, state: State) -> list[dict[str, Any]]:
    """The decisions about the person that are still kept, oldest first."""
    names = {state.person, *state.merged}
    found = []
    for shard in sorted({shard_of(name, shards) for name in names}):
        async for _, fields in entries_of(client, ShardKeys(project, shard).decisions):
            found += [one for one in msgspec.json.decode(fields[b"d"]) if one.get("person") in names]
    return found
