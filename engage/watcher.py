"""Watching a folder of definitions: every change is live within a second, and nothing ends the watching."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

from engage.definitions import ARTICLES, FOLDERS, Loaded, Parsed, load_folder
from engage.logs import get_logger
from rules import Definitions, Problem

DEBOUNCE_MS: Final = 100  # an editor that writes a file in two steps is read once
LOOK_MS: Final = 500  # how often it is seen whether the folder is still the same
RETRY_SECONDS: Final = 0.5
log = get_logger("engage.definitions")


class Watcher:
    """Keeps what is live in step with a folder. `publish(definitions, texts)` makes a set live; it may raise, then it is
    tried again. `last_good` is what was live before this process started."""

    def __init__(
        self,
        folder: Path,
        publish: Callable[[Definitions, Mapping[str, str]], Awaitable[int]],
        last_good: Definitions | None = None,
    ) -> None:
        self.settled = asyncio.Event()  # the first rulebook is live, or there is no folder to make one from
        self._folder = folder
        self._publish = publish
        self._last_good = last_good or Definitions()
        self._known: dict[str, Parsed] = {}
        self._reported: set[Problem] = set()
        self._version = 0

    async def run(self) -> None:
        """Publishes the folder, then every change of it, for ever."""
        while True:
            try:
                await self._wait_for_folder()
                await self._follow()
            except Exception:
                log.exception("watching the rules folder failed, trying again", folder=str(self._folder))
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        """Until the folder is moved or removed: then its watch sees nothing more."""
        watched = _identity(self._folder)
        # Watching begins with the first step of the iterator, before the first reading: no change in between is missed.
        changes = awatch(
            self._folder,
            watch_filter=_is_document,
            debounce=DEBOUNCE_MS,
            step=20,
            rust_timeout=LOOK_MS,
            yield_on_timeout=True,
        )
        async with contextlib.aclosing(changes):
            waiting = asyncio.ensure_future(anext(changes))
            try:
                await self.refresh()
                while True:
                    changed = await waiting
                    waiting = asyncio.ensure_future(anext(changes))
                    if _identity(self._folder) != watched:
                        return
                    if changed:
                        await self.refresh()
            finally:
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)

    async def refresh(self) -> None:
        """Reads the folder once and publishes what can go live, as soon as the stores take it."""
        said = ""
        while True:
            try:
                await self._refresh()
                return
            except Exception as error:
                if (text := str(error)) != said:
                    log.warning("definitions not published, trying again", error=text)
                said = text
            await asyncio.sleep(RETRY_SECONDS)

    async def _refresh(self) -> None:
        loaded = await asyncio.to_thread(load_folder, self._folder, self._last_good, self._known)
        if not self._folder.is_dir():
            return  # taken away as a whole while it was read: no reason to take everything off people's screens
        self._report(loaded)
        version = await self._publish(loaded.definitions, loaded.texts)
        self._warn_of_removed(loaded.definitions)
        self._last_good = loaded.definitions
        self._say(version, loaded.definitions)

    def _say(self, version: int, found: Definitions) -> None:
        self.settled.set()
        if version != self._version:
            counts = {name: len(getattr(found, name)) for name in (*FOLDERS.values(), ARTICLES)}
            log.info("definitions live", version=version, **counts)
        self._version = version

    def _warn_of_removed(self, found: Definitions) -> None:
        """A file that is gone takes its document off: said, for it may be a slip."""
        gone = sorted(_names(self._last_good) - _names(found))
        if gone:
            log.warning("documents no longer live", removed=len(gone), names=gone[:20])

    def _report(self, loaded: Loaded) -> None:
        """Says what is new among the problems, and what was mended."""
        problems = set(loaded.problems)
        for problem in loaded.problems:
            if problem not in self._reported:
                place = {"file": problem.file, "line": problem.line, "column": problem.column, "path": problem.path}
                if problem.severity == "error":
                    log.error(str(problem), **place, live="the last good version, if there is one")
                else:
                    log.warning(str(problem), **place)
        files = {problem.file for problem in problems}
        for file in sorted({problem.file for problem in self._reported} - files):
            log.info("mended", file=file)
        self._reported = problems

    async def _wait_for_folder(self) -> None:
        if self._folder.is_dir():
            return
        log.warning("rules folder not there, waiting for it", folder=str(self._folder))
        self.settled.set()
        while not self._folder.is_dir():
            await asyncio.sleep(RETRY_SECONDS)


def _names(found: Definitions) -> set[str]:
    return {f"{name}/{one.id}" for name in (*FOLDERS.values(), ARTICLES) for one in getattr(found, name)}


def _is_document(change: Change, path: str) -> bool:
    """Also what may be a folder: one that is moved in as a whole is told by its own name alone."""
    return os.path.splitext(path)[1] in ("", ".json", ".md")


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
