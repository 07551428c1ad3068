"""Clocks that are wrong: the devices' by ten years, the server's set by an hour in the middle of traffic."""

import asyncio
import contextlib
import random
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engage import keys
from tests.conftest import Service, running_services, until
from tests.faults.harness import (
    CHAOS,
    HOUR,
    SHARDS,
    Traffic,
    drive,
    iso,
    recover,
    seed,
    store,
    verify,
    write_definitions,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_200 if CHAOS else 300)]
YEARS = 10 * 365 * 24 * HOUR
# What a device may say that is no time, or one that no clock shows.
NONSENSE = ("", "yesterday", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z", "2026-02-30T00:00:00Z", 0, -1, 10**15, "275760-09-13T00:00:00.000Z")  # fmt: skip


class Clock:
    """The clock of the machine that the product believes to be on: seconds off the real one."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "offset"
        self._path.write_bytes(struct.pack("q", 0))
        self.library = folder / "stepped_clock.so"
        source = Path(__file__).with_name("stepped_clock.c")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(self.library), str(source), "-ldl"], check=True)

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "STEPPED_CLOCK": str(self._path)}

    def set(self, seconds: int) -> None:
        with self._path.open("r+b") as file:  # in place: every process has it mapped
            file.write(struct.pack("q", seconds))


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    if shutil.which("cc") is None:
        pytest.skip("setting the clock of a few processes needs a C compiler")
    return Clock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def machine(clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`engage up` on a machine whose clock can be set: its stores' as well."""
    folder = tmp_path_factory.mktemp("machine")
    for start in running_services(lambda: folder):
        yield start(rules=write_definitions(folder / "definitions"), env=clock.environment)


class WrongDevices(Traffic):
    """Each person's device has a clock of its own, ten years off at most; some also say nonsense."""

    def __init__(self, running: Service, name: str, **given: Any) -> None:
        super().__init__(running, name, **given)
        self.ages: dict[
            str, int
        ] = {}  # messageId → how long before it was sent it happened, ms; of who says both times

    def skew(self, user: str) -> int:
        return random.Random(user).choice((-YEARS, YEARS, -YEARS // 3, HOUR, -HOUR))

    def event(self, user: str, number: int, dice: random.Random) -> dict[str, Any]:
        made = super().event(user, number, dice)
        made.pop("timestamp", None)
        kind, field = dice.random(), dice.choice(("timestamp", "originalTimestamp"))
        age = dice.choice((0, 1, 5_000, 9_000, 20_000))
        if kind < 0.5:
            self.ages[made["messageId"]] = age
            made[field] = iso(self.now(user) - age)
            made["sentAt"] = iso(self.now(user))
        elif kind < 0.75:  # nobody can tell that this one is wrong
            made[field] = iso(self.now(user) - age)
        else:
            made[field] = dice.choice(NONSENSE)
            made["sentAt"] = dice.choice(NONSENSE)
        return made

    def now(self, user: str) -> float:
        return time.time() * 1000 + self.skew(user)


def test_devices_whose_clocks_are_ten_years_off_get_what_a_right_one_would(machine: Service) -> None:
    async def disturb(traffic: Traffic) -> None:
        await traffic.moved(600 if CHAOS else 120)

    traffic = drive(machine, disturb, make=WrongDevices, name="devices", messy=True, dice=random.Random(seed()))
    assert isinstance(traffic, WrongDevices)
    stories = verify(machine, traffic)
    corrected = 0
    for user in traffic.sent:
        for record in stories[f"u:{user}"].records:
            assert 0 <= record.time <= record.r, "never in the future"
            if (age := traffic.ages.get(record.message_id)) is not None:
                # Sent and received on two clocks; what lies between them is the way, and how often it was sent.
                assert record.r - record.time <= age + 120_000
                corrected += record.r - record.time >= age - 2
    assert corrected > 0.9 * len(traffic.ages)


def test_the_servers_clock_is_set_by_an_hour_and_back_in_the_middle_of_traffic(machine: Service, clock: Clock) -> None:
    dice = random.Random(seed())

    async def disturb(traffic: Traffic) -> None:
        for _ in range(4 if CHAOS else 1):
            for offset in dice.sample((3600, -3600, 0, 1800), 4) if CHAOS else (3600, -3600):
                clock.set(offset)
                began = time.monotonic()
                await asyncio.to_thread(recover, machine, f"the server's clock set to {offset:+} s", began)
                await traffic.moved()
                name = dice.choice(("decide", "work", "serve", "valkey-log"))
                began, before = time.monotonic(), machine.kill(name)
                await asyncio.to_thread(recover, machine, f"{name} killed after the clock was set", began)
                await asyncio.to_thread(machine.wait_restarted, name, before)

    try:
        verify(machine, drive(machine, disturb, name="stepped", messy=True, tabs=2, dice=dice))
    finally:
        clock.set(0)


def test_a_decider_that_died_just_before_the_clock_was_set_back_is_replaced_at_once(
    machine: Service, clock: Clock
) -> None:
    """Its leases would else hold for the hour that comes again."""
    leases = [keys.ShardKeys("default", number).lease for number in range(SHARDS)]
    with contextlib.closing(store(machine)) as client:

        def held() -> list[int]:
            return [client.pttl(lease) for lease in leases]

        clock.set(3600)
        time.sleep(1)  # what was held before the hour has run out, and is not looked at
        until(lambda: min(held()) > 0, what="all shards have a decider again")
        machine.kill("decide")
        clock.set(0)
        assert min(held()) > HOUR / 2
    began = time.monotonic()
    for shard in range(SHARDS):
        recover(machine, "the decider died, and the clock was set back by an hour", began, shard=shard)
