"""Ten thousand idle streams on one API process: what each costs, what ingest has left beside them, how fast all are reached."""

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil

from engage.keys import ShardKeys
from engage.publishing import put_in_force
from engage.store import connect
from loadtests import processes, realistic
from loadtests.generator import load
from loadtests.listeners import Listeners, listening
from loadtests.measures.row import QUICK, ROUNDS, Row, ratio
from loadtests.outbox import fill
from rules import Definitions, Message
from worker.doorbell import Doorbell

SHARDS: Final = 8
BROADCAST_SECONDS: Final = 60.0


def streams(quick: bool) -> Iterator[Row]:
    wanted = 500 if quick else 10_000
    number = min(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 600)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        settings = processes.settings_in(folder)
        url = stack.enter_context(processes.store(settings))
        queue_url = stack.enter_context(processes.store(settings, "queue"))
        client: Any = connect(url)
        message = Message(id="all", kind="banner", content={"en": {"text": "Hello {{ user.traits.first_name }}"}})
        put_in_force(client, "default", 1, Definitions(messages=[message]))
        port, pid = stack.enter_context(processes.api(folder))
        alone, other = stack.enter_context(processes.api(folder))
        bodies = realistic.bodies(1)
        for one in (port, alone):
            load(one, "/v1/track", bodies, QUICK[0] if quick else 1.0)
        server = psutil.Process(pid)
        before = server.memory_info().rss
        listeners = stack.enter_context(listening(port, "u", number))
        each = (server.memory_info().rss - before) / number / 1024
        title = f"idle streams on one API process ({number:,})"
        note = "" if number == wanted else f"no more files may be open here than for {number:,}"
        yield Row(title, "KB each", each, None, each, 30, False, note, _lost(listeners))
        yield _ingest_beside(quick, url, (port, server), (alone, psutil.Process(other)), listeners, number)
        command = (sys.executable, "-m", "worker", "work")
        stack.enter_context(processes.process(*command, environment=processes.environment(folder, port)))
        yield _broadcast(client, queue_url, listeners, number)


def _lost(listeners: Listeners) -> str:
    lost = listeners.report().lost
    return f"{lost:,} streams ended" if lost else ""


def _ingest_beside(
    quick: bool,
    url: str,
    beside: tuple[int, psutil.Process],
    alone: tuple[int, psutil.Process],
    listeners: Listeners,
    number: int,
) -> Row:
    """The process with the streams and one without take turns, on the same store; a stream's heartbeat comes every 15 s."""
    seconds, rounds = QUICK if quick else ROUNDS
    bodies, problem = realistic.bodies(1), ""
    rates: tuple[list[float], list[float]] = ([], [])
    used: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for (port, server), rate, cost in zip((beside, alone), rates, used, strict=True):
            for shard in range(SHARDS):
                connect(url).delete(ShardKeys("default", shard).log)
            before = sum(server.cpu_times()[:2])
            done = load(port, "/v1/track", bodies, seconds)
            rate.append(done.rate)
            cost.append(1e6 * (sum(server.cpu_times()[:2]) - before) / max(1, len(done.acknowledged)))
            problem = problem or done.problem
    name = f"ingest beside {number:,} idle streams / without"
    with_them, without = rates
    note = f"µs of the process's CPU a request: {median(used[0]):.0f} beside, {median(used[1]):.0f} without"
    share = ratio(with_them, without)
    failed = problem or _lost(listeners)
    return Row(name, "requests/s", median(with_them), median(without), share, 0.8, True, note, failed)


def _broadcast(client: Any, queue_url: str, listeners: Listeners, number: int) -> Row:
    """From decided to the last stream's bytes: one delivery each, through an RQ worker, rendered and durable."""
    doorbell = Doorbell(queue_url)
    before = listeners.report().received
    fill(client, ["u:warm"], "all")
    _ring(doorbell)
    processes.wait_for(lambda: not _left(client), "the worker delivers", BROADCAST_SECONDS)
    fill(client, [f"u:u{index}" for index in range(number)], "all")
    started = time.monotonic()
    _ring(doorbell)
    found = listeners.wait_received(before + number, BROADCAST_SECONDS)
    doorbell.close()
    seconds = found.last - started
    missing = before + number - found.received
    failed = f"{missing:,} of {number:,} got nothing" if missing else _lost(listeners)
    note = f"{number / seconds:,.0f} deliveries/s from outbox to stream"
    return Row(f"broadcast to {number:,} streams, the last", "s", seconds, None, seconds, 2, False, note, failed)


def _ring(doorbell: Doorbell) -> None:
    for shard in range(SHARDS):
        doorbell.ring(ShardKeys("default", shard))


def _left(client: Any) -> int:
    return sum(client.xlen(ShardKeys("default", shard).outbox) for shard in range(SHARDS))
