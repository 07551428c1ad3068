"""Two people who turn out to be one: an anonymous visitor and the user they become, or a user's former id.

`identify` with both ids and `alias` ask for it (Segment Spec: Identify, Alias). The one who is given up hands the whole state over and is
a forwarding address from then on: what arrives for them later is handed on. What was asked twice, or arrives in another order, comes to the same:

- the first `identify` of an anonymous visitor counts: a second user on the same browser does not get the first one's history;
- a user's own traits, group and locale win; of the other only what is missing is taken;
- histories are united as if one person had made them; a rule's cap holds for both together, and what is too much is withdrawn;
- in a circle of aliases the smallest name is the one that stays.
"""

from bisect import bisect_left
from typing import Any, Final, Literal, NamedTuple

import msgspec

from rules.event import SERVER, Event
from rules.limits import (
    MAX_LINKS,
    MAX_STEPS,
    MAX_STRAYS,
    MAX_TIMESTAMPS,
    MAX_TRAITS,
    MAX_WAITING,
    SEQUENCE_EVENTS,
    SESSION_GAP,
)
from rules.rulebook import Rulebook
from rules.state import Exposure, Session, State, Waiting, decode_state, encode_state, merge_traits, new_state
from rules.tracks import Track, advance, happened_between

LINKED: Final = "Person Linked"  # said by the service to the one who is given up
MERGED: Final = "Person Merged"  # … and to the one who stays, with the state of the other
FORGOTTEN: Final = "Person Forgotten"  # said by the service of a person who is to be removed
By = Literal["identify", "alias"]


class Link(msgspec.Struct):
    """`person` is to be merged into `into`."""

    person: str
    into: str
    by: By


class Gift(msgspec.Struct):
    """A state on its way to the person who stays. `number`: the how manyth it is; below 0, what a new rule found later."""

    person: str
    into: str
    state: bytes
    number: int


class Left(NamedTuple):
    """What of the other could not be taken over: delays that both had (by rule), and second places in an experiment."""

    timers: list[str]
    arms: list[tuple[str, Exposure, bool]]


def links_of(state: State, event: Event) -> list[Link]:
    """Whom this call says the person also is; asked once."""
    by: By
    if event.type == "identify" and event.user_id is not None and event.anonymous_id is not None:
        others, by = [f"a:{event.anonymous_id}"], "identify"
    elif event.type == "alias" and event.previous_id is not None:
        others, by = [f"a:{event.previous_id}"], "alias"
        # Who proves to be one user has not proven to have been another: a server may say so, or anybody where nothing is proven.
        if event.vouched in (None, SERVER):
            others.append(f"u:{event.previous_id}")
    else:
        return []
    found = []
    for other in others:
        asked = f"{by} {other}"
        if other != state.person and asked not in state.asked:
            state.asked = [*state.asked, asked][-MAX_LINKS:]
            found.append(Link(other, state.person, by))
    return found


def give(state: State, into: str) -> tuple[State, Gift]:
    """The forwarding address that is left behind, and what goes on its way: of somebody not heard of yet only the name."""
    left = new_state(state.person)
    left.clock, left.merged_into, left.given = state.clock, into, state.given + 1
    return left, Gift(state.person, into, encode_state(state), state.given)


def hand_on(state: State, event: Event) -> str | None:
    """Whom an event goes to that arrives at a forwarding address. None: to nobody, or, where it has come round in a circle and this
    is the smallest name in it, to this person, who lives again."""
    into = state.merged_into
    assert into is not None
    if event.name == LINKED and event.type == "service":
        asked = event.properties
        return None if asked.get("into") == into or asked.get("by") != "alias" else into
    if state.person in event.via:
        circle = event.via[event.via.index(state.person) :]
        if state.person == min(circle):
            state.merged_into = None
            return None
    return into


