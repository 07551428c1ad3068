"""Children: started in order, restarted with growing waits, stopped for certain."""

import asyncio
import os
import signal
import sys
import time

import psutil
import pytest
import structlog

from engage import supervisor
from engage.supervisor import READY_SECONDS, RESTART_SECONDS, Child, StartError, Supervisor
from tests.conftest import until

FOREVER = "import signal; signal.pause()"
DEAF = (
    "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); open(sys.argv[1], 'w').close(); signal.pause()"
)


def child(code, *arguments, name="child", **options):
    return Child(name, [sys.executable, "-c", code, *map(str, arguments)], os.environ, **options)


def exists(path):
    async def ready():
        return path.exists()

    return ready


async def eventually(ask, seconds=10):
    async with asyncio.timeout(seconds):
        while not (answer := ask()):
            await asyncio.sleep(0.01)
    return answer


def run(scenario):
    """Runs `scenario(supervisor)` and stops whatever it started; returns what was logged."""

    async def main():
        one = Supervisor()
        try:
            await scenario(one)
        finally:
            await one.stop()

    with structlog.testing.capture_logs() as said:
        asyncio.run(main())
    return said


def test_ready_is_waited_for(tmp_path):
    flag = tmp_path / "flag"

    async def scenario(one):
        code = "import sys, time; time.sleep(0.2); open(sys.argv[1], 'w').close(); time.sleep(100)"
        await one.start(child(code, flag, ready=exists(flag)))
        assert flag.exists()

    run(scenario)


def test_a_child_that_ends_before_it_is_ready_fails_the_start_at_once(tmp_path):
    log = tmp_path / "log"

    async def scenario(one):
        code = "import sys; open(sys.argv[1], 'w').write('first\\nno such file or folder\\n'); sys.exit(3)"
        with pytest.raises(StartError, match=r"odd did not start: exit code 3; .*log ends: no such file or folder"):
            await one.start(child(code, log, name="odd", ready=exists(tmp_path / "never"), log_file=log))

    run(scenario)


def test_a_dead_child_is_back_within_a_moment():
    async def scenario(one):
        steady = child(FOREVER)
        await one.start(steady)
        before, began = steady.pid, time.monotonic()
        os.kill(before, signal.SIGKILL)
        await eventually(lambda: steady.pid not in (None, before))
        waits.append(time.monotonic() - began)

    waits = []
    said = run(scenario)
    assert RESTART_SECONDS[0] <= 0.3
    assert waits[0] >= RESTART_SECONDS[0]
    assert [one["how"] for one in said if "how" in one] == ["killed by SIGKILL"]


def test_waits_grow_while_it_keeps_dying(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "RESTART_SECONDS", (0.01, 0.02, 0.03))

    async def scenario(one):
        await one.start(child("import sys; open(sys.argv[1], 'a').write('x'); sys.exit(1)", tmp_path / "starts"))
        await eventually(lambda: (tmp_path / "starts").exists() and len((tmp_path / "starts").read_text()) >= 5)

    said = run(scenario)
    assert [one["seconds"] for one in said if "seconds" in one][:4] == [0.01, 0.02, 0.03, 0.03]


def test_what_cannot_be_started_again_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "RESTART_SECONDS", (0.01,))
    failures = iter([None, OSError("no memory"), OSError("no memory"), None])

    def prepare():
        if (failure := next(failures)) is not None:
            raise failure

    async def scenario(one):
        steady = child(FOREVER, prepare=prepare)
        await one.start(steady)
        before = steady.pid
        os.kill(before, signal.SIGKILL)
        await eventually(lambda: steady.pid not in (None, before))

    said = run(scenario)
    assert [one["error"] for one in said if "error" in one] == ["no memory"] * 2


def test_the_last_started_is_stopped_first(tmp_path):
    order = tmp_path / "order"
    code = (
        "import signal, sys\n"
        "def end(*_):\n    open(sys.argv[1], 'a').write(sys.argv[2]); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\nopen(sys.argv[1] + sys.argv[2], 'w').close()\nwhile True: signal.pause()"
    )

    async def scenario(one):
        for name in "abc":
            await one.start(child(code, order, name, ready=exists(tmp_path / f"order{name}")))

    run(scenario)
    assert order.read_text() == "cba"


def test_those_started_together_are_stopped_together(tmp_path):
    code = (
        "import pathlib, signal, sys, time\n"
        "here, mine, other = map(pathlib.Path, sys.argv[1:])\n"
        "def end(*_):\n    (here / mine).touch()\n    while not (here / other).exists(): time.sleep(0.01)\n    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n(here / f'{mine}-ready').touch()\nwhile True: signal.pause()"
    )

    async def scenario(one):
        names = ("a", "b"), ("b", "a")
        await one.start(*(child(code, tmp_path, *pair, ready=exists(tmp_path / f"{pair[0]}-ready")) for pair in names))

    assert not any("killed" in one["event"] for one in run(scenario))


def test_one_that_does_not_end_is_killed_with_all_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.1)
    deaf, pid_file = tmp_path / "deaf", tmp_path / "pid"
    code = (
        "import subprocess, sys\n"
        f"grandchild = subprocess.Popen([sys.executable, '-c', {FOREVER!r}])\n"
        f"open({str(pid_file)!r}, 'w').write(str(grandchild.pid))\n" + DEAF.replace("; ", "\n")
    )

    async def scenario(one):
        await one.start(child(code, deaf, ready=exists(deaf)))

    said = run(scenario)
    assert [one["event"] for one in said if one["log_level"] == "warning"] == ["did not end, killed"]
    grandchild = int(pid_file.read_text())
    until(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE)


@pytest.fixture
def own_signals():
    """Puts pytest's handlers of signals back."""
    numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_a_stop_is_not_held_up_by_a_start(tmp_path, own_signals):
    async def scenario(one):
        one.listen()
        asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGTERM)
        assert not await one.until_stopped(one.start(child(FOREVER, ready=exists(tmp_path / "never"))))

    began = time.monotonic()
    run(scenario)
    assert time.monotonic() - began < READY_SECONDS / 2


def test_asked_to_stop_after_the_end_nothing_happens(own_signals):
    async def scenario(one):
        one.listen()
        os.kill(os.getpid(), signal.SIGTERM)
        await one.wait()

    run(scenario)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(os.getpid(), number)
