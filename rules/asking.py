"""Reading the arguments of an operator that asks for history: `{"count": ["page", {"within": "7d", "where": …}]}`.

What comes out is a question (a slot) and what has to be kept to answer it exactly (a tracker), or problems with their places.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from rules.documents import EventNames, names_of
from rules.duration import parse_duration
from rules.errors import DurationError
from rules.index import is_plain, var_path
from rules.limits import MAX_EVENT_NAMES, MAX_STEPS, MAX_TIMESTAMPS, MIN_TIMESTAMPS
from rules.problems import Path, Report, kind_of, nearest
from rules.temporal import (
    ANY,
    OPTIONS,
    SEEN,
    Slot,
    Step,
    Tracker,
    days_of,
    slot_of,
    steps_of,
    times_of,
    values_of,
)
from rules.variables import WHERE_ROOTS, variable_problem

__all__ = ["read_question"]

_DAY: Final = 86_400_000
_STEP: Final = ("event", "where")
ReadWhere = Callable[[Any, Path], Any]


def read_question(
    name: str, arguments: Any, path: Path, report: Report, keep: int | None, read_where: ReadWhere
) -> tuple[Slot, Tracker] | None:
    """The question of one operator, or None with the problems reported.

    `keep`: how many events (or values) settle what is asked, None if that is unknown; `read_where` checks a condition on one
    event and gives it back as plain JSONLogic.
    """
    before = len(report.problems)
    found = _Question(name, path, report, keep, read_where).read(arguments)
    return found if len(report.problems) == before else None


class _Question:
    def __init__(self, name: str, path: Path, report: Report, keep: int | None, read_where: ReadWhere) -> None:
        self.name = name
        self.path = path
        self.report = report
        self.keep = keep
        self.read_where = read_where

    def read(self, arguments: Any) -> tuple[Slot, Tracker] | None:
        given = self.arguments(arguments)
        if given is None:
            return None
        first, options, place, at = given
        within = self.window(options, at)
        if self.name == "sequence":
            tracker = steps_of(self.steps(first, place))
            return slot_of(tracker, "sequence", within), tracker
        if self.name == "seen":
            tracker = times_of(*self.seen(first, place, options, at))
            return slot_of(tracker, "did", within), tracker
        any_event = self.name == "days_active" and first is None
        names = (ANY,) if any_event else self.names(first, place)
        where = self.where(options, at)
        if self.name == "distinct":
            tracker = values_of(names, where, self.variable(options, at), self.bounded())
            return slot_of(tracker, "distinct", within), tracker
        if self.name == "days_active":
            longest = None if within is None else within // _DAY + 2
            tracker = days_of(names, where, self.timezone(options, at), self.bounded(longest))
            return slot_of(tracker, "days_active", within), tracker
        since_first = options.get("first", False)
        if not isinstance(since_first, bool):
            self.report.add((*at, "first"), f"Expected true or false, got {kind_of(since_first)}")
        windowed = self.name == "count" and within is not None
        tracker = times_of(names, where, self.bounded() if windowed else MIN_TIMESTAMPS)
        return slot_of(tracker, self.name, within, bool(since_first)), tracker  # type: ignore[arg-type]

    def arguments(self, arguments: Any) -> tuple[Any, dict[str, Any], Path, Path] | None:
        """What is asked about (of days: None if nothing was named), the options, and where both stand."""
        values = arguments if isinstance(arguments, list) else [arguments]
        place: Path = (*self.path, 0) if isinstance(arguments, list) else self.path
        if self.name == "days_active" and len(values) < 2 and all(isinstance(value, dict) for value in values):
            return None, self.options(values[0], place) if values else {}, place, place
        at: Path = (*self.path, 1)
        if len(values) > 1 and all(isinstance(value, str) for value in values):
            wanted = '["A", "B"]'
            what = "Several messages" if self.name == "seen" else "Several events"
            self.report.add(at, f'{what} are given as one list: {{"{self.name}": [{wanted}]}}')
        elif not 1 <= len(values) <= 2:
            what = {"seen": "a message", "sequence": "a list of steps"}.get(self.name, "an event")
            self.report.add(self.path, f"Expected {what} and its options, got {len(values)} arguments")
        else:
            return values[0], self.options(values[1], at) if len(values) == 2 else {}, place, at
        return None

    def options(self, options: Any, at: Path) -> dict[str, Any]:
        if not isinstance(options, dict):
            self.report.add(at, f"Expected an object of options, got {kind_of(options)}")
            return {}
        for option in options:
            if option not in OPTIONS[self.name]:
                self.unknown("option", option, OPTIONS[self.name], at)
        return options

    def unknown(self, what: str, name: str, known: tuple[str, ...], at: Path) -> None:
        allowed = ", ".join(f"`{right}`" for right in known)
        message = f"Unknown {what} `{name[:60]}` of `{self.name}` (it has {allowed}){nearest(name, known)}"
        self.report.add(at, message, key=name)

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

    def window(self, options: dict[str, Any], at: Path) -> int | None:
        if "within" not in options:
            return None
        try:
            within = parse_duration(options["within"])
        except DurationError as error:
            self.report.add((*at, "within"), str(error))
            return None
        if within == 0:
            self.report.add((*at, "within"), "Expected a window longer than nothing")
        return within

    def where(self, options: dict[str, Any], at: Path) -> Any:
        if "where" not in options:
            return None
        if options["where"] is None:
            self.report.add((*at, "where"), "Expected a condition, got null")
            return None
        return self.read_where(options["where"], (*at, "where"))

    def bounded(self, longest: int | None = None) -> int:
        """How many timestamps or values answer this question exactly; `longest`: more there cannot be."""
        keep = self.keep if longest is None or self.keep is not None else longest
        values = self.name in ("distinct", "days_active")
        if keep is None:
            what = "A `count` within a window" if not values else f"`{self.name}`"
            kept = "history" if not values else "number of values"
            self.report.add(
                self.path[:-1],
                f"{what} must be compared with a constant number, so that the {kept} it needs is bounded",
                key=self.name,
            )
            return 0
        keep = keep if longest is None else min(keep, longest)
        if keep > MAX_TIMESTAMPS:
            what = "values" if values else "timestamps"
            self.report.add(
                self.path[:-1],
                f"This needs {keep:,} {what} of every person; at most {MAX_TIMESTAMPS:,} are kept",
                key=self.name,
            )
        return max(keep, MIN_TIMESTAMPS)

    def variable(self, options: dict[str, Any], at: Path) -> str:
        """The variable whose different values are counted."""
        of = options.get("of")
        if not isinstance(of, str) or not of:
            got = kind_of(of) if "of" in options else "nothing"
            place = (*at, "of") if "of" in options else self.path
            self.report.add(
                place, f"Expected `of`, the variable whose values are counted (as `event.properties.name`), got {got}"
            )
            return ""
        problem = variable_problem(of, WHERE_ROOTS)
        if problem:
            problem = problem.replace("A `where`", "`of`")
            self.report.add((*at, "of"), problem)
        elif var_path({"var": of}) is None:
            self.report.add((*at, "of"), f"Expected a variable such as `event.properties.name`, got `{of[:60]}`")
        return of

    def timezone(self, options: dict[str, Any], at: Path) -> str:
        """The time zone in which days begin."""
        name = options.get("timezone", "UTC")
        problem = timezone_problem(name)
        if problem:
            self.report.add((*at, "timezone"), problem)
        return str(name)

    def steps(self, value: Any, path: Path) -> tuple[Step, ...]:
        if not isinstance(value, list) or not 2 <= len(value) <= MAX_STEPS:
            got = f"{len(value)} of them" if isinstance(value, list) else kind_of(value)
            example = '{"sequence": [["A", "B"], {"within": "1h"}]}'
            self.report.add(path, f"Expected a list of 2 to {MAX_STEPS} steps, as in {example}, got {got}")
            return ()
        return tuple(self.step(step, (*path, index)) for index, step in enumerate(value))

    def step(self, value: Any, path: Path) -> Step:
        if not isinstance(value, dict):
            return Step(self.names(value, path))
        for name in value:
            if name not in _STEP:
                self.unknown("field", name, _STEP, path)
        if "event" not in value:
            self.report.add(path, "Expected the field `event`, which is missing")
            return Step(())
        return Step(self.names(value["event"], (*path, "event")), self.where(value, path))

    def seen(self, value: Any, path: Path, options: dict[str, Any], at: Path) -> tuple[tuple[str, ...], Any]:
        """The event that says what was done with a message, and the condition that it was this one."""
        listed = value if isinstance(value, list) else [value]
        if not listed or not all(isinstance(name, str) and name for name in listed):
            self.report.add(path, "Expected the id of a message, or a list of them")
        what = options.get("what", "shown")
        if what not in SEEN if isinstance(what, str) else True:
            allowed = ", ".join(f"`{name}`" for name in SEEN)
            got = f"`{what[:60]}`{nearest(what, SEEN)}" if isinstance(what, str) else kind_of(what)
            self.report.add((*at, "what"), f"Expected one of {allowed}, got {got}")
            return (), None
        variable: Any = {"var": "event.properties.message_id"}
        if not all(map(is_plain, listed)):  # an id like `7d` would equal `168h`: both read as durations
            variable, listed = {"cat": ["id ", variable]}, [f"id {name}" for name in listed]
        return (SEEN[what],), {"in": [variable, listed]}


@cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones())


def timezone_problem(name: Any) -> str | None:
    """What is wrong with the name of a time zone, or None."""
    if not isinstance(name, str):
        return f"Expected an IANA time zone such as `Asia/Tokyo`, got {kind_of(name)}"
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # not found, too long, no such form
        return f"Expected an IANA time zone such as `Asia/Tokyo`, got `{name[:60]}`{nearest(name, _timezones())}"
    return None