def gift_of(event: Event) -> State:
    """The state that a MERGED brings: bytes, or base64 of them. Raises StateError, KeyError or msgspec.ValidationError for what is none."""
    return decode_state(msgspec.convert(event.properties["state"], bytes))


def absorb(state: State, other: State, rulebook: Rulebook) -> Left:
    """Takes another's state into this one, in place."""
    if other.person != state.person:
        state.merged = [*dict.fromkeys([*state.merged, *other.merged, other.person])][-MAX_LINKS:]
    state.asked = [*dict.fromkeys([*other.asked, *state.asked])][-MAX_LINKS:]
    known = bool(state.last_seen)
    state.clock = max(state.clock, other.clock)
    if other.last_seen:
        state.first_seen = min(state.first_seen, other.first_seen) if known else other.first_seen
        state.last_seen = max(state.last_seen, other.last_seen)
    state.signed = [*dict.fromkeys([*state.signed, *other.signed])][:MAX_TRAITS]
    state.strays = [*other.strays, *state.strays][-MAX_STRAYS:]
    state.user_id = state.user_id or other.user_id
    state.anonymous_id = state.anonymous_id or other.anonymous_id
    missing = {name: value for name, value in other.traits.items() if name not in state.traits}
    state.traits, dropped = merge_traits(state.traits, missing)
    state.traits_dropped += dropped + other.traits_dropped
    if state.group_id is None:
        state.group_id, state.group_traits, state.signed_group = other.group_id, other.group_traits, other.signed_group
    state.locale = state.locale or other.locale
    state.timezone = state.timezone or other.timezone
    state.session = _session(state.session, other.session)
    for name, track in other.tracks.items():
        tracker = rulebook.trackers.get(name)
        mine = state.tracks.get(name)
        state.tracks[name] = track if mine is None else united(mine, track, tracker.keep if tracker else 0)
    for name, since in other.unknown.items():
        state.unknown[name] = max(since, state.unknown.get(name, 0))
    _records(state, other)
    left = Left(_timers(state, other), _exposures(state, other))
    _waiting(state, other, rulebook)
    state.occasions = other.occasions | state.occasions
    for key, inside in other.members.items():
        state.members[key] = state.members.get(key, False) or inside
    return left


def _session(one: Session, other: Session) -> Session:
    if not one.number or not other.number:
        return one if one.number else other
    first, last = (one, other) if one.last_at <= other.last_at else (other, one)
    if last.started_at - first.last_at >= SESSION_GAP:
        return Session(last.started_at, last.last_at, last.events, last.pages, first.number + last.number)
    return Session(
        min(one.started_at, other.started_at),
        last.last_at,
        one.events + other.events,
        one.pages + other.pages,
        one.number + other.number - 1,
    )


def united(one: Track, other: Track, keep: int) -> Track:
    """Two histories as one, exact for what the tracker is asked: of each side the newest are there, so the newest of both are."""
    if not one.count or not other.count:
        return one if one.count else other
    track = Track(one.count + other.count, min(one.first, other.first), max(one.last, other.last))
    if not one.marks and not other.marks:
        # Before the oldest that a full side remembers nothing is complete.
        full = [side.recent[0] for side in (one, other) if side.count > len(side.recent) and side.recent]
        recent = sorted(one.recent + other.recent)
        track.recent = recent[bisect_left(recent, max(full, default=0)) :][-(keep or MAX_TIMESTAMPS) :]
    elif _is_sequence(one) or _is_sequence(other):
        _sequence(track, one, other)
    else:
        newest: dict[Any, int] = {}
        for side in (one, other):
            for at, mark in zip(side.recent, side.marks, strict=True):
                newest[mark] = max(at, newest.get(mark, at))
        limit = keep or max(len(one.recent), len(other.recent))
        ordered = sorted(((at, mark) for mark, at in newest.items()), key=lambda found: found[0])[-limit:]
        track.recent, track.marks = [at for at, _ in ordered], [mark for _, mark in ordered]
    return track


