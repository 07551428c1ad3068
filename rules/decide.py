"""One decision: a person's state and an event (or the time) → the next state and what follows from it.

Order within one decision, and therefore what a replay gives again:

1. timers due before the event's moment fire, each at its own time (a tick fires those due until now);
2. the event changes the state: traits, group, session, trackers, what was shown;
3. it cancels: timers and deliveries by `cancel_on`, absences by `without`;
4. it triggers rules.
"""

from typing import Any

from rules.apply import apply_event, event_root
from rules.data import Cause, build, group_data, user_data
from rules.dialect import DataHandle, EvaluationError, handle, is_true, value_of
from rules.duration import format_duration, parse_duration
from rules.errors import DurationError
from rules.event import Event
from rules.frequency import capped, pending, remember
from rules.ids import delivery_id, draw
from rules.index import VarPath, walk
from rules.outcome import Considered, Delivery, Outcome, Result
from rules.prune import prune
from rules.rulebook import LiveRule, Rulebook
from rules.state import Record, State, Timer
from rules.temporal import Slot
from rules.timers import cancel, cancel_absences, expect, next_due, take_due


def decide(state: State, event: Event | None, now: int, rulebook: Rulebook) -> Outcome:
    """Applies one event, or with `event` None lets the timers due until `now` fire. `state` is consumed.

    The moment of an event is `max(event.timestamp, state.clock)`, whatever `now` says: a replay decides the same.
    """
    outcome = Outcome(state, [], [], None, [])
    decision = _Decision(state, rulebook, outcome)
    if event is None:
        decision.fire(now)
    else:
        moment = max(event.timestamp, state.clock)
        if state.timers or state.waiting:
            decision.fire(moment - 1)
        decision.take(event, moment)
    if state.timers or state.waiting:
        outcome.next_timer = next_due(state)
    return outcome


