"""Where the time of an event goes, by a sampling profiler that looks at the running processes from outside (py-spy).

    python -m loadtests.profile ingest|batches|decide|whole [--seconds 10] [--top 20]

ingest, batches   one API process under full load, of single events or of batches of 20
decide            a decider that works off a log of events, with 1,000 rules, and nothing else to do
whole             all processes of the product at a steady rate (--rate 2000 events/s), one table each

The time in the kernel (sockets, waiting, waking up) is what the system counts; the rest is divided among the stages by the samples
that held the interpreter's lock, so waiting is no work. What a library does in C stands under the line that called it. Below the
stages the hottest lines, so that what no stage knows is seen too.
"""

import argparse
import contextlib
import linecache
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil

from engage.keys import ShardKeys
from engage.publishing import put_in_force
from engage.store import connect
from loadtests import processes, realistic
from loadtests.generator import load, request_head
from loadtests.listeners import listening
from loadtests.openloop import OpenLoop
from loadtests.readback import SHARDS
from loadtests.traffic import Traffic

RATE: Final = 400  # samples a second
FILLED: Final = 20_000  # events/s that are put into the log for a decider
# The innermost frame that one of these knows names the stage, by a part of `function (file:line)`; those of a kind in order.
STAGES: Final = (
    (
        "decode",
        r"engage/body\.py|decode_entry|decode_state|too_deep|too_many_keys|repair|to_event|parse_time|event_time",
    ),
    ("encode", r"encode_records|_payloads|encode_state"),
    ("limits", r"engage/limits\.py"),
    ("privacy", r"engage/(privacy|policies|anonymize)\.py"),
    ("identity, route", r"engage/(identity|verified|senders|access|proxies|query|keyring|audit|keys|shards)\.py"),
    ("record, allocate", r"engage/(ingest|wire)\.py"),
    ("group commit, wake-up", r"engage/commit\.py"),
    ("metrics", r"engage/metrics\.py|prometheus_client"),
    ("Redis client", r"redis/|hiredis|engage/(store|inbox)\.py|worker/transaction\.py"),
    ("engine", r"/rules/\w+\.py"),
    ("render", r"liquid|worker/render\.py|engage/rendering\.py"),
    ("queue (RQ)", r"/rq/|worker/doorbell\.py"),
    ("streams", r"engage/(stream|public)\.py"),
    ("decider", r"/worker/\w+\.py"),
    ("HTTP server", r"uvicorn/protocols|httptools|starlette|engage/(direct|protocol|app|guard|cors)\.py"),
)
LOOP: Final = "event loop, sockets"  # where nothing else is on the stack
_FRAME: Final = re.compile(r"^(?P<function>.+) \((?P<file>.+):(?P<line>\d+)\)$")


class Profile(msgspec.Struct):
    """Samples of one process while it used so many seconds, its own and the kernel's for it."""

    name: str
    stacks: Counter[tuple[str, ...]]
    user: float
    kernel: float


@contextlib.contextmanager
def sampled(processes_by_name: dict[str, psutil.Process], seconds: float) -> Iterator[list[Profile]]:
    """Samples for `seconds`, while the block runs; the list is filled when it has ended."""
    found: list[Profile] = []
    with tempfile.TemporaryDirectory() as name:
        started = []
        for label, process in processes_by_name.items():
            out = Path(name) / label
            command = [
                str(Path(sys.executable).parent / "py-spy"),
                "record",
                "--pid",
                str(process.pid),
                "--format",
                "raw",
            ]
            command += [
                "--rate",
                str(RATE),
                "--duration",
                str(int(seconds)),
                "--gil",
                "--nonblocking",
                "--full-filenames",
                "--output",
                str(out),
            ]
            before = process.cpu_times()
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            started.append((label, process, before, out, child))
        yield found
        for label, process, before, out, child in started:
            _, said = child.communicate(timeout=seconds + 60)
            after = process.cpu_times()
            if not out.exists():
                sys.exit(
                    f"py-spy could not look at {label} ({process.pid}): {said.strip()}\n  → it needs ptrace: run as root, or with kernel.yama.ptrace_scope=0"
                )
            used = after.user - before.user, after.system - before.system
            found.append(Profile(label, _stacks(out.read_text()), *used))


def _stacks(text: str) -> Counter[tuple[str, ...]]:
    """py-spy's raw form, outermost frame first: `frame;frame;… count`."""
    stacks: Counter[tuple[str, ...]] = Counter()
    for line in text.splitlines():
        frames, _, number = line.rpartition(" ")
        stacks[tuple(frames.split(";"))] += int(number)
    return stacks


def stage(stack: tuple[str, ...]) -> str:
    for frame in reversed(stack):
        for name, pattern in STAGES:
            if re.search(pattern, frame):
                return name
    return LOOP


