"""Reading a condition: names and arity are checked, temporal operators become slots, trackers are derived.

The walk rewrites the condition into plain JSONLogic. Positions are kept (an operator becomes a variable in the same
place), so that what the engine says of the rewritten condition points into the author's text.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from rules import dialect
from rules.asking import read_question
from rules.limits import MAX_DEPTH, MAX_NODES, MAX_SEGMENTS
from rules.problems import Path, Report, kind_of, nearest
from rules.temporal import OPTIONS, SEGMENT, Slot, Tracker
from rules.variables import SLOTS, VARIABLES, WHERE_ROOTS, variable_problem

COMPARISONS: Final = frozenset(("==", "===", "!=", "!==", ">", ">=", "<", "<="))
READERS: Final = frozenset(("var", "val", "missing", "missing_some", "exists"))
TEMPORAL: Final = frozenset(OPTIONS)
_BOUNDED: Final = ("count", "distinct", "days_active")  # numbers that grow, and are compared
_BUILDING: Final = ("cat", "merge")  # make one value of several
_NAMING: Final = {"seen": "message", SEGMENT: "segment"}
Segments = Mapping[str, Any]


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


def read_condition(
    logic: Any, path: Path, report: Report, truth: bool = True, segments: Segments | None = None
) -> Condition | None:
    """Analyses a condition (or, with `truth` false, an expression); None with the problems reported.

    `segments` are the conditions by their ids; without them a `segment` is taken on trust.
    """
    return _Walk(report, path, segments).run(logic, _Scope(truth))


def merge_trackers(known: dict[str, Tracker], more: dict[str, Tracker]) -> None:
    """Adds trackers; one that is asked twice keeps enough for both."""
    for name, tracker in more.items():
        found = known.setdefault(name, tracker)
        if found.keep < tracker.keep:
            known[name] = msgspec.structs.replace(found, keep=tracker.keep)


def references(logic: Any, path: Path) -> Iterator[tuple[Path, str, str]]:
    """(path, `message` or `segment`, id) of every document that a condition names; nothing of one that is refused for its size."""
    waiting = [(logic, path)] if dialect.bounded(logic) else []
    while waiting:
        item, here = waiting.pop()
        if isinstance(item, list):
            waiting += [(inner, (*here, index)) for index, inner in enumerate(item)]
        elif isinstance(item, dict):
            for name, inner in item.items():
                waiting.append((inner, (*here, name)))
                if name not in _NAMING or len(item) != 1:
                    continue
                first = inner[0] if isinstance(inner, list) and inner else inner
                place = (*here, name, 0) if isinstance(inner, list) else (*here, name)
                several = isinstance(first, list)
                for index, identifier in enumerate(first if several else [first]):
                    if isinstance(identifier, str) and identifier:
                        yield (*place, index) if several else place, _NAMING[name], identifier


class _Walk:
    def __init__(
        self,
        report: Report,
        path: Path,
        segments: Segments | None,
        outer: "_Walk | None" = None,
        segment: str = "",
    ) -> None:
        self.report = report
        self.path = path
        self.segments = segments
        # The segments whose conditions the walk is in; how many values of segments were put in so far.
        self.inside: tuple[str, ...] = (*outer.inside, segment) if outer else ()
        self.expanded: list[int] = outer.expanded if outer else [0]
        self.silent: dict[str, Path] = {}  # answers that, null, would pass a comparison → where
        self.found: Condition = outer.found if outer else Condition(None, {}, {})

    def run(self, logic: Any, scope: _Scope) -> Condition | None:
        before = len(self.report.problems)
        if not dialect.bounded(logic):
            self.report.add(self.path, f"Expected a condition of at most {MAX_DEPTH} levels and {MAX_NODES:,} values")
            return None
        if scope.truth and isinstance(logic, str | int | float | list) and not isinstance(logic, bool):
            message = 'Expected a condition: an object with one operator, such as {"==": [{"var": "page.path"}, "/"]}'
            self.report.add(self.path, f"{message}, got {kind_of(logic)}")
            return None
        self.found.logic = self.node(logic, self.path, scope)
        self.warn_of_silence()
        if len(self.report.problems) == before and not dialect.bounded(self.found.logic):
            message = f"With its segments the condition has more than {MAX_DEPTH} levels or {MAX_NODES:,} values"
            self.report.add(self.path, message)
        elif len(self.report.problems) == before:
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
        if name == SEGMENT:
            return self.segment(arguments, inner, scope)
        if name in READERS:
            self.reader(name, arguments, inner, scope)
        elif name in dialect.REFUSED:
            self.report.add(path, f"Unknown operator `{name}`: {dialect.REFUSED[name]}", key=name)
        elif name not in dialect.OPERATORS:
            guess = nearest(name, dialect.OPERATORS | TEMPORAL | {SEGMENT})
            self.report.add(path, f"Unknown operator `{name[:60]}`{guess}", key=name)
            return None
        if not isinstance(arguments, list):
            return {name: self.argument(name, arguments, 0, 1, inner, scope)}
        if name == "in" and len(arguments) == 2 and isinstance(arguments[1], list):
            self.constants([arguments[0], *arguments[1]], inner)
        if name == "reduce" and len(arguments) > 1 and _doubles(arguments[1]):
            message = "A `reduce` may put its `accumulator` once into a `cat`, `merge` or list: twice, it doubles with each item"
            self.report.add(path, message, key=name)
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
        """Arguments of a comparison; what counts among numbers is bounded by the greatest of them."""
        inner = scope.within(truth=False)
        keep = _bound(arguments)
        self.constants(arguments, path)
        result = []
        for index, value in enumerate(arguments):
            here = (*path, index)
            if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in TEMPORAL:
                ((name, asked),) = value.items()
                answer = self.temporal(name, asked, (*here, name), inner, keep)
                result.append(answer)
                if name == "seconds_since" and answer and _holds_for_null(path[-1], index):
                    self.silent[answer["var"]] = here
            else:
                result.append(self.node(value, here, inner))
        return result

    def constants(self, arguments: list[Any], path: Path) -> None:
        """A comparison that reads nothing is the same for everybody, always."""
        if any(isinstance(value, dict) for value in arguments) or len(arguments) < 2:
            return
        names = [value for value in arguments if isinstance(value, str) and "." in value]
        known = next((value for value in names if variable_problem(value) is None), None)
        hint = f'; to read it, write {{"var": "{known}"}}' if known else ""
        self.report.add(path[:-1], f"This compares constants: it is the same for everybody{hint}", "warning")

    def warn_of_silence(self) -> None:
        """`seconds_since` of what never happened is null, which counts as 0 in an order."""
        asked = {slot.tracker for slot in self.found.slots.values() if slot.question in ("did", "count")}
        for variable, path in self.silent.items():
            slot = self.found.slots[variable.removeprefix(f"{SLOTS}.")]
            if slot.tracker not in asked:
                names = self.found.trackers[slot.tracker].names
                did = json.dumps({"did": [names[0] if len(names) == 1 else names]}, ensure_ascii=False)
                message = f"This holds also for who never did it: null counts as 0. Add {did} beside it"
                self.report.add(path, message, "warning")

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
        """A question to the history becomes a variable that carries the answer."""
        if not self.stands_well(name, path, scope):
            return None
        found = read_question(name, arguments, path, self.report, keep, self.where)
        if found is None:
            return None
        slot, tracker = found
        self.found.slots[slot.name] = slot
        merge_trackers(self.found.trackers, {tracker.id: tracker})
        return {"var": f"{SLOTS}.{slot.name}"}

    def stands_well(self, name: str, path: Path, scope: _Scope) -> bool:
        """Whether history may be asked for here."""
        if scope.where:
            self.report.add(path[:-1], f"A `where` cannot ask for history, got `{name}`", key=name)
        elif scope.item:
            message = f"`{name}` cannot stand inside an iteration; it does not depend on the item, move it out"
            self.report.add(path[:-1], message, key=name)
        return not (scope.where or scope.item)

    def where(self, logic: Any, path: Path) -> Any:
        before = len(self.report.problems)
        found = self.node(logic, path, _Scope(truth=True, where=True))
        if len(self.report.problems) == before:
            self.diagnose(logic, found, path)
        return found

    def segment(self, arguments: Any, path: Path, scope: _Scope) -> Any:
        """The condition of a segment stands where its name stood."""
        name = arguments[0] if isinstance(arguments, list) and len(arguments) == 1 else arguments
        if not isinstance(name, str) or not name:
            self.report.add(path, f"Expected the id of one segment, got {kind_of(name)}")
            return None
        if not self.stands_well(SEGMENT, path, scope):
            return None
        if self.segments is None:  # one file alone: the others are not known yet
            return {"var": f"{SLOTS}.{SEGMENT}:{name}"}
        if name in self.inside or name not in self.segments:
            return None  # `cross_check` says so
        self.expanded[0] += dialect.nodes(self.segments[name])
        if self.expanded[0] > MAX_NODES or len(self.inside) == MAX_SEGMENTS:
            message = f"Expected at most {MAX_SEGMENTS} segments one inside the other, and {MAX_NODES:,} values in all"
            self.report.add(path, message)
            return None
        inner = _Walk(Report(""), (), self.segments, self, name)
        logic = inner.node(self.segments[name], (), _Scope(truth=True))
        for problem in inner.report.problems:
            self.report.add(path, f"In the segment `{name}`: {problem.message}")
        return logic if scope.truth else {"!!": [logic]}


def _doubles(body: Any) -> bool:
    """Whether the body of a `reduce` builds a value that holds its accumulator more than once: no budget of operations ends that."""

    def uses(logic: Any) -> int:
        if isinstance(logic, list):
            return sum(map(uses, logic))
        if not isinstance(logic, dict):
            return 0
        total = 0
        for name, arguments in logic.items():
            read = arguments[0] if isinstance(arguments, list) and arguments else arguments
            if name in ("var", "val") and isinstance(read, str) and read.partition(".")[0] in ("accumulator", ""):
                total += 1
            else:
                total += uses(arguments)
        return total

    def grows(logic: Any) -> bool:
        if isinstance(logic, list):
            return uses(logic) > 1 or any(map(grows, logic))
        if not isinstance(logic, dict):
            return False
        return any(
            (name in _BUILDING and uses(arguments) > 1)
            or any(map(grows, arguments if isinstance(arguments, list) else [arguments]))
            for name, arguments in logic.items()
        )

    return grows(body)


def _holds_for_null(operator: str | int, index: int) -> bool:
    """Whether a comparison with a number may hold because null counts as 0."""
    return operator in (("<", "<=") if index == 0 else (">", ">="))


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
        if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _BOUNDED:
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
