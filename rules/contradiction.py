"""Conditions that can never hold, or always do: clauses that contradict, types that never match, an event that counts itself.

All of it is a warning. Such a rule harms nobody, and it may be half written; an error would keep its last good version live. What is said
is certain (rules/solver.py): it holds for all data that this dialect can meet. Two things are merely all but certain, and worded so:
that an event arrives in time, and that `page.path` is a text.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rules.analysis import Analysis
from rules.clauses import shown
from rules.condition import Condition
from rules.history import History
from rules.index import demand_of, is_plain
from rules.problems import Path, Report
from rules.solver import Solver, TooHard, variable_of
from rules.temporal import OPTIONS
from rules.values import ANY_NUMBER, ANY_WORD, EMPTY, NULL, TEXT, Numbers, Values, Words
from rules.variables import SLOTS

Known = Mapping[str, Values]

MAX_PARTS: Final = 40  # of a conjunction, of which the contradictory ones are looked for
MAX_TOLD: Final = 3  # of many clauses that only together contradict
_AMOUNT: Final = Values(numbers=Numbers(low=0))
_WHOLE: Final = Values(numbers=Numbers(low=0, whole=True))
_WORD: Final = Values(words=ANY_WORD)
_NAME: Final = Values(NULL | EMPTY, None, ANY_NUMBER, ANY_WORD)
_CALLS: Final = Values(words=Words(frozenset(("track", "page", "screen", "identify", "group", "alias")), True))
# What variables can be, whoever sends what, and what an author is told of it.
_TYPES: Final[dict[str, tuple[Values, str]]] = {
    "event.type": (_CALLS, "is one of track, page, screen, identify, group, alias"),
    "event.timestamp": (_WORD, "is a time such as `2026-12-01T09:00:00.000Z`"),
    "now": (_WORD, "is a time such as `2026-12-01T09:00:00.000Z`"),
    "user.id": (_NAME, "is a text or null"),
    "user.anonymous_id": (_NAME, "is a text or null"),
    "user.first_seen": (_WORD, "is a time such as `2026-12-01T09:00:00.000Z`"),
    "user.last_seen": (_WORD, "is a time such as `2026-12-01T09:00:00.000Z`"),
    "session.started_at": (Values(NULL, words=ANY_WORD), "is a time such as `2026-12-01T09:00:00.000Z`, or null"),
    "session.seconds": (_AMOUNT, "is a number, 0 or more"),
    "session.events": (_WHOLE, "is a whole number, 0 or more"),
    "session.pages": (_WHOLE, "is a whole number, 0 or more"),
    "session.number": (_WHOLE, "is a whole number, 0 or more"),
    "group.id": (_NAME, "is a text or null"),
}
_LIKELY: Final[dict[str, tuple[Values, str]]] = {
    name: (Values(NULL, words=ANY_WORD), "is a text such as `/pricing`") for name in ("page.path", "page.url")
}
_EVENT_NAME: Final = ("event", "name")
_TYPE_VALUES: Final = {name: values for name, (values, _) in _TYPES.items()}
_LIKELY_VALUES: Final = {name: values for name, (values, _) in _LIKELY.items()}
_ANSWERS: Final = {
    "count": "is a whole number, 0 or more",
    "distinct": "is a whole number, 0 or more",
    "days_active": "is a whole number of days, at most as many as the window has",
    "did": "is true or false",
    "sequence": "is true or false",
    "seconds_since": "is a number, 0 or more, or null",
}


def contradictions(found: Analysis, report: Report) -> None:
    """Reports what can never or must always hold in an analysed rule."""
    known = known_of(found)
    waking = () if found.absence or found.occasion else found.triggers
    _look(found.condition, found.rule.condition, ("condition",), report, known, waking)
    if isinstance(found.delay, Condition):
        _look(found.delay, found.rule.delay, ("delay",), report, known, waking)


def known_of(found: Analysis) -> dict[str, Values]:
    """What the variables of a rule can be; of an absence, its event may be forgotten."""
    known = {**_TYPE_VALUES, "event.name": TEXT if found.occasion else names_as_values(found.triggers)}
    if found.absence is None and found.occasion is None:
        return known
    return {name: _or_null(values) if name.startswith("event.") else values for name, values in known.items()}


def contradictions_of_segment(found: Condition, written: Any, report: Report) -> None:
    """The same of a segment, whatever event it is asked at."""
    _look(found, written, ("condition",), report, {**_TYPE_VALUES, "event.name": TEXT}, ())


def names_as_values(names: tuple[str, ...]) -> Values:
    """What `event.name` can be when it is one of these."""
    return Values(words=Words(frozenset(names), True)) if all(map(is_plain, names)) else TEXT


def _or_null(values: Values) -> Values:
    return Values(values.flags | NULL, values.numbers, values.numeric, values.words)


def _look(found: Condition, written: Any, path: Path, report: Report, known: Known, waking: tuple[str, ...]) -> None:
    try:
        judge = _Judge(found, written, path, report, known, waking)
        if path == ("condition",):
            judge.conjunction(found.logic, ())
        else:
            judge.inside(found.logic, ())
        for where, at, names in _wheres(written, ()):
            if (demand := demand_of(where)) and demand.path != _EVENT_NAME:
                continue  # the usual one, and always possible
            inner = {**_TYPE_VALUES, **({"event.name": names_as_values(names)} if names else {})}
            _Judge(Condition(where), where, (*path, *at), report, inner, ()).conjunction(where, ())
    except TooHard:
        return


class _Judge:
    def __init__(
        self, found: Condition, written: Any, path: Path, report: Report, known: Known, waking: tuple[str, ...]
    ) -> None:
        self.found = found
        self.written = written
        self.path = path
        self.report = report
        self.known = known
        self.waking = waking
        self.history = History(found.slots, found.trackers, waking) if found.slots else None
        self.certain = Solver(known, found.slots, self.history)
        self.likely = Solver({**known, **_LIKELY_VALUES}, found.slots, self.history, timely=True)

    def unwoken(self, likely: bool) -> Solver:
        """What is known if the event that wakes the rule were not counted."""
        history = History(self.found.slots, self.found.trackers, ()) if self.found.slots else None
        known = {**self.known, **_LIKELY_VALUES} if likely else self.known
        return Solver(known, self.found.slots, history)

    def conjunction(self, logic: Any, path: Path) -> None:
        """Clauses that must hold together: those that cannot, else each on its own."""
        parts = dict(_parts(logic, path))
        if not self.likely.can(list(parts.values())):
            self.impossible(parts)
            return
        for at, part in parts.items():
            self.part(part, at)

    def part(self, logic: Any, path: Path) -> None:
        demand = demand_of(logic)
        if not isinstance(logic, dict) or (demand and demand.path != _EVENT_NAME):
            return  # nothing, or the usual clause, which is sometimes true
        if self.certain.always([logic]):
            counted = bool(self.waking) and not self.unwoken(likely=False).always([logic])
            why = "the event that wakes the rule is counted itself" if counted else self.why(logic)
            self.say(path, f"This always holds: {why}; it can be left out")
        else:
            self.inside(logic, path)

    def inside(self, logic: Any, path: Path) -> None:
        """The alternatives of an `or`, the conditions of an `if`: each may be impossible on its own."""
        if not isinstance(logic, dict) or len(logic) != 1:
            return
        ((name, arguments),) = logic.items()
        if not isinstance(arguments, list):
            return
        for index, argument in enumerate(arguments):
            tested = name == "or" or (name in ("if", "?:") and index % 2 == 0 and index < len(arguments) - 1)
            if tested and isinstance(argument, dict):
                self.conjunction(argument, (*path, name, index))
            elif name in ("if", "?:"):
                self.inside(argument, (*path, name, index))

    def impossible(self, parts: dict[Path, Any]) -> None:
        """Reports the fewest clauses that cannot hold together."""
        core = self.core(parts)
        logics = [parts[path] for path in core]
        hardly = "can hardly ever" if self.certain.can(logics) else "can never"
        counted = self.unwoken(likely=True).can(logics)
        *others, last = core
        if not others:
            why = self.first_time(hardly) if counted else self.why(logics[0])
            self.say(last, f"This {hardly} hold: {why}")
            return
        places = " and ".join(self.report.place_of(self.at(path)) for path in others[:MAX_TOLD])
        texts = " and ".join(shown(self.as_written(path)) for path in [*others[:MAX_TOLD], last])
        advice = f": {self.first_time(hardly)}" if counted else self.advice(logics)
        self.say(last, f"This contradicts {places}: {texts} {hardly} hold together{advice}")

    def first_time(self, hardly: str) -> str:
        """What somebody meant who asked for a first time."""
        late = ", unless it comes late" if hardly == "can hardly ever" else ""
        first = shown({"==": [{"count": [self.waking[0] if len(self.waking) == 1 else list(self.waking)]}, 1]})
        return f"the event that wakes the rule is counted itself{late}. The first time is {first}"

    def core(self, parts: dict[Path, Any]) -> list[Path]:
        """A smallest set of clauses, or one from which none can be left out."""
        paths = list(parts)[:MAX_PARTS]
        for path in paths:
            if not self.likely.can([parts[path]]):
                return [path]
        for index, path in enumerate(paths):
            for other in paths[:index]:
                if not self.likely.can([parts[other], parts[path]]):
                    return [other, path]
        core = list(parts)
        for path in list(parts):
            fewer = [one for one in core if one != path]
            if not self.likely.can([parts[one] for one in fewer]):
                core = fewer
        return core

    def why(self, logic: Any) -> str:
        """What was understood of a single clause, for its author."""
        if not isinstance(logic, dict):
            return f'it is `{shown(logic)}`; to switch a rule off, write "enabled": false'
        if next(iter(logic)) in ("or", "and", "if", "?:"):
            return "whatever comes, its parts leave no other answer"
        told = list(dict.fromkeys(self.told(logic)))[:3]
        read = [f"`{name}`" for name in dict.fromkeys(variables_read(logic)) if not name.startswith(SLOTS)][:3]
        return " and ".join(told) or f"it is the same whatever {' and '.join(read) or 'comes'} may be"

    def told(self, logic: Any) -> Iterator[str]:
        """What is known of the things that a clause reads."""
        for name in variables_read(logic):
            slot = self.found.slots.get(name[len(SLOTS) + 1 :]) if name.startswith(SLOTS) else None
            if slot is not None:
                yield f"`{slot.question}` {_ANSWERS[slot.question]}"
            elif name == "event.name" and (words := self.known.get(name)) and words.words and words.words.listed:
                yield f"`event.name` is {' or '.join(f'`{one}`' for one in sorted(words.words.names)[:4])} here"
            elif name in _TYPES or name in _LIKELY:
                yield f"`{name}` {(_TYPES.get(name) or _LIKELY[name])[1]}"
        ((operator, arguments),) = logic.items()
        if operator == "in" and isinstance(arguments, list) and arguments[-1] == []:
            yield "nothing is in an empty list"

    def advice(self, logics: list[Any]) -> str:
        """What to write instead, where two equalities ask for different values."""
        found = [demand_of(logic) for logic in logics]
        paths = {demand.path for demand in found if demand}
        if None in found or len(paths) != 1:
            return "; take one out, or join them with `or`"
        values = sorted({value for demand in found if demand for value in demand.values})
        either = shown({"in": [{"var": ".".join(next(iter(paths)))}, values]})
        return f"; for any of these values write {either}"

    def at(self, path: Path) -> Path:
        """The path in what the author wrote: a segment's condition stands where its name stood."""
        logic, steps = self.written, list(self.path)
        for step in path:
            inside = step in logic if isinstance(logic, dict) else isinstance(step, int) and step < len(logic)
            if not isinstance(logic, dict | list) or not inside or (isinstance(logic, dict) and set(logic) & _OPAQUE):
                break
            logic = logic[step]  # type: ignore[index]
            steps.append(step)
        return tuple(steps)

    def as_written(self, path: Path) -> Any:
        logic = self.written
        for step in self.at(path)[len(self.path) :]:
            logic = logic[step]
        return logic

    def say(self, path: Path, message: str) -> None:
        self.report.add(self.at(path), message, "warning")


