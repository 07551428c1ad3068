"""Rules that can never win: another one with a message that interrupts wins at every event that could show theirs.

Of the rules whose messages interrupt and that match at the same event, the first by (-priority, id) wins; one with `"if_busy": "lapse"` that comes
later loses. It is outranked for good only where a higher one is woken by the same events, matches whenever it does (rules/solver.py), and is never held back: neither by
its frequency nor by a schedule, a delay, a holdout or variants. Anything less leaves a moment in which the lower one may win, and nothing is said.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Final

import msgspec

from rules.analysis import Analysis, analyse
from rules.condition import Condition, Segments, merge_trackers
from rules.contradiction import known_of, variables_read
from rules.documents import INTERRUPTING, Message, Occasion, Rule, names_of
from rules.history import History
from rules.index import Demand, demands
from rules.problems import Report
from rules.solver import Solver, TooHard

MAX_HIGHER: Final = 20  # of one shelf, looked at for one rule
MAX_COMPARED: Final = 1_000  # pairs of conditions of one set of rules
_encode: Final = msgspec.json.Encoder(order="sorted").encode
_Shelf = tuple[str, tuple[str, ...], str]


def outranked(
    rules: Sequence[Rule], messages: Iterable[Message], segments: Segments
) -> Iterator[tuple[Rule, Rule, str]]:
    """(rule, the rule that always wins over it, the kind of what that one shows), for rules that were checked."""
    known = {message.id: message for message in messages}
    competing = [rule for rule in rules if _competes(rule, known)]
    ruling = [rule for rule in competing if _is_never_held_back(rule)]
    wanted = [rule for rule in competing if rule.if_busy == "lapse"]
    ranking = _Ranking(ruling, segments)
    for rule in wanted if ruling else ():
        higher = ranking.above(rule, known)
        if higher is not None:
            yield rule, higher, known[higher.message or ""].kind


def _competes(rule: Rule, messages: dict[str, Message]) -> bool:
    """Whether a rule shows what interrupts, at the very event that wakes it."""
    message = messages.get(rule.message or "")
    at_once = not isinstance(rule.trigger, Occasion) and rule.delay in (None, 0, "0s")
    return rule.enabled and at_once and message is not None and message.kind in INTERRUPTING


def _is_never_held_back(rule: Rule) -> bool:
    return rule.frequency == "always" and not rule.holdout and rule.schedule is None


def _order(rule: Rule) -> tuple[int, str]:
    return -rule.priority, rule.id


class _Ranking:
    """The rules that could outrank others, filed by an event that wakes them and by what they demand of it, the first ones first.

    What is filed and looked up is the condition as it was written: only what passes is analysed.
    """

    def __init__(self, ruling: list[Rule], segments: Segments) -> None:
        self.segments = segments
        self.read: dict[str, Analysis | None] = {}
        self.compared = 0
        self.shelves: dict[_Shelf, list[Rule]] = defaultdict(list)
        for rule in sorted(ruling, key=_order):
            for name in names_of(rule.trigger):  # type: ignore[arg-type]
                for path, value in _keys(rule):
                    self.shelves[name, path, value].append(rule)
        self.names = {name for name, _, _ in self.shelves}
        self.reads = {rule.id: _reads(rule) for rule in ruling}

    def above(self, rule: Rule, messages: dict[str, Message]) -> Rule | None:
        """The first rule that wins wherever this one could."""
        names = names_of(rule.trigger)  # type: ignore[arg-type]
        if not names or names[0] not in self.names:
            return None
        reads: frozenset[str] | None = None
        for higher in self.candidates(rule, names[0]):
            same_pages = messages[higher.message or ""].show_on in (None, messages[rule.message or ""].show_on)
            if not same_pages or not set(names) <= set(names_of(higher.trigger)):  # type: ignore[arg-type]
                continue
            reads = _reads(rule) if reads is None else reads
            if self.reads[higher.id] <= reads and self.holds_too(rule, higher):
                return higher
        return None

    def candidates(self, rule: Rule, name: str) -> list[Rule]:
        """Higher rules that demand nothing else of an event than this one does."""
        shelves: list[_Shelf] = [(name, (), "")]
        shelves += [(name, demand.path, min(demand.values)) for demand in demands(rule.condition)]
        found: list[Rule] = []
        for shelf in dict.fromkeys(shelves):
            found += takewhile(lambda higher: _order(higher) < _order(rule), self.shelves.get(shelf, ())[:MAX_HIGHER])
        return sorted(found, key=_order)

    def analysis(self, rule: Rule) -> Analysis | None:
        if rule.id not in self.read:
            self.read[rule.id] = analyse(rule, Report(""), self.segments)
        return self.read[rule.id]

    def holds_too(self, rule: Rule, above: Rule) -> bool:
        """Whether the condition of the rule above holds, without fail, wherever that of the rule does."""
        if above.condition is True or _encode(above.condition) == _encode(rule.condition):
            return True
        self.compared += 1
        if self.compared > MAX_COMPARED:
            return False
        lower, higher = self.analysis(rule), self.analysis(above)
        if lower is None or higher is None:
            return False
        both = _joined(lower.condition, higher.condition)
        solver = Solver(known_of(lower), both.slots, History(both.slots, both.trackers, lower.triggers))
        one, other = lower.condition.logic, higher.condition.logic
        try:
            if not solver.can([one]):  # that is said elsewhere
                return False
            return not solver.can([one, {"!": [other]}]) and not solver.can([{"if": [one, other, False]}], "error")
        except TooHard:
            return False


def _keys(rule: Rule) -> list[tuple[tuple[str, ...], str]]:
    """Where a rule is filed: by each value of the demand with the fewest, or by none."""
    wanted: list[Demand] = demands(rule.condition)
    if not wanted:
        return [((), "")]
    best = min(wanted, key=lambda demand: (len(demand.values), demand.path))
    return [(best.path, value) for value in best.values]


def _reads(rule: Rule) -> frozenset[str]:
    """The variables of a condition: one that only the higher condition reads, the lower one says nothing of."""
    return frozenset(variables_read(rule.condition)) - {"event.name"}


def _joined(one: Condition, other: Condition) -> Condition:
    trackers = dict(one.trackers)
    merge_trackers(trackers, other.trackers)
    return Condition(None, one.slots | other.slots, trackers)
