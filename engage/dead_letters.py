"""Dead letters: what was sent and could not be taken, decided or delivered, kept with the reason for an operator to look at.

Those of the door lie in one stream of the project, those of deciders and RQ workers in the shards' `failed`; each holds its newest 1,000.
"""

import heapq
import re
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Raw

from engage.errors import EngageError, error_fields
from engage.keys import ShardKeys, dead_letters
from engage.store import entry_order
from engage.times import iso
from engage.wire import BROKEN, MAX_EVENT_BYTES, PROOFS, decode_fields, decode_items, too_deep, without

KEPT: Final = 1_000
_READ: Final = 100

Kind = Literal["malformed", "unverified", "undecided", "undelivered"]
# What became of it → what that means.
KINDS: Final[dict[Kind, str]] = {
    "malformed": "not what the tracking API takes",
    "unverified": "nobody proved the userId",
    "undecided": "the engine failed at it: a defect of Engage",
    "undelivered": "a decision whose message cannot be rendered",
}


class Letter(msgspec.Struct):
    """What the door could not take. `people`: whom it is of, where that is known."""

    kind: Kind
    received_at: int
    error: EngageError
    raw: bytes
    people: list[str] | None = None


class _Kept(msgspec.Struct, omit_defaults=True):
    """A Letter in the store. `e` is JSON as it was sent without its proofs, or a text where it was no JSON; none beyond MAX_EVENT_BYTES.
    `people` are unknown where nobody can read it."""

    kind: Kind
    r: int
    error: Raw
    e: Raw = Raw(b"null")
    people: list[str] | None = None


class _Ids(msgspec.Struct):
    """Whom an event names, whatever else is wrong with it."""

    userId: Any = None
    anonymousId: Any = None
    previousId: Any = None


class _Failed(msgspec.Struct):
    """An entry of a shard's `failed`: a log record, or a delivery."""

    r: int | None = None
    e: Raw = Raw(b"null")
    rule_id: str | None = None
    decided_at: int | None = None


ID_PATTERN: Final = r"^[0-9]{1,15}-[0-9]{1,15}@(door|[0-9]{1,4})$"  # of a letter: the entry, and the stream it is in
_encode: Final = msgspec.json.Encoder().encode
_decode_kept: Final = msgspec.json.Decoder(_Kept).decode
_decode_failed: Final = msgspec.json.Decoder(_Failed).decode
_decode_ids: Final = msgspec.json.Decoder(_Ids).decode
# In what is no JSON: proofs and addresses.
_SECRET: Final = re.compile(r"((?:user(?:Hash|Token)|\bip)\W{1,200})[\w.=+/:-]+")


async def put_aside(client: Any, store_ip: bool, project: str, letters: Sequence[Letter]) -> None:
    """Keeps as many of them as the list may hold; the addresses in them only where `store_ip` says so. Raises the store's errors."""
    pipeline = client.pipeline(transaction=False)
    for letter in letters[-KEPT:]:
        pipeline.xadd(dead_letters(project), {"d": _encode(_kept(letter, store_ip))}, maxlen=KEPT, approximate=False)
    await pipeline.execute()


def _kept(letter: Letter, store_ip: bool) -> _Kept:
    kept = _Kept(letter.kind, letter.received_at, Raw(_encode(error_fields(letter.error))), people=letter.people)
    raw = letter.raw
    if not raw or len(raw) > MAX_EVENT_BYTES:
        kept.people = kept.people or []  # nothing of it is kept
    elif (sent := _json(raw, PROOFS if store_ip else (*PROOFS, "ip"))) is not None:
        kept.e = Raw(sent)
        kept.people = sorted({*(kept.people or ()), *_people(sent)}) or None
    elif b"\\u" in raw:
        kept.people = kept.people or []  # an escape may hide what must not be kept
    else:
        kept.e = Raw(_encode(_SECRET.sub(r"\1…", raw.decode("utf-8", "replace"))))
    return kept


def _json(raw: bytes, of_context: Collection[str]) -> bytes | None:
    """JSON that everybody can read, without the proofs, and what else a context must not say; None for what is none."""
    if too_deep(raw):
        return None
    try:
        msgspec.json.decode(raw)
        return _cleaned(raw, of_context)
    except BROKEN:
        return None


