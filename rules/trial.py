"""Running the tests inside a rule: through the same `decide` as everything else, with time that jumps from one moment to the next.

After the last event time runs on until the tested rule's timers are done. What other rules deliver counts until the last moment
the test names: what they do after the story is over is not its matter.
"""

from collections import Counter
from typing import Final, Literal

import msgspec

from rules.cases import event_of, start_of, state_of, unknown_message
from rules.clauses import Clause, clauses_of, shown
from rules.data import Cause
from rules.decide import decide
from rules.documents import Case, CaseEvent, Definitions, Occasion, Rule, messages_of
from rules.duration import format_duration, parse_duration
from rules.occasions import trigger_names
from rules.outcome import Considered, Delivery, Outcome
from rules.rulebook import Rulebook, compile_rulebook
from rules.state import Exposure, State
from rules.timers import next_due

_ASKED: Final = frozenset(
    ("matched", "not_matched", "capped", "limited", "lost", "queued", "delayed", "outside_schedule", "error")
)  # outcomes of a condition
Do = Literal["deliver", "withdraw"]


class Came(msgspec.Struct, frozen=True, order=True):
    """A delivery or a withdrawal, expected or real; `at` is ms from the start of the test."""

    at: int
    do: Do
    message: str

    def __str__(self) -> str:
        return f"{format_duration(self.at)} {self.do} {self.message}"


class Moment(msgspec.Struct):
    """One line of what happened: an event, a rule that was considered, a delivery or a withdrawal; `at` in ms."""

    at: int
    kind: Literal["event", "considered", "deliver", "withdraw"]
    text: str
    rule: str | None = None
    clauses: list[Clause] = []


class Trial(msgspec.Struct):
    """One test that was run. `error`: why it could not be run to its end."""

    rule: str
    name: str
    index: int
    passed: bool
    missing: list[Came]
    unexpected: list[Came]
    timeline: list[Moment]
    error: str = ""


def trial_rulebook(definitions: Definitions, tested: Rule, alone: bool = False) -> Rulebook:
    """The rules a test runs with: all, or the tested one alone. The tested one is switched on; nobody is held out, of a rule
    or of the project; of variants, each person gets the first, or the one the test names.

    Raises RulesError where a document is broken.
    """
    rules = []
    for rule in definitions.rules:
        if rule.id == tested.id:
            rules.append(msgspec.structs.replace(rule, enabled=True, holdout=0.0))
        elif not alone:
            rules.append(msgspec.structs.replace(rule, holdout=0.0))
    project = [msgspec.structs.replace(one, holdout=0.0) for one in definitions.project]
    return compile_rulebook(msgspec.structs.replace(definitions, rules=rules, project=project))


def try_case(rule: Rule, index: int, rulebook: Rulebook, alone: bool = False) -> Trial:
    """Runs one test of a checked rule. With `alone`, only the rule's own message is expected."""
    case = rule.tests[index]
    run = _Run(rule, case, rulebook)
    error = run.play()
    expected = Counter(
        Came(parse_duration(one.at), "deliver" if one.deliver else "withdraw", one.deliver or one.withdraw or "")
        for one in case.expect
    )
    if alone:
        own = messages_of(rule).values()
        expected = Counter({came: times for came, times in expected.items() if came.message in own})
    withdrawals = any(came.do == "withdraw" for came in expected)
    came = Counter(one for one in run.came if withdrawals or one.do == "deliver")
    missing = sorted((expected - came).elements())
    unexpected = sorted((came - expected).elements())
    passed = not missing and not unexpected and not error
    return Trial(rule.id, case.name, index, passed, missing, unexpected, run.timeline, error)


