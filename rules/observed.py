"""Rules against what really came: names no event ever had, fields that are mostly missing or of another type.

What is observed is counted over a log; `doubts` are warnings, for the world may be about to change.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final

from rules.condition import COMPARISONS
from rules.dialect import SCOPED, bounded
from rules.documents import EventNames, Occasion, Rule
from rules.event import Event
from rules.problems import Path, Report
from rules.temporal import OPTIONS

CALLS: Final = frozenset(("page", "identify", "screen", "group", "alias"))  # may be rare, and are spelt right
MAX_NAMES: Final = 10_000
MAX_FIELDS: Final = 500  # of one event name
OFTEN_MISSING: Final = 0.2
_KINDS: Final = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
}
_NAMING: Final = frozenset(OPTIONS) - {"seen"}


class Observed:
    """What events and people looked like."""

    def __init__(self) -> None:
        self.names: Counter[str] = Counter()
        self.fields: dict[str, dict[str, Counter[str]]] = defaultdict(dict)  # event name → property → kinds
        self.traits: dict[str, dict[str, str]] = {}  # person → trait → kind

    @property
    def events(self) -> int:
        return self.names.total()

    def add(self, event: Event) -> None:
        if event.name not in self.names and len(self.names) >= MAX_NAMES:
            return
        self.names[event.name] += 1
        known = self.fields[event.name]
        for name, value in event.properties.items():
            if value is not None and (name in known or len(known) < MAX_FIELDS):
                known.setdefault(name, Counter())[_KINDS.get(type(value), "")] += 1
        traits = self.traits.setdefault(event.person, {})
        if event.type == "identify":
            for name, value in event.traits.items():
                if value is None:
                    traits.pop(name, None)
                elif name in traits or len(traits) < MAX_FIELDS:
                    traits[name] = _KINDS.get(type(value), "")


def doubt(rule: Rule, observed: Observed, span: str, report: Report) -> None:
    """Reports what a checked rule expects and the log does not show; `span` says how long the log is, as `7d`."""
    _Doubter(observed, span, report).rule(rule)


class _Doubter:
    def __init__(self, observed: Observed, span: str, report: Report) -> None:
        self.observed = observed
        self.span = span
        self.report = report

    def rule(self, rule: Rule) -> None:
        wakes: EventNames
        if isinstance(rule.trigger, Occasion):
            self.names(rule.trigger.after or [], ("trigger", "after"))
            self.names(rule.trigger.without or [], ("trigger", "without"))
            wakes = rule.trigger.after or []
        else:
            self.names(rule.trigger, ("trigger",))
            wakes = rule.trigger
        self.names(rule.cancel_on, ("cancel_on",))
        if rule.goal is not None:
            self.names(rule.goal.event, ("goal", "event"))
        for part in ("condition", "delay"):
            logic = getattr(rule, part)
            if bounded(logic):
                self.logic(logic, (part,), tuple([wakes] if isinstance(wakes, str) else wakes))

    def names(self, names: EventNames, path: Path) -> None:
        listed = [(names, path)] if isinstance(names, str) else [(name, (*path, i)) for i, name in enumerate(names)]
        for name, place in listed:
            if name in self.observed.names or name in CALLS:
                continue
            lowered = {known.lower(): known for known in (*self.observed.names, *CALLS)}
            found = get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
            hint = ""
            if found:
                known = lowered[found[0]]
                hint = f"; did you mean `{known}` ({self.observed.names[known]:,} in {self.span})?"
            self.report.add(place, f"`{name}` was never seen in the log{hint}", "warning")

    def logic(self, logic: Any, path: Path, about: tuple[str, ...]) -> None:
        """`about`: the names of the events that `event.*` means here."""
        if isinstance(logic, list):
            for index, item in enumerate(logic):
                self.logic(item, (*path, index), about)
        elif isinstance(logic, dict):
            for name, arguments in logic.items():
                self.operator(name, arguments, (*path, name), about)

    def operator(self, name: str, arguments: Any, path: Path, about: tuple[str, ...]) -> None:
        if name in _NAMING:
            self.question(name, arguments, path)
            return
        for variable, place in _variables(name, arguments, path):
            self.variable(variable, place, about)
        if name in COMPARISONS or name == "in":
            self.compared(arguments, path, about)
        if name in SCOPED and isinstance(arguments, list):  # inside, `var` reads an item
            arguments = arguments[: SCOPED[name] % len(arguments)] if arguments else []
        self.logic(arguments, path, about)

    def question(self, name: str, arguments: Any, path: Path) -> None:
        values = arguments if isinstance(arguments, list) else [arguments]
        place: Path = (*path, 0) if isinstance(arguments, list) else path
        steps = values[0] if name == "sequence" and values else values[:1]
        for index, step in enumerate(steps):
            here = (*place, index) if name == "sequence" else place
            inner = step.get("event") if isinstance(step, dict) else step
            at = (*here, "event") if isinstance(step, dict) and "event" in step else here
            if isinstance(inner, str | list):
                self.names(inner, at)
                self.where(step.get("where") if isinstance(step, dict) else None, (*here, "where"), inner)
        options = values[-1] if values and isinstance(values[-1], dict) else {}
        named = values[0] if values and isinstance(values[0], str | list) else []
        self.where(options.get("where"), (*path, len(values) - 1, "where"), named)

    def where(self, logic: Any, path: Path, names: EventNames) -> None:
        if logic is not None:
            self.logic(logic, path, tuple([names] if isinstance(names, str) else names))

    def variable(self, name: str, path: Path, about: tuple[str, ...]) -> None:
        """Fields that are often missing."""
        kinds, all_, of = self.seen(name, about)
        if not all_ or kinds is None:
            return
        share = 1 - kinds.total() / all_
        if not kinds:
            hint = self.near(name, about)
            self.report.add(path, f"`{name}` was never there in {all_:,} {of}{hint}", "warning")
        elif share >= OFTEN_MISSING:
            self.report.add(path, f"`{name}` is absent in {100 * share:.0f} % of {all_:,} {of}", "warning")

    def compared(self, arguments: Any, path: Path, about: tuple[str, ...]) -> None:
        """A constant of another type than all values that came."""
        if not isinstance(arguments, list):
            return
        constants = [value for value in arguments if not isinstance(value, dict)]
        for argument in list(constants):
            constants += argument if isinstance(argument, list) else []
        wanted = {_KINDS[type(value)] for value in constants if isinstance(value, str | int | float)}
        for index, argument in enumerate(arguments):
            if not isinstance(argument, dict) or len(argument) != 1 or len(wanted) != 1:
                continue
            ((name, inner),) = argument.items()
            for variable, _ in _variables(name, inner, ()):
                kinds, _, of = self.seen(variable, about)
                if kinds and not wanted & kinds.keys():
                    usual = kinds.most_common(1)[0][0]
                    message = (
                        f"`{variable}` is {usual} in all {of} that have it, and is compared with {wanted.copy().pop()}"
                    )
                    self.report.add((*path, index), message, "warning")

    def seen(self, variable: str, about: tuple[str, ...]) -> tuple[Counter[str] | None, int, str]:
        """The kinds of a variable's values, how many could have had it, and what they are; None: not looked at."""
        steps = variable.split(".")
        if steps[:2] == ["user", "traits"] and len(steps) == 3:
            people = self.observed.traits.values()
            return Counter(traits[steps[2]] for traits in people if steps[2] in traits), len(people), "people"
        if steps[:2] == ["event", "properties"] and len(steps) == 3:
            found: Counter[str] = Counter()
            for name in about:
                found += self.observed.fields.get(name, {}).get(steps[2], Counter())
            events = " or ".join(f"`{name}`" for name in about[:3])
            return found, sum(self.observed.names[name] for name in about), f"{events} events"
        return None, 0, ""

    def near(self, variable: str, about: tuple[str, ...]) -> str:
        """The nearest field that came."""
        root, _, field = variable.rpartition(".")
        known = (
            {name for traits in self.observed.traits.values() for name in traits} if root == "user.traits" else set()
        )
        if root == "event.properties":
            known = {field for name in about for field in self.observed.fields.get(name, {})}
        found = get_close_matches(field.lower(), {name.lower(): name for name in known}, n=1, cutoff=0.6)
        right = {name.lower(): name for name in known}[found[0]] if found else ""
        return f"; did you mean `{root}.{right}`?" if right else ""


def _variables(name: str, arguments: Any, path: Path) -> Iterator[tuple[str, Path]]:
    """The constant variable that a `var` or `val` reads."""
    listed = isinstance(arguments, list)
    if name == "var":
        first = arguments[0] if listed and arguments else arguments
        if isinstance(first, str):
            yield first, (*path, 0) if listed else path
    elif name == "val" and listed and arguments and all(isinstance(step, str) for step in arguments):
        yield ".".join(arguments), path
