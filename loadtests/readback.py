"""What the log holds, read back and compared with what was acknowledged."""

from collections.abc import Iterable, Iterator
from typing import Final

from engage.keys import ShardKeys
from engage.log import Unreadable, decode_entry
from engage.store import connect
from loadtests import realistic

SHARDS: Final = 8


def logged_ids(url: str) -> Iterator[str]:
    """The messageId of every event in the log."""
    client = connect(url)
    for shard in range(SHARDS):
        key, start = ShardKeys("default", shard).log, "-"
        while entries := client.xrange(key, start, "+", count=200):
            for _, fields in entries:
                for record in decode_entry(fields[b"e"]):
                    yield "unreadable" if isinstance(record, Unreadable) else record.message_id
            start = f"({entries[-1][0].decode()}"


def compare(url: str, acknowledged: Iterable[int], size: int) -> str:
    """What is wrong with the log after requests of `size` events with these numbers were acknowledged; empty: nothing."""
    wanted = {realistic.message_id(number, index) for number in acknowledged for index in range(size)}
    found = list(logged_ids(url))
    kept = set(found)
    if lost := wanted - kept:
        return f"{len(lost):,} of {len(wanted):,} acknowledged events are not in the log, {min(lost)} first"
    if len(kept) < len(found):
        return f"{len(found) - len(kept):,} of {len(found):,} events are in the log twice"
    if extra := kept - wanted:
        return f"{len(extra):,} events are in the log and were not acknowledged, {min(extra)} first"
    return ""
