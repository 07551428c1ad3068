"""Reading a condition: names and arity are checked, temporal operators become slots, trackers are derived.

The walk rewrites the condition into plain JSONLogic. Positions are kept (an operator becomes a variable in the same
place), so that what the engine says of the rewritten condition points into the author's text.
"""

import math
from typing import Any, Final

import msgspec

from rules import dialect
from rules.documents import EventNames, names_of
from rules.duration import parse_duration
from rules.errors import DurationError
from rules.limits import MAX_EVENT_NAMES, MAX_TIMESTAMPS, MIN_TIMESTAMPS
from rules.problems import Path, Report, kind_of, nearest
from rules.temporal import LATER, OPTIONS, Slot, Tracker, slot_name, tracker_id
from rules.variables import SLOTS, VARIABLES, WHERE_ROOTS, variable_problem

COMPARISONS: Final = frozenset(("==", "===", "!=", "!==", ">", ">=", "<", "<="))
READERS: Final = frozenset(("var", "val", "missing", "missing_some", "exists"))
TEMPORAL: Final = frozenset(OPTIONS)


class Condition(msgspec.Struct):
    """An analysed condition: plain JSONLogic, and the history it asks for."""

    logic: Any
    slots: dict[str, Slot] = {}
    trackers: dict[str, Tracker] = {}


class _Scope(msgspec.Struct, frozen=True):
    """Where in the condition the walk is."""

    truth: bool = True  # only the truthiness of this value matters
    item: bool = False  # `var` reads an item, not the whole data
    where: bool = False  # inside the `where` of a temporal operator

    def within(self, truth: bool, item: bool = False) -> "_Scope":
        return _Scope(truth, self.item or item, self.where)


def read_condition(logic: Any, path: Path, report: Report, truth: bool = True) -> Condition | None:
    """Analyses a condition (or, with `truth` false, an expression); None with the problems reported."""
    return _Walk(report, path).run(logic, _Scope(truth))


