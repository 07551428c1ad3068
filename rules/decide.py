"""One decision: a person's state and an event (or the time) → the next state and what follows from it.

Order within one decision, and therefore what a replay gives again:

1. timers due before the event's moment fire, each at its own time (a tick fires those due until now), and deliveries expire;
2. the event changes the state: traits, group, session, trackers, what was shown, which goals were reached;
3. it cancels: timers and deliveries by `cancel_on`, absences by `without`;
4. what waits for room looks whether there is some;
5. it triggers rules, the higher priority first, then by id.
"""

from typing import Any, Final

from rules.apply import INTERACTIONS, MESSAGE_FAILED, SERVICE, apply_event, event_root, interact
from rules.data import Cause, build, group_data, user_data
from rules.dialect import BudgetExceeded, DataHandle, EvaluationError, handle, is_true, value_of
from rules.duration import format_duration, parse_duration
from rules.errors import DurationError
from rules.event import Event
from rules.experiment import HOLDOUT, MESSAGE, left_out, pick
from rules.frequency import capped, counted, pending, remember
from rules.ids import delivery_id
from rules.index import VarPath, walk
from rules.interruptions import busy
from rules.limits import DELIVERY_LIFE, INBOX_CAPACITY, MAX_DELIVERY_ID, MAX_NODES, MAX_STRAYS, PRUNE_EVERY
from rules.merge import FORGOTTEN, LINKED, MERGED, absorb, gift_of, give, hand_on, links_of
from rules.occasions import KNOWN_FOR, Clock
from rules.outcome import PUT_OFF, Considered, Delivery, Outcome, Result
from rules.prune import prune
from rules.rulebook import LiveItem, LiveRule, LiveVariant, LiveWatched, Rulebook
from rules.state import Exposure, Pending, Record, State, Stray, Timer, new_state
from rules.tally import ARM, CANCELLED, EXPIRED, RELEASE, RUNNING, SHOWN, STATE_OF, STOPPED, TARGET, WAITING
from rules.temporal import Slot
from rules.timers import cancel_absences, cancel_timer, cancel_waiting, expect, next_due, take_due
from rules.variables import iso

STEP_VIEWED: Final = "Tour Step Viewed"
TARGET_MISSING: Final = "Tour Target Missing"


def decide(state: State, event: Event | None, now: int, rulebook: Rulebook) -> Outcome:
    """Applies one event, or with `event` None lets the timers due until `now` fire. `state` is consumed.

    The moment of an event is `max(event.timestamp, state.clock)`, whatever `now` says: a replay decides the same.
    """
    outcome = Outcome(state, [], [], None, [])
    if event is not None and event.type == SERVICE and event.name == FORGOTTEN:
        _Decision(state, rulebook, outcome).forget()
        return outcome
    if event is not None and state.merged_into is not None:
        outcome.forward_to = hand_on(state, event)
        if state.merged_into is not None:
            return outcome
    decision = _Decision(state, rulebook, outcome)
    if event is None:
        decision.fire(now)
    else:
        moment = max(event.timestamp, state.clock)
        if state.next_due and state.next_due < moment:
            decision.fire(moment - 1)
        decision.take(event, moment)
        state = outcome.state
    if rulebook.checklists and state.merged_into is None:
        decision.tick_off(event)
    if decision.moved or state.next_due < 0:
        state.next_due = (next_due(state) or 0) if _waits(state) else 0
    outcome.next_timer = state.next_due or None
    return outcome


def _waits(state: State) -> bool:
    """Whether time alone may change anything."""
    return bool(state.timers or state.waiting or state.pending or state.occasions or state.look_at)


