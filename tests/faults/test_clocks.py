"""Clocks that are wrong: the devices' by ten years, the server's set by an hour in the middle of traffic."""

import asyncio
import contextlib
import random
import time

import pytest

from engage import keys
from tests.conftest import Service, until
from tests.faults.clocks import Clock, WrongDevices
from tests.faults.harness import (
    CHAOS,
    HOUR,
    SHARDS,
    Traffic,
    drive,
    recover,
    seed,
    store,
    verify,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_200 if CHAOS else 300)]


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
        for _ in range(3 if CHAOS else 1):
            for offset in (3600, -3600):
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
        assert max(held()) > HOUR / 2  # the next decider may have begun with one of them
    began = time.monotonic()
    for shard in range(SHARDS):
        recover(machine, "the decider died, and the clock was set back by an hour", began, shard=shard)