class _Walk:
    def __init__(self, report: Report, path: Path) -> None:
        self.report = report
        self.path = path
        self.found = Condition(None, {}, {})

    def run(self, logic: Any, scope: _Scope) -> Condition | None:
        before = len(self.report.problems)
        if not dialect.bounded(logic):
            self.report.add(self.path, "Expected a condition of at most 64 levels and 10,000 values")
            return None
        self.found.logic = self.node(logic, self.path, scope)
        if len(self.report.problems) == before:
            self.diagnose(logic, self.found.logic, self.path)
        failed = any(problem.severity == "error" for problem in self.report.problems[before:])
        return None if failed else self.found

    def diagnose(self, written: Any, logic: Any, path: Path) -> None:
        for pointer, message, severity in dialect.diagnose(logic):
            self.report.add((*path, *_steps(written, pointer)), message, _severity(severity))

    def node(self, logic: Any, path: Path, scope: _Scope) -> Any:
        if isinstance(logic, list):
            inner = scope.within(truth=False)
            return [self.node(item, (*path, index), inner) for index, item in enumerate(logic)]
        if not isinstance(logic, dict) or not logic:
            return logic
        if len(logic) > 1:
            names = ", ".join(f"`{name[:20]}`" for name in list(logic)[:4])
            self.report.add(path, f"Expected an object with one operator, got {len(logic)} fields: {names}")
            return None
        ((name, arguments),) = logic.items()
        return self.operator(name, arguments, path, scope)

    def operator(self, name: str, arguments: Any, path: Path, scope: _Scope) -> Any:
        inner = (*path, name)
        if name in TEMPORAL:
            return self.temporal(name, arguments, inner, scope, keep=1 if scope.truth else None)
        if name in READERS:
            self.reader(name, arguments, inner, scope)
        elif name in dialect.REFUSED:
            self.report.add(path, f"Unknown operator `{name}`: {dialect.REFUSED[name]}", key=name)
        elif name in LATER:
            self.report.add(path, f"The operator `{name}` is not supported yet", key=name)
        elif name not in dialect.OPERATORS:
            guess = nearest(name, dialect.OPERATORS | TEMPORAL)
            self.report.add(path, f"Unknown operator `{name[:60]}`{guess}", key=name)
            return None
        if not isinstance(arguments, list):
            return {name: self.argument(name, arguments, 0, 1, inner, scope)}
        count = len(arguments)
        if name in COMPARISONS:
            return {name: self.comparison(arguments, inner, scope)}
        return {
            name: [
                self.argument(name, value, index, count, (*inner, index), scope)
                for index, value in enumerate(arguments)
            ]
        }

    def argument(self, name: str, value: Any, index: int, count: int, path: Path, scope: _Scope) -> Any:
        scoped = dialect.SCOPED.get(name)
        item = scoped is not None and index == scoped % count
        return self.node(value, path, scope.within(_is_truth(name, index, count, scope.truth), item))

    def comparison(self, arguments: list[Any], path: Path, scope: _Scope) -> list[Any]:
        """Arguments of a comparison; a windowed count among numbers is bounded by the greatest of them."""
        inner = scope.within(truth=False)
        keep = _bound(arguments)
        result = []
        for index, value in enumerate(arguments):
            here = (*path, index)
            if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in TEMPORAL:
                ((name, asked),) = value.items()
                result.append(self.temporal(name, asked, (*here, name), inner, keep))
            else:
                result.append(self.node(value, here, inner))
        return result

    def reader(self, name: str, arguments: Any, path: Path, scope: _Scope) -> None:
        """Checks the names of variables where they are known: not computed, and not those of an item."""
        if scope.item:
            return
        roots = WHERE_ROOTS if scope.where else tuple(VARIABLES)
        for wanted, place in _names_read(name, arguments, path):
            problem = variable_problem(wanted, roots) if wanted else None
            if scope.where and not wanted:
                problem = "A `where` reads only `event.*` and `page.*`, not the whole data"
            if problem:
                self.report.add(place, problem)

    def temporal(self, name: str, arguments: Any, path: Path, scope: _Scope, keep: int | None) -> Any:
        if scope.where:
            self.report.add(path[:-1], f"A `where` cannot ask for history, got `{name}`", key=name)
            return None
        if scope.item:
            message = f"`{name}` cannot stand inside an iteration; it does not depend on the item, move it out"
            self.report.add(path[:-1], message, key=name)
            return None
        before = len(self.report.problems)
        names, options, at = self.asked(name, arguments, path)
        within = self.window(options, at)
        where = self.where(options, at)
        first = options.get("first", False)
        if not isinstance(first, bool):
            self.report.add((*at, "first"), f"Expected true or false, got {kind_of(first)}")
        needed = self.needed(name, within, keep, path)
        if len(self.report.problems) > before:
            return None
        return self.slot(name, names, within, where, bool(first), needed)

    def asked(self, name: str, arguments: Any, path: Path) -> tuple[tuple[str, ...], dict[str, Any], Path]:
        """Event names, options, and where the options stand."""
        values = arguments if isinstance(arguments, list) else [arguments]
        if values and all(isinstance(value, str) for value in values) and len(values) > 1:
            self.report.add((*path, 1), f'Several events are given as one list: {{"{name}": [["A", "B"]]}}')
            return (), {}, path
        if not 1 <= len(values) <= 2:
            self.report.add(path, f"Expected an event and its options, got {len(values)} arguments")
            return (), {}, path
        names = self.names(values[0], (*path, 0) if isinstance(arguments, list) else path)
        at = (*path, 1)
        options = values[1] if len(values) == 2 else {}
        if not isinstance(options, dict):
            self.report.add(at, f"Expected an object of options, got {kind_of(options)}")
            return names, {}, at
        for option in options:
            if option not in OPTIONS[name]:
                guess = nearest(option, OPTIONS[name])
                allowed = ", ".join(f"`{right}`" for right in OPTIONS[name])
                self.report.add(at, f"Unknown option `{option[:60]}` of `{name}` (it has {allowed}){guess}", key=option)
        return names, options, at

    def names(self, value: EventNames, path: Path) -> tuple[str, ...]:
        listed = value if isinstance(value, list) else [value]
        if not listed or len(listed) > MAX_EVENT_NAMES:
            self.report.add(path, f"Expected 1 to {MAX_EVENT_NAMES} event names, got {len(listed)}")
        for index, name in enumerate(listed):
            if not isinstance(name, str) or not name:
                place = (*path, index) if isinstance(value, list) else path
                self.report.add(place, f"Expected the name of an event, got {kind_of(name)}")
                return ()
        return names_of(value)

    def window(self, options: dict[str, Any], path: Path) -> int | None:
        if "within" not in options:
            return None
        try:
            within = parse_duration(options["within"])
        except DurationError as error:
            self.report.add((*path, "within"), str(error))
            return None
        if within == 0:
            self.report.add((*path, "within"), "Expected a window longer than nothing")
        return within

    def where(self, options: dict[str, Any], path: Path) -> Any:
        if "where" not in options:
            return None
        where, at = options["where"], (*path, "where")
        if where is None:
            self.report.add(at, "Expected a condition, got null")
            return None
        before = len(self.report.problems)
        logic = self.node(where, at, _Scope(truth=True, where=True))
        if len(self.report.problems) == before:
            self.diagnose(where, logic, at)
        return logic

    def needed(self, name: str, within: int | None, keep: int | None, path: Path) -> int:
        """How many timestamps answer this question exactly."""
        if name != "count" or within is None:
            return 0
        if keep is None:
            self.report.add(
                path[:-1],
                "A `count` within a window must be compared with a constant number, so that the history it needs is bounded",
                key=name,
            )
            return 0
        if keep > MAX_TIMESTAMPS:
            self.report.add(
                path[:-1],
                f"This needs {keep:,} timestamps of every person; at most {MAX_TIMESTAMPS:,} are kept",
                key=name,
            )
        return keep

    def slot(
        self, name: str, names: tuple[str, ...], within: int | None, where: Any, first: bool, needed: int
    ) -> dict[str, Any]:
        tracker = tracker_id(names, where)
        keep = max(needed, MIN_TIMESTAMPS)
        known = self.found.trackers.get(tracker)
        if known is None:
            self.found.trackers[tracker] = Tracker(tracker, names, where, keep)
        else:
            known.keep = max(known.keep, keep)
        slot = Slot(slot_name(tracker, name, within, first), tracker, name, within, first)  # type: ignore[arg-type]
        self.found.slots[slot.name] = slot
        return {"var": f"{SLOTS}.{slot.name}"}


