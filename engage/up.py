"""`engage up`: the whole product on one machine, under one supervisor."""

import asyncio
import contextlib
import errno
import math
import signal
import socket
import sys
import time
from collections.abc import Mapping
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

import psutil

from engage import valkey
from engage.database import open_database
from engage.definitions import folder_problem
from engage.errors import ConfigurationError
from engage.key_file import FILE, kept_here
from engage.logs import get_logger
from engage.projects import FIRST, Project, load_projects
from engage.publications import state_of
from engage.publishing import publish_all
from engage.secret_keys import prefix_of
from engage.settings import Settings, environment_of
from engage.store import connect
from engage.supervisor import READY_SECONDS, Child, StartError, Supervisor
from engage.watcher import Watcher
from rules import Definitions

PORT_SECONDS: Final = 1.0
LOAD_SECONDS: Final = 3_600.0  # what a Valkey may take to load its data: about 4 s a gigabyte, and a slow disk more
SETTLE_SECONDS: Final = 10.0
log = get_logger("engage.up")


def run(settings: Settings) -> int:
    """Runs until Ctrl-C or SIGTERM; returns the exit status. Raises ConfigurationError."""
    lock = valkey.DataLock(settings.data_dir)
    lock.acquire()
    try:
        _await_port(settings)
        return asyncio.run(_Up(settings).run())
    finally:
        lock.release()


class _Up:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._environment = environment_of(settings)
        self._supervisor = Supervisor()
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> int:
        self._supervisor.listen()
        try:
            if await self._supervisor.until_stopped(self._start()):
                await self._supervisor.wait()
            return 0
        except StartError as error:
            log.critical(str(error))
            return 1
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._supervisor.stop()

    async def _start(self) -> None:
        """In the order of need: stores, keys and rulebook, then those who use them."""
        settings = self._settings
        projects = await self._start_stores()
        if settings.rules_dir is not None:
            await self._watch(settings.rules_dir)
        named = [project.id for project in projects]
        python = [sys.executable, "-P", "-m"]  # the folder it is started in may hold a `rules` of its own
        answers = partial(asyncio.to_thread, _is_answering, _local(settings.host), settings.port)
        # A server of somebody else's may take its time; until it is there, `serve` answers 429.
        patience = READY_SECONDS if settings.embedded_log else math.inf
        await self._supervisor.start(
            Child("serve", [*python, "engage.serve"], self._environment, answers, ready_seconds=patience),
            Child("decide", [*python, "worker", "decide", *named], self._environment),
            Child("work", [*python, "worker", "work"], self._environment),
            Child("backtest", [*python, "worker", "backtest", *named], self._environment),
        )
        with contextlib.suppress(OSError):  # nobody reads it any more
            first = next(project for project in projects if project.id == FIRST)
            print(_greeting(settings, first), flush=True)

    async def _start_stores(self) -> list[Project]:
        settings = self._settings
        embedded = [
            (name, url)
            for name, url, is_embedded in (
                ("log", settings.redis_url, settings.embedded_log),
                ("queue", settings.queue_url, settings.embedded_queue),
            )
            if is_embedded
        ]
        # Told to end, a Valkey whose parent died closes its files; the others have nothing that needs closing.
        children = [
            Child(
                f"valkey-{name}",
                valkey.command(settings, name),
                self._environment,
                partial(asyncio.to_thread, valkey.is_ready, url),
                partial(valkey.prepare, settings, name),
                orphaned=signal.SIGTERM,
                log_file=valkey.log_file(settings, name),
                ready_seconds=LOAD_SECONDS,
            )
            for name, url in embedded
        ]
        projects, _ = await asyncio.gather(
            asyncio.to_thread(load_projects, settings), self._supervisor.start(*children)
        )
        if not settings.embedded_log and not await asyncio.to_thread(valkey.is_ready, settings.redis_url):
            log.warning("the store does not answer, waiting for it", setting="ENGAGE_REDIS_URL")
        return projects

    async def _watch(self, folder: Path) -> None:
        """Starts watching and waits for the first rulebook, so that no event is decided without it."""
        engine, client = open_database(self._settings), connect(self._settings.redis_url)
        last_good = await asyncio.to_thread(state_of, engine, FIRST)

        async def make_live(found: Definitions, texts: Mapping[str, str]) -> int:
            return await asyncio.to_thread(publish_all, engine, client, FIRST, found, texts, str(folder))

        watcher = Watcher(folder, make_live, last_good.definitions)
        self._tasks.append(asyncio.create_task(watcher.run()))
        try:
            await asyncio.wait_for(watcher.settled.wait(), SETTLE_SECONDS)
        except TimeoutError:
            log.warning("the rules are not live yet, starting all the same", folder=str(folder))


