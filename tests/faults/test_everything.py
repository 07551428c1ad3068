"""Everything at once, at random: processes killed, the store stopped, starved, rewriting; the clock set; devices that are wrong."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable

import psutil
import pytest

from engage.store import STORE_ERRORS
from tests.conftest import Service, until
from tests.faults.clocks import Clock, WrongDevices
from tests.faults.harness import CHAOS, Traffic, drive, recover, seed, start_rewriting, store, verify
from tests.faults.test_faults import NAMES

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_200 if CHAOS else 300)]
SECONDS = 120 if CHAOS else 6


class Trouble:
    """What can go wrong; each ends by itself."""

    def __init__(self, running: Service, clock: Clock, dice: random.Random) -> None:
        self._running = running
        self._clock = clock
        self._dice = dice
        self.kinds: list[Callable[[], Awaitable[None]]] = [
            self.kill_some, self.kill_all, self.stop_the_store, self.set_the_clock, self.fill_memory, self.rewrite,
        ]  # fmt: skip

    async def kill_some(self) -> None:
        names = self._dice.sample(NAMES, self._dice.randint(1, len(NAMES)))
        killed = {name: await asyncio.to_thread(self._running.kill, name) for name in names}
        for name, before in killed.items():
            await asyncio.to_thread(self._running.wait_restarted, name, before)

    async def kill_all(self) -> None:
        await asyncio.to_thread(self._running.kill_all)
        await asyncio.to_thread(self._running.start)

    async def stop_the_store(self) -> None:
        process = psutil.Process(until(lambda: self._running.pids.get("valkey-log")))
        process.suspend()
        await asyncio.sleep(self._dice.uniform(0.2, 6))
        process.resume()

    async def set_the_clock(self) -> None:
        self._clock.set(self._dice.choice((-3600, -1800, 0, 1800, 3600)))

    async def fill_memory(self) -> None:
        with contextlib.suppress(*STORE_ERRORS), contextlib.closing(store(self._running)) as client:
            client.config_set("maxmemory", 1)  # forgotten by a store that is killed
            await asyncio.sleep(self._dice.uniform(0.2, 3))
            client.config_set("maxmemory", 0)

    async def rewrite(self) -> None:
        with contextlib.suppress(*STORE_ERRORS):  # it may be away, or at it already
            await asyncio.to_thread(start_rewriting, self._running)


def test_everything_at_once_loses_and_doubles_nothing(machine: Service, clock: Clock) -> None:
    dice = random.Random(seed())
    trouble = Trouble(machine, clock, dice)

    async def disturb(traffic: Traffic) -> None:
        ending = time.monotonic() + SECONDS
        while time.monotonic() < ending:
            await dice.choice(trouble.kinds)()
            if dice.random() < 0.5:
                await asyncio.sleep(dice.uniform(0, 2))
                continue
            await asyncio.to_thread(recover, machine, "everything at once", time.monotonic(), 120)
        await asyncio.to_thread(recover, machine, "everything at once", time.monotonic(), 120)

    traffic = drive(machine, disturb, make=WrongDevices, name="everything", messy=True, tabs=2, dice=dice)
    clock.set(0)
    verify(machine, traffic)