def _is_sequence(track: Track) -> bool:
    """Marks are the hash of a value, the number of a day (far beyond 8 bits), or which of at most 8 steps an event can be."""
    return bool(track.before) or all(isinstance(mark, int) and mark < 1 << MAX_STEPS for mark in track.marks)


def _sequence(track: Track, one: Track, other: Track) -> None:
    """Exact as long as neither side has forgotten singly remembered events; else the chains of both sides are kept apart."""
    events = sorted(
        (found for side in (one, other) for found in zip(side.recent, side.marks, strict=True)),
        key=lambda found: found[0],
    )
    steps = max(len(one.before), len(other.before)) - 1
    if steps < 0 and len(events) > SEQUENCE_EVENTS:
        steps = max(mark for _, mark in events).bit_length()
    starts: list[int | None] = [None] * max(steps, 0)
    horizon = 0
    for side in (one, other):
        if side.before:
            horizon = max(horizon, side.before[0] or 0)
            starts = [
                max((at for at in both if at is not None), default=None)
                for both in zip(starts, side.before[1:], strict=True)
            ]
    while events and (len(events) > SEQUENCE_EVENTS or events[0][0] < horizon):
        at, mark = events.pop(0)
        horizon = max(horizon, at)
        starts = advance(starts, at, mark)
    track.recent, track.marks = [at for at, _ in events], [mark for _, mark in events]
    track.before = [horizon, *starts] if horizon else []


def _records(state: State, other: State) -> None:
    decided: dict[str, int] = {}
    for name, records in other.records.items():
        mine = {record.delivery_id: record for record in state.records.get(name, ())}
        mine |= {record.delivery_id: record for record in records}
        state.records[name] = sorted(mine.values(), key=lambda record: (record.decided_at, record.delivery_id))
    for records in state.records.values():
        decided |= {record.delivery_id: record.decided_at for record in records}
    pending = state.pending | other.pending
    state.pending = dict(sorted(pending.items(), key=lambda found: (decided.get(found[0], 0), found[0])))


def _timers(state: State, other: State) -> list[str]:
    """Of two delays of one rule the earlier goes on."""
    both = []
    for name, timer in other.timers.items():
        mine = state.timers.get(name)
        if mine is not None:
            both.append(name)
        if mine is None or (timer.due, timer.message_id) < (mine.due, mine.message_id):
            state.timers[name] = timer
    return both


def _exposures(state: State, other: State) -> list[tuple[str, Exposure, bool]]:
    """The first time counts. Gives the rule, the place that is given up, and whether the other now counts as having reached the goal."""
    dropped = []
    for name, theirs in other.exposures.items():
        mine = state.exposures.get(name)
        if mine is None:
            state.exposures[name] = theirs
            continue
        kept, gone = (mine, theirs) if (mine.at, mine.arm) <= (theirs.at, theirs.arm) else (theirs, mine)
        newly = gone.reached and not kept.reached
        kept.reached = kept.reached or gone.reached
        state.exposures[name] = kept
        dropped.append((name, gone, newly))
    return dropped


def _waiting(state: State, other: State, rulebook: Rulebook) -> None:
    """Absences of both, without those whose wait the other half of the history ends."""
    for name in {*state.waiting, *other.waiting}:
        mine, theirs = state.waiting.get(name, Waiting()), other.waiting.get(name, Waiting())
        done = max(mine.done, theirs.done)
        rule = rulebook.rules.get(name)
        track = state.tracks.get(rule.absence.tracker) if rule is not None and rule.absence is not None else None
        timers = sorted(mine.timers + theirs.timers, key=lambda timer: (timer.caused_at, timer.message_id))
        timers = [
            timer
            for timer in timers
            if timer.caused_at > done and not happened_between(track, timer.caused_at, timer.due)
        ]
        if len(timers) > MAX_WAITING:
            timers = [timers[0], *timers[1 - MAX_WAITING :]]
        state.waiting[name] = Waiting(timers, done)
