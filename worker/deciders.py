"""The process `python -m worker decide`: it owns its fair share of the shards."""

import asyncio
import os
import signal
import socket
import uuid
from typing import Final

import uvloop

from engage import collector
from engage.keys import ShardKeys
from engage.logs import get_logger
from engage.rulebooks import RulebookReader
from engage.settings import Settings
from engage.shards import fixed_shards
from engage.store import STORE_ERRORS, connect_async
from worker.decider import LeaseLost, ShardDecider
from worker.doorbell import Doorbell
from worker.lease import fair_share, resign

BALANCE_SECONDS: Final = 0.5
log = get_logger("worker")


class Deciders:
    """Owns this process's fair share of every project's shards."""

    def __init__(self, settings: Settings, projects: list[str]) -> None:
        self._client = connect_async(settings.redis_url)
        self._reader = connect_async(settings.redis_url)  # of its own: XREAD blocks
        self._doorbell = Doorbell(settings.queue_url)
        self._rulebooks = {project: RulebookReader(self._client, project) for project in projects}
        self._settings = settings
        self._member = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._owned: dict[tuple[str, int], tuple[ShardDecider, asyncio.Task[None]]] = {}
        self._tokens: dict[tuple[str, int], str] = {}  # of the last lease on each shard
        self._stop = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        following = [asyncio.create_task(reader.follow()) for reader in self._rulebooks.values()]
        try:
            while not self._stop.is_set():
                try:
                    for project in self._rulebooks:
                        await self._balance(project)
                except STORE_ERRORS as error:
                    log.warning("store away, trying again", error=str(error))
                await self._pause()
        finally:
            for task in following:
                task.cancel()
            await self._close()

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), BALANCE_SECONDS)
        except TimeoutError:
            pass

    async def _balance(self, project: str) -> None:
        """Takes free shards up to the fair share, gives back what is beyond it."""
        shards = await fixed_shards(self._client, project, self._settings.shards)
        share = await fair_share(self._client, project, self._member, shards)
        mine = [key for key in self._owned if key[0] == project]
        for key in mine[share:]:
            self._owned[key][0].stopping = True
        if self._rulebooks[project].version == 0:
            await self._rulebooks[project].refresh()
        for number in range(shards):
            if len(mine) >= share:
                return
            if (project, number) not in self._owned and await self._take(project, number):
                mine.append((project, number))

    async def _take(self, project: str, number: int) -> bool:
        decider = ShardDecider(
            self._client,
            self._reader,
            ShardKeys(project, number),
            self._rulebooks[project],
            self._doorbell,
            self._settings.log_retention_ms,
            self._tokens.get((project, number), ""),
        )
        if not await decider.acquire():
            return False
        self._tokens[project, number] = decider.token
        self._owned[project, number] = decider, asyncio.create_task(self._own(project, number, decider))
        return True

    async def _own(self, project: str, number: int, decider: ShardDecider) -> None:
        try:
            await decider.run()
        except LeaseLost:
            log.warning("lease lost", project=project, shard=number)
        except STORE_ERRORS as error:
            log.warning("store lost while deciding", project=project, shard=number, error=str(error))
        except Exception:
            log.exception("decider failed, the shard is taken up again", project=project, shard=number)
        finally:
            del self._owned[project, number]

    async def _close(self) -> None:
        for decider, _ in self._owned.values():
            decider.stopping = True
        await asyncio.gather(*(task for _, task in self._owned.values()), return_exceptions=True)
        try:
            await resign(self._client, list(self._rulebooks), self._member)
        except STORE_ERRORS:
            pass  # it is forgotten by itself
        self._doorbell.close()
        await self._client.aclose()
        await self._reader.aclose()


def decide(settings: Settings, projects: list[str]) -> None:
    """Runs until SIGTERM or SIGINT."""

    async def main() -> None:
        collector.spare()
        await Deciders(settings, projects).run()

    uvloop.run(main())
