"""A request's body at the door: inflated under a cap, and decoded as events that are no larger, deeper or richer in keys than may be."""

import zlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from engage.errors import InvalidEvent, PayloadTooLarge
from engage.identity import Request
from engage.wire import (
    BRACKET,
    BROKEN,
    KEYS_ARE_COUNTED_FROM,
    MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS,
    MAX_DEPTH,
    MAX_EVENT_BYTES,
    MAX_KEYS,
    PROOFS,
    PlainEvent,
    WireBatch,
    WireEvent,
    decode_batch,
    decode_context,
    decode_event,
    decode_plain_batch,
    too_deep,
    too_many_keys,
    without,
)

COUNTED_AT_ONCE: Final = 4  # events of a batch
MAX_CONTEXT_COPIES: Final = 4 * MAX_BATCH_BYTES  # each event of a batch is logged with the batch's context


class _Keyed(msgspec.Struct):
    writeKey: Any = None


_decode_key: Final = msgspec.json.Decoder(_Keyed).decode


def check_length(length: int | None) -> None:
    """Raises PayloadTooLarge for a declared length, before anything is read."""
    if length is not None and length > MAX_BATCH_BYTES:
        raise too_large(str(length))


def too_large(got: str = "more") -> PayloadTooLarge:
    return PayloadTooLarge(f"a body of at most {MAX_BATCH_BYTES} bytes", got, field="$")


def inflate(body: bytes, encoding: bytes) -> bytes:
    if encoding not in (b"gzip", b"x-gzip", b"deflate"):
        raise InvalidEvent("gzip, deflate or none", encoding.decode("latin-1"), field="Content-Encoding")
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip or zlib, by its header
    try:
        inflated = inflater.decompress(body, MAX_BATCH_BYTES + 1)
    except zlib.error as error:
        raise InvalidEvent("a gzip body", str(error), field="$") from None
    if len(inflated) > MAX_BATCH_BYTES:
        raise PayloadTooLarge(f"a body that inflates to at most {MAX_BATCH_BYTES} bytes", "more", field="$")
    if not inflater.eof:
        raise InvalidEvent("a whole gzip body", "a truncated one", field="$")
    return inflated


def read_event(body: bytes) -> WireEvent:
    """One event. Raises InvalidEvent with the field, PayloadTooLarge."""
    if not _is_small(body):
        _check(body)
    try:
        return decode_event(body)
    except BROKEN as error:
        raise InvalidEvent.from_decoder(error) from None


def read_plain(body: bytes, items: Sequence[Raw]) -> list[PlainEvent] | None:
    """All events of a batch in one go; None where one of them is not a PlainEvent, or may be too large, too deep or too rich in keys."""
    for start in range(0, len(items), COUNTED_AT_ONCE):
        some = items[start : start + COUNTED_AT_ONCE]
        if not (_is_small(b"".join(some), len(some)) or all(map(_is_small, map(bytes, some)))):
            return None
    try:
        return decode_plain_batch(body).batch
    except BROKEN:
        return None


def _is_small(body: bytes, events: int = 1) -> bool:
    """Whether none of so many events is too large, too deep or too rich in keys, as counts settle it for most: each opens one object at
    least, which is no part of the others' depth."""
    return len(body) <= KEYS_ARE_COUNTED_FROM and _openers(body) < MAX_DEPTH + events


def _openers(body: bytes) -> int:
    """How many objects and arrays begin in a JSON text, or more. (To replace them is twice as fast as to count them.)"""
    return len(body) - len(body.replace(b"{", b"")) + (body.count(b"[") if BRACKET in body else 0)


def _check(body: bytes) -> None:
    if len(body) > MAX_EVENT_BYTES:
        raise PayloadTooLarge(f"an event of at most {MAX_EVENT_BYTES} bytes", str(len(body)), field="$")
    if too_deep(body):
        raise InvalidEvent(f"JSON nested at most {MAX_DEPTH} deep", "deeper", field="$")
    if len(body) > KEYS_ARE_COUNTED_FROM and too_many_keys(body):
        raise InvalidEvent(f"at most {MAX_KEYS} keys in an event", "more", field="$")


def read_batch(body: bytes) -> WireBatch:
    """A batch, its events still as they were sent."""
    try:
        batch = decode_batch(body)
    except BROKEN as error:
        raise InvalidEvent.from_decoder(error) from None
    if len(batch.batch) > MAX_BATCH_EVENTS:
        raise PayloadTooLarge(f"at most {MAX_BATCH_EVENTS} events in a batch", str(len(batch.batch)), field="$.batch")
    return batch


def read_context(batch: WireBatch, request: Request) -> Raw | None:
    """The batch's context, checked, as the log gets it: a proof it carries is the request's. Raises InvalidEvent, PayloadTooLarge."""
    if not (context := bytes(batch.context)):
        return None
    if len(context) > MAX_EVENT_BYTES or too_deep(context):
        raise InvalidEvent(f"at most {MAX_EVENT_BYTES} bytes, {MAX_DEPTH} levels", "more", field="$.context")
    if len(context) * len(batch.batch) > MAX_CONTEXT_COPIES:
        expected = f"a context of at most {MAX_CONTEXT_COPIES // len(batch.batch)} bytes for so many events"
        raise PayloadTooLarge(expected, str(len(context)), field="$.context")
    try:
        found = decode_context(context)
    except msgspec.MsgspecError as error:
        raise InvalidEvent.from_decoder(error).within("$.context") from None
    if found is None or (found.userHash is None and found.userToken is None):
        return batch.context
    if request.given_hash is None:
        request.given_hash = found.userHash
    if request.given_token is None:
        request.given_token = found.userToken
    return Raw(without(context, PROOFS))


def read_key(body: bytes) -> str | None:
    """The write key in a body that something else is wrong with."""
    try:
        key = _decode_key(body).writeKey
    except BROKEN:
        return None
    return key if isinstance(key, str) else None
