"""Group commit: all events waiting in this process go to the log in one pipeline, and whoever waits is told of its reply.

At most two flushes are under way at a time, so that one is being made while the store syncs the other. Whatever arrives
meanwhile makes up the next one: the batch grows with the load, and an idle service adds no wait. With `appendfsync always`
the store replies only after its fsync. Two requests that overlap in time may land in either order; one that was sent after
the other's reply lands behind it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from engage.errors import EngageError, Overloaded, StoreUnavailable
from engage.logs import get_logger
from engage.store import STORE_ERRORS
from engage.wire import LogRecord, encode_records

log = get_logger("engage.commit")
Append = Callable[[Sequence[tuple[str, bytes]]], Awaitable[None]]
MAX_WAITING: Final = 50_000
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
FLUSHES: Final = 2
ENTRY_EVENTS: Final = 500  # one log entry holds at most this many events, the unit in which a decider commits …
ENTRY_BYTES: Final = 1024 * 1024  # … and, unless it is one event, so many bytes: a decider reads several at once


class Waiter(Protocol):
    """Whoever waits for a flush."""

    def settled(self, failure: EngageError | None) -> None:
        """All that was added before is on disk; or it may not be: then the outcome is unknown, and the client sends its events
        again (their messageIds make them count once)."""


class GroupCommit:
    """Appends records to the shards' logs. `append` writes entries and returns when they are on disk, as
    `engage.store.Pipe.append` does."""

    def __init__(self, append: Append, observe: Callable[[int, float], None] = lambda events, seconds: None) -> None:
        self._append = append
        self._observe = observe
        self._waiting: defaultdict[str, list[LogRecord]] = defaultdict(list)
        self._count = self._bytes = 0
        self._waiters: list[Waiter] = []
        self._running: set[asyncio.Task[None]] = set()

    def add(self, records: Sequence[LogRecord], logs: Mapping[str, str], size: int) -> None:
        """Puts records of about `size` bytes in line, each for the stream that `logs` names for its person; they are durable
        once a `wait` that comes after is over."""
        waiting = self._waiting
        for record in records:
            waiting[logs[record.p]].append(record)
        self._count += len(records)
        self._bytes += size

    def check_room(self) -> None:
        """Raises Overloaded while too many events wait for the store."""
        if self._count >= MAX_WAITING or self._bytes >= MAX_WAITING_BYTES:
            raise Overloaded("more events wait for the store than this process may hold")

    def wait(self, waiter: Waiter) -> None:
        """Tells the waiter once what was added until now is on disk, or failed to get there."""
        self._waiters.append(waiter)
        if len(self._waiters) == 1 and len(self._running) < FLUSHES:
            self._running.add(asyncio.create_task(self._run()))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiters:
                waiting, waiters, count = self._waiting, self._waiters, self._count
                self._waiting, self._waiters, self._count, self._bytes = defaultdict(list), [], 0, 0
                started = loop.time()
                try:
                    await self._write(waiting)
                except STORE_ERRORS as error:
                    _settle(waiters, StoreUnavailable(f"the store did not confirm ({error})"))
                except (
                    Exception
                ) as error:  # a mistake of ours: those who wait for the next flush must not wait for ever
                    log.exception("flush failed")
                    _settle(waiters, StoreUnavailable(f"the store did not confirm ({error!r})"))
                except BaseException:
                    _settle(waiters, StoreUnavailable("the service is stopping"))
                    raise
                else:
                    _settle(waiters, None)
                    self._observe(count, loop.time() - started)
        finally:
            self._running.discard(asyncio.current_task())

    async def _write(self, waiting: dict[str, list[LogRecord]]) -> None:
        await self._append(
            [
                (log, payload)
                for log, records in waiting.items()
                for start in range(0, len(records), ENTRY_EVENTS)
                for payload in _payloads(records[start : start + ENTRY_EVENTS])
            ]
        )


def _payloads(records: list[LogRecord]) -> Iterator[bytes]:
    payload = encode_records(records)
    if len(payload) <= ENTRY_BYTES or len(records) == 1:
        yield payload
    else:
        half = len(records) // 2
        yield from _payloads(records[:half])
        yield from _payloads(records[half:])


def _settle(waiters: list[Waiter], failure: EngageError | None) -> None:
    for waiter in waiters:
        try:
            waiter.settled(failure)
        except Exception:  # a mistake of ours: the others must not wait for ever
            log.exception("not answered")
