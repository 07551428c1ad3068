"""What rules would have done: a log replayed with a draft in place, and without it, and what differs.

Deliveries count by the time of their decision, in the window `(since, until]`; what lies before only fills the histories.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec

from rules.apply import SERVICE
from rules.documents import Definitions, Rule, names_of
from rules.duration import parse_duration
from rules.event import Event
from rules.limits import SESSION_GAP
from rules.merge import MERGED
from rules.outcome import Delivery, Outcome
from rules.replay import Replay
from rules.rulebook import compile_rulebook
from rules.variables import iso

PEOPLE_SHOWN: Final = 1_000


class Day(msgspec.Struct):
    """One day (UTC) of the window: the people who would have got a message, and how many."""

    day: str
    users: int
    deliveries: int


class Goals(msgspec.Struct):
    """Deliveries that were followed by the goal in time, and how many people they were; `share` of all who got one, 0 to 1."""

    users: int
    deliveries: int
    share: float


class Displaced(msgspec.Struct):
    """Deliveries of another rule that would not have been made with this one in force."""

    rule_id: str
    deliveries: int


class Person(msgspec.Struct):
    """Who would have seen it, and when (ISO 8601)."""

    user: str
    at: list[str]


class RuleTest(msgspec.Struct):
    """One rule in a back-test. `outcomes`: how often the rule was considered, by what came of it. `who`: the first
    1,000 in order of time."""

    rule_id: str
    users: int
    deliveries: int
    by_day: list[Day]
    goals: Goals | None
    displaced: list[Displaced]
    outcomes: dict[str, int]
    who: list[Person]


class _Told:
    """What is collected of one rule."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.goal = frozenset(names_of(rule.goal.event)) if rule.goal else frozenset()
        self.within = parse_duration(rule.goal.within) if rule.goal else 0
        self.outcomes: Counter[str] = Counter()
        self.times: dict[str, list[int]] = {}  # person → when
        self.reached: dict[str, set[int]] = {}

    def goal_reached(self, event: Event) -> None:
        for at in self.times.get(event.person, ()):
            if at < event.timestamp <= at + self.within:
                self.reached.setdefault(event.person, set()).add(at)

    def merged(self, person: str, into: str) -> None:
        """Two turned out to be one."""
        if person in self.times:
            self.times[into] = sorted([*self.times.get(into, ()), *self.times.pop(person)])
        if person in self.reached:
            self.reached.setdefault(into, set()).update(self.reached.pop(person))

    def report(self, lost: Counter[str]) -> RuleTest:
        days: dict[str, tuple[set[str], int]] = {}
        for person, times in self.times.items():
            for at in times:
                day = datetime.fromtimestamp(at // 1000, UTC).date().isoformat()
                people, count = days.get(day, (set(), 0))
                people.add(person)
                days[day] = people, count + 1
        users = len(self.times)
        share = round(len(self.reached) / users, 4) if users else 0.0
        goals = Goals(len(self.reached), sum(map(len, self.reached.values())), share) if self.rule.goal else None
        first = sorted(self.times.items(), key=lambda found: (found[1][0], found[0]))[:PEOPLE_SHOWN]
        return RuleTest(
            rule_id=self.rule.id,
            users=users,
            deliveries=sum(map(len, self.times.values())),
            by_day=[Day(day, len(people), count) for day, (people, count) in sorted(days.items())],
            goals=goals,
            displaced=[Displaced(rule, count) for rule, count in sorted(lost.items())],
            outcomes=dict(sorted(self.outcomes.items())),
            who=[Person(person[2:], [iso(at) for at in times]) for person, times in first],
        )


class Backtest:
    """Fed with a log, in the order of receipt; see `RuleTest` for what comes out. Raises RulesError for documents that do not compile."""

    def __init__(
        self,
        definitions: Definitions,
        tested: Iterable[str],
        since: int,
        was_made: Callable[[str], bool],
        secret: bytes = b"",
    ) -> None:
        """`definitions`: all documents, drafts in place; `tested`: the rules to report; `since`: the beginning of the window, ms;
        `was_made`: whether a delivery was made in life too, see `Replay`."""
        wanted = set(tested)
        rules = [
            msgspec.structs.replace(rule, enabled=True) if rule.id in wanted else rule for rule in definitions.rules
        ]
        definitions = msgspec.structs.replace(definitions, rules=rules)
        # With all rules under test there is nobody to be displaced.
        self._compares = any(rule.id not in wanted and rule.enabled for rule in rules)
        others = msgspec.structs.replace(definitions, rules=[rule for rule in rules if rule.id not in wanted])
        self._with = compile_rulebook(definitions, secret=secret)
        self._without = compile_rulebook(others, secret=secret)
        self._was_made = was_made
        self._since = since
        self._told = {rule.id: _Told(rule) for rule in rules if rule.id in wanted}
        self._goals = [told for told in self._told.values() if told.goal]
        self._lost: Counter[str] = Counter()
        self._people: set[str] = set()
        self._made: dict[str, str] = {}
        self._made_before: dict[str, str] = {}
        self.events = 0
        self._replay = Replay(self._with, self._was_made)
        self._before = Replay(self._without, self._was_made)

    def event(self, event: Event, received: int) -> None:
        if event.type == SERVICE and event.name == MERGED:
            for told in self._told.values():
                told.merged(str(event.properties.get("from")), event.person)
        for told in self._goals:
            if event.name in told.goal:
                told.goal_reached(event)
        if event.timestamp > self._since and event.type != SERVICE and not event.via:
            self.events += 1
            self._people.add(event.person)
        for outcome in self._replay.event(event, received):
            self._note(outcome)
        if self._compares:
            for outcome in self._before.event(event, received):
                self._made_before |= self._others(outcome.deliveries)

    def finish(self, until: int) -> None:
        """The timers that were due until the end."""
        for outcome in self._replay.finish(until):
            self._note(outcome)
        for outcome in self._before.finish(until):
            self._made_before |= self._others(outcome.deliveries)

    def report(self) -> list[RuleTest]:
        self._settle()
        return [told.report(self._lost) for told in self._told.values()]

    def collisions(self) -> dict[tuple[str, str], int]:
        """Pairs of rules under test → how many people would have got a message of both within a session's length, of kinds that interrupt."""
        found: Counter[tuple[str, str]] = Counter()
        by_person: dict[str, list[tuple[int, str]]] = {}
        for told in self._told.values():
            if self._with.rules[told.rule.id].interrupts:
                for person, times in told.times.items():
                    by_person.setdefault(person, []).extend((at, told.rule.id) for at in times)
        for messages in by_person.values():
            messages.sort()
            pairs = set()
            for index, (at, rule) in enumerate(messages):
                for later, other in messages[index + 1 :]:
                    if later - at >= SESSION_GAP:
                        break
                    if other != rule:
                        pairs.add((min(rule, other), max(rule, other)))
            found.update(pairs)
        return dict(sorted(found.items()))

    @property
    def people(self) -> int:
        """How many people had an event in the window."""
        return len(self._people)

    def _note(self, outcome: Outcome) -> None:
        self._made |= self._others(outcome.deliveries)
        for considered in outcome.considered:
            if considered.at > self._since and (told := self._told.get(considered.rule_id)):
                told.outcomes[considered.outcome] += 1
        for delivery in outcome.deliveries:
            if delivery.decided_at > self._since and (told := self._told.get(delivery.rule_id)):
                told.times.setdefault(delivery.person, []).append(delivery.decided_at)

    def _others(self, deliveries: list[Delivery]) -> dict[str, str]:
        """Deliveries of rules that are not under test, in the window."""
        return {
            delivery.delivery_id: delivery.rule_id
            for delivery in deliveries
            if delivery.rule_id not in self._told and delivery.decided_at > self._since
        }

    def _settle(self) -> None:
        self._lost.update(rule for found, rule in self._made_before.items() if found not in self._made)
        self._made, self._made_before = {}, {}
