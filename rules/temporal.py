"""Time in conditions: the operators that read a person's history, and what they need to be kept.

`{"count": ["page", {"within": "7d", "where": …}]}` is resolved before evaluation: the operator becomes a variable (a *slot*),
and the history it needs becomes a *tracker*. A tracker is what happened (event names and `where`), not how it is asked: editing
a window keeps the past.
"""

from hashlib import blake2b
from typing import Any, Final, Literal

import msgspec

from rules.limits import MIN_TIMESTAMPS

Question = Literal["count", "did", "seconds_since", "distinct", "days_active", "sequence"]
OPTIONS: Final[dict[str, tuple[str, ...]]] = {
    "count": ("within", "where"),
    "did": ("within", "where"),
    "seconds_since": ("first", "where"),
    "distinct": ("of", "within", "where"),
    "days_active": ("within", "where", "timezone"),
    "sequence": ("within",),
    "seen": ("what", "within"),
}
SEGMENT: Final = "segment"
# What `seen` can ask, and the event that says it.
SEEN: Final = {
    "shown": "Message Shown",
    "clicked": "Message Clicked",
    "completed": "Message Completed",
    "dismissed": "Message Dismissed",
}
ANY: Final = ""  # among names of events: whatever its name

_canonical = msgspec.json.Encoder(order="sorted").encode


class Step(msgspec.Struct, frozen=True):
    """One step of a sequence: any of these events, where the condition holds."""

    names: tuple[str, ...]
    where: Any = None


class Tracker(msgspec.Struct):
    """What is to be remembered of matching events: `keep` timestamps at most, or `keep` values of the variable `of`, or as
    many days of the time zone `days`, or the events that are `steps`."""

    id: str
    names: tuple[str, ...]
    where: Any
    keep: int = MIN_TIMESTAMPS
    of: str | None = None
    days: str | None = None
    steps: tuple[Step, ...] = ()


class Slot(msgspec.Struct, frozen=True):
    """One question to one tracker; `name` is the variable that carries the answer."""

    name: str
    tracker: str
    question: Question
    within: int | None = None
    first: bool = False
    steps: int = 0


def times_of(names: tuple[str, ...], where: Any, keep: int = MIN_TIMESTAMPS) -> Tracker:
    return Tracker(_id(sorted(names), where), names, where, keep)


def values_of(names: tuple[str, ...], where: Any, of: str, keep: int) -> Tracker:
    return Tracker(_id(sorted(names), where, "of", of), names, where, keep, of=of)


def days_of(names: tuple[str, ...], where: Any, timezone: str, keep: int) -> Tracker:
    return Tracker(_id(sorted(names), where, "days", timezone), names, where, keep, days=timezone)


def steps_of(steps: tuple[Step, ...]) -> Tracker:
    names = tuple(dict.fromkeys(name for step in steps for name in step.names))
    return Tracker(_id([[sorted(step.names), step.where] for step in steps], None, "steps"), names, None, steps=steps)


def slot_of(tracker: Tracker, question: Question, within: int | None = None, first: bool = False) -> Slot:
    name = f"{tracker.id}:{question}:{within if within is not None else ''}:{int(first)}"
    return Slot(name, tracker.id, question, within, first, len(tracker.steps))


def _id(*what: Any) -> str:
    return "t" + blake2b(_canonical(what), digest_size=8).hexdigest()
