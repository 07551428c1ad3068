"""What every test may use: a free port, a real Valkey, the whole product as a child process, a real browser."""

import contextlib
import gc
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec
import psutil
import pytest
import redis
import structlog
from playwright.sync_api import Browser, expect, sync_playwright

from engage import valkey
from engage.bootstrap import find_browser
from engage.settings import load_settings

CERTIFICATES = ssl.create_default_context()
# As the product does. The tracebacks that structlog makes where it finds rich take seconds on a busy machine: a lease would run out.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

# httpx reads all certificate authorities anew for every client and every single request: forty times what the request itself costs.
for function in (httpx.Client.__init__, httpx.AsyncClient.__init__, httpx.request, httpx.get, httpx.post):
    function.__kwdefaults__["verify"] = CERTIFICATES

T = TypeVar("T")
STOP_SECONDS = 30.0
PATIENCE = 20_000  # ms a browser may take for what is expected of it; other tests may share the machine
expect.set_options(timeout=PATIENCE)
# What tells the children of `engage up` apart in their command lines.
CHILDREN = {
    "serve": ("engage.serve",),
    "decide": ("worker decide",),
    "work": ("worker work",),
    "backtest": ("worker backtest",),
    "valkey-log": ("valkey-log/valkey.sock", "-log.sock"),
    "valkey-queue": ("valkey-queue/valkey.sock", "-queue.sock"),
}
STARTERS = {"service", "module_service", "start_service", "browser"}
QUIET_BROWSER = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than processors: most tests wait for something most of the time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files with what takes long come first, then those that start a product or a browser: begun last, one of them would run
    alone at the end."""
    long = {item.path for item in items if any(item.get_closest_marker(name) for name in ("faults", "slow"))}
    starts = {item.path for item in items if STARTERS & set(getattr(item, "fixturenames", ()))}
    items.sort(key=lambda item: (item.path not in long, item.path not in starts))
    for item in items:
        if item.path in long | starts:
            # A machine that others use too may starve a process once; twice is a mistake. The summary names who took two tries.
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What a first try left open is closed before the second: else another test, which it happens to, would be told of it."""
    if getattr(item, "execution_count", 1) > 1:
        sys.last_value = sys.last_traceback = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gc.collect()