def _await_port(settings: Settings) -> None:
    """A moment of patience: the service of an `engage up` that was just killed may still be ending."""
    deadline = time.monotonic() + PORT_SECONDS
    while True:
        try:
            return check_port(settings)
        except ConfigurationError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def check_port(settings: Settings) -> None:
    """Raises ConfigurationError when something else listens there, naming it where the system tells."""
    try:
        addresses = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigurationError(
            "an address of this machine", f"{settings.host}: {error}", field="ENGAGE_HOST"
        ) from None
    for family, kind, protocol, _, address in addresses:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    raise ConfigurationError(
                        "an address of this machine",
                        settings.host,
                        field="ENGAGE_HOST",
                        hint="127.0.0.1 is for this machine alone, 0.0.0.0 for all that reach it",
                    ) from None
                raise ConfigurationError(
                    "a free port",
                    f"{settings.host}:{settings.port}, {error.strerror or error}{_listening(settings.port)}",
                    field="ENGAGE_PORT",
                    hint="stop what listens there, or choose another port with --port",
                ) from None


def _listening(port: int) -> str:
    """` (process 12, python -m http.server)`, as far as this user may know."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.pid and connection.laddr[1:] == (port,):
                return f" (process {connection.pid}, {' '.join(psutil.Process(connection.pid).cmdline())[:80]})"
    return ""


def _is_answering(host: str, port: int) -> bool:
    """Whether the service is ready. Asked without urllib, which would send it through a proxy of the environment."""
    connection = HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _local(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _identity(project: Project) -> str:
    if not project.identity_secrets:
        return "not verified (set ENGAGE_IDENTITY_SECRET)"
    said = {"off": "counted, not required", "inbox": "required to read messages", "all": "required"}
    return f"userHash or userToken {said[project.identity_enforce]}"


def _secret_key(settings: Settings, project: Project) -> str:
    """Shown when it was made. Later it is where commands find it, or with the operator."""
    if settings.secret_key is not None:
        return "the one of ENGAGE_SECRET_KEY"
    if project.new_secret_key is not None:
        return f"{project.new_secret_key}    (for servers; shown this once, kept in {settings.data_dir / FILE})"
    kept = kept_here(settings.data_dir)
    return f"{prefix_of(kept)}… in {settings.data_dir / FILE}" if kept else "kept by you; `engage keys` lists them"


def _greeting(settings: Settings, project: Project) -> str:
    host = _local(settings.host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    rules = "none: give a folder with --rules"
    if settings.rules_dir is not None:
        problem = folder_problem(settings.rules_dir)
        rules = f"{settings.rules_dir} (watched{f', but {problem}' if problem else ''})"
    return f"""
Engage is ready at {url}

  write key    {project.write_key}
  secret key   {_secret_key(settings, project)}
  identity     {_identity(project)}
  rules        {rules}
  data         {settings.data_dir}

Paste into your page:

  <script>window.engage=window.engage||[];engage.push(["init",{{writeKey:"{project.write_key}",host:"{url}"}}],["page"])</script>
  <script async src="{url}/sdk/engage.js"></script>

Ctrl-C ends it."""
