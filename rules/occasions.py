"""What wakes a rule besides an event by its name: the edge of a segment, a silence and its end, a time of day.

An edge is exact at every event, and between events where time alone moves a window, a `seconds_since` compared with a number, or the end of
the session; a person who was known before the rule was live is in or out from then on, and nothing is made of that.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from rules.condition import Condition, Segments, read_condition
from rules.documents import Occasion, Schedule, names_of
from rules.limits import MAX_DURATION, SESSION_GAP
from rules.problems import Path, Report
from rules.schedule import minute_of, read_schedule, user_zone
from rules.state import State
from rules.temporal import ANY, SEGMENT, Slot, Tracker

Kind = Literal["enters", "leaves", "inactive_for", "returns_after", "at"]
KINDS: Final[tuple[Kind, ...]] = ("enters", "leaves", "inactive_for", "returns_after", "at")
ABSENCE: Final = ("after", "without", "within")
CLOCK: Final = ("days", "date", "timezone")
KNOWN_FOR: Final = 30 * 86_400_000  # ms after their last event that a person is still woken by the clock
_SECOND: Final = 1_000
_encode: Final = msgspec.json.Encoder(order="sorted").encode
_OF_EVENT: Final = ("event", "page", "device")


class Clock(msgspec.Struct, frozen=True):
    """A minute of the day, on days of the week (0: Monday) from `first` to `last` (ordinals), in a zone (None: the user's own)."""

    minute: int
    days: frozenset[int]
    first: int
    last: int
    zone: ZoneInfo | None

    def after(self, moment: int, timezone: str | None) -> int | None:
        """The next time after a moment, ms. Where the clock is put forward over it, it is as much later."""
        zone = self.zone or user_zone(timezone)
        day = max(datetime.fromtimestamp(moment // 1000, zone).toordinal(), self.first)
        for ordinal in range(day, min(day + 8, self.last) + 1):
            if (ordinal - 1) % 7 not in self.days:
                continue
            wall = datetime.fromordinal(ordinal) + timedelta(minutes=self.minute)
            due = round(wall.replace(tzinfo=zone).timestamp() * 1000)
            if due > moment:
                return due
        return None


class LiveOccasion(msgspec.Struct, frozen=True):
    """`key` names it in a person's state: edited, it is another one."""

    kind: Kind
    key: str
    segment: str = ""
    span: int = 0
    clock: Clock | None = None


class Watched(msgspec.Struct, frozen=True):
    """A segment whose edges wake rules. `key` names it in a person's state: edited, it is another one. `names`: the events that can move it; `any_event`: all can. `seconds`: the numbers in its condition."""

    id: str
    key: str
    condition: Condition
    names: frozenset[str]
    any_event: bool
    of_traits: bool
    in_session: bool
    seconds: tuple[float, ...]

    def concerns(self, name: str, kind: str) -> bool:
        return self.any_event or name in self.names or (self.of_traits and kind in ("identify", "group", "alias"))

    def moves_at(self, state: State, moment: int) -> int | None:
        """When time alone may move it next, ms."""
        found: list[int] = []
        for slot in self.condition.slots.values():
            found += _moves(slot, state, moment, self.seconds)
        if self.in_session and state.session.number:
            found.append(state.session.last_at + SESSION_GAP)
            found += [state.session.started_at + round(second * _SECOND) for second in self.seconds]
            found += [at + 1 for at in found]
        return min((at for at in found if moment < at <= moment + MAX_DURATION), default=None)


def _moves(slot: Slot, state: State, moment: int, seconds: Iterable[float]) -> Iterator[int]:
    track = state.tracks.get(slot.tracker)
    if track is None or not track.count:
        return
    if slot.question == "seconds_since":
        since = track.first if slot.first else track.last
        for second in seconds:
            at = since + round(second * _SECOND)
            yield at
            yield at + 1
    elif slot.within is not None:
        index = bisect_right(track.recent, moment - slot.within)
        if index < len(track.recent):
            yield track.recent[index] + slot.within
        elif track.last > moment - slot.within:
            yield track.last + slot.within


def watch(segment: str, segments: Segments) -> Watched:
    """A checked segment, ready to be watched."""
    condition = read_condition({SEGMENT: segment}, (), Report(""), segments=segments)
    assert condition is not None
    names = {name for tracker in condition.trackers.values() for name in _names(tracker)}
    roots = {variable.split(".")[0] for variable in variables(condition.logic)}
    numbers = tuple(sorted({float(item) for item in _leaves(condition.logic) if type(item) in (int, float)}))
    everything = ANY in names or bool(roots & {"session", "now"}) or "user.last_seen" in set(variables(condition.logic))
    in_session = "session" in roots
    digest = blake2b(_encode(condition.logic), digest_size=6).hexdigest()
    return Watched(segment, f"{segment} {digest}", condition, frozenset(names), everything, True, in_session, numbers)


def _names(tracker: Tracker) -> Iterator[str]:
    yield from tracker.names
    for step in tracker.steps:
        yield from step.names


def _leaves(logic: Any) -> Iterator[Any]:
    waiting = [logic]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
        else:
            yield item


def variables(logic: Any) -> Iterator[str]:
    """The names that `var`, `val` and their like read, as far as they are constants."""
    waiting = [logic]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            for name, inner in item.items():
                first = inner[0] if isinstance(inner, list) and inner else inner
                if name in ("var", "missing", "val", "exists", "missing_some") and isinstance(first, str):
                    yield ".".join(inner) if name in ("val", "exists") and isinstance(inner, list) else first
                waiting.append(inner)


def read_occasion(
    trigger: Occasion, path: Path, report: Report, segments: Segments | None, span: Any
) -> LiveOccasion | None:
    """A trigger that is no absence; None with the problems reported. `span` reads a duration."""
    given = [kind for kind in KINDS if getattr(trigger, kind) is not None]
    mixed = [*given, *(name for name in ABSENCE if getattr(trigger, name) is not None)]
    if len(given) != 1 or len(mixed) > 1:
        listed = ", ".join(f"`{kind}`" for kind in KINDS)
        got = " and ".join(f"`{name}`" for name in mixed) or "none of them"
        report.add(path, f"Expected `after` with `without` and `within`, or one of {listed}, got {got}")
        return None
    (kind,) = given
    for name in CLOCK:
        if kind != "at" and getattr(trigger, name) is not None:
            report.add((*path, name), f"`{name}` goes with `at`, not with `{kind}`", key=name)
            return None
    if kind in ("enters", "leaves"):
        segment = getattr(trigger, kind)
        return _edge(kind, segment, (*path, kind), report, segments)
    if kind == "at":
        clock = _clock(trigger, path, report)
        key = f"{trigger.at} {trigger.days} {trigger.date} {trigger.timezone}"
        return None if clock is None else LiveOccasion(kind, key, clock=clock)
    length = span(getattr(trigger, kind), (*path, kind), report, 1)
    return LiveOccasion(kind, f"{length}", span=length)


def _edge(kind: Kind, segment: str, path: Path, report: Report, segments: Segments | None) -> LiveOccasion | None:
    if segments is not None and segment in segments:
        condition = read_condition({SEGMENT: segment}, path, report, segments=segments)
        for name in () if condition is None else variables(condition.logic):
            if name.split(".")[0] in _OF_EVENT:
                report.add(
                    path,
                    f"The segment `{segment}` reads `{name}`, so it means something at an event only: it has no edge",
                )
                return None
    return LiveOccasion(kind, segment, segment)


def _clock(trigger: Occasion, path: Path, report: Report) -> Clock | None:
    if trigger.date is not None and trigger.days is not None:
        report.add((*path, "days"), "Expected either `date` or `days`, got both", key="days")
        return None
    timezone = trigger.timezone or "UTC"
    live = read_schedule(
        Schedule(start=trigger.date, end=trigger.date, days=trigger.days, timezone=timezone), path, report
    )
    minute = minute_of(trigger.at or "", (*path, "at"), report)
    return None if report.failed or live is None else Clock(minute, live.days, live.start, live.end, live.zone)


def segments_of(trigger: Any) -> Iterator[tuple[Path, str]]:
    """The segment that a trigger names, by its path in the rule."""
    if isinstance(trigger, Occasion):
        for kind in ("enters", "leaves"):
            name = getattr(trigger, kind)
            if name is not None:
                yield ("trigger", kind), name


def trigger_names(trigger: Any) -> tuple[str, ...]:
    """The events that wake a rule, or that start its time."""
    if not isinstance(trigger, Occasion):
        return names_of(trigger)
    return names_of(trigger.after or [])
