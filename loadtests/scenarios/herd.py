"""A thundering herd: all streams are cut at once, and everybody comes back.

    make load SCENARIO=herd                                                          50 readers, a minute; `serve` itself is killed
    locust -f loadtests/scenarios/herd.py --host https://engage.example.com --users 2000 --run-time 5m

Readers listen and now and then send `Load Signal`, which the rule `load-signal` (loadtests/definitions) answers each time. Nothing is
claimed: so a reader's inbox is what its stream must have brought, each delivery once and in order, over all the cuts.
"""

import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[2]))

import gevent
import psutil
from locust import between, events, task
from locust.env import Environment

from loadtests.people import Person, ledger
from loadtests.scenarios.run import Bounded, judge
from loadtests.service import ServiceUnderLoad

CUTS: Final = (0.35, 0.6)  # parts of the run; at the second one the API process dies, where it is ours
QUIET: Final = 0.85  # from this part on nobody sends
BACK_SECONDS: Final = 60.0
PRODUCT: Final = os.environ.get("ENGAGE_LOAD_PRODUCT")  # process id of an `engage up` of this run's own
readers: list["Reader"] = []
cuts: list["Cut"] = []


class Cut:
    """One moment at which every stream broke, and when each was open again."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.at = time.monotonic()
        self.away = {id(reader) for reader in readers if reader.stream.is_open}
        self.number = len(self.away)
        self.back: list[float] = []


class Reader(Person):
    """Somebody who keeps a page open."""

    who = "readers"
    wait_time = between(1.5, 3)
    quiet = False

    def on_start(self) -> None:
        self.got: list[str] = []
        self.lost: list[float] = []
        super().on_start()
        readers.append(self)

    def on_stop(self) -> None:
        """The stream stays: what was sent is still on its way."""

    @task
    def say(self) -> None:
        if not Reader.quiet:
            self.signal()

    def received(self, delivery: dict[str, Any]) -> None:
        ledger.count("deliveries received (readers)")
        self.got.append(delivery["delivery_id"])

    def stream_changed(self, state: str) -> None:
        super().stream_changed(state)
        for cut in cuts if state == "open" else ():
            if id(self) in cut.away:
                cut.away.discard(id(self))
                cut.back.append(time.monotonic() - cut.at)


class Herd(Bounded):
    def people(self, users: int, passed: float, seconds: float) -> tuple[int, float]:
        return users, max(1, math.ceil(users * 5 / seconds))


@events.test_start.add_listener
def plan(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    seconds = float(options.run_time or 60) if options is not None else 60.0
    gevent.spawn(_cut_all, seconds)


def _cut_all(seconds: float) -> None:
    started = time.monotonic()
    for number, part in enumerate(CUTS):
        gevent.sleep(max(0.0, started + part * seconds - time.monotonic()))
        while any(cut.away for cut in cuts) and time.monotonic() < started + QUIET * seconds:
            gevent.sleep(0.05)  # in a short run on a slow machine nobody might have come back yet
        kills = PRODUCT is not None and number == len(CUTS) - 1
        cuts.append(Cut("the API process was killed" if kills else "the lines were cut"))
        if kills:
            _kill_serve(int(PRODUCT or 0))
        for reader in readers:
            reader.stream.cut()
    gevent.sleep(max(0.0, started + QUIET * seconds - time.monotonic()))
    Reader.quiet = True


def _kill_serve(product: int) -> None:
    for child in psutil.Process(product).children():
        if "engage.serve" in " ".join(child.cmdline()):
            child.send_signal(signal.SIGKILL)


@judge
def all_are_back_and_have_everything(service: ServiceUnderLoad) -> None:
    deadline = time.monotonic() + BACK_SECONDS
    wanted = {id(reader): service.inbox(**reader.person()) for reader in readers}

    def behind() -> list[Reader]:
        return [reader for reader in readers if reader.got != wanted[id(reader)]]

    while (behind() or any(cut.away for cut in cuts)) and time.monotonic() < deadline:
        gevent.sleep(0.2)
    ledger.promise("the streams were cut", len(cuts) == len(CUTS) and all(cut.number for cut in cuts))
    for cut in cuts:
        told = f"{len(cut.back):,} of {cut.number:,}" + (f", the last after {max(cut.back):.1f} s" if cut.back else "")
        ledger.promise(f"all streams come back ({cut.how})", not cut.away, told)
    wrong = [f"{len(reader.got)} came of {len(wanted[id(reader)])}" for reader in behind()]
    total = sum(map(len, wanted.values()))
    told = (
        f"{total:,} of {len(readers):,} readers" if not wrong else f"{len(wrong):,} readers not: {'; '.join(wrong[:3])}"
    )
    ledger.promise("each delivery comes once, in order, without a gap", not wrong and total > 0, told)
    for reader in readers:
        reader.stream.close()