def report(profile: Profile, events: int, top: int) -> Iterator[str]:
    """Microseconds of this process for each of `events`, by stage and by line."""
    total = sum(profile.stacks.values())
    each, kernel = (1e6 * seconds / max(1, events) for seconds in (profile.user, profile.kernel))
    whole = f"{profile.user + profile.kernel:.1f} s of CPU for {events:,} events, {each + kernel:.2f} µs each"
    yield f"\n{profile.name}: {whole} ({total:,} samples)"
    yield f"  {'kernel':<24} {kernel / (each + kernel or 1):6.1%} {kernel:9.3f} µs"
    stages: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for stack, number in profile.stacks.items():
        stages[stage(stack)] += number
        lines[stack[-1]] += number
    for name, number in stages.most_common():
        own = each * number / total
        yield f"  {name:<24} {own / (each + kernel):6.1%} {own:9.3f} µs"
    yield "  the hottest lines (without the kernel)"
    for frame, number in lines.most_common(top):
        yield f"  {number / total:6.1%} {each * number / total:9.3f} µs  {_shown(frame)}"


def _shown(frame: str) -> str:
    match = _FRAME.match(frame)
    if match is None:
        return frame
    path, line = match["file"], int(match["line"])
    short = "/".join(Path(path).parts[-2:])
    return f"{short}:{line} {match['function']}: {linecache.getline(path, line).strip()[:90]}"


def ingest(seconds: float, rate: float, size: int = 1) -> Iterator[tuple[Profile, int]]:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        stack.enter_context(processes.store(processes.settings_in(folder)))
        port, pid = stack.enter_context(processes.api(folder))
        path, bodies = "/v1/track" if size == 1 else "/v1/batch", realistic.bodies(size)
        load(port, path, bodies, 1.0)
        with sampled({"serve": psutil.Process(pid)}, seconds) as found:
            done = load(port, path, bodies, seconds + 1)
        yield found[0], len(done.acknowledged) * size


def batches(seconds: float, rate: float) -> Iterator[tuple[Profile, int]]:
    return ingest(seconds, rate, 20)


def decide(seconds: float, rate: float) -> Iterator[tuple[Profile, int]]:
    """The log is filled before the decider starts, with more than it can do while it is looked at."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        settings = processes.settings_in(folder)
        client: Any = connect(stack.enter_context(processes.store(settings)))
        stack.enter_context(processes.store(settings, "queue"))
        put_in_force(client, "default", 1, realistic.definitions(1_000))
        port, _ = stack.enter_context(processes.api(folder))
        with contextlib.closing(OpenLoop(port, _requests(port, Traffic(1), 100))) as loop:
            loop.run(FILLED / 100, seconds)
        command = (sys.executable, "-m", "worker", "decide", "default")
        decider = stack.enter_context(processes.process(*command, environment=processes.environment(folder, port)))
        processes.wait_for(lambda: _decided(client) > 0, "the decider has begun", 60)
        before = _decided(client)
        with sampled({"decide": psutil.Process(decider.pid)}, seconds) as found:
            time.sleep(seconds)
            events = _decided(client) - before
        yield found[0], events


def whole(seconds: float, rate: float) -> Iterator[tuple[Profile, int]]:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        rules = Path(name) / "definitions"
        realistic.write(rules, realistic.with_probe(realistic.definitions(1_000)))
        product = stack.enter_context(processes.product(Path(name) / "data", rules))
        stack.enter_context(listening(product.port, "listener-", 50, claim=True))
        loop = stack.enter_context(contextlib.closing(OpenLoop(product.port, _requests(product.port, Traffic(50), 20))))
        loop.run(rate / 20, 1.0)
        looked_at = {name: child for name, child in product.children().items() if name in ("serve", "decide", "work")}
        before = product.cpu_seconds()
        with sampled(looked_at, seconds) as found:
            done = loop.run(rate / 20, seconds + 1)
        after = product.cpu_seconds()
        events = len(done.acknowledged) * 20
        for name in sorted(after):
            print(f"{name:<14} {1e6 * (after[name] - before.get(name, 0)) / max(1, events):9.2f} µs of CPU an event")
        for profile in found:
            yield profile, events


def _requests(port: int, traffic: Traffic, size: int) -> Callable[[int], bytes]:
    def request(_: int) -> bytes:
        body = traffic.batch(size)
        return request_head(port, "/v1/batch", body) + body

    return request


def _decided(client: Any) -> int:
    return sum(int(client.hget(ShardKeys("default", shard).stats, "events") or 0) for shard in range(SHARDS))


WHAT: Final = {"ingest": ingest, "batches": batches, "decide": decide, "whole": whole}


def main() -> None:
    parser = argparse.ArgumentParser(description="Say where the time of an event goes.")
    parser.add_argument("what", choices=sorted(WHAT))
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to look (10)")
    parser.add_argument("--rate", type=float, default=2_000.0, help="events/s, for `whole` (2000)")
    parser.add_argument("--top", type=int, default=20, help="hottest lines to show (20)")
    given = parser.parse_args()
    for profile, events in WHAT[given.what](max(1.0, given.seconds), given.rate):
        print("\n".join(report(profile, events, given.top)))


if __name__ == "__main__":
    main()
