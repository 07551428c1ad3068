"""Back-tests that the API was asked for, run by an RQ worker of their own: a long one must not hold up deliveries."""

import secrets
import threading
import time
from typing import Any, Final

import msgspec

from engage import backtest_runs as runs
from engage.backtesting import as_document, backtest
from engage.errors import EngageError
from engage.logs import get_logger
from engage.settings import Settings, load_settings
from engage.store import STORE_ERRORS, connect
from rules import RulesError
from worker.queues import serve_queue

TOLD_SECONDS: Final = 0.3
RESUME_SECONDS: Final = 10
log = get_logger("worker.backtests")


class Stopped(Exception):
    """The run was cancelled, or is another worker's now."""


def run(project: str, identifier: str) -> None:
    """The job. It ends with the run's status written, unless the store is away: then the run is taken up again later."""
    settings = load_settings()
    client: Any = connect(settings.redis_url)
    token = secrets.token_hex(8)
    asked = runs.take(client, project, identifier, token)
    if asked is None:
        return
    told = 0.0

    def progress(share: float) -> None:
        nonlocal told
        if time.monotonic() - told >= TOLD_SECONDS:
            told = time.monotonic()
            if not runs.advance(client, project, identifier, token, share):
                raise Stopped

    try:
        found = backtest(client, project, settings.shards, asked.plan, asked.last, progress)
        result = msgspec.json.encode(as_document(found, asked.every))
        runs.end(client, project, identifier, "finished", token, "result", result)
    except Stopped:
        log.info("back-test stopped", id=identifier)
    except STORE_ERRORS:
        raise
    except (EngageError, RulesError) as error:
        runs.end(client, project, identifier, "failed", token, "error", str(error)[:2_000])
    except Exception as error:
        log.exception("back-test failed", id=identifier)
        runs.end(client, project, identifier, "failed", token, "error", f"a mistake of ours: {error!r}"[:2_000])
    finally:
        client.close()


def resume(client: Any, queue: Any, projects: list[str]) -> None:
    """Puts runs that wait, or whose worker died, into the queue again: a job that was lost would leave them so for ever."""
    for project in projects:
        for identifier in runs.listed(client, project):
            if runs.orphaned(client, project, identifier):
                runs.enqueue(queue, project, identifier)


def prove(settings: Settings, projects: list[str]) -> None:
    """Runs the RQ worker of the back-tests until SIGTERM or SIGINT. Every RESUME_SECONDS it looks for runs that nobody has any more."""
    store: Any = connect(settings.redis_url)
    queue: Any = connect(settings.queue_url)

    def look() -> None:
        while True:
            try:
                resume(store, queue, projects)
            except STORE_ERRORS as error:
                log.warning("store away, back-tests wait", error=str(error))
            time.sleep(RESUME_SECONDS)

    threading.Thread(target=look, name="resume", daemon=True).start()
    serve_queue(settings, runs.QUEUE)