class _Decision:
    __slots__ = ("moved", "outcome", "rulebook", "state")

    def __init__(self, state: State, rulebook: Rulebook, outcome: Outcome) -> None:
        self.state = state
        self.rulebook = rulebook
        self.outcome = outcome
        self.moved = False  # whether anything that time alone may change has changed

    def say(self, rule: str, result: Result, at: int, detail: str = "") -> None:
        self.outcome.considered.append(Considered(rule, result, detail, at))

    def count(self, rule: str, what: str, by: int = 1) -> None:
        self.moved = True
        tally, name = self.outcome.tally, f"{rule}:{what}"
        tally[name] = tally.get(name, 0) + by

    def settle(self, rule: str, result: Result, at: int, detail: str = "", waited: bool = False) -> None:
        """Says what became of a match, and counts it: a new one, or one that had `waited`."""
        self.say(rule, result, at, detail)
        self.move(rule, WAITING if waited else None, STATE_OF[result])

    def move(self, rule: str, before: str | None, after: str) -> None:
        """One match from a state (None: a new one) to another."""
        if before == after:
            return
        if before is None:
            self.count(rule, "matched")
        else:
            self.count(rule, before, -1)
        self.count(rule, after)

    def fire(self, until: int) -> None:
        """Timers and occasions due until a moment, in order, each at its own time; then what has expired."""
        state = self.state
        self.moved = True
        while True:
            occasion = min([*state.occasions.values(), *([state.look_at] if state.look_at else [])], default=until + 1)
            for due, rule_id, timer, absence in take_due(state, min(until, occasion)):
                at = state.clock = max(due, state.clock)
                self.wake(rule_id, timer, absence, at)
            if occasion > until:
                break
            self.occasion(occasion)
        self.expire(until)

    def occasion(self, due: int) -> None:
        """A time of day, a silence that has lasted, or a window that moves a watched segment."""
        state, keys = self.state, self.rulebook.keys
        at = state.clock = max(due, state.clock)
        for key in sorted(name for name, when in state.occasions.items() if when <= due):
            del state.occasions[key]
            rule = keys.get(key)
            if rule is None or rule.occasion is None:
                continue  # edited, or no longer live
            if rule.occasion.clock is not None:
                self.set_clock(key, rule.occasion.clock, at)
            self.called(rule, Cause(None, f"{key} {due}"), at, at)
        if state.look_at and state.look_at <= due:
            state.look_at = 0
            for watched in self.rulebook.watched.values():
                if watched.watched.key in state.members:
                    self.look(watched, Cause(None, f"{watched.watched.id} {due}"), at, at)
            self.look_again(at)

    def set_clock(self, key: str, clock: Clock, at: int) -> None:
        """When a time of day wakes this person next, if they were seen lately."""
        if at - self.state.last_seen > KNOWN_FOR:
            return
        due = clock.after(at, self.state.timezone)
        if due is not None:
            self.state.occasions[key] = due

    def ask(self, rule: LiveRule, data: "_Data") -> tuple[Result | None, str]:
        """Whether its condition holds; one that the budget stopped is counted."""
        result, detail = data.test(rule)
        if data.stopped:
            data.stopped = False
            self.count(rule.id, f"{STOPPED}{rule.digest}")
        return result, detail

    def called(self, rule: LiveRule, cause: Cause, caused_at: int, at: int) -> None:
        """A rule is woken by an occasion: its condition decides."""
        if rule.id in self.rulebook.suspended:
            self.say(rule.id, "suspended", at, self.rulebook.suspended[rule.id])
            return
        data = _Data(self.state, cause, at, [rule])
        result, detail = self.ask(rule, data)
        if result is not None:
            self.say(rule.id, result, at, detail)
        else:
            self.matched(rule, cause, caused_at, at, data)

    def look(self, live: LiveWatched, cause: Cause, caused_at: int, at: int) -> None:
        """Whether a person came into a watched segment, or dropped out of it."""
        segment, key = live.watched.id, live.watched.key
        inside, before = self.inside(live, at), self.state.members.get(key)
        self.state.members[key] = inside
        if before is None or inside == before:
            return
        edge = f"{'enters' if inside else 'leaves'} {segment}"
        for rule in sorted(self.rulebook.on_edge.get(edge, ()), key=lambda rule: (-rule.priority, rule.id)):
            self.called(rule, cause, caused_at, at)

    def inside(self, live: LiveWatched, at: int) -> bool:
        """Whether a person is in a watched segment. One that cannot be evaluated holds nobody."""
        try:
            found = handle(build(self.state, Cause(None, ""), at, live.reads, live.watched.condition.slots))
            return is_true(live.compiled, found)
        except EvaluationError:
            return False

    def look_again(self, at: int) -> None:
        """When time alone may move a watched segment next."""
        due = [live.watched.moves_at(self.state, at) for live in self.rulebook.watched.values()]
        self.state.look_at = min((one for one in due if one is not None), default=0)

    def before(self, event: Event) -> list[LiveRule]:
        """What an event finds: memberships that nobody has looked at yet; and the rules it wakes by ending a silence."""
        state, rulebook = self.state, self.rulebook
        known = bool(state.clock or state.traits or state.group_traits)
        for key, live in rulebook.watched.items():
            if key not in state.members:
                state.members[key] = known and self.inside(live, max(state.clock, 1))
        if not state.last_seen:
            return []
        silence = event.timestamp - state.last_seen
        return [rule for rule in rulebook.on_return if rule.occasion and silence >= rule.occasion.span]

    def after(self, event: Event, cause: Cause, moment: int) -> None:
        """Edges of segments that an event makes; the silences and times of day that follow it."""
        self.moved = True
        state, rulebook = self.state, self.rulebook
        if rulebook.watched:
            moved = 0 < state.look_at <= moment  # by time, at this very moment
            for key in sorted(rulebook.watched):
                live = rulebook.watched[key]
                if moved or live.watched.concerns(event.name, event.type):
                    self.look(live, cause, event.timestamp, moment)
            self.look_again(moment)
        for key, rule in rulebook.keys.items():
            occasion = rule.occasion
            assert occasion is not None
            if occasion.clock is None:
                state.occasions[key] = state.last_seen + occasion.span
            elif key not in state.occasions or occasion.clock.zone is None:
                self.set_clock(key, occasion.clock, moment)

    def wake(self, rule_id: str, timer: Timer, absence: bool, at: int) -> None:
        rule = self.rulebook.rules.get(rule_id)
        if rule is None:
            detail = "the rule is no longer live"
            if absence:
                self.say(rule_id, "cancelled", at, detail)
            else:
                self.settle(rule_id, "cancelled", at, detail, waited=True)
            return
        cause = Cause(None, timer.message_id, timer.snapshot)
        if absence:
            if self.holds(rule, cause, at):
                self.offer(rule, cause, at, timer.caused_at)
        elif timer.until is None:
            self.offer(rule, cause, at, timer.caused_at, waited=True)
        else:
            self.offer_again(rule, timer, cause, at)

    def offer_again(self, rule: LiveRule, timer: Timer, cause: Cause, at: int) -> None:
        """What waited for room: if its condition still holds, and its time is not over."""
        data = _Data(self.state, cause, at, [rule])
        result, detail = self.ask(rule, data)
        if result is not None:
            self.settle(rule.id, "cancelled", at, detail or "its condition no longer holds", waited=True)
        else:
            self.offer(rule, cause, at, timer.caused_at, waited=True, until=timer.until)

    def expire(self, until: int) -> None:
        """Deliveries that were not shown in time."""
        pending_ = self.state.pending
        for identifier in [name for name, found in pending_.items() if found.expires_at <= until]:
            found = pending_.pop(identifier)
            self.settle(found.rule_id, "expired", found.expires_at, "not shown in time", waited=True)

    def holds(self, rule: LiveRule, cause: Cause, at: int) -> bool:
        """The condition of one rule on its own, when its timer fires."""
        data = _Data(self.state, cause, at, [rule])
        result, detail = self.ask(rule, data)
        if result is not None:
            self.say(rule.id, result, at, detail)
        return result is None

    def take(self, event: Event, moment: int) -> None:
        state, rulebook = self.state, self.rulebook
        if event.type == SERVICE and event.name in (LINKED, MERGED):
            self.meet(event, moment)
            return
        if event.name in INTERACTIONS:
            self.interaction(event, moment)
        if event.name in (STEP_VIEWED, TARGET_MISSING):
            self.look_at_target(event)
        woken = rulebook.woken and event.type != SERVICE
        back = self.before(event) if woken else ()
        apply_event(state, event, moment, rulebook)
        if moment - state.pruned_at >= PRUNE_EVERY:
            prune(state, rulebook, moment)
            self.moved = True
        if event.name in rulebook.goals:
            self.reach_goals(event)
        if event.name in rulebook.cancelling:
            self.cancel(event, moment)
        if state.waiting and event.name in rulebook.without:
            self.moved = True
            for rule_id in cancel_absences(state, rulebook, event.name, event.timestamp):
                self.say(rule_id, "cancelled", moment, f"{event.name} happened")
        if state.timers:
            self.look_for_room(moment)
        cause = Cause(event, event.message_id)
        self.trigger(event, cause, moment)
        for rule in sorted(back, key=lambda rule: (-rule.priority, rule.id)):
            self.called(rule, cause, event.timestamp, moment)
        if woken:
            self.after(event, cause, moment)
        if event.type in ("identify", "alias"):
            self.outcome.links = links_of(state, event)

    def meet(self, event: Event, moment: int) -> None:
        """This person turns out to be another, or another to be this one."""
        self.moved = True
        if event.name == LINKED:
            into = event.properties.get("into")
            if isinstance(into, str) and into != self.state.person:
                self.state.clock = max(self.state.clock, moment) if self.state.clock else 0
                self.outcome.state, self.outcome.gift = give(self.state, into)
            return
        other = gift_of(event)
        before = set(self.state.pending)
        left = absorb(self.state, other, self.rulebook)
        for rule_id in left.timers:
            self.move(rule_id, WAITING, RUNNING)
        for rule_id, gone, newly in left.arms:
            self.count(rule_id, f"{ARM}{gone.arm}:people", -1)
            if gone.reached:
                self.count(rule_id, f"{ARM}{gone.arm}:reached", -1)
            if newly:
                self.count(rule_id, f"{ARM}{self.state.exposures[rule_id].arm}:reached")
        moment = self.state.clock = max(moment, self.state.clock)
        self.take_strays(moment)
        self.keep_caps(before, moment)
        while len(self.state.pending) > INBOX_CAPACITY:
            self.make_way(moment)
        if self.rulebook.woken:
            cause = Cause(None, event.message_id)
            for key in sorted(self.rulebook.watched):
                self.look(self.rulebook.watched[key], cause, moment, moment)
            self.look_again(moment)
            for key, rule in self.rulebook.keys.items():
                if rule.occasion is not None and rule.occasion.clock is None and self.state.last_seen:
                    self.state.occasions[key] = self.state.last_seen + rule.occasion.span

    def forget(self) -> None:
        """Nothing is known of them any more; what waited for them is cancelled in the numbers."""
        waiting = [found.rule_id for found in self.state.pending.values()]
        for rule_id in [*waiting, *self.state.timers]:
            self.move(rule_id, WAITING, CANCELLED)
        self.outcome.state, self.outcome.forgotten = new_state(self.state.person), True

    def keep_caps(self, mine: set[str], moment: int) -> None:
        """What is too much of a rule now that two are one is withdrawn: what the other brought first, then the newest."""
        for rule_id in sorted({found.rule_id for found in self.state.pending.values()}):
            rule = self.rulebook.rules.get(rule_id)
            if rule is None or rule.cap is None:
                continue
            surplus = len(counted(self.state, rule_id, rule.cap, moment)) - rule.cap.max
            waiting = [
                record for record in self.state.records.get(rule_id, ()) if record.delivery_id in self.state.pending
            ]
            waiting.sort(key=lambda record: (record.delivery_id in mine, -record.decided_at))
            for record in waiting[: max(0, surplus)]:
                record.withdrawn = True
                del self.state.pending[record.delivery_id]
                self.outcome.withdrawn.append(record.delivery_id)
                self.settle(rule_id, "withdrawn", moment, "two people turned out to be one", waited=True)

    def interaction(self, event: Event, moment: int) -> None:
        """What a delivery's first interaction says of it: it was shown, or could not be made."""
        identifier = event.properties.get("delivery_id")
        if not isinstance(identifier, str):
            return
        state = self.state
        waiting = state.pending.pop(identifier, None)
        if event.name == MESSAGE_FAILED:
            if waiting is not None:
                known = state.records.get(waiting.rule_id, [])
                state.records[waiting.rule_id] = [one for one in known if one.delivery_id != identifier]
                self.settle(waiting.rule_id, "failed", moment, str(event.properties.get("reason", "")), waited=True)
        elif waiting is not None:
            self.move(waiting.rule_id, WAITING, SHOWN)
        else:
            is_known = False
            for rule_id, records in state.records.items():
                for record in records:
                    is_known = is_known or record.delivery_id == identifier
                    if record.delivery_id == identifier and record.shown_at is None:
                        self.move(rule_id, CANCELLED if record.withdrawn else EXPIRED, SHOWN)
            if not is_known and len(identifier) <= MAX_DELIVERY_ID:
                state.strays = [*state.strays, Stray(identifier, event.name, event.timestamp)][-MAX_STRAYS:]

    def look_at_target(self, event: Event) -> None:
        """Whether a step of a tour found its target: counted per step, and per release of the page, else per day."""
        told = event.properties
        step, found = told.get("step"), event.name == STEP_VIEWED
        if not isinstance(step, int) or not 0 < step <= MAX_NODES or (found and told.get("target") != "found"):
            return
        release = told.get("release")
        if not isinstance(release, str) or not RELEASE.fullmatch(release):
            release = iso(event.timestamp)[:10]
        for rule_id, records in self.state.records.items():
            rule = self.rulebook.rules.get(rule_id)
            if rule is not None and any(record.delivery_id == told.get("delivery_id") for record in records):
                digest = self.variant(rule).message.digest
                self.count(rule_id, f"{TARGET}{digest}:{release}:{step}:{'found' if found else 'missing'}")

    def take_strays(self, moment: int) -> None:
        """What was done with the other's deliveries was told before the deliveries came."""
        state = self.state
        known = {record.delivery_id for records in state.records.values() for record in records}
        found = [stray for stray in state.strays if stray.delivery_id in known]
        state.strays = [stray for stray in state.strays if stray.delivery_id not in known]
        for stray in found:
            told = Event("track", stray.name, "", stray.at, state.person, properties={"delivery_id": stray.delivery_id})
            self.interaction(told, moment)
            interact(state, told)

    def reach_goals(self, event: Event) -> None:
        for rule in self.rulebook.goals[event.name]:
            exposure = self.state.exposures.get(rule.id)
            if exposure is None or exposure.reached or rule.goal is None:
                continue
            if exposure.at < event.timestamp <= exposure.at + rule.goal.within:
                exposure.reached = True
                self.count(rule.id, f"{ARM}{exposure.arm}:reached")

    def look_for_room(self, moment: int) -> None:
        """An event may have made room for what waits: a session began, or another message was closed."""
        waiting = [(name, timer) for name, timer in self.state.timers.items() if timer.until is not None]
        rules = self.rulebook.rules
        found = [(rules[name], timer) for name, timer in waiting if name in rules]
        for rule, timer in sorted(found, key=lambda one: (-one[0].priority, one[0].id)):
            if busy(self.state, self.rulebook.limits, True, moment) is None:
                del self.state.timers[rule.id]
                self.offer_again(rule, timer, Cause(None, timer.message_id, timer.snapshot), moment)

    def cancel(self, event: Event, moment: int) -> None:
        """`cancel_on`, among what this person waits for only."""
        state = self.state
        happened = f"{event.name} happened"
        for rule_id in sorted({*state.timers, *state.waiting, *state.records}):
            rule = self.rulebook.rules.get(rule_id)
            if rule is None or event.name not in rule.cancel_on:
                continue
            if cancel_timer(state, rule_id, event.timestamp):
                self.settle(rule_id, "cancelled", moment, happened, waited=True)
            elif cancel_waiting(state, rule_id, event.timestamp):
                self.moved = True
                self.say(rule_id, "cancelled", moment, happened)
            for record in state.records.get(rule_id, ()):
                if pending(record, moment):
                    record.withdrawn = True
                    self.outcome.withdrawn.append(record.delivery_id)
                    if state.pending.pop(record.delivery_id, None) is None:
                        self.say(rule_id, "withdrawn", moment, happened)
                    else:
                        self.settle(rule_id, "withdrawn", moment, happened, waited=True)
                elif record.snoozed_at is not None:
                    record.snoozed_at = None  # it was shown: what its match came to stays
                    self.outcome.withdrawn.append(record.delivery_id)
                    self.say(rule_id, "withdrawn", moment, f"{happened}{PUT_OFF}")

    def trigger(self, event: Event, cause: Cause, moment: int) -> None:
        for rule in self.rulebook.absent.get(event.name, ()):
            self.moved = True
            reason = expect(self.state, rule, cause, event.timestamp)
            self.say(rule.id, "not_matched" if reason else "waiting", moment, reason)
        found = self.rulebook.triggers.find(event.name, self.reader(event))
        if not found:
            return
        found = sorted(found, key=lambda rule: (-rule.priority, rule.id))
        data = _Data(self.state, cause, moment, found)
        suspended = self.rulebook.suspended
        for rule in found:
            if suspended and rule.id in suspended:
                self.say(rule.id, "suspended", moment, suspended[rule.id])
                continue
            result, detail = self.ask(rule, data)
            if result is not None:
                self.say(rule.id, result, moment, detail)
            else:
                self.matched(rule, cause, event.timestamp, moment, data)

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

    def matched(self, rule: LiveRule, cause: Cause, caused_at: int, moment: int, data: "_Data") -> None:
        """The condition holds at the trigger: now, later, or not again."""
        if self.suppressed(rule, moment, False):
            return
        try:
            delay = data.delay(rule)
        except (EvaluationError, DurationError) as error:
            self.settle(rule.id, "error", moment, f"delay: {error}")
            return
        if rule.id in self.state.timers and (delay or rule.wait):
            self.runs_already(rule, moment)
        elif delay == 0:
            self.offer(rule, cause, moment, caused_at)
        else:
            timer = Timer(moment + delay, caused_at, cause.message_id, cause.keep(rule.kept))
            self.state.timers[rule.id] = timer
            self.settle(rule.id, "delayed", moment, format_duration(delay))

    def runs_already(self, rule: LiveRule, at: int) -> None:
        self.say(rule.id, "delayed", at, "its timer runs already")
        self.move(rule.id, None, RUNNING)

    def suppressed(self, rule: LiveRule, at: int, waited: bool) -> bool:
        """Whether its schedule or its frequency forbids a match; said."""
        if rule.schedule is not None and not rule.schedule.allows(at, self.state.timezone):
            self.settle(rule.id, "outside_schedule", at, waited=waited)
            return True
        reason = capped(self.state, rule.id, rule.cap, at)
        if reason is not None:
            self.settle(rule.id, "capped", at, reason, waited)
        return reason is not None

    def offer(
        self, rule: LiveRule, cause: Cause, at: int, caused_at: int, waited: bool = False, until: int | None = None
    ) -> None:
        """The last gates, and the delivery. `waited`: the match was counted before; `until`: it waits for room, so long."""
        if self.suppressed(rule, at, waited):
            return
        variant = self.assign(rule, at, waited)
        if variant is None:
            return
        full = None
        if variant.message.interrupts:
            full = busy(self.state, self.rulebook.limits, rule.wait is not None, at)
        if full is None:
            self.deliver(rule, variant, cause, at, waited)
            return
        if until is None and rule.wait:
            until = at + rule.wait
        if until is None or until <= at:
            self.settle(rule.id, full.result, at, full.detail, waited)
            return
        if rule.id in self.state.timers:
            self.runs_already(rule, at)
            return
        due = until if full.free_at is None else min(until, max(full.free_at, at + 1))
        self.state.timers[rule.id] = Timer(due, caused_at, cause.message_id, cause.keep(rule.kept), until)
        self.settle(rule.id, "queued", at, f"{full.result}: {full.detail}", waited)

    def assign(self, rule: LiveRule, at: int, waited: bool) -> LiveVariant | None:
        """The message this person gets; None for one who is left out, said. The first time is remembered: an experiment counts people."""
        state = self.state
        arm = left_out(rule.id, state.person, rule.holdout, self.rulebook.holdout, arm_before(state, rule.id))
        variant = None if arm else self.variant(rule)
        if (rule.goal or len(rule.variants) > 1) and rule.id not in state.exposures:
            known = arm or (variant and variant.id) or MESSAGE
            state.exposures[rule.id] = Exposure(known, at)
            self.count(rule.id, f"{ARM}{known}:people")
        if arm:
            self.settle(rule.id, "holdout", at, "" if arm == HOLDOUT else "of the project", waited)
        return variant

    def variant(self, rule: LiveRule) -> LiveVariant:
        """A person keeps the variant they were given first, as long as there is such a one."""
        variants = rule.variants
        if len(variants) == 1:
            return variants[0]
        exposure = self.state.exposures.get(rule.id)
        for variant in variants:
            if exposure is not None and variant.id == exposure.arm:
                return variant
        return variants[pick(rule.id, self.state.person, [variant.weight for variant in variants])]

    def deliver(self, rule: LiveRule, variant: LiveVariant, cause: Cause, at: int, waited: bool) -> None:
        state, message = self.state, variant.message
        identifier = delivery_id(rule.id, state.person, cause.message_id, self.rulebook.secret)
        expires_at = None if message.expires is None else at + message.expires
        record = Record(identifier, at, expires_at, interrupts=message.interrupts)
        remember(state, rule.id, record, rule.cap, at, self.rulebook.limits.quiet)
        delivery = Delivery(
            delivery_id=identifier,
            rule_id=rule.id,
            message_id=message.id,
            kind=message.kind,
            person=state.person,
            priority=rule.priority,
            variant=variant.id,
            decided_at=at,
            expires_at=expires_at,
            show_on=message.show_on,
            locale=state.locale,
            data=build(state, cause, at, message.reads, {}),
        )
        self.outcome.deliveries.append(delivery)
        self.settle(rule.id, "matched", at, waited=waited)
        state.pending[identifier] = Pending(rule.id, expires_at or at + DELIVERY_LIFE)
        if len(state.pending) > INBOX_CAPACITY:
            self.make_way(at)

    def tick_off(self, event: Event | None) -> None:
        """Items of open checklists that are done now; once done, they stay so."""
        state = self.state
        for rule in self.rulebook.checklists:
            for record in state.records.get(rule.id, ()):
                if _is_open(record, state.clock):
                    self.tick_items(record, self.variant(rule).message.items, event)

    def tick_items(self, record: Record, items: tuple[LiveItem, ...], event: Event | None) -> None:
        cause = Cause(event, event.message_id if event else "")
        newly = [item.id for item in items if item.id not in record.ticked and self.is_done(item, cause)]
        if newly:
            record.ticked = [*record.ticked, *newly]
            self.outcome.ticked.append((record.delivery_id, record.ticked))

    def is_done(self, item: LiveItem, cause: Cause) -> bool:
        """One whose condition cannot be evaluated is not."""
        try:
            return is_true(item.done, handle(build(self.state, cause, self.state.clock, item.reads, item.slots)))
        except EvaluationError:
            return False

    def make_way(self, at: int) -> None:
        """The inbox is full: its oldest delivery expires."""
        identifier, oldest = next(iter(self.state.pending.items()))
        del self.state.pending[identifier]
        for record in self.state.records.get(oldest.rule_id, ()):
            if record.delivery_id == identifier:
                record.expires_at = at
        self.outcome.withdrawn.append(identifier)
        self.settle(oldest.rule_id, "expired", at, f"the inbox holds {INBOX_CAPACITY}", waited=True)


def _is_open(record: Record, moment: int) -> bool:
    """Whether a checklist still stands: neither closed nor gone before it was shown."""
    closed = record.withdrawn or record.dismissed_at is not None or record.completed_at is not None
    return not closed and (record.expires_at is None or record.expires_at > moment)


def arm_before(state: State, rule_id: str) -> str | None:
    """The arm of somebody of two names: they stay in the one they were in first."""
    known = state.exposures.get(rule_id) if state.merged else None
    return known.arm if known is not None else None


class _Data:
    """The data of one moment, made when the first rule asks for it."""

    __slots__ = ("at", "cause", "handle", "rules", "state", "stopped")

    def __init__(self, state: State, cause: Cause, at: int, rules: list[LiveRule]) -> None:
        self.state = state
        self.cause = cause
        self.at = at
        self.rules = rules
        self.handle: DataHandle | None = None
        self.stopped = False

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
            self.stopped = isinstance(error, BudgetExceeded)
            return "error", str(error)

    def delay(self, rule: LiveRule) -> int:
        if isinstance(rule.delay, int):
            return rule.delay
        return parse_duration(value_of(rule.delay, self.read()))
