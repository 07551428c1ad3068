"""Events that were refused for want of proof, put aside with the reason: the newest of a project, for an operator to look at."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from engage.errors import EngageError
from engage.keys import refused
from engage.times import iso
from engage.wire import LogRecord, encode_record

KEPT: Final = 1_000


async def put_aside(client: Any, project: str, events: Sequence[tuple[LogRecord, EngageError]]) -> None:
    """Keeps as many of them as the list may hold. Raises the store's errors."""
    key = refused(project)
    pipeline = client.pipeline(transaction=False)
    for record, error in events[-KEPT:]:
        pipeline.xadd(key, {"d": encode_record(record), "reason": error.message}, maxlen=KEPT)
    await pipeline.execute()


async def read_refused(client: Any, project: str, limit: int) -> list[dict[str, Any]]:
    """The newest first: `{"id", "received_at", "reason", "event"}`, the event as it was sent, without its proof."""
    found = []
    for entry, fields in await client.xrevrange(refused(project), count=limit):
        record = msgspec.json.decode(fields[b"d"], type=_Kept)
        found.append(
            {
                "id": entry.decode(),
                "received_at": iso(record.r),
                "reason": fields[b"reason"].decode(),
                "event": record.e,
            }
        )
    return found


class _Kept(msgspec.Struct):
    """A LogRecord of which the event is left as it was sent."""

    r: int
    e: Raw
