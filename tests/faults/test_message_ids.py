"""A messageId counts once in its project, whatever it comes with, however often, in whatever order and by whichever process."""

import asyncio
import contextlib
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from engage import keys
from engage.database import open_database, projects
from engage.settings import load_settings
from tests.conftest import STOP_SECONDS, Service, running_services, until, unused_port
from tests.faults.harness import (
    CHAOS,
    Traffic,
    drive,
    publish,
    seed,
    settle,
    shard_keys,
    store,
    verify,
    write_definitions,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900 if CHAOS else 300)]
OTHER = "other"
SENDS = 3


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`engage up` with two projects, both by the harness's rules."""
    folder = tmp_path_factory.mktemp("tenants")
    engine = open_database(load_settings({"ENGAGE_DATA_DIR": str(folder / "data0")}))
    with engine.begin() as connection:
        made = {"id": OTHER, "name": "Other", "write_key": "wk_other", "allowed_origins": ""}
        connection.execute(insert(projects).values(**made))
    engine.dispose()
    for start in running_services(lambda: folder):
        running = start(rules=write_definitions(folder / "definitions"))
        publish(running, OTHER, 1)
        yield running


@pytest.fixture(scope="module")
def doors(tenants: Service) -> Iterator[list[str]]:
    """Three `serve` processes."""
    ports = [unused_port() for _ in range(2)]
    environments = [tenants.environment | {"ENGAGE_PORT": str(port)} for port in ports]
    command = [sys.executable, "-m", "engage", "serve"]
    processes = [subprocess.Popen(command, env=environment) for environment in environments]
    addresses = [f"http://127.0.0.1:{port}" for port in ports]
    try:
        for address in addresses:
            until(lambda address=address: is_ready(address), 120, f"{address} is ready")
        yield [tenants.url, *addresses]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(STOP_SECONDS)


def is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


async def send_shuffled(traffic: Traffic, doors: list[str], people: int, events: int, dice: random.Random) -> None:
    """Each event three times, shuffled, in batches of any size, several at once, through any door."""
    waiting: list[list[dict[str, Any]]] = []
    for number in range(people):
        user = f"{traffic.name}-{number}"
        made = [traffic.event(user, count, dice) for count in range(events)]
        traffic.attempted[user].update(event["messageId"] for event in made)
        traffic.sent[user] += made
        sends = made * SENDS
        dice.shuffle(sends)
        while sends:
            size = dice.randint(1, 12)
            waiting.append(sends[:size])
            sends = sends[size:]
    dice.shuffle(waiting)

    async def door(address: str) -> None:
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            while waiting:
                reply = await client.post("/v1/batch", json=traffic.envelope(waiting.pop()))
                assert reply.status_code == 200, reply.text

    await asyncio.gather(*(door(address) for address in doors for _ in range(4)))
    await traffic.client.aclose()


def test_three_sends_of_each_shuffled_over_processes_and_within_batches_count_once(
    tenants: Service, doors: list[str]
) -> None:
    traffic = Traffic(tenants, "thrice", messy=True)
    people, events = (60, 100) if CHAOS else (12, 30)
    asyncio.run(send_shuffled(traffic, doors, people, events, random.Random(seed())))
    stories = verify(tenants, traffic)
    mine = [stories[f"u:{user}"] for user in traffic.sent]
    assert [len(story.records) for story in mine] == [events] * people
    assert sum(story.repeated for story in mine) == events * people * (SENDS - 1)
    with contextlib.closing(store(tenants)) as client:
        counted = [client.hgetall(shard.stats).get(b"duplicates", b"0") for shard in shard_keys()]
    assert sum(map(int, counted)) >= events * people * (SENDS - 1)


def test_the_same_message_ids_in_two_projects_are_two_events_each(tenants: Service) -> None:
    """The same people, the same messageIds, other bodies: the projects know nothing of each other, also when a process dies."""

    class Elsewhere(Traffic):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.write_key = "wk_other"

        def event(self, user: str, number: int, dice: random.Random) -> dict[str, Any]:
            return super().event(user, number, dice) | {"properties": {"elsewhere": number}}

    async def disturb(traffic: Traffic) -> None:
        before = tenants.kill("decide")
        await asyncio.to_thread(tenants.wait_restarted, "decide", before)
        await traffic.moved()

    here = drive(tenants, disturb, name="twin", messy=True)
    there = drive(tenants, disturb, name="twin", messy=True, make=Elsewhere)
    settle(tenants)
    stories = verify(tenants, here)
    other = verify(tenants, there, project=OTHER)
    common = set(stories["u:twin-0"].bodies) & set(other["u:twin-0"].bodies)
    assert common
    for name in common:
        assert stories["u:twin-0"].bodies[name]["properties"] != other["u:twin-0"].bodies[name]["properties"]
    with contextlib.closing(store(tenants)) as client:
        assert client.get(keys.delivery_secret(OTHER)) != client.get(keys.delivery_secret("default"))