def _cleaned(raw: bytes, of_context: Collection[str]) -> bytes:
    start = raw.lstrip()[:1]
    if start == b"[":
        return b"[" + b",".join(_cleaned(bytes(one), of_context) for one in decode_items(raw)) + b"]"
    if start != b"{":
        return raw
    fields = decode_fields(without(raw, PROOFS, of_context))
    if "batch" in fields:
        fields["batch"] = Raw(_cleaned(bytes(fields["batch"]), of_context))
    return _encode(fields)


def _people(sent: bytes) -> list[str]:
    """Whom an event names, as `engage.wire.identifier` writes ids; nobody where that cannot be read."""
    try:
        found = _decode_ids(sent)
    except BROKEN:
        return []
    users, visitors = (found.userId, found.previousId), (found.anonymousId, found.previousId)
    ids = [("u:", user) for user in users] + [("a:", visitor) for visitor in visitors]
    return [prefix + text for prefix, value in ids if (text := _text(value))]


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, str | int | float) else ""


def is_of(raw: bytes, names: Collection[str]) -> bool:
    """Whether an entry of the door's stream is of a person with one of these names; by its letters, where nobody can read whom it names."""
    kept = _decode_kept(raw)
    if kept.people is None:
        said = bytes(kept.e)
        if said.startswith(b'"'):  # what was no JSON, as a text
            said = msgspec.json.decode(said, type=str).encode()
        return any(form in said for name in names for form in (name[2:].encode(), _encode(name[2:])[1:-1]))
    return not set(names).isdisjoint(kept.people)


async def read_letters(
    client: Any, project: str, shards: int, kinds: Collection[str], before: str | None, limit: int
) -> list[dict[str, Any]]:
    """The newest first, older than the letter `before`: `{"id", "kind", "received_at", "error", "event" | "delivery"}`."""
    streams = {"door": dead_letters(project)}
    streams |= {str(shard): ShardKeys(project, shard).failed for shard in range(shards)}
    found = []
    for place, stream in streams.items():
        count = 0
        async for entry, fields in _backwards(client, stream, before):
            letter = from_door(fields) if place == "door" else from_shard(entry, fields)
            name = f"{entry.decode()}@{place}"
            if letter["kind"] in kinds and (before is None or _order(name) < _order(before)):
                found.append({"id": name, **letter})
                count += 1
            if count == limit:
                break
    return heapq.nlargest(limit, found, key=lambda letter: _order(letter["id"]))


def is_letter(text: str) -> bool:
    """Whether it is the id of a letter."""
    return re.fullmatch(ID_PATTERN, text) is not None


def _order(name: str) -> tuple[int, int, str]:
    entry, _, place = name.partition("@")
    return (*entry_order(entry), place)


async def _backwards(client: Any, stream: str, before: str | None) -> AsyncIterator[tuple[bytes, dict[bytes, bytes]]]:
    until = "+" if before is None else before.partition("@")[0]
    while entries := await client.xrevrange(stream, until, "-", count=_READ):
        for entry, fields in entries:
            yield entry, fields
        until = f"({entries[-1][0].decode()}"


def from_door(fields: dict[bytes, bytes]) -> dict[str, Any]:
    """A letter of the project's stream, as it is shown."""
    kept = _decode_kept(fields[b"d"])
    return {"kind": kept.kind, "received_at": iso(kept.r), "error": kept.error, "event": kept.e}


def from_shard(entry: bytes, fields: dict[bytes, bytes]) -> dict[str, Any]:
    """A letter of a shard's `failed`, as it is shown."""
    payload, error = fields[b"d"], {"code": "undecided", "message": fields[b"reason"].decode("utf-8", "replace")}
    try:
        found = _decode_failed(payload)
    except BROKEN:
        return {"kind": "undecided", "received_at": _time(entry), "error": error, "event": _readable(payload)}
    if found.rule_id is not None:
        at = iso(found.decided_at or 0)
        error["code"] = "undelivered"
        return {"kind": "undelivered", "received_at": at, "error": error, "delivery": _readable(payload)}
    at = _time(entry) if found.r is None else iso(found.r)
    return {"kind": "undecided", "received_at": at, "error": error, "event": found.e}


def _readable(payload: bytes) -> Any:
    return Raw(payload) if _json(payload, ()) is not None else payload.decode("utf-8", "replace")


def _time(entry: bytes) -> str:
    return iso(entry_order(entry)[0])
