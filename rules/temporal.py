"""Time in conditions: the operators that read a person's history, and the trackers that keep it.

`{"count": ["page", {"within": "7d", "where": …}]}` is resolved before evaluation: the operator becomes a variable (a *slot*),
and the history it needs becomes a *tracker*. A tracker is what happened (event names and `where`), not how it is asked: editing
a window keeps the past.
"""

from bisect import bisect_right, insort
from hashlib import blake2b
from typing import Any, Final, Literal

import msgspec

from rules.limits import MIN_TIMESTAMPS

Question = Literal["count", "did", "seconds_since"]
OPTIONS: Final[dict[str, tuple[str, ...]]] = {
    "count": ("within", "where"),
    "did": ("within", "where"),
    "seconds_since": ("first", "where"),
}
# Names that conditions will speak, so that they get a clear answer until then.
LATER: Final = ("sequence", "seen", "segment", "distinct", "days_active")

_canonical = msgspec.json.Encoder(order="sorted").encode


class Tracker(msgspec.Struct):
    """What is to be remembered of matching events; `keep` timestamps at most."""

    id: str
    names: tuple[str, ...]
    where: Any
    keep: int = MIN_TIMESTAMPS


class Slot(msgspec.Struct, frozen=True):
    """One question to one tracker; `name` is the variable that carries the answer."""

    name: str
    tracker: str
    question: Question
    within: int | None = None
    first: bool = False


class Track(msgspec.Struct, array_like=True):
    """What one person's history says of one tracker. `recent` holds the newest timestamps, sorted."""

    count: int = 0
    first: int = 0
    last: int = 0
    recent: list[int] = []


def tracker_id(names: tuple[str, ...], where: Any) -> str:
    return "t" + blake2b(_canonical([sorted(names), where]), digest_size=8).hexdigest()


def slot_name(tracker: str, question: str, within: int | None, first: bool) -> str:
    return f"{tracker}:{question}:{within if within is not None else ''}:{int(first)}"


def note(track: Track, timestamp: int, keep: int) -> None:
    """Adds one event, late ones where they belong; the oldest beyond `keep` go."""
    recent = track.recent
    if not track.count:
        track.first = track.last = timestamp
    elif timestamp > track.last:
        track.last = timestamp
    elif timestamp < track.first:
        track.first = timestamp
    track.count += 1
    if not recent or timestamp >= recent[-1]:
        recent.append(timestamp)
    else:
        insort(recent, timestamp)
    if len(recent) > keep:
        del recent[: len(recent) - keep]


def answer(slot: Slot, track: Track | None, now: int) -> int | float | bool | None:
    """The value of a slot at a moment no event of the track is later than."""
    question, within = slot.question, slot.within
    if question == "count":
        if track is None:
            return 0
        return track.count if within is None else len(track.recent) - bisect_right(track.recent, now - within)
    if question == "did":
        return track is not None and (within is None or track.last > now - within)
    if track is None:
        return None
    silence = now - (track.first if slot.first else track.last)
    return silence // 1000 if silence % 1000 == 0 else silence / 1000


def happened_between(track: Track | None, after: int, until: int) -> bool:
    """Whether a tracked event lies in (after, until]. Beyond what is remembered the answer is yes: nothing is started on a guess."""
    if track is None:
        return False
    recent = track.recent
    if track.count > len(recent) and after < recent[0]:
        return track.first <= until
    index = bisect_right(recent, after)
    return index < len(recent) and recent[index] <= until
