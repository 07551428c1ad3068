"""Running the product's processes as children: started in order, restarted when they die, stopped in reverse."""

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from engage.logs import get_logger

RESTART_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)  # waits before the 1st, 2nd … restart in a row
HEALTHY_SECONDS: Final = 10.0  # a child that ran so long starts the row anew
STOP_SECONDS: Final = 15.0
READY_SECONDS: Final = 60.0
ASK_SECONDS: Final = 0.03
FULL_BYTES: Final = 1024 * 1024  # a disk with less room is full
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG: Final = 1
# Looked up here: between fork and exec as little as possible may happen.
_prctl: Final = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
log = get_logger("engage.supervisor")


class StartError(Exception):
    """A child did not become ready."""


class Child:
    """One process and how to start it again. `ready` says whether it can be used; `prepare` runs before every start;
    `orphaned` is what it gets when this process is killed; `log_file` is where it says why it ends, if not here."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        ready: Callable[[], Awaitable[bool]] | None = None,
        prepare: Callable[[], object] | None = None,
        orphaned: signal.Signals = signal.SIGKILL,
        log_file: Path | None = None,
        ready_seconds: float = READY_SECONDS,
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._ready = ready
        self._prepare = prepare
        self._orphaned = orphaned
        self._log_file = log_file
        self._ready_seconds = ready_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self.stopping = False

    @property
    def pid(self) -> int | None:
        """Of the running process, None while there is none."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Starts it and waits until it is ready. Raises StartError."""
        process = await self._spawn()
        try:
            await self._wait_ready(process)
        finally:
            self._watching = asyncio.create_task(self._watch(process))

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL to what does not end in time."""
        self.stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                log.warning("did not end, killed", process=self.name, pid=process.pid)
                self.kill()
                await process.wait()
        if self._watching is not None:
            self._watching.cancel()

    def kill(self) -> None:
        """At once, and whatever it started itself: a child leads a group of its own."""
        if (pid := self.pid) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    async def _spawn(self) -> asyncio.subprocess.Process:
        if self._prepare is not None:
            await asyncio.to_thread(self._prepare)
        parent = os.getpid()

        def before_exec() -> None:
            """In the child: it ends when its parent does, however that ends. Linux tells it; elsewhere the next start
            of `engage up` finds what was left."""
            if _prctl is not None:
                _prctl(_PR_SET_PDEATHSIG, int(self._orphaned))
                if os.getppid() != parent:
                    os._exit(1)

        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=dict(self._environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sys.stderr,  # standard output is for what the person who started this wants to read
            preexec_fn=before_exec,
            start_new_session=True,  # Ctrl-C reaches the parent only, which then stops the children in order
        )
        return self._process

    async def _wait_ready(self, process: asyncio.subprocess.Process) -> None:
        if self._ready is None:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._ready_seconds
        while not await self._ready():
            if process.returncode is not None:
                raise StartError(f"{self.name} did not start: {self._how(process.returncode)}")
            if loop.time() > deadline:
                raise StartError(f"{self.name} was not ready after {self._ready_seconds:g} s{self._last_words()}")
            await asyncio.sleep(ASK_SECONDS)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Starts it again whenever it ends."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            code = await process.wait()
            if self.stopping:
                return
            failures = 1 if loop.time() - began > HEALTHY_SECONDS else failures + 1
            log.error(
                "process ended, starting it again",
                process=self.name,
                how=self._how(code),
                seconds=_pause_after(failures),
            )
            process = await self._restart(failures)
            log.info("started again", process=self.name, pid=process.pid)

    async def _restart(self, failures: int) -> asyncio.subprocess.Process:
        while True:
            await asyncio.sleep(_pause_after(failures))
            try:
                return await self._spawn()
            except Exception as error:  # no memory, no processes left, a folder gone: all of it may pass
                failures += 1
                log.error("could not be started, trying again", process=self.name, error=str(error))

    def _how(self, code: int) -> str:
        return (f"killed by {_signal_name(-code)}" if code < 0 else f"exit code {code}") + self._last_words()

    def _last_words(self) -> str:
        """The end of its log file; on a full disk that cannot say so itself."""
        try:
            if self._log_file and shutil.disk_usage(self._log_file.parent).free < FULL_BYTES:
                return f"; no space left on the disk of {self._log_file.parent}"
            lines = self._log_file.read_text(errors="replace").splitlines() if self._log_file else []
        except OSError:
            lines = []
        return f"; {self._log_file} ends: {lines[-1]}" if lines else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _pause_after(failures: int) -> float:
    return RESTART_SECONDS[min(failures, len(RESTART_SECONDS)) - 1]


class Supervisor:
    """Children in the order they depend on each other."""

    def __init__(self) -> None:
        self._groups: list[tuple[Child, ...]] = []  # each started side by side
        self._stop = asyncio.Event()
        self._asked = 0
        self._listens = False

    def listen(self) -> None:
        """SIGINT, SIGTERM and SIGHUP end `wait` and `until_stopped`; asked a second time the children are killed.

        Not by `loop.add_signal_handler`, which a closing loop takes back: asked once more at the very end, this process
        would die of it instead of returning its exit status.
        """
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._on_signal))
        self._listens = True

    async def start(self, *children: Child) -> None:
        """Starts these side by side and waits until all are ready. Raises StartError."""
        self._groups.append(children)
        tasks = [asyncio.ensure_future(child.start()) for child in children]
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def until_stopped(self, work: Awaitable[None]) -> bool:
        """Runs `work`, given up when somebody asks to stop; returns whether it came to its end."""
        task = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return False
        task.result()
        return not self._stop.is_set()

    async def wait(self) -> None:
        """Until somebody asks to stop."""
        await self._stop.wait()

    async def stop(self) -> None:
        """The last started go first, those that were started together at once: those that use a store before the store."""
        for child in self._children():
            child.stopping = True
        for group in reversed(self._groups):
            await asyncio.gather(*(child.stop() for child in group))
        if self._listens:  # what is left is to return
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN)

    def _on_signal(self) -> None:
        self._asked += 1
        self._stop.set()
        if self._asked > 1:
            for child in self._children():
                child.kill()

    def _children(self) -> list[Child]:
        return [child for group in self._groups for child in group]
