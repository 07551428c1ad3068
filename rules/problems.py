"""Problems: what is wrong in a document, where, and what was expected."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Final, Literal

import msgspec

from rules.limits import MAX_PROBLEMS

Path = tuple[str | int, ...]
Severity = Literal["error", "warning", "note"]

MAX_KEY: Final = 60  # characters of a field name that are shown
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Problem(msgspec.Struct, frozen=True):
    """`line` and `column` count from 1; 0 where the place is not known (documents without their text)."""

    file: str
    line: int
    column: int
    path: str
    message: str
    severity: Severity = "error"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.path}: {self.message}"


class Place:
    """Where a JSON value starts in its text, and the places of what it holds."""

    __slots__ = ("inside", "keys", "offset")

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.inside: dict[str | int, Place] = {}
        self.keys: dict[str, int] = {}

    def find(self, path: Path) -> int:
        """The offset of a path, or of the nearest value around it. An unknown key is found by its own place."""
        place = self
        for step in path:
            inner = place.inside.get(step)
            if inner is None:
                break
            place = inner
        return place.offset


class Report:
    """Collects the problems of one document."""

    def __init__(self, file: str, text: str = "", place: Place | None = None) -> None:
        self.file = file
        self.text = text
        self.place = place
        self.problems: list[Problem] = []
        self.paths: dict[str, Path] = {}  # of the problems, by how they are shown

    @property
    def failed(self) -> bool:
        return any(problem.severity == "error" for problem in self.problems)

    def add(self, path: Path, message: str, severity: Severity = "error", key: str | None = None) -> None:
        """Notes a problem at a path; `key` names a field of it whose *name* is at fault."""
        if len(self.problems) >= MAX_PROBLEMS:
            return
        line, column = (0, 0) if self.place is None else line_column(self.text, self._offset(path, key))
        path = path if key is None else (*path, key)
        shown = show_path(path)
        self.paths[shown] = path
        problem = Problem(self.file, line, column, shown, printable(message), severity)
        if problem not in self.problems:
            self.problems.append(problem)

    def take(self, problems: Iterable[Problem]) -> None:
        """Adds problems that another report has found in the same document."""
        self.problems += [found for found in problems if found not in self.problems]
        del self.problems[MAX_PROBLEMS:]

    def place_of(self, path: Path) -> str:
        """A path with its line and column, to point at it from the problem of another."""
        if self.place is None:
            return f"`{show_path(path)}`"
        line, column = line_column(self.text, self._offset(path, None))
        return f"`{show_path(path)}` ({line}:{column})"

    def _offset(self, path: Path, key: str | None) -> int:
        assert self.place is not None
        if key is None:
            return self.place.find(path)
        place = self.place
        for step in path:
            place = place.inside.get(step, place)
        return place.keys.get(key, place.offset)


def line_column(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def show_path(path: Path) -> str:
    """`("condition", "and", 1)` → `$.condition.and[1]`."""
    parts = ["$"]
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif len(step) <= MAX_KEY and _PLAIN_KEY.fullmatch(step):
            parts.append(f".{step}")
        else:
            parts.append(f"[{printable(repr(step[:MAX_KEY]))}]")
    return "".join(parts)


def printable(text: str) -> str:
    """Text that can always be encoded and printed: lone surrogates become U+FFFD."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean `x`?` for the nearest right name, or nothing."""
    lowered = {right.lower(): right for right in names}
    found = get_close_matches(name[:80].lower(), lowered, n=1, cutoff=0.6)
    return f"; did you mean `{lowered[found[0]]}`?" if found else ""


def kind_of(value: Any) -> str:
    """What a JSON value is, in words an author knows."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return f"the number {value}" if abs(value) < 1e15 else "a large number"
    if isinstance(value, str):
        return f"`{value[:40]}`" if value else "an empty string"
    return "an array" if isinstance(value, list) else "an object"
