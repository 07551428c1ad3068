"""What one person's history says of a tracker: how it is kept in a bounded place, and how questions are answered from it.

Three ways of keeping, each exact for what is asked of it:

- *times*: the newest timestamps, and the count, the first and the last of all;
- *values* (`distinct`, `days_active`): the newest timestamp of each value, of the values seen last. Whoever is not among the newest k
  values by its last time cannot change whether a window holds k values;
- *steps* (`sequence`): the newest matching events, and of all before them, per number of steps done, the latest start of a chain.
"""

from bisect import bisect_right, insort
from datetime import datetime
from hashlib import blake2b
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from rules.limits import SEQUENCE_EVENTS
from rules.temporal import Slot

_canonical = msgspec.json.Encoder(order="sorted").encode


class Track(msgspec.Struct, array_like=True):
    """`recent`: timestamps, sorted; `marks` beside it: the values, or which steps an event can be (as bits). `before`: what
    was forgotten of a sequence, its horizon and then the latest start of a chain of one step, of two …"""

    count: int = 0
    first: int = 0
    last: int = 0
    recent: list[int] = []
    marks: list[Any] = []
    before: list[int | None] = []


def note(track: Track, timestamp: int, keep: int) -> None:
    """Adds one event, late ones where they belong; the oldest beyond `keep` go."""
    _count(track, timestamp)
    recent = track.recent
    if not recent or timestamp >= recent[-1]:
        recent.append(timestamp)
    else:
        insort(recent, timestamp)
    if len(recent) > keep:
        del recent[: len(recent) - keep]


def note_value(track: Track, timestamp: int, mark: int | bytes, keep: int) -> None:
    """Adds one event with a value; `keep` values at most."""
    _count(track, timestamp)
    recent, marks = track.recent, track.marks
    if mark in marks:
        index = marks.index(mark)
        if timestamp <= recent[index]:
            return
        del recent[index], marks[index]
    _insert(track, timestamp, mark)
    if len(recent) > keep:
        del recent[0], marks[0]


def note_step(track: Track, timestamp: int, steps: int, length: int) -> None:
    """Adds an event that can be some of the `length` steps of a sequence (bits). One older than all that is remembered singly is
    left out: where it belongs is no longer known."""
    before = track.before
    if before and timestamp < before[0]:  # type: ignore[operator]
        return
    _count(track, timestamp)
    _insert(track, timestamp, steps)
    if len(track.recent) > SEQUENCE_EVENTS:
        if not before:
            before[:] = [0] + [None] * length
        oldest, can_be = track.recent.pop(0), track.marks.pop(0)
        before[0] = oldest
        before[1:] = advance(before[1:], oldest, can_be)


def day_of(timestamp: int, timezone: ZoneInfo) -> int:
    """The number of the day, in a time zone, in which a moment lies."""
    return datetime.fromtimestamp(timestamp // 1000, timezone).toordinal()


def _count(track: Track, timestamp: int) -> None:
    if not track.count:
        track.first = track.last = timestamp
    elif timestamp > track.last:
        track.last = timestamp
    elif timestamp < track.first:
        track.first = timestamp
    track.count += 1


def _insert(track: Track, timestamp: int, mark: Any) -> None:
    index = bisect_right(track.recent, timestamp)
    track.recent.insert(index, timestamp)
    track.marks.insert(index, mark)


def mark_of(value: Any) -> bytes:
    """A JSON value in eight bytes; 1 and 1.0 are one."""
    if type(value) is float and value.is_integer():
        value = int(value)
    try:
        text = _canonical(value)
    except (UnicodeEncodeError, OverflowError, RecursionError):  # no text that a program could send again
        text = repr(value).encode("utf-8", "backslashreplace")
    return blake2b(text, digest_size=8).digest()


def advance(starts: list[int | None], timestamp: int, can_be: int) -> list[int | None]:
    """The latest start of a chain of one step, of two …, with one more event; an event is one step of a chain only."""
    result = list(starts)
    for step in range(len(starts)):
        if can_be >> step & 1:
            start = starts[step - 1] if step else timestamp
            known = result[step]
            if start is not None and (known is None or start > known):
                result[step] = start
    return result


def _start(track: Track, length: int) -> int | None:
    """When the latest whole chain began."""
    starts: list[int | None] = track.before[1:] or [None] * length
    for timestamp, can_be in zip(track.recent, track.marks, strict=True):
        starts = advance(starts, timestamp, can_be)
    return starts[-1]


def answer(slot: Slot, track: Track | None, now: int) -> int | float | bool | None:
    """The value of a slot at a moment no event of the track is later than."""
    question, within = slot.question, slot.within
    if question == "count":
        if track is None:
            return 0
        return track.count if within is None else len(track.recent) - bisect_right(track.recent, now - within)
    if question == "did":
        return track is not None and (within is None or track.last > now - within)
    if question == "seconds_since":
        if track is None:
            return None
        silence = now - (track.first if slot.first else track.last)
        return silence // 1000 if silence % 1000 == 0 else silence / 1000
    if question == "sequence":
        start = _start(track, slot.steps) if track is not None else None
        return start is not None and (within is None or start > now - within)
    if track is None:
        return 0
    return len(track.recent) if within is None else len(track.recent) - bisect_right(track.recent, now - within)


def happened_between(track: Track | None, after: int, until: int) -> bool:
    """Whether a tracked event lies in (after, until]. Beyond what is remembered the answer is yes: nothing is started on a guess."""
    if track is None:
        return False
    recent = track.recent
    if track.count > len(recent) and after < recent[0]:
        return track.first <= until
    index = bisect_right(recent, after)
    return index < len(recent) and recent[index] <= until
