"""A bad line to the store: slow, cut, reset, deaf, and replies that are lost after the store has done what was asked."""

import asyncio
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engage.store import connect
from tests.conftest import Service, running_services
from tests.faults.harness import CHAOS, Traffic, drive, recover, seed, verify, write_definitions
from tests.faults.proxy import Proxy

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_200 if CHAOS else 400)]
FAULTS = (
    "slow",
    "cut",
    "reset",
    "reply lost",
    *(["deaf"] if CHAOS else []),
)  # deaf: half a minute, see test_dead_line.py


@pytest.fixture(scope="module")
def proxy(valkey_url: str) -> Iterator[Proxy]:
    with connect(valkey_url) as client:
        client.flushall()  # of other files: what they had decided was not by these rules
    made = Proxy(valkey_url.removeprefix("unix://"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def queue_proxy(valkey_url: str) -> Iterator[Proxy]:
    made = Proxy(valkey_url.removeprefix("unix://"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def remote(proxy: Proxy, queue_proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`engage up` whose log and queue lie behind a proxy each."""
    folder: Path = tmp_path_factory.mktemp("line")
    env = {"ENGAGE_REDIS_URL": proxy.url, "ENGAGE_QUEUE_URL": queue_proxy.url}
    for start in running_services(lambda: folder):
        yield start(rules=write_definitions(folder / "definitions"), env=env)


async def disturb_line(proxy: Proxy, fault: str, seconds: float) -> None:
    if fault == "slow":
        proxy.delay = 2.0
    elif fault == "cut":
        proxy.cut()
    elif fault == "reset":
        proxy.reset()
    elif fault == "deaf":
        proxy.silence()
    else:
        proxy.loses_replies = True
    await asyncio.sleep(seconds)
    proxy.heal()


def test_a_line_that_fails_in_any_way_loses_and_doubles_nothing(
    remote: Service, proxy: Proxy, queue_proxy: Proxy
) -> None:
    dice = random.Random(seed())

    async def disturb(traffic: Traffic) -> None:
        for _ in range(3 if CHAOS else 1):
            for fault in dice.sample(FAULTS, len(FAULTS)):
                if fault != "slow" and dice.random() < 0.3:
                    await disturb_line(queue_proxy, fault, 0.1)
                await disturb_line(proxy, fault, dice.uniform(0.3, 3.0 if CHAOS or fault == "slow" else 0.8))
                await asyncio.to_thread(recover, remote, f"the line to the store: {fault}", time.monotonic(), 90)
                await traffic.moved(dice.randint(1, 60))

    traffic = drive(remote, disturb, name="line", messy=True, tabs=2, dice=dice)
    stories = verify(remote, traffic)
    assert proxy.lost > 0
    # What the store had done and could not say was sent again, and counts once.
    assert sum(story.repeated for story in stories.values()) > 0


def test_no_request_pays_for_a_line_that_was_reset_while_it_was_idle(remote: Service, proxy: Proxy) -> None:
    """Of the many lines that requests opened at once, all but one stay idle until many come again."""
    query = {"writeKey": remote.write_key}
    with remote.client() as client, ThreadPoolExecutor(16) as pool:

        def ask(number: int) -> tuple[int, int]:
            user = f"idle-{number}"
            event = {"event": "Idle", "userId": user}
            return (
                client.get("/v1/inbox", params={**query, "userId": user}).status_code,
                client.post("/v1/track", params=query, json=event).status_code,
            )

        for break_lines in (proxy.reset, proxy.end):
            assert set(pool.map(ask, range(32))) == {(200, 200)}
            break_lines()
            time.sleep(1)  # each process hears of it
            assert set(pool.map(ask, range(32))) == {(200, 200)}


def test_with_a_store_that_takes_two_seconds_events_are_acknowledged_and_decided(remote: Service, proxy: Proxy) -> None:
    async def disturb(traffic: Traffic) -> None:
        proxy.delay = 2.0
        try:
            await asyncio.to_thread(
                recover, remote, "while the store takes 2 s for each command", time.monotonic(), 240
            )
            assert traffic.slowest >= 2.0
        finally:
            proxy.heal()

    verify(remote, drive(remote, disturb, name="slow"))
