"""Definitions as files: reading a folder, and falling back to the last good version of what is broken in it.

A folder holds `rules/<id>.json`, `messages/<id>.json`, `segments/<id>.json`, `articles/<id>.<locale>.md` and at most one `project/<id>.json`.
"""

import errno
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from engage.templates import template_problems
from rules import (
    Article,
    ArticleContent,
    Definitions,
    Message,
    Problem,
    Project,
    Rule,
    Segment,
    cross_check,
    cross_doubts,
    lost_references,
    parse,
    parse_article,
    shape_of,
)
from rules.documents import Document

FOLDERS: Final = {"rule": "rules", "message": "messages", "segment": "segments", "project": "project"}
READ_BYTES: Final = 16 * 1024 * 1024  # of a file; a document may be far smaller, and is told how large it is
ARTICLES: Final = "articles"
Key = tuple[str, str]  # kind, id


class Loaded(msgspec.Struct):
    """What a set of files says: the documents that can go live, and everything that is wrong with the others."""

    definitions: Definitions
    problems: list[Problem]
    files: dict[Key, tuple[str, bytes]]
    texts: dict[str, str]  # `rules/a.json` → its text, of what can go live as it is written there

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]


class Parsed(msgspec.Struct):
    """What one text says. Kept between two readings: one file of thousands changes at a time."""

    text: bytes
    document: Any
    problems: list[Problem]


def load_folder(
    folder: Path,
    last_good: Definitions | None = None,
    known: dict[str, Parsed] | None = None,
    retention: int | None = None,
) -> Loaded:
    """Reads all documents below `folder`. A broken one is replaced by its version in `last_good`, where it has one. With `retention`
    (ms), what asks for a longer past than the log keeps is among the problems.

    `known` is filled with what was parsed, and spares parsing it again the next time.
    """
    found = Reader(_by_key(last_good or Definitions()), {} if known is None else known, retention)
    for kind, name in FOLDERS.items():
        for path in sorted((folder / name).glob("*.json")):
            found.read(kind, path)
    for path in sorted((folder / ARTICLES).glob("*.md")):
        found.read_article(path)
    return found.settle()


def folder_problem(folder: Path) -> str | None:
    """Why a folder holds no definitions, and which was meant; None where it holds some."""
    names = (*FOLDERS.values(), ARTICLES)
    if not folder.is_dir():
        return "it is not there yet"
    if any((folder / name).is_dir() for name in names):
        return None
    guess = f"; did you mean {folder.resolve().parent}?" if folder.resolve().name in names else ""
    return f"it holds none of {', '.join(f'{name}/' for name in names)}{guess}"


class Reader:
    """Takes one document after the other, then settles what the whole set says. `retention`: how long the log is kept, ms."""

    def __init__(self, last_good: dict[Key, Any], known: dict[str, Parsed], retention: int | None = None) -> None:
        self.retention = retention
        self.last_good = last_good
        self.known = known
        self.documents: dict[Key, Any] = {}
        self.broken: list[Key] = []
        self.files: dict[Key, tuple[str, bytes]] = {}
        self.problems: list[Problem] = []
        self._own: dict[Key, dict[str, str]] = defaultdict(dict)

    def read(self, kind: str, path: Path) -> None:
        if (text := self._text(path)) is not None:
            self.take(kind, str(path), text)

    def read_article(self, path: Path) -> None:
        if (text := self._text(path)) is not None:
            self.take_article(str(path), text)

    def take(self, kind: Any, file: str, text: bytes) -> None:
        key = kind, Path(file).stem
        parsed = self._parsed(file, text, partial(_parse, kind, self.retention))
        self.files[key] = file, text
        document = parsed.document or self.last_good.get(key)
        if parsed.document is not None:
            self._own[key][name_of(file)] = text.decode()
        if document is not None:
            self.documents[key] = document
        if parsed.document is None:
            self.broken.append(key)

    def take_article(self, file: str, text: bytes) -> None:
        identifier, locale, content = self._parsed(file, text, _parse_article).document
        key = "article", identifier
        self.files[key] = file, text
        if content is not None:
            self._own[key][name_of(file)] = text.decode()
        elif (before := self.last_good.get(key)) is not None:
            content = before.content.get(locale)
        if content is not None:
            locales: dict[str, ArticleContent] = self.documents[key].content if key in self.documents else {}
            self.documents[key] = Article(identifier, {**locales, locale: content})

    def _parsed(self, file: str, text: bytes, parse: Callable[[bytes, str], Parsed]) -> Parsed:
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
                texts = {name: text for own in self._own.values() for name, text in own.items()}
                definitions = _definitions(self.documents.values())
                more = [
                    *cross_doubts(definitions, self.files),
                    *lost_references(self._shapes(), definitions, self.files),
                ]
                self.problems = list(dict.fromkeys([*self.problems, *more]))
                return Loaded(definitions, self.problems, self.files, texts)
            for key in broken:
                self._own.pop(key, None)
                before = self.last_good.get(key)
                if before is not None and before != self.documents[key]:
                    self.documents[key] = before
                else:
                    del self.documents[key]

    def _shapes(self) -> Iterator[Document]:
        """The broken documents, as far as they can be read."""
        for kind, identifier in self.broken:
            file, text = self.files[kind, identifier]
            document = shape_of(kind, text, file)  # type: ignore[arg-type]
            if document is not None:
                yield msgspec.structs.replace(document, id=identifier)

    def _text(self, path: Path) -> bytes | None:
        try:
            return read_document(path)
        except FileNotFoundError:
            return None  # an editor that renames: the next change brings it back
        except OSError as error:
            self.problems.append(Problem(str(path), 0, 0, "$", f"Expected a readable file: {error.strerror}"))
            return None


def name_of(file: str) -> str:
    """What a document's file is called wherever its folder lies: `rules/hello.json`."""
    return "/".join(Path(file).parts[-2:])


def read_document(path: Path) -> bytes:
    """The bytes of a document. Raises OSError for what is no ordinary file: reading a pipe or a device might never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not an ordinary file")
    with path.open("rb") as file:
        return file.read(READ_BYTES)


def _parse(kind: Any, retention: int | None, text: bytes, file: str) -> Parsed:
    document, problems = parse(kind, text, file, retention)
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
        "project": definitions.project,
    }
    return {(kind, document.id): document for kind, documents in groups.items() for document in documents}


def _definitions(documents: Iterable[Any]) -> Definitions:
    found = Definitions([], [], [], [], [])
    lists: dict[type, list[Any]] = {
        Rule: found.rules,
        Message: found.messages,
        Segment: found.segments,
        Article: found.articles,
        Project: found.project,
    }
    for document in documents:
        lists[type(document)].append(document)
    return found
