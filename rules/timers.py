"""Timers of one person: delayed deliveries, and absences that wait for what does not come."""

from bisect import insort
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from rules.data import Cause
from rules.limits import MAX_WAITING
from rules.rulebook import LiveRule, Rulebook
from rules.state import State, Timer, Waiting
from rules.tracks import happened_between


class Due(NamedTuple):
    due: int
    rule_id: str
    timer: Timer
    absence: bool


def next_due(state: State) -> int | None:
    """When the next timer fires or the next delivery expires, ms."""
    due = [timer.due for timer in state.timers.values()]
    due += [waiting.timers[0].due for waiting in state.waiting.values() if waiting.timers]
    due += [pending.expires_at for pending in state.pending.values()]
    due += state.occasions.values()
    if state.look_at:
        due.append(state.look_at)
    return min(due, default=None)


def take_due(state: State, until: int) -> Iterator[Due]:
    """Takes the timers due until a moment, in the order of their time, then of their rule."""
    heap: list[tuple[int, str, bool]] = []
    for rule_id, timer in state.timers.items():
        if timer.due <= until:
            heappush(heap, (timer.due, rule_id, False))
    for rule_id, waiting in state.waiting.items():
        if waiting.timers and waiting.timers[0].due <= until:
            heappush(heap, (waiting.timers[0].due, rule_id, True))
    while heap:
        due, rule_id, absence = heappop(heap)
        if absence:
            yield _take_absence(state, due, rule_id, until, heap)
        else:
            yield Due(due, rule_id, state.timers.pop(rule_id), False)
        queued = state.timers.get(rule_id)  # there was no room for it
        if queued is not None and queued.due <= until and (queued.due, rule_id, False) not in heap:
            heappush(heap, (queued.due, rule_id, False))


def _take_absence(state: State, due: int, rule_id: str, until: int, heap: list[tuple[int, str, bool]]) -> Due:
    waiting = state.waiting[rule_id]
    fired = waiting.timers[0]
    waiting.done = max(waiting.done, due)
    # What began while the time ran is part of the same silence.
    waiting.timers = [timer for timer in waiting.timers if timer.caused_at > due]
    if waiting.timers and waiting.timers[0].due <= until:
        heappush(heap, (waiting.timers[0].due, rule_id, True))
    return Due(due, rule_id, fired, True)


def expect(state: State, rule: LiveRule, cause: Cause, timestamp: int) -> str:
    """An `after` event: its time begins to run, unless `without` is known to have followed. Says what happened."""
    absence = rule.absence
    assert absence is not None
    waiting = state.waiting.get(rule.id)
    if waiting is not None and timestamp <= waiting.done:
        return "its time was over before"
    until = timestamp + absence.within
    if happened_between(state.tracks.get(absence.tracker), timestamp, until):
        return "what it waits for had happened"
    timer = Timer(until, timestamp, cause.message_id, cause.keep(rule.kept))
    if waiting is None:
        waiting = state.waiting[rule.id] = Waiting()
    insort(waiting.timers, timer, key=lambda known: known.caused_at)
    if len(waiting.timers) > MAX_WAITING:
        del waiting.timers[1]  # the first and the newest say most
    return ""


def cancel_absences(state: State, rulebook: Rulebook, name: str, timestamp: int) -> list[str]:
    """A `without` event ends the absences it falls into; returns the rules whose running timer it ended."""
    ended = []
    for rule_id, waiting in state.waiting.items():
        rule = rulebook.rules.get(rule_id)
        if rule is None or rule.absence is None or name not in rule.absence.without or not waiting.timers:
            continue
        first = waiting.timers[0]
        waiting.timers = [timer for timer in waiting.timers if not timer.caused_at < timestamp <= timer.due]
        if not waiting.timers or waiting.timers[0] is not first:
            ended.append(rule_id)
    return ended


def cancel_timer(state: State, rule_id: str, timestamp: int) -> bool:
    """`cancel_on`: ends a delay, or a wait for room, that began before; says whether there was one."""
    timer = state.timers.get(rule_id)
    if timer is None or timer.caused_at > timestamp:
        return False
    del state.timers[rule_id]
    return True


def cancel_waiting(state: State, rule_id: str, timestamp: int) -> bool:
    """`cancel_on`: ends the absences that began before; says whether there was any."""
    waiting = state.waiting.get(rule_id)
    if waiting is None or not waiting.timers:
        return False
    before = len(waiting.timers)
    waiting.timers = [timer for timer in waiting.timers if timer.caused_at > timestamp]
    return len(waiting.timers) < before
