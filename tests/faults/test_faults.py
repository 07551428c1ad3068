"""Real traffic, real processes, `kill -9` in the middle of it: nothing acknowledged is lost, nothing happens twice.

The clients behave as real ones: whatever is not a 200 they send again, the same events with the same messageIds.
"""

import asyncio
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest

from engage import keys
from engage.publishing import put_in_force
from tests.conftest import Service, until
from tests.faults.harness import (
    CHAOS,
    Traffic,
    definitions,
    drive,
    recover,
    seed,
    store,
    verify,
)
from worker.lease import LEASE_MS

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_200 if CHAOS else 300)]
NAMES = ("serve", "decide", "work", "backtest", "valkey-log", "valkey-queue")


@pytest.mark.parametrize("name", NAMES)
def test_killing_any_process_in_the_middle_of_traffic_loses_and_doubles_nothing(product: Service, name: str) -> None:
    async def disturb(traffic: Traffic) -> None:
        for _ in range(3 if CHAOS else 1):
            began, before = time.monotonic(), product.kill(name)
            await asyncio.to_thread(recover, product, f"{name} killed", began)
            await asyncio.to_thread(product.wait_restarted, name, before)
            await traffic.moved()

    verify(product, drive(product, disturb, name=f"killed-{name}", tabs=2))


def test_killing_them_in_any_order_loses_and_doubles_nothing(product: Service) -> None:
    """The supervisor too: then all of them end, and the next `engage up` goes on where they were."""
    dice = random.Random(seed())

    async def disturb(traffic: Traffic) -> None:
        for _ in range(20 if CHAOS else 4):
            names = dice.sample(NAMES, dice.randint(1, 3))
            killed = {name: product.kill(name) for name in names}
            for name, before in killed.items():
                await asyncio.to_thread(product.wait_restarted, name, before)
            await traffic.moved(dice.randint(1, 60))
            if dice.random() < (0.1 if CHAOS else 0.3):
                await asyncio.to_thread(product.kill_all)
                await asyncio.to_thread(product.start)

    verify(product, drive(product, disturb, name="any-order", messy=True, tabs=2, dice=dice))


def test_the_supervisor_killed_takes_all_with_it_and_the_next_one_goes_on(product: Service) -> None:
    async def disturb(traffic: Traffic) -> None:
        await asyncio.to_thread(product.kill_all)
        began = time.monotonic()
        await asyncio.to_thread(product.start)
        await asyncio.to_thread(recover, product, "`engage up` killed and started again", began)

    verify(product, drive(product, disturb, name="supervised", tabs=2))


def test_while_the_store_hangs_nothing_is_acknowledged_and_the_service_says_so(product: Service) -> None:
    async def disturb(traffic: Traffic) -> None:
        store = psutil.Process(product.pids["valkey-log"])
        store.suspend()
        try:
            await traffic.stopped()
            assert (await traffic.client.get("/readyz")).status_code == 503
            body = {"event": "Ping", "userId": "nobody", "writeKey": product.write_key}
            reply = await traffic.client.post("/v1/track", json=body)
            assert (reply.status_code, reply.headers["retry-after"]) == (429, "1")
            assert reply.json()["error"]["code"] == "store_unavailable"
        finally:
            store.resume()

    traffic = drive(product, disturb, name="hung")
    assert traffic.answers["429"] > 0
    until(product.is_ready, what="ready again")
    # The one of nobody was answered 429: whether it was stored is unknown, and it was not sent again.
    verify(product, traffic)


def test_a_decider_that_slept_past_its_lease_commits_nothing(product: Service) -> None:
    second = subprocess.Popen(
        [sys.executable, "-m", "engage", "decide"], env=product.environment | {"ENGAGE_PORT": str(product.port)}
    )

    async def disturb(traffic: Traffic) -> None:
        for _ in range(3 if CHAOS else 1):
            sleeper = psutil.Process(product.pids["decide"])
            sleeper.suspend()
            await asyncio.sleep(2 * LEASE_MS / 1000)  # its leases run out, the other one takes all shards
            await traffic.moved()
            sleeper.resume()
            await traffic.moved()

    try:
        verify(product, drive(product, disturb, name="asleep"))
    finally:
        second.send_signal(signal.SIGTERM)
        assert second.wait(20) == 0


def test_a_new_rulebook_in_the_middle_of_traffic_changes_decisions_between_two_events_only(product: Service) -> None:
    async def disturb(traffic: Traffic) -> None:
        found = definitions()
        client = store(product)
        for priority in (10, 20, 30):
            found.rules[
                1
            ].priority = priority  # the order stays: equal ones go by id, and `recent` stands before `third`
            version = int(client.get(keys.rulebook("default"))) + 1
            await asyncio.to_thread(put_in_force, client, "default", version, found)
            await traffic.moved()

    verify(product, drive(product, disturb, name="rulebook"))
