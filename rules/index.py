"""From an event to the few rules (or trackers) worth evaluating.

What a condition *demands* is found in its top-level conjunction: `{"==": [{"var": "page.path"}, "/pricing"]}` cannot hold
where the path is anything else. One such demand, the most selective, becomes the key under which a rule is filed. The index may
offer a rule that does not match; it must never miss one that does, so only demands whose meaning under JSONLogic's loose
equality is certain are used.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from rules.temporal import ANY

T = TypeVar("T")
VarPath = tuple[str, ...]
Read = Callable[[VarPath], Any]

_ROOTS: Final = frozenset(("event", "page", "user", "group", "device"))
_WORDS: Final = frozenset(("true", "false", "null", "nan", "inf", "infinity"))


class Demand(NamedTuple):
    """The value at `path` must be one of `values`."""

    path: VarPath
    values: frozenset[str]


def is_plain(value: Any) -> bool:
    """Whether a constant equals, even loosely, only the very same string: no number, date, duration or boolean word."""
    if not isinstance(value, str) or not value:
        return False
    first = value[0]
    return (first.isalpha() or first in "/_#$@*") and value.lower() not in _WORDS


def clauses(logic: Any) -> list[Any]:
    """The parts of the top-level conjunction: all of them must hold."""
    found: list[Any] = []
    waiting = [logic]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict) and len(part) == 1 and isinstance(part.get("and"), list) and part["and"]:
            waiting += part["and"]
        else:
            found.append(part)
    return found


def demand_of(clause: Any) -> Demand | None:
    """What one clause demands, where that is an equality or a membership of plain strings."""
    if not isinstance(clause, dict) or len(clause) != 1:
        return None
    ((operator, arguments),) = clause.items()
    if not isinstance(arguments, list) or len(arguments) != 2:
        return None
    left, right = arguments
    if operator in ("==", "==="):
        if isinstance(left, str):
            left, right = right, left
        values: list[Any] = [right]
    elif operator == "in" and isinstance(right, list):
        values = right
    else:
        return None
    path = var_path(left)
    if path is None or not values or not all(is_plain(value) for value in values):
        return None
    return Demand(path, frozenset(values))


def var_path(logic: Any) -> VarPath | None:
    """The path a constant `var` or `val` reads, where it leads through objects only."""
    if not isinstance(logic, dict) or len(logic) != 1:
        return None
    ((operator, name),) = logic.items()
    if operator == "var" and isinstance(name, list) and len(name) == 1:
        name = name[0]
    if operator == "var" and isinstance(name, str):
        path = tuple(name.split("."))
    elif operator == "val" and isinstance(name, list) and all(isinstance(step, str) for step in name):
        path = tuple(name)
    else:
        return None
    if len(path) < 2 or path[0] not in _ROOTS or any(not step or step[0].isdigit() for step in path):
        return None
    return path


def demands(logic: Any) -> list[Demand]:
    return [found for found in map(demand_of, clauses(logic)) if found is not None]


def walk(value: Any, steps: Iterable[str]) -> Any:
    """What a path of field names leads to; None where it leads nowhere."""
    for step in steps:
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


class _Shelf(Generic[T]):
    """What is filed under one event name."""

    __slots__ = ("always", "by_path")

    def __init__(self) -> None:
        self.always: list[T] = []
        self.by_path: dict[VarPath, dict[str, list[T]]] = {}


class Index(Generic[T]):
    def __init__(self, entries: Sequence[tuple[T, Iterable[str], list[Demand]]]) -> None:
        """`entries`: what to find, the event names that concern it (ANY: all), and what it demands (all of it)."""
        spread = _spread(entries)
        known = {name for _, names, _ in entries for name in names if name != ANY}
        self._shelves: dict[str, _Shelf[T]] = {}
        for item, names, wanted in entries:
            best = max(wanted, key=lambda demand: (spread[demand.path] / len(demand.values), demand.path), default=None)
            for name in (*known, ANY) if ANY in names else names:
                self._file(self._shelves.setdefault(name, _Shelf()), item, best)
        self._unnamed = self._shelves.get(ANY)

    @staticmethod
    def _file(shelf: _Shelf[T], item: T, best: Demand | None) -> None:
        if best is None:
            shelf.always.append(item)
            return
        values = shelf.by_path.setdefault(best.path, {})
        for value in best.values:
            values.setdefault(value, []).append(item)

    def find(self, name: str, read: Read) -> list[T]:
        """Everything an event of this name may concern; `read` gives the data at a path."""
        shelf = self._shelves.get(name, self._unnamed)
        if shelf is None:
            return []
        found = shelf.always
        for path, values in shelf.by_path.items():
            value = read(path)
            if type(value) is str:
                hits = values.get(value)
                if hits:
                    found = found + hits
        return found


def _spread(entries: Sequence[tuple[T, Iterable[str], list[Demand]]]) -> dict[VarPath, int]:
    """How many different values each path is compared with: the more, the fewer rules share one."""
    values: dict[VarPath, set[str]] = defaultdict(set)
    for _, _, wanted in entries:
        for demand in wanted:
            values[demand.path] |= demand.values
    return {path: len(found) for path, found in values.items()}
