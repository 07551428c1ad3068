"""Which values could make a condition true, false or fail: the abstract reading behind `rules/contradiction.py`.

A *case* is a set of values for each thing a condition reads. Assuming that a part has an outcome splits and narrows the cases; where none
is left, the outcome is impossible. Cases may be too wide, never too narrow, so an outcome that is called impossible is. The work
is bounded: beyond it `TooHard` is raised, and nothing is claimed.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, Literal

import msgspec

from rules.history import History
from rules.temporal import SEGMENT, Slot
from rules.values import ANYTHING, BOOLEAN, FALSY, NULL, TRUTHY, Numbers, Outcomes, Values, compared, listed, meet
from rules.variables import SLOTS

Outcome = Literal["true", "false", "error"]
Case = Mapping[str, Values]

MAX_STEPS: Final = 4_000  # parts of a condition times cases, for one rule
MAX_CASES: Final = 64
_DAY: Final = 86_400_000
_ORDER: Final = frozenset(("<", "<=", ">", ">="))
_EQUAL: Final = frozenset(("==", "===", "!=", "!=="))
_SCALAR: Final = str | int | float | bool | None
_POSITIVE: Final = {"!=": "==", "!==": "==="}
_OPPOSITE: Final[dict[Outcome, Outcome]] = {"true": "false", "false": "true", "error": "error"}
_COUNTED: Final = Values(numbers=Numbers(low=0, whole=True))
_SILENCE: Final = Values(NULL, Numbers(low=0))
_canonical = msgspec.json.Encoder(order="sorted").encode


class TooHard(Exception):
    """The question needs more work than it is worth."""


class Solver:
    """What is known of the data of one rule, and the work that is left."""

    def __init__(
        self,
        known: Mapping[str, Values],
        slots: Mapping[str, Slot] | None = None,
        history: History | None = None,
        timely: bool = False,
    ) -> None:
        """`known`: the values that variables can have; `history`: what the answers to `slots` imply of one another, `timely`: for an
        event that did not come late."""
        self.known = known
        self.slots = slots or {}
        self.history = history if history is not None and history.numbers else None
        self.timely = timely
        self.steps = 0
        self.keys: dict[int, tuple[Any, str]] = {}  # id → the part itself, so that the id stays its own

    def can(self, parts: Sequence[Any], outcome: Outcome = "true") -> bool:
        """Whether the conjunction of the parts can have an outcome."""
        cases = self.conjunction(parts, outcome, [{}])
        return any(self.consistent(case) for case in cases)

    def always(self, parts: Sequence[Any]) -> bool:
        """Whether the conjunction is true whatever comes."""
        return not self.can(parts, "false") and not self.can(parts, "error")

    def implies(self, case: Case, logic: Any) -> bool:
        """Whether something is true of all that a case holds."""
        return not any(self.assume(logic, outcome, [case]) for outcome in ("false", "error"))

    def consistent(self, case: Case) -> bool:
        """Whether the answers about the history fit one another."""
        if self.history is None or not any(key.startswith(SLOTS) for key in case):
            return True
        self.work(self.history.cost)
        alone = self.history.rounds == 1
        asked = {name: f"{SLOTS}.{name}" for name in self.slots}
        answers = {name: self.value(key, case) for name, key in asked.items() if not alone or key in case}
        return self.history.fits(answers, case, self.implies, self.timely)

    def value(self, key: str, case: Case) -> Values:
        found = case.get(key)
        return self.domain(key) if found is None else found

    def domain(self, key: str) -> Values:
        """What a variable can be, whatever comes."""
        slot = self.slots.get(key[len(SLOTS) + 1 :]) if key.startswith(SLOTS) else None
        if slot is not None:
            return domain_of(slot)
        if key.startswith((f"{SLOTS}.{SEGMENT}:", "? ")):
            return BOOLEAN
        return self.known.get(key, ANYTHING)

    def assume(self, logic: Any, outcome: Outcome, cases: list[Case]) -> list[Case]:
        """What is left of the cases when a part has this outcome."""
        if not cases:
            return cases
        if len(cases) > MAX_CASES:
            raise TooHard
        self.work(len(cases))
        if not isinstance(logic, dict):
            if isinstance(logic, list):
                return cases
            return cases if outcome == ("true" if logic else "false") else []
        if len(logic) != 1:
            return cases
        ((name, arguments),) = logic.items()
        if name in ("!", "!!"):
            inner = arguments[0] if isinstance(arguments, list) and len(arguments) == 1 else arguments
            if not isinstance(inner, list):
                return self.assume(inner, _OPPOSITE[outcome] if name == "!" else outcome, cases)
        elif isinstance(arguments, list) and arguments:
            if name == "and":
                return self.conjunction(arguments, outcome, cases)
            if name == "or":
                return self.alternatives(arguments, outcome, cases)
            if name in ("if", "?:"):
                return self.choice(arguments, outcome, cases)
            if name in _ORDER and len(arguments) > 2:
                pairs = [{name: list(pair)} for pair in pairwise(arguments)]
                return self.conjunction(pairs, outcome, cases)
            if len(arguments) == 2 and (name in _ORDER or name in _EQUAL or name == "in"):
                return self.comparison(name, arguments, logic, outcome, cases)
        return self.truth(logic, outcome, cases)

    def work(self, steps: int) -> None:
        """Counts what is done. Raises TooHard where it is too much."""
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise TooHard

    def conjunction(self, parts: Sequence[Any], outcome: Outcome, cases: list[Case]) -> list[Case]:
        return self.first(parts, outcome, cases, "true")

    def alternatives(self, parts: Sequence[Any], outcome: Outcome, cases: list[Case]) -> list[Case]:
        return self.first(parts, outcome, cases, "false")

    def first(self, parts: Sequence[Any], outcome: Outcome, cases: list[Case], passing: Outcome) -> list[Case]:
        """Parts are asked in order, as long as each has the `passing` outcome; the first other one decides."""
        found: list[Case] = []
        for part in parts:
            if outcome != passing:
                found += self.assume(part, outcome, cases)
            cases = self.assume(part, passing, cases)
        return cases if outcome == passing else found

    def choice(self, arguments: list[Any], outcome: Outcome, cases: list[Case]) -> list[Case]:
        """`if`: pairs of a condition and what follows from it, then what remains; null where nothing does."""
        found: list[Case] = []
        for index in range(0, len(arguments) - 1, 2):
            condition = arguments[index]
            found += self.assume(arguments[index + 1], outcome, self.assume(condition, "true", cases))
            if outcome == "error":
                found += self.assume(condition, "error", cases)
            cases = self.assume(condition, "false", cases)
        rest = arguments[-1] if len(arguments) % 2 else None
        return found + self.assume(rest, outcome, cases)

    def comparison(
        self, name: str, arguments: list[Any], logic: Any, outcome: Outcome, cases: list[Case]
    ) -> list[Case]:
        left, right = arguments
        swapped = isinstance(left, _SCALAR)
        term, constant = (right, left) if swapped else (left, right)
        outcomes: Outcomes | None = None
        if isinstance(term, dict) and len(term) == 1:
            if name != "in":
                outcomes = compared(name, constant, swapped) if isinstance(constant, _SCALAR) else None
            elif not swapped and isinstance(right, list) and not any(isinstance(one, dict | list) for one in right):
                outcomes = listed(right)
        if outcomes is None:
            return self.opaque(name, arguments, logic, outcome, cases)
        key, fails = self.key(term)
        if outcome == "error" and fails:
            return cases
        return self.narrow(key, outcomes[("true", "false", "error").index(outcome)], cases)

    def opaque(self, name: str, arguments: list[Any], logic: Any, outcome: Outcome, cases: list[Case]) -> list[Case]:
        """A comparison that is not understood: still the same wherever it stands."""
        if outcome == "error":
            return cases
        if name in _POSITIVE:
            logic, outcome = {_POSITIVE[name]: arguments}, _OPPOSITE[outcome]
        key = f"? {_canonical(logic).decode()}"
        return self.narrow(key, TRUTHY if outcome == "true" else FALSY, cases)

    def truth(self, logic: Any, outcome: Outcome, cases: list[Case]) -> list[Case]:
        """The truthiness of what a part gives."""
        key, fails = self.key(logic)
        if outcome == "error":
            return cases if fails else []
        return self.narrow(key, TRUTHY if outcome == "true" else FALSY, cases)

    def narrow(self, key: str, values: Values, cases: list[Case]) -> list[Case]:
        found: list[Case] = []
        for case in cases:
            left = meet(self.value(key, case), values)
            if not left.empty:
                found.append({**case, key: left})
        return found

    def key(self, term: Any) -> tuple[str, bool]:
        """What a part is known by, and whether reading it can fail."""
        name = variable_of(term)
        if name is not None:
            return name, False
        known = self.keys.get(id(term))
        if known is None:
            known = self.keys[id(term)] = term, f"= {_canonical(term).decode()}"
        return known[1], True


def domain_of(slot: Slot) -> Values:
    """What the answer to a question can be."""
    if slot.question in ("did", "sequence"):
        return BOOLEAN
    if slot.question == "seconds_since":
        return _SILENCE
    if slot.question == "days_active" and slot.within is not None:
        return Values(numbers=Numbers(low=0, high=slot.within // _DAY + 2, whole=True))
    return _COUNTED


def variable_of(term: Any) -> str | None:
    """The constant name that a `var` or `val` reads."""
    if not isinstance(term, dict) or len(term) != 1:
        return None
    ((operator, name),) = term.items()
    if operator == "var":
        if isinstance(name, list) and len(name) == 1:
            name = name[0]
        return name if isinstance(name, str) and name and not name.startswith(("?", "=")) else None
    if operator != "val" or not isinstance(name, list) or not name:
        return None
    plain = all(isinstance(step, str) and step and "." not in step and not step[0].isdigit() for step in name)
    return ".".join(name) if plain and not name[0].startswith(("?", "=")) else None
