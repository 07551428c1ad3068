"""What answers about one history imply of one another: who did not do A within 7 days did not do A within one day either.

Each question is a number of events (values, days) in a window; of some pairs one can never be the greater. That, and how long ago
the last event was, is all that is known here; it is a bound for `rules/solver.py`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Any, Final, NamedTuple

import msgspec

from rules.temporal import ANY, Slot, Step, Tracker
from rules.values import FALSE, NULL, TRUE, Numbers, Values, meet

MAX_SLOTS: Final = 24  # of one rule, looked at together
_ROUNDS: Final = 4
_canonical = msgspec.json.Encoder(order="sorted").encode
Implies = Callable[[Mapping[str, Values], Any], bool]


class _Number(NamedTuple):
    """How many `what` (`count` of events, `distinct`, `days_active`, or a `sequence` as 0 or 1) of a tracker in a window."""

    tracker: str
    what: str
    within: float


class History:
    """The questions of one condition."""

    def __init__(
        self,
        slots: Mapping[str, Slot],
        trackers: Mapping[str, Tracker],
        waking: Sequence[str],
    ) -> None:
        """`waking`: the event that is decided about has one of these names, and is counted itself."""
        self.slots = slots
        self.trackers = trackers
        self.waking = frozenset(waking)
        self.wheres = {id(where): _canonical(where) for where in _wheres(trackers.values())}
        self.numbers = self._numbers() if len(slots) <= MAX_SLOTS else {}
        self.asked = {name: _number(slot) for name, slot in slots.items()} if self.numbers else {}
        self.narrower = [
            (one, other)
            for one in self.numbers
            for other in self.numbers
            if one != other and self._never_more(one, other)
        ]
        self.counting = [number for number in self.numbers if self._may_count(number)]
        silent = any(slot.question == "seconds_since" for slot in slots.values())
        alone = not self.narrower and not silent and len(set(self.asked.values())) == len(slots)
        self.rounds = 1 if alone else _ROUNDS

    @property
    def cost(self) -> int:
        """How many steps of work one look at all answers is."""
        return 1 + (len(self.slots) + len(self.narrower)) // 4

    def _numbers(self) -> dict[_Number, None]:
        found: dict[_Number, None] = {}
        for slot in self.slots.values():
            if self.trackers[slot.tracker].of is None and slot.question in ("count", "did", "seconds_since"):
                found[_Number(slot.tracker, "count", inf)] = None
            if slot.question != "seconds_since":
                found[_number(slot)] = None
        return found

    def _never_more(self, one: _Number, other: _Number) -> bool:
        if one.within > other.within:
            return False
        if one.tracker == other.tracker:
            return one.what == other.what
        left, right = self.trackers[one.tracker], self.trackers[other.tracker]
        if other.what == "count":
            parts = left.steps or (Step(left.names, left.where),)
            return any(self._part_of(part, right) for part in parts)
        same = one.what == other.what and one.what != "sequence" and (left.of, left.days) == (right.of, right.days)
        return same and self._part_of(Step(left.names, left.where), right)

    def _part_of(self, part: Step, whole: Tracker) -> bool:
        """Whether every event of a part is one of the whole."""
        if ANY not in whole.names and not set(part.names) <= set(whole.names):
            return False
        if whole.where is None or whole.where is True:
            return True
        return part.where is not None and self.wheres[id(part.where)] == self.wheres[id(whole.where)]

    def fits(self, answers: Mapping[str, Values], case: Mapping[str, Values], implies: Implies, timely: bool) -> bool:
        """Whether the answers (by slot; those that matter) can belong to one history, in a case; `timely`: the event did not come late, so that it lies
        in every window."""
        bounds = {number: [0.0, inf] for number in self.numbers}
        for number in self.counting:
            if (timely or number.within == inf) and self._counts(number, case, implies):
                bounds[number][0] = 1
        values = dict(answers)
        for _ in range(self.rounds):
            for name in values:
                self._narrow(self.slots[name], self.asked[name], values[name], bounds)
            for less, more in self.narrower:
                bounds[more][0] = max(bounds[more][0], bounds[less][0])
                bounds[less][1] = min(bounds[less][1], bounds[more][1])
            for name in answers:
                values[name] = meet(values[name], self._left(self.slots[name], self.asked[name], bounds))
                if values[name].empty:
                    return False
        return all(low <= high for low, high in bounds.values())

    def _may_count(self, number: _Number) -> bool:
        """Whether the event that is decided about is one of those that are counted, if their condition holds."""
        tracker = self.trackers[number.tracker]
        return number.what == "count" and bool(self.waking) and self.waking <= set(tracker.names)

    def _counts(self, number: _Number, case: Mapping[str, Values], implies: Implies) -> bool:
        where = self.trackers[number.tracker].where
        return where is None or implies(case, where)

    def _narrow(self, slot: Slot, number: _Number, value: Values, bounds: dict[_Number, list[float]]) -> None:
        """What an answer says of the numbers."""
        if slot.question == "seconds_since":
            self._silence(slot, value, bounds)
            return
        low, high = bounds[number]
        if slot.question in ("did", "sequence"):
            at_least, at_most = (0.0 if value.flags & FALSE else 1.0), (inf if value.flags & TRUE else 0.0)
        elif value.numbers is None:
            at_least, at_most = 1.0, 0.0
        else:
            at_least, at_most = value.numbers.low, value.numbers.high
        bounds[number][:] = max(low, at_least), min(high, at_most)

    def _silence(self, slot: Slot, value: Values, bounds: dict[_Number, list[float]]) -> None:
        """The time since an event says whether it lies in a window."""
        never, numbers = bool(value.flags & NULL), value.numbers
        for number, bound in bounds.items():
            if number.tracker != slot.tracker:
                continue
            seconds = number.within / 1000
            if not never and (
                number.within == inf or (not slot.first and numbers is not None and numbers.high < seconds)
            ):
                bound[0] = max(bound[0], 1)
            if numbers is None or (not slot.first and numbers.low >= seconds):
                bound[1] = 0

    def _left(self, slot: Slot, asked: _Number, bounds: dict[_Number, list[float]]) -> Values:
        """What the numbers leave of an answer."""
        if slot.question != "seconds_since":
            low, high = bounds[asked]
            flags = (FALSE if low < 1 else 0) | (TRUE if high >= 1 else 0)
            if slot.question in ("did", "sequence"):
                return Values(flags)
            return Values(numbers=Numbers(low, high, whole=True) if low <= high else None)
        flags, left, right = NULL, 0.0, inf
        for number, (low, high) in bounds.items():
            if number.tracker != slot.tracker:
                continue
            if low >= 1:
                flags = 0
                right = right if slot.first else min(right, number.within / 1000)
            if high < 1 and not slot.first and number.within < inf:
                left = max(left, number.within / 1000)
            if high < 1 and number.within == inf:
                right = -1
        return Values(flags, Numbers(left, right, below=right < inf) if left <= right else None)


def _wheres(trackers: Iterable[Tracker]) -> Iterator[Any]:
    for tracker in trackers:
        yield tracker.where
        for step in tracker.steps:
            yield step.where


def _number(slot: Slot) -> _Number:
    what = "count" if slot.question == "did" else slot.question
    return _Number(slot.tracker, what, inf if slot.within is None else slot.within)
