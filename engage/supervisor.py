"""Running the product's processes as children: started in order, restarted when they die, stopped in reverse."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from engage.logs import get_logger

RESTART_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)  # waits before the 1st, 2nd … restart in a row
HEALTHY_SECONDS: Final = 10.0  # a child that ran so long starts the row anew
STOP_SECONDS: Final = 15.0
READY_SECONDS: Final = 60.0
_PR_SET_PDEATHSIG: Final = 1
log = get_logger("engage.supervisor")


class StartError(Exception):
    """A child did not become ready."""


def _die_with_parent() -> None:
    """In the child, before exec: it is killed when its parent is, however that ends (Linux)."""
    os.setsid()  # Ctrl-C reaches the parent only, which then stops the children in order
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """One process and how to start it again. `ready` waits until it can be used; `prepare` runs before every start."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        ready: Callable[[], Awaitable[bool]] | None = None,
        prepare: Callable[[], object] | None = None,
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._ready = ready
        self._prepare = prepare
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self.stopping = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Starts it and waits until it is ready. Raises StartError."""
        await self._spawn()
        self._watching = asyncio.create_task(self._watch())
        await self._wait_ready()

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL to what does not end in time."""
        self.stopping = True
        process = self._process
        if process is None or self._watching is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                log.warning("did not end, killed", process=self.name, pid=process.pid)
                process.kill()
                await process.wait()
        self._watching.cancel()

    async def _spawn(self) -> None:
        if self._prepare is not None:
            await asyncio.to_thread(self._prepare)
        self._process = await asyncio.create_subprocess_exec(
            *self._command, env=dict(self._environment), stdin=asyncio.subprocess.DEVNULL, preexec_fn=_die_with_parent
        )

    async def _wait_ready(self) -> None:
        if self._ready is None:
            return
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        while not await self._ready():
            if asyncio.get_running_loop().time() > deadline:
                raise StartError(f"{self.name} was not ready after {READY_SECONDS:g} s: its log says why")
            await asyncio.sleep(0.03)

    async def _watch(self) -> None:
        """Starts it again whenever it ends."""
        loop = asyncio.get_running_loop()
        failures = 0
        while self._process is not None:
            began = loop.time()
            code = await self._process.wait()
            if self.stopping:
                return
            failures = 1 if loop.time() - began > HEALTHY_SECONDS else failures + 1
            wait = RESTART_SECONDS[min(failures, len(RESTART_SECONDS)) - 1]
            log.error("process ended, starting it again", process=self.name, how=_how(code), seconds=wait)
            await asyncio.sleep(wait)
            if self.stopping:
                return
            await self._spawn()
            log.info("started again", process=self.name, pid=self.pid)


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


class Supervisor:
    """Children in the order they depend on each other."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._stop = asyncio.Event()
        self._asked = 0

    def listen(self) -> None:
        """SIGINT and SIGTERM end `wait`; asked a second time the children are killed at once."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)

    async def start(self, child: Child) -> None:
        self._children.append(child)
        await child.start()

    async def wait(self) -> None:
        """Until somebody asks to stop."""
        await self._stop.wait()

    async def stop(self) -> None:
        """The last started goes first: those that use a store before the store."""
        for child in self._children:
            child.stopping = True
        for child in reversed(self._children):
            await child.stop()

    @property
    def asked_to_stop(self) -> bool:
        return self._stop.is_set()

    def _on_signal(self) -> None:
        self._asked += 1
        self._stop.set()
        if self._asked > 1:
            for child in self._children:
                if child.pid is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child.pid, signal.SIGKILL)