class _Decision:
    __slots__ = ("outcome", "rulebook", "state")

    def __init__(self, state: State, rulebook: Rulebook, outcome: Outcome) -> None:
        self.state = state
        self.rulebook = rulebook
        self.outcome = outcome

    def say(self, rule: str, result: Result, at: int, detail: str = "") -> None:
        self.outcome.considered.append(Considered(rule, result, detail, at))

    def fire(self, until: int) -> None:
        """Timers due until a moment, in order, each at its own time."""
        state = self.state
        for due, rule_id, timer in take_due(state, until):
            at = state.clock = max(due, state.clock)
            rule = self.rulebook.rules.get(rule_id)
            if rule is None:
                self.say(rule_id, "cancelled", at, "the rule is no longer live")
                continue
            cause = Cause(None, timer.message_id, timer.snapshot)
            if rule.absence is None or self.holds(rule, cause, at):
                self.deliver(rule, cause, at)

    def holds(self, rule: LiveRule, cause: Cause, at: int) -> bool:
        """The condition of one rule on its own, when its timer fires."""
        data = _Data(self.state, cause, at, [rule])
        result, detail = data.test(rule)
        if result is not None:
            self.say(rule.id, result, at, detail)
        return result is None

    def take(self, event: Event, moment: int) -> None:
        state, rulebook = self.state, self.rulebook
        apply_event(state, event, moment, rulebook)
        prune(state, rulebook, moment)
        if event.name in rulebook.cancelling:
            self.cancel(event, moment)
        if state.waiting and event.name in rulebook.without:
            for rule_id in cancel_absences(state, rulebook, event.name, event.timestamp):
                self.say(rule_id, "cancelled", moment, f"{event.name} happened")
        self.trigger(event, moment)

    def cancel(self, event: Event, moment: int) -> None:
        """`cancel_on`, among what this person waits for only."""
        state = self.state
        for rule_id in sorted({*state.timers, *state.waiting, *state.records}):
            rule = self.rulebook.rules.get(rule_id)
            if rule is None or event.name not in rule.cancel_on:
                continue
            if cancel(state, rule_id, event.timestamp):
                self.say(rule_id, "cancelled", moment, f"{event.name} happened")
            for record in state.records.get(rule_id, ()):
                if pending(record, moment):
                    record.withdrawn = True
                    self.outcome.withdrawn.append(record.delivery_id)
                    self.say(rule_id, "withdrawn", moment, f"{event.name} happened")

    def trigger(self, event: Event, moment: int) -> None:
        cause = Cause(event, event.message_id)
        for rule in self.rulebook.absent.get(event.name, ()):
            reason = expect(self.state, rule, cause, event.timestamp)
            self.say(rule.id, "not_matched" if reason else "waiting", moment, reason)
        found = self.rulebook.triggers.find(event.name, self.reader(event))
        if not found:
            return
        found = sorted(found, key=lambda rule: (-rule.priority, rule.id))
        data = _Data(self.state, cause, moment, found)
        for rule in found:
            result, detail = data.test(rule)
            if result is not None:
                self.say(rule.id, result, moment, detail)
            else:
                self.matched(rule, event, moment, data)

    def reader(self, event: Event) -> Any:
        state = self.state

        def read(path: VarPath) -> Any:
            root = path[0]
            if root == "user":
                if path[1] == "traits":
                    return walk(state.traits, path[2:])
                return walk(user_data(state), path[1:])
            return walk(group_data(state) if root == "group" else event_root(event, root), path[1:])

        return read

    def matched(self, rule: LiveRule, event: Event, moment: int, data: "_Data") -> None:
        """The condition holds at the trigger: now, later, or not again."""
        if self.suppressed(rule, moment):
            return
        cause = data.cause
        try:
            delay = data.delay(rule)
        except (EvaluationError, DurationError) as error:
            self.say(rule.id, "error", moment, f"delay: {error}")
            return
        if delay == 0:
            self.deliver(rule, cause, moment)
        elif rule.id in self.state.timers:
            self.say(rule.id, "delayed", moment, "its timer runs already")
        else:
            timer = Timer(moment + delay, event.timestamp, event.message_id, cause.keep(rule.kept))
            self.state.timers[rule.id] = timer
            self.say(rule.id, "delayed", moment, format_duration(delay))

    def suppressed(self, rule: LiveRule, at: int) -> bool:
        """Whether its schedule or its frequency forbids a match; said."""
        if rule.schedule is not None and not rule.schedule.allows(at, self.state.timezone):
            self.say(rule.id, "outside_schedule", at)
            return True
        reason = capped(self.state, rule.id, rule.cap, at)
        if reason is not None:
            self.say(rule.id, "capped", at, reason)
        return reason is not None

    def deliver(self, rule: LiveRule, cause: Cause, at: int) -> None:
        """The last gate, and the delivery."""
        state, message = self.state, rule.message
        if self.suppressed(rule, at):
            return
        if rule.holdout and draw("holdout", rule.id, state.person) < rule.holdout:
            self.say(rule.id, "holdout", at)
            return
        identifier = delivery_id(rule.id, state.person, cause.message_id, self.rulebook.secret)
        expires_at = None if message.expires is None else at + message.expires
        remember(state, rule.id, Record(identifier, at, expires_at), rule.cap, at)
        delivery = Delivery(
            delivery_id=identifier,
            rule_id=rule.id,
            message_id=message.id,
            kind=message.kind,
            person=state.person,
            priority=rule.priority,
            variant=None,
            decided_at=at,
            expires_at=expires_at,
            show_on=message.show_on,
            locale=state.locale,
            data=build(state, cause, at, message.reads, {}),
        )
        self.outcome.deliveries.append(delivery)
        self.say(rule.id, "matched", at)


class _Data:
    """The data of one moment, made when the first rule asks for it."""

    __slots__ = ("at", "cause", "handle", "reason", "rules", "state")

    def __init__(self, state: State, cause: Cause, at: int, rules: list[LiveRule]) -> None:
        self.state = state
        self.cause = cause
        self.at = at
        self.rules = rules
        self.handle: DataHandle | None = None

    def read(self) -> DataHandle:
        if self.handle is None:
            mask = 0
            slots: dict[str, Slot] = {}
            for rule in self.rules:
                mask |= rule.reads
                slots |= rule.slots
            self.handle = handle(build(self.state, self.cause, self.at, mask, slots))
        return self.handle

    def test(self, rule: LiveRule) -> tuple[Result | None, str]:
        """Why a rule does not match, or (None, "")."""
        if rule.condition is None:
            return None, ""
        try:
            return (None, "") if is_true(rule.condition, self.read()) else ("not_matched", "")
        except EvaluationError as error:
            return "error", str(error)

    def delay(self, rule: LiveRule) -> int:
        if isinstance(rule.delay, int):
            return rule.delay
        return parse_duration(value_of(rule.delay, self.read()))