class _Run:
    def __init__(self, rule: Rule, case: Case, rulebook: Rulebook) -> None:
        self.rule = rule
        self.case = case
        self.rulebook = rulebook
        self.start = start_of(case)
        self.state: State = state_of(case.user)
        for live in rulebook.rules.values():
            if len(live.variants) > 1:
                pinned = case.variant if live.id == rule.id else None
                self.state.exposures[live.id] = Exposure(pinned or live.variants[0].id or "", 0)
        self.clauses = clauses_of(rule.condition, rulebook.segments)
        self.triggers = () if isinstance(rule.trigger, Occasion) else trigger_names(rule.trigger)
        self.absence = (
            isinstance(rule.trigger, Occasion) and rule.trigger.after is not None
        )  # its condition is asked when its time is over
        self.end = max(parse_duration(at) for at in [*(e.at for e in case.events), *(e.at for e in case.expect)])
        self.timeline: list[Moment] = []
        self.came: list[Came] = []
        self.delivered: dict[str, Delivery] = {}

    def play(self) -> str:
        """All events, then all that waits; says what could not be played."""
        for index, call in enumerate(self.case.events):
            moment = self.start + parse_duration(call.at)
            self.fire(moment - 1)  # as `decide` would, but each timer is a step of its own
            event = event_of(call, index, moment, self.state)
            if call.message is not None:
                delivery = self.latest(call.message)
                if delivery is None:
                    known = sorted({one.message_id for one in self.delivered.values()})
                    return f"at {_show(call)}: {unknown_message(call.message, known)}"
                about = {"delivery_id": delivery.delivery_id, "rule_id": delivery.rule_id, "message_id": call.message}
                event.properties = about | event.properties
            outcome = decide(self.state, event, moment, self.rulebook)
            self.note(outcome, call, None if self.absence else Cause(event, event.message_id))
        self.fire(self.start + self.end)
        while self.waits() and (due := next_due(self.state)) is not None:
            self.fire(due)
        wakes = trigger_names(self.rule.trigger)
        if not any(one.rule == self.rule.id for one in self.timeline):
            text = "never woken"
            if wakes:
                text += f": no event of this test is {' or '.join(f'`{name}`' for name in wakes)}"
            self.timeline.append(Moment(self.end, "considered", text, self.rule.id))
        return ""

    def fire(self, until: int) -> None:
        """The timers due until a moment, one moment after the other."""
        while (due := next_due(self.state)) is not None and due <= until:
            waiting = self.state.waiting.get(self.rule.id)
            timer = waiting.timers[0] if waiting and waiting.timers else None
            outcome = decide(self.state, None, due, self.rulebook)
            self.note(outcome, None, Cause(None, timer.message_id, timer.snapshot) if timer else None)

    def latest(self, message: str) -> Delivery | None:
        """The newest delivery of a message."""
        found = [one for one in self.delivered.values() if one.message_id == message]
        return max(found, key=lambda one: one.decided_at, default=None)

    def waits(self) -> bool:
        """Whether a timer of the tested rule runs."""
        waiting = self.state.waiting.get(self.rule.id)
        silence = any(
            name.startswith(f"{self.rule.id} ") and live.occasion and live.occasion.kind == "inactive_for"
            for name, live in self.rulebook.keys.items()
            if name in self.state.occasions
        )
        return silence or self.rule.id in self.state.timers or (waiting is not None and bool(waiting.timers))

    def note(self, outcome: Outcome, call: CaseEvent | None, cause: Cause | None) -> None:
        """What came of one step. `cause` is given where the tested rule's condition was asked in it."""
        self.state = outcome.state
        clock = outcome.state.clock
        if call is not None:
            late = "" if parse_duration(call.at) == clock - self.start else ", late"
            self.timeline.append(Moment(clock - self.start, "event", _show(call) + late))
        self.considered(outcome.considered, outcome, cause)
        for identifier in outcome.withdrawn:
            delivery = self.delivered.get(identifier)
            if delivery is not None:
                self.add(clock, "withdraw", delivery)

    def considered(self, found: list[Considered], outcome: Outcome, cause: Cause | None) -> None:
        event = cause.event if cause is not None else None
        if event is not None and event.name in self.triggers and not any(one.rule_id == self.rule.id for one in found):
            # The index spared it the evaluation; who reads this wants to know why.
            found = [*found, Considered(self.rule.id, "not_matched", "", outcome.state.clock)]
        deliveries = {(one.rule_id, one.decided_at): one for one in outcome.deliveries}
        for one in found:
            text = one.outcome + (f": {one.detail}" if one.detail else "")
            asked = cause is not None and one.rule_id == self.rule.id and one.outcome in _ASKED
            clauses = self.values(one.at, cause) if cause is not None and asked else []
            self.timeline.append(Moment(one.at - self.start, "considered", text, one.rule_id, clauses))
            delivery = deliveries.get((one.rule_id, one.at)) if one.outcome == "matched" else None
            if delivery is not None:
                self.delivered[delivery.delivery_id] = delivery
                self.add(one.at, "deliver", delivery)

    def add(self, at: int, do: Do, delivery: Delivery) -> None:
        came = Came(at - self.start, do, delivery.message_id)
        self.timeline.append(Moment(came.at, do, delivery.message_id, delivery.rule_id))
        if delivery.rule_id == self.rule.id or came.at <= self.end:
            self.came.append(came)

    def values(self, at: int, cause: Cause) -> list[Clause]:
        """The clauses of the tested rule's condition at a moment. The data are those of the decision: it changes nothing that a
        condition reads."""
        return [clause.at(self.state, cause, at) for clause in self.clauses]


def _show(call: CaseEvent) -> str:
    """A test's event in one line."""
    words = []
    for name in ("event", "identify", "group", "screen", "alias", "page", "traits", "properties", "message"):
        value = getattr(call, name)
        if value is not None and value != {}:
            words.append(f"{name} {value if isinstance(value, str) else shown(value)}")
    return " ".join(words)