def until(ask: Callable[[], T], seconds: float = 45.0, what: str | Callable[[], str] = "") -> T:
    """Asks again and again until the answer is true; fails with `what` after `seconds`."""
    deadline, pause = time.monotonic() + seconds, 0.01
    while not (answer := ask()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {(what() if callable(what) else what) or ask}")
        time.sleep(pause)
        pause = min(pause * 1.2, 0.05)  # who asks all the time takes the processor from whom it waits for
    return answer


def unused_port() -> int:
    """Below the ports that the system gives to clients: one of theirs might be taken again before a server binds it."""
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@pytest.fixture
def free_port() -> int:
    return unused_port()


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The embedded log store, really running, shared by the session: `empty_store` is the same without what others left."""
    settings = load_settings({"ENGAGE_DATA_DIR": str(tmp_path_factory.mktemp("store"))})
    valkey.prepare(settings, "log")
    process = subprocess.Popen(valkey.command(settings, "log"))
    until(lambda: valkey.is_ready(settings.redis_url), what="Valkey answers")
    yield settings.redis_url
    process.terminate()
    process.wait(STOP_SECONDS)


@pytest.fixture
def empty_store(valkey_url: str) -> str:
    """The URL of a real store without any key."""
    with redis.Redis.from_url(valkey_url) as client:
        client.flushall()
    return valkey_url


class Service:
    """A running `engage up`, listening on 127.0.0.1."""

    def __init__(self, data_dir: Path, port: int, rules: Path | None, environment: Mapping[str, str]) -> None:
        self.data_dir = data_dir
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log_path = data_dir.parent / f"{data_dir.name}.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ENGAGE_")}
        self.environment = {**kept, "ENGAGE_URL": self.url, "ENGAGE_DATA_DIR": str(data_dir), **environment}
        command = [sys.executable, "-m", "engage", "up", "--port", str(port)]
        self.command = [*command, *(("--rules", str(rules)) if rules else ())]
        self.start()

    def start(self) -> None:
        """Starts it (again), and waits until it says that it is ready."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                text=True,
            )
        assert self.process.stdout is not None
        lines: list[str] = []
        for line in self.process.stdout:
            lines.append(line)
            if "Ctrl-C ends it" in line:
                break
        else:
            pytest.fail(f"`engage up` ended with {self.process.wait()}:\n{self.log}")
        self.greeting = "".join(lines)
        words = {line.split()[0]: line.split()[2] for line in lines if line.startswith("  write key")}
        self.write_key = words["write"]
        kept = self.data_dir / "secret-key"  # the greeting shows a key once
        self.secret_key = self.environment.get("ENGAGE_SECRET_KEY") or kept.read_text().strip()

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    @property
    def pids(self) -> dict[str, int]:
        """Name of a child → its process id, of those that run now."""
        found: dict[str, int] = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                line = " ".join(child.cmdline())
            except psutil.Error:
                continue
            found |= {name: child.pid for name, parts in CHILDREN.items() if any(part in line for part in parts)}
        return found

    def client(self, **options: object) -> httpx.Client:
        """An HTTP client that is signed in with the write key."""
        return httpx.Client(**{"base_url": self.url, "auth": (self.write_key, ""), **options})

    def kill(self, name: str) -> int:
        """`kill -9` to one child; returns the process id it had."""
        pid = until(lambda: self.pids.get(name), what=f"{name} runs")
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_all(self) -> None:
        """`kill -9` to `engage up` itself; returns when what it started has ended too."""
        left = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait(STOP_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        _, alive = psutil.wait_procs(left, STOP_SECONDS)
        assert not alive, f"outlived `engage up`: {alive}"

    def wait_restarted(self, name: str, before: int) -> int:
        """Until another process does the work of the one that was `before`; returns its id."""
        return until(lambda: (pid := self.pids.get(name)) not in (None, before) and pid, what=f"{name} is back")

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def wait_ready(self) -> None:
        until(self.is_ready, what="the service is ready")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it as an operator does, and sees that nothing of it is left; returns its exit status."""
        if self.process.poll() is None:
            left = psutil.Process(self.process.pid).children(recursive=True)
            self.process.send_signal(number)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                pytest.fail(f"`engage up` did not end within {STOP_SECONDS:g} s:\n{self.log}")
            _, alive = psutil.wait_procs(left, 5)
            assert not alive, f"left running: {alive}"
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait()


StartService = Callable[..., Service]


@pytest.fixture(scope="session")
def start_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartService]:
    """For services that several files share; `module_service` is the same for one file, `service` for one test."""
    yield from running_services(lambda: tmp_path_factory.mktemp("engage"))


@pytest.fixture(scope="module")
def module_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartService]:
    yield from running_services(lambda: tmp_path_factory.mktemp("engage"))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[StartService]:
    """`service(rules=None, env=None, data_dir=None, port=None)` runs `engage up` and ends it with the test."""
    yield from running_services(lambda: tmp_path)


def running_services(folder: Callable[[], Path]) -> Iterator[StartService]:
    started: list[Service] = []

    def start(
        rules: Path | None = None,
        env: Mapping[str, str] | None = None,
        data_dir: Path | None = None,
        port: int | None = None,
    ) -> Service:
        data = data_dir or folder() / f"data{len(started)}"
        started.append(Service(data, port or unused_port(), rules, env or {}))
        return started[-1]

    try:
        yield start
    finally:
        for one in started:
            one.stop()


@pytest.fixture
def write_documents(tmp_path: Path) -> Callable[[Mapping[str, object]], Path]:
    """`write_documents({"rules/a.json": {…}, "articles/a.en.md": "# A"})` → the folder that holds them."""

    def write(documents: Mapping[str, object]) -> Path:
        folder = tmp_path / "definitions"
        for name, document in documents.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(document.encode() if isinstance(document, str) else msgspec.json.encode(document))
        return folder

    return write


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium. Of a module, no wider: while Playwright runs, no other test of the thread can run an event loop."""
    with running_chromium() as chromium:
        yield chromium


@contextlib.contextmanager
def running_chromium(
    *flags: str, env: Mapping[str, str] | None = None, whole: bool = False, without: Sequence[str] = ()
) -> Iterator[Browser]:
    """The Chromium of this machine, with these flags besides those that keep it quiet, and this environment besides ours; `whole`:
    not its shell; `without`: flags that Playwright gives it."""
    found = find_browser(whole)
    if found is None:
        pytest.fail("no Chromium here: `make test` installs one, `make test-quick` runs what needs none")
    with sync_playwright() as playwright:
        surroundings = {**os.environ, **(env or {})}
        chromium = playwright.chromium.launch(
            executable_path=found, args=[*QUIET_BROWSER, *flags], env=surroundings, ignore_default_args=without
        )
        yield chromium
        chromium.close()