def _is_truth(name: str, index: int, count: int, outer: bool) -> bool:
    """Whether only the truthiness of an argument matters."""
    if name in ("!", "!!"):
        return True
    if name in ("and", "or"):
        return outer
    if name in ("if", "?:"):
        condition = index % 2 == 0 and index < count - 1
        return condition or outer
    return False


def _bound(arguments: list[Any]) -> int | None:
    """Timestamps that settle a comparison of a count with constants: one more than the greatest; None if unknown."""
    greatest = 0
    for value in arguments:
        if isinstance(value, dict) and len(value) == 1 and next(iter(value)) == "count":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        greatest = max(greatest, math.floor(value))
    return greatest + 1 if sum(isinstance(value, dict) for value in arguments) == 1 else None


def _names_read(name: str, arguments: Any, path: Path) -> list[tuple[str, Path]]:
    """Constant variable names in the arguments of a reading operator, with their places."""
    listed = isinstance(arguments, list)
    values = list(enumerate(arguments)) if listed else [(0, arguments)]
    if name in ("val", "exists"):
        if not all(isinstance(value, str) for _, value in values):
            return []
        return [(".".join(value for _, value in values), path)] if values else []
    if name == "var":
        values = values[:1]
    if name == "missing_some":
        inner = arguments[1] if listed and len(arguments) == 2 and isinstance(arguments[1], list) else []
        return [(value, (*path, 1, index)) for index, value in enumerate(inner) if isinstance(value, str)]
    return [(str(value), (*path, index) if listed else path) for index, value in values if isinstance(value, str | int)]


def _steps(logic: Any, pointer: str) -> Path:
    """A JSON Pointer as a path into the author's condition."""
    steps: list[str | int] = []
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(logic, dict) and name in logic:
            logic = logic[name]
            steps.append(name)
        elif isinstance(logic, list) and name.isdecimal() and int(name) < len(logic):
            logic = logic[int(name)]
            steps.append(int(name))
    return tuple(steps)


def _severity(severity: str) -> Any:
    return "error" if severity == "error" else "warning"
