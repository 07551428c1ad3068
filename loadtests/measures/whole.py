"""The whole product on this machine, everything on: the highest steady rate at which the lag returns to zero."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import msgspec
import psutil

from loadtests import processes, realistic
from loadtests.generator import request_head
from loadtests.listeners import Listeners, listening
from loadtests.measures.row import Row
from loadtests.openloop import OpenLoop
from loadtests.traffic import Traffic

RULES: Final = 1_000
LISTENERS: Final = 50
BATCH: Final = 20
ZERO_SECONDS: Final = 2.0  # after the load has ended: then there must be no lag, and nothing in outboxes and inboxes
DRAIN_SECONDS: Final = 60.0  # for what a rate that was too high has left behind
FIRST: Final = 1_000  # events/s
STEPS: Final = 10
CLOSE: Final = 1.06  # the search ends when what failed is so near to what held


class Step(msgspec.Struct):
    """One rate that was tried."""

    rate: int
    held: bool
    why: str
    shares: dict[str, float]  # of one processor, in per cent


def whole(quick: bool) -> Iterator[Row]:
    seconds, steps = (2.0, 2) if quick else (10.0, STEPS)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        rules = Path(name) / "definitions"
        realistic.write(rules, realistic.with_probe(realistic.definitions(RULES)))
        product = stack.enter_context(processes.product(Path(name) / "data", rules))
        listeners = stack.enter_context(listening(product.port, "listener-", LISTENERS, claim=True))
        trial = Trial(product, listeners, Traffic(LISTENERS))
        stack.callback(trial.loop.close)
        trial.step(FIRST // 4, 1.0)  # warm
        tried = list(_search(trial, seconds, steps))
    best = max((step for step in tried if step.held), key=lambda step: step.rate, default=None)
    over = min((step for step in tried if not step.held), key=lambda step: step.rate, default=None)
    told = best or over
    shares = ", ".join(f"{name} {share:.0f} %" for name, share in told.shares.items()) if told else ""
    note = f"{RULES:,} rules, {LISTENERS} streams that claim and report; of a core each: {shares}"
    if over is not None:
        note += f"; at {over.rate:,}: {over.why}"
    rate = best.rate if best else 0
    failed = "" if best else "no rate held"
    yield Row("whole product, highest steady rate", "events/s", rate, None, rate, 1, True, note, failed)


def _search(trial: "Trial", seconds: float, steps: int) -> Iterator[Step]:
    """Doubles until the lag stays, then halves the distance."""
    rate, held, over = FIRST, 0, 0
    for _ in range(steps):
        step = trial.step(rate, seconds)
        yield step
        if step.held:
            held = rate
        else:
            over = rate
        if over and held and over <= held * CLOSE:
            return
        rate = (held + over) // 2 if over else rate * 2


class Trial:
    def __init__(self, product: processes.Product, listeners: Listeners, traffic: Traffic) -> None:
        self._product, self._listeners, self._traffic = product, listeners, traffic
        self.loop = OpenLoop(product.port, self._request)

    def _request(self, number: int) -> bytes:
        body = self._traffic.batch(BATCH)
        return request_head(self._product.port, "/v1/batch", body) + body

    def step(self, rate: int, seconds: float) -> Step:
        """Loads for `seconds` and sees what is left; ends when nothing is."""
        before, own, started = self._product.cpu_seconds(), _own_seconds(), time.perf_counter()
        done = self.loop.run(rate / BATCH, seconds)
        passed = time.perf_counter() - started
        after = self._product.cpu_seconds()
        shares = {name: 100 * (after[name] - before.get(name, 0.0)) / passed for name in sorted(after)}
        shares["load"] = 100 * (_own_seconds() - own) / passed
        left = self._left(ZERO_SECONDS)
        why = done.problem or (
            f"sent late: {done.rate * BATCH:,.0f} events/s were taken" if passed > seconds * 1.1 else left
        )
        if left and (still := self._left(DRAIN_SECONDS)):
            return Step(rate, False, f"after {DRAIN_SECONDS:g} s still {still}", shares)
        return Step(rate, not why, why, shares)

    def _left(self, seconds: float) -> str:
        """What is still to be done after so long; empty: nothing."""
        deadline = time.monotonic() + seconds
        while left := self._now_left():
            if time.monotonic() > deadline:
                return left
            time.sleep(0.1)
        return ""

    def _now_left(self) -> str:
        found = self._product.metrics()
        lag, outbox = found["engage_log_lag_seconds"], found["engage_outbox_entries"]
        if lag or outbox:
            return f"a lag of {lag:.1f} s, {outbox:,.0f} in the outboxes"
        waiting = sum(self._inbox(f"listener-{number}") for number in range(LISTENERS))
        return f"{waiting:,} in the inboxes of those who listen" if waiting else ""

    def _inbox(self, user: str) -> int:
        with urlopen(f"{self._product.url}/v1/inbox?writeKey={processes.WRITE_KEY}&userId={user}", timeout=30) as reply:
            return len(msgspec.json.decode(reply.read())["deliveries"])


def _own_seconds() -> float:
    """Of this process and those it started for the load."""
    return sum(sum(one.cpu_times()[:2]) for one in _loaders())


def _loaders() -> Iterator[psutil.Process]:
    yield psutil.Process()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if "loadtests.listeners" in " ".join(child.cmdline()):
                yield child
