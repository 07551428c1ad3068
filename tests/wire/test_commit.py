"""The group commit alone: who waits is answered, whatever becomes of the flush before."""

import asyncio
from collections.abc import Sequence

import msgspec

from engage.commit import GroupCommit
from engage.errors import StoreUnavailable
from engage.wire import LogRecord
from tests.wire.conftest import Waiter

RECORD = LogRecord("u:a", 0, msgspec.Raw(b"{}"))


def test_a_flush_that_breaks_answers_its_callers_and_the_next_one_runs() -> None:
    """An error that is none of the store's: those who came meanwhile must not wait for a flush that nobody begins."""

    async def main() -> list[object]:
        breaks = asyncio.Event()
        written: list[object] = []

        async def append(entries: Sequence[tuple[str, bytes]]) -> None:
            if not breaks.is_set():
                await breaks.wait()
                raise RuntimeError("the handler is closed")
            written.extend(entries)

        commit = GroupCommit(append)
        callers = []
        for _ in range(5):  # two flushes are under way, three wait
            commit.add([RECORD], {RECORD.p: "log"}, 2)
            callers.append(Waiter())
            commit.wait(callers[-1])
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        breaks.set()
        async with asyncio.timeout(5):
            return [*[await caller.told for caller in callers], len(written)]

    *answers, written = asyncio.run(main())
    assert [isinstance(answer, StoreUnavailable) for answer in answers] == [True, True, False, False, False]
    assert "the handler is closed" in str(answers[0])
    assert written == 1
