"""The way in: durable requests beside a bare endpoint, with every acknowledged messageId looked up in the log."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

from engage.store import connect
from loadtests import processes, realistic
from loadtests.generator import Done, load
from loadtests.measures.row import QUICK, ROUNDS, Row, percentile, ratio
from loadtests.openloop import pace
from loadtests.readback import compare

ROWS: Final = (
    ("durable single-event POSTs", "/v1/track", 1, 1.0),
    ("durable batches of 20", "/v1/batch", 20, 0.5),
    ("durable batches of 100", "/v1/batch", 100, 0.2),
)


def ingest(quick: bool) -> Iterator[Row]:
    seconds, rounds = QUICK if quick else ROUNDS
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        url = stack.enter_context(processes.store(processes.settings_in(folder)))
        port, _ = stack.enter_context(processes.api(folder))
        bare = stack.enter_context(processes.yardstick())
        peak = bare_peak = 0.0
        for title, path, size, reach in ROWS:
            bodies = realistic.bodies(size)
            load(port, path, bodies, seconds / 2)
            load(bare, path, bodies, seconds / 2)
            ours, theirs, lost, kept = [], [], "", 0
            for _ in range(rounds):
                connect(url).flushall()
                done = load(port, path, bodies, seconds)
                ours.append(done.rate)
                theirs.append(load(bare, path, bodies, seconds).rate)
                lost = lost or compare(url, done.acknowledged, size) or done.problem
                kept += len(done.acknowledged) * size
            yield Row(
                title, "requests/s", median(ours), median(theirs), ratio(ours, theirs), reach, True,
                f"{len(bodies[0])} bytes; {median(ours) * size:,.0f} events/s; {kept:,} acknowledged messageIds found in the log",
                lost,
            )  # fmt: skip
            peak, bare_peak = peak or median(ours), bare_peak or median(theirs)
        yield _at_half(url, port, peak / 2, bare, bare_peak / 2, seconds * 3, rounds)


def _at_half(url: str, port: int, rate: float, bare: int, bare_rate: float, seconds: float, rounds: int) -> Row:
    """Single events at a steady pace, whether the last one was answered or not; each is timed from when it was due. The bare
    endpoint at half of its own peak tells how steady the machine itself is."""
    bodies = realistic.bodies(1)
    halves, highs, ratios, theirs, lost = [], [], [], [], ""
    for _ in range(rounds):
        connect(url).flushall()
        done = pace(port, "/v1/track", bodies, rate, seconds)
        low, high = _half_and_high(done)
        halves.append(low)
        highs.append(high)
        ratios.append(high / low)
        lost = lost or compare(url, done.acknowledged, 1) or done.problem
        low, high = _half_and_high(pace(bare, "/v1/track", bodies, bare_rate, seconds))
        theirs.append((high / low, high))
    shares, times = zip(*theirs, strict=True)
    note = f"{rate:,.0f} requests/s, open loop, from when each was due; worst of {rounds} rounds {max(ratios):.1f}"
    note += f"; the bare endpoint at half of its own peak: {median(shares):.1f}, p99 {median(times):.2f} ms"
    name = "single events at half of the peak, p99 / p50"
    return Row(name, "ms", median(highs), median(halves), median(ratios), 3, False, note, lost)


def _half_and_high(done: Done) -> tuple[float, float]:
    """The p50 and the p99, once the pace was found."""
    settled = done.milliseconds[len(done.milliseconds) // 10 :]
    return percentile(settled, 0.5), percentile(settled, 0.99)


def fsync(quick: bool) -> Iterator[Row]:
    """The price of durability: the same batches with `appendfsync always` and without any persistence."""
    seconds, rounds = QUICK if quick else ROUNDS
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        ports, urls = [], []
        for durable in (True, False):
            folder = Path(name) / str(durable)
            urls.append(stack.enter_context(processes.store(processes.settings_in(folder), durable=durable)))
            ports.append(stack.enter_context(processes.api(folder))[0])
        bodies = realistic.bodies(20)
        rates: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for port, url, found in zip(ports, urls, rates, strict=True):
                connect(url).flushall()
                found.append(load(port, "/v1/batch", bodies, seconds).rate)
        always, never = rates
        price = 100 * (1 - ratio(always, never))
        yield Row(
            "price of appendfsync always, batches of 20", "requests/s", median(always), median(never), price, 5, False,
            "% slower",
        )  # fmt: skip