_OPAQUE: Final = frozenset((*OPTIONS, "segment"))


def _parts(logic: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """The clauses of nested `and`s with their places."""
    if isinstance(logic, dict) and len(logic) == 1 and isinstance(logic.get("and"), list) and logic["and"]:
        for index, part in enumerate(logic["and"]):
            yield from _parts(part, (*path, "and", index))
    else:
        yield path, logic


def variables_read(logic: Any) -> Iterator[str]:
    """The names of all variables read, the first ones first."""
    waiting = deque([logic])
    while waiting:
        item = waiting.popleft()
        if isinstance(item, dict):
            name = variable_of(item)
            if name is not None:
                yield name
            else:
                waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _wheres(logic: Any, path: Path) -> Iterator[tuple[Any, Path, tuple[str, ...]]]:
    """(condition, place, event names) of each `where` in a checked condition."""
    waiting: list[tuple[Any, Path]] = [(logic, path)]
    while waiting:
        item, here = waiting.pop()
        if isinstance(item, list):
            waiting += [(inner, (*here, index)) for index, inner in enumerate(item)]
        elif isinstance(item, dict):
            for name, inner in item.items():
                if name in OPTIONS and len(item) == 1:
                    yield from _wheres_of(inner, (*here, name))
                else:
                    waiting.append((inner, (*here, name)))


def _wheres_of(arguments: Any, path: Path) -> Iterator[tuple[Any, Path, tuple[str, ...]]]:
    """Those of one question: in its options, or in the steps of a sequence."""
    values = arguments if isinstance(arguments, list) else [arguments]
    for index, value in enumerate(values):
        at = (*path, index) if isinstance(arguments, list) else path
        if isinstance(value, dict) and "where" in value:
            yield value["where"], (*at, "where"), _names(values[0] if index else None)
        elif isinstance(value, list):
            for number, step in enumerate(value):
                if isinstance(step, dict) and "where" in step:
                    yield step["where"], (*at, number, "where"), _names(step.get("event"))


def _names(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    return tuple(listed) if all(isinstance(name, str) for name in listed) else ()
