"""Definitions as files: reading a folder, falling back to the last good version of what is broken, and watching it.

A folder holds `rules/<id>.json`, `messages/<id>.json`, `segments/<id>.json` and `articles/<id>.<locale>.md`.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from watchfiles import Change, awatch

from engage.logs import get_logger
from engage.templates import template_problems
from rules import (
    Article,
    ArticleContent,
    Definitions,
    Message,
    Problem,
    Rule,
    Segment,
    cross_check,
    parse,
    parse_article,
)

FOLDERS: Final = {"rule": "rules", "message": "messages", "segment": "segments"}
ARTICLES: Final = "articles"
DEBOUNCE_MS: Final = 100  # an editor that writes a file in two steps is read once
LOOK_MS: Final = 500  # how often it is seen whether the folder is still the same
RETRY_SECONDS: Final = 0.5
Key = tuple[str, str]  # kind, id
log = get_logger("engage.definitions")


class Loaded(msgspec.Struct):
    """What a set of files says: the documents that can go live, and everything that is wrong with the others."""

    definitions: Definitions
    problems: list[Problem]
    files: dict[Key, tuple[str, bytes]]

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]


class Parsed(msgspec.Struct):
    """What one text says. Kept between two readings: one file of thousands changes at a time."""

    text: bytes
    document: Any
    problems: list[Problem]


def load_folder(folder: Path, last_good: Definitions | None = None, known: dict[str, Parsed] | None = None) -> Loaded:
    """Reads all documents below `folder`. A broken one is replaced by its version in `last_good`, where it has one.

    `known` is filled with what was parsed, and spares parsing it again the next time.
    """
    found = _Reader(folder, _by_key(last_good or Definitions()), {} if known is None else known)
    for kind, name in FOLDERS.items():
        for path in sorted((folder / name).glob("*.json")):
            found.read(kind, path)
    for path in sorted((folder / ARTICLES).glob("*.md")):
        found.read_article(path)
    return found.settle()


class _Reader:
    def __init__(self, folder: Path, last_good: dict[Key, Any], known: dict[str, Parsed]) -> None:
        self.folder = folder
        self.last_good = last_good
        self.known = known
        self.documents: dict[Key, Any] = {}
        self.files: dict[Key, tuple[str, bytes]] = {}
        self.problems: list[Problem] = []

    def read(self, kind: Any, path: Path) -> None:
        key = kind, path.stem
        text = self._text(path)
        if text is None:
            return
        parsed = self._parsed(path, text, partial(_parse, kind))
        self.files[key] = str(path), text
        document = parsed.document or self.last_good.get(key)
        if document is not None:
            self.documents[key] = document

    def read_article(self, path: Path) -> None:
        text = self._text(path)
        if text is None:
            return
        identifier, locale, content = self._parsed(path, text, _parse_article).document
        key = "article", identifier
        self.files[key] = str(path), text
        if content is None and (before := self.last_good.get(key)) is not None:
            content = before.content.get(locale)
        if content is not None:
            locales: dict[str, ArticleContent] = self.documents[key].content if key in self.documents else {}
            self.documents[key] = Article(identifier, {**locales, locale: content})

    def _parsed(self, path: Path, text: bytes, parse: Callable[[bytes, str], Parsed]) -> Parsed:
        file = str(path)
        parsed = self.known.get(file)
        if parsed is None or parsed.text != text:
            parsed = self.known[file] = parse(text, file)
        self.problems += parsed.problems
        return parsed

    def settle(self) -> Loaded:
        """Takes back, one round after the other, what only the whole set shows to be broken."""
        reported: set[Problem] = set()
        while True:
            found = cross_check(_definitions(self.documents.values()), self.files)
            self.problems += [problem for problem in found if problem not in reported]
            reported.update(found)
            files = {problem.file for problem in found if problem.severity == "error"}
            broken = [key for key, (file, _) in self.files.items() if file in files and key in self.documents]
            if not broken:
                return Loaded(_definitions(self.documents.values()), self.problems, self.files)
            for key in broken:
                before = self.last_good.get(key)
                if before is not None and before != self.documents[key]:
                    self.documents[key] = before
                else:
                    del self.documents[key]

    def _text(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None  # an editor that renames: the next change brings it back
        except OSError as error:
            self.problems.append(Problem(str(path), 0, 0, "$", f"Expected a readable file: {error.strerror}"))
            return None


def _parse(kind: Any, text: bytes, file: str) -> Parsed:
    document, problems = parse(kind, text, file)
    if isinstance(document, Message) and (wrong := template_problems(document, text, file)):
        return Parsed(text, None, problems + wrong)
    return Parsed(text, document, problems)


def _parse_article(text: bytes, file: str) -> Parsed:
    identifier, locale, content, problems = parse_article(text, file)
    return Parsed(text, (identifier, locale, content), problems)


def _by_key(definitions: Definitions) -> dict[Key, Any]:
    groups: dict[str, Iterable[Any]] = {
        "rule": definitions.rules,
        "message": definitions.messages,
        "segment": definitions.segments,
        "article": definitions.articles,
    }
    return {(kind, document.id): document for kind, documents in groups.items() for document in documents}


def _definitions(documents: Iterable[Any]) -> Definitions:
    found = Definitions([], [], [], [])
    lists: dict[type, list[Any]] = {
        Rule: found.rules,
        Message: found.messages,
        Segment: found.segments,
        Article: found.articles,
    }
    for document in documents:
        lists[type(document)].append(document)
    return found


class Watcher:
    """Keeps what is live in step with a folder. `publish(definitions)` makes a set live; it may raise, then it is tried
    again. `last_good` is what was live before this process started."""

    def __init__(
        self, folder: Path, publish: Callable[[Definitions], Awaitable[int]], last_good: Definitions | None = None
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
        version = await self._publish(loaded.definitions)
        self._last_good = loaded.definitions
        self._say(version, loaded.definitions)

    def _say(self, version: int, found: Definitions) -> None:
        self.settled.set()
        if version != self._version:
            counts = {name: len(getattr(found, name)) for name in (*FOLDERS.values(), ARTICLES)}
            log.info("definitions live", version=version, **counts)
        self._version = version

    def _report(self, loaded: Loaded) -> None:
        """Says what is new among the problems, and what was mended."""
        problems = set(loaded.problems)
        for problem in loaded.problems:
            if problem not in self._reported:
                (log.error if problem.severity == "error" else log.warning)(str(problem))
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


def _is_document(change: Change, path: str) -> bool:
    """Also what may be a folder: one that is moved in as a whole is told by its own name alone."""
    return os.path.splitext(path)[1] in ("", ".json", ".md")


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
