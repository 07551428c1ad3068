"""A disk with no room left: nothing acknowledged is lost, and it goes on by itself when there is room."""

import asyncio
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Service, running_services, until
from tests.faults.harness import CHAOS, Traffic, drive, recover, seed, verify, write_definitions

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900 if CHAOS else 300)]
MEGABYTES = 256
CHUNK = 64 * 1024


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small file system of its own, in memory."""
    folder = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "engage-test", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system of its own can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="module")
def small(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`engage up` with its data on it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for start in running_services(lambda: folder):
        yield start(rules=write_definitions(folder / "definitions"), data_dir=disk / "data")


def fill(ballast: Path) -> None:
    """To the last byte."""
    with ballast.open("ab", buffering=0) as file:
        for size in (CHUNK, 512, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def test_a_full_disk_is_429_until_there_is_room_and_loses_nothing(small: Service, disk: Path) -> None:
    dice = random.Random(seed())
    ballast = disk / "ballast"

    async def disturb(traffic: Traffic) -> None:
        for _ in range(4 if CHAOS else 1):
            await asyncio.to_thread(fill, ballast)
            await traffic.stopped()
            body = {"event": "Ping", "userId": "nobody", "writeKey": small.write_key}
            reply = await traffic.client.post("/v1/track", json=body)
            assert (reply.status_code, reply.headers["retry-after"]) == (429, "1")
            assert reply.json()["error"]["code"] == "store_unavailable"
            await asyncio.sleep(dice.uniform(1, 8 if CHAOS else 2))
            await asyncio.to_thread(until, lambda: "no space left on the disk of" in small.log, 30, "it is told why")
            ballast.unlink()
            await asyncio.to_thread(recover, small, "there is room on the disk again", time.monotonic(), 60)
            await traffic.moved()

    traffic = drive(small, disturb, name="full", messy=True, tabs=2, dice=dice)
    assert traffic.answers["429"] > 0
    verify(small, traffic)
    small.kill_all()
    small.start()
    verify(small)
