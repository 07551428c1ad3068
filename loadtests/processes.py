"""Real processes for a measure: Valkeys, API processes, the yardstick; all on 127.0.0.1, all ended by their own handle."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil

from engage import valkey
from engage.settings import Settings, load_settings

WRITE_KEY, SECRET_KEY = "wk_bench", "sk_bench"
START_SECONDS = 120.0  # a machine may be busy with other things


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(ask: Callable[[], object], what: str, seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not ask():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except (URLError, OSError):
        return False


@contextlib.contextmanager
def process(*command: str, environment: dict[str, str] | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextlib.contextmanager
def store(settings: Settings, name: str = "log", durable: bool = True) -> Iterator[str]:
    """An embedded Valkey; without `durable` it writes nothing to disk. Yields its URL."""
    valkey.prepare(settings, name)
    command = valkey.command(settings, name)
    if not durable:
        command += ["--appendonly", "no"]
    url = settings.redis_url if name == "log" else settings.queue_url
    with process(*command):
        wait_for(lambda: valkey.is_ready(url), "Valkey answers")
        yield url


def settings_in(folder: Path, **given: str) -> Settings:
    return load_settings(
        {"ENGAGE_DATA_DIR": str(folder), "ENGAGE_WRITE_KEY": WRITE_KEY, "ENGAGE_SECRET_KEY": SECRET_KEY, **given}
    )


def environment(folder: Path, port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENGAGE_")}
    return kept | {
        "ENGAGE_DATA_DIR": str(folder),
        "ENGAGE_PORT": str(port),
        "ENGAGE_WRITE_KEY": WRITE_KEY,
        "ENGAGE_SECRET_KEY": SECRET_KEY,
        "ENGAGE_LOG_LEVEL": "warning",
        # On, but out of the way: the few people of a measure send more than real ones do.
        "ENGAGE_RATE_PER_KEY": "10000000/100000000",
        "ENGAGE_RATE_PER_USER": "1000000/100000000",
    }


@contextlib.contextmanager
def api(folder: Path, **given: str) -> Iterator[tuple[int, int]]:
    """One API process on the store in `folder`, with `given` settings; yields its port and process id."""
    port = free_port()
    with process(sys.executable, "-m", "engage.serve", environment=environment(folder, port) | given) as child:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/readyz"), "the API is ready")
        yield port, child.pid


@contextlib.contextmanager
def yardstick() -> Iterator[int]:
    port = free_port()
    with process(sys.executable, "-m", "loadtests.yardstick", str(port)):
        wait_for(lambda: _listens(port), "the yardstick listens")
        yield port


# What tells the children of `engage up` apart in their command lines.
CHILDREN = {
    "serve": "engage.serve",
    "decide": "worker decide",
    "work": "worker work",
    "backtest": "worker backtest",
    "valkey-log": "-log",
    "valkey-queue": "-queue",
}


class Product:
    """A running `engage up`."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.pid = pid

    def children(self) -> dict[str, psutil.Process]:
        found: dict[str, psutil.Process] = {}
        for child in psutil.Process(self.pid).children():
            with contextlib.suppress(psutil.Error):
                line = " ".join(child.cmdline())
                found |= {name: child for name, part in CHILDREN.items() if part in line}
        return found

    def cpu_seconds(self) -> dict[str, float]:
        """What each process has used so far."""
        return {name: sum(child.cpu_times()[:2]) for name, child in self.children().items()}

    def metrics(self) -> dict[str, float]:
        """Values of `/metrics` by name, those with labels by the whole line before the value."""
        with urlopen(f"{self.url}/metrics", timeout=30) as reply:
            lines = reply.read().decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


@contextlib.contextmanager
def product(folder: Path, rules: Path, **given: str) -> Iterator[Product]:
    """The whole product by `engage up`, with `given` settings; yields once a rulebook is in force."""
    port = free_port()
    command = (sys.executable, "-m", "engage", "up", "--port", str(port), "--rules", str(rules))
    with process(*command, environment=environment(folder, port) | given) as child:
        found = Product(port, child.pid)
        wait_for(lambda: answers(f"{found.url}/readyz"), "the product is ready", 2 * START_SECONDS)
        yield found


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
