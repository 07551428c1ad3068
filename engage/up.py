"""`engage up`: the whole product on one machine, under one supervisor."""

import asyncio
import contextlib
import socket
import sys
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from sqlalchemy import Engine

from engage import valkey
from engage.database import open_database
from engage.definitions import Watcher
from engage.errors import ConfigurationError
from engage.logs import get_logger
from engage.projects import FIRST, Project, load_projects
from engage.publishing import keep_versions, last_versions, publish
from engage.settings import Settings, environment_of
from engage.store import connect
from engage.supervisor import Child, StartError, Supervisor
from rules import Definitions

log = get_logger("engage.up")


def run(settings: Settings) -> int:
    """Runs until Ctrl-C or SIGTERM; returns the exit status. Raises ConfigurationError."""
    lock = valkey.DataLock(settings.data_dir)
    lock.acquire()
    try:
        check_port(settings)
        project = load_projects(settings)[0]
        return asyncio.run(_run(settings, project))
    finally:
        lock.release()


async def _run(settings: Settings, project: Project) -> int:
    supervisor = Supervisor()
    supervisor.listen()
    watching: asyncio.Task[None] | None = None
    try:
        for child in _children(settings):
            await supervisor.start(child)
            if supervisor.asked_to_stop:
                return 0
        if settings.rules_dir is not None:
            watching = asyncio.create_task(_watch(settings, settings.rules_dir))
        print(_greeting(settings, project), flush=True)
        await supervisor.wait()
        return 0
    except StartError as error:
        log.critical(str(error))
        return 1
    finally:
        if watching is not None:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        await supervisor.stop()


def _children(settings: Settings) -> list[Child]:
    environment = environment_of(settings)
    children = []
    for name, embedded, url in (
        ("log", settings.embedded_log, settings.redis_url),
        ("queue", settings.embedded_queue, settings.queue_url),
    ):
        if embedded:
            command = valkey.command(settings, name)
            ready = partial(asyncio.to_thread, valkey.is_ready, url)
            children.append(Child(f"valkey-{name}", command, environment, ready, partial(valkey.stop_leftover, url)))
    answers = partial(asyncio.to_thread, _answers, f"http://{_local(settings.host)}:{settings.port}/readyz")
    python = [sys.executable, "-m"]
    children.append(Child("serve", [*python, "engage", "serve"], environment, answers))
    children.append(Child("decide", [*python, "worker", "decide"], environment))
    children.append(Child("work", [*python, "worker", "work"], environment))
    return children


async def _watch(settings: Settings, folder: Path) -> None:
    engine = open_database(settings)
    client = connect(settings.redis_url)

    async def make_live(found: Definitions) -> int:
        return await asyncio.to_thread(_make_live, engine, client, found)

    await Watcher(folder, make_live, last_versions(engine, FIRST)).run()


def _make_live(engine: Engine, client: object, found: Definitions) -> int:
    keep_versions(engine, FIRST, found, "files")
    return publish(client, FIRST, found)


def check_port(settings: Settings) -> None:
    """Raises ConfigurationError when something else listens there."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise ConfigurationError(
                "a free port",
                f"{settings.host}:{settings.port}, {error.strerror or error}",
                field="ENGAGE_PORT",
                hint="stop what listens there, or choose another port with --port",
            ) from None


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except (URLError, OSError):
        return False


def _local(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104


def _greeting(settings: Settings, project: Project) -> str:
    url = f"http://{_local(settings.host)}:{settings.port}"
    rules = f"{settings.rules_dir} (watched)" if settings.rules_dir else "none: give a folder with --rules"
    return f"""
Engage is ready at {url}

  write key    {project.write_key}
  secret key   {project.secret_key}
  identity     {"userHash required" if project.identity_secret else "not verified (set ENGAGE_IDENTITY_SECRET)"}
  rules        {rules}
  data         {settings.data_dir}

Paste into your page:

  <script>window.engage=window.engage||[];engage.push(["init",{{writeKey:"{project.write_key}",host:"{url}"}}],["page"])</script>
  <script async src="{url}/sdk/engage.js"></script>

Ctrl-C ends it."""
