"""What a decision gives back."""

from typing import Any, Final, Literal

import msgspec

from rules.merge import Gift, Link
from rules.state import State

Result = Literal[
    "matched",  # a delivery was made
    "delayed",  # a timer runs
    "waiting",  # an absence timer runs
    "not_matched",
    "capped",  # the frequency cap
    "limited",  # the project's limits on what interrupts
    "lost",  # to another message that interrupts
    "queued",  # waits for room: `if_busy`
    "outside_schedule",  # matched at a time when the rule may not act
    "holdout",  # matched, and this person is in the arm that sees nothing
    "cancelled",  # a timer, by `cancel_on` or `without`
    "withdrawn",  # a delivery not shown yet, or put off (`PUT_OFF` ends the detail), by `cancel_on`
    "expired",  # a delivery that was not shown in time
    "failed",  # a delivery that could not be made
    "error",
    "suspended",  # not asked: the budget stopped it too often
]


PUT_OFF: Final = ", after it was put off"


class Considered(msgspec.Struct):
    """One rule at one moment, for explanations; `detail` is for people."""

    rule_id: str
    outcome: Result
    detail: str
    at: int


class Delivery(msgspec.Struct):
    """One message for one person by one rule. `data` holds what the message's Liquid reads."""

    delivery_id: str
    rule_id: str
    message_id: str
    kind: str
    person: str
    priority: int
    variant: str | None
    decided_at: int
    expires_at: int | None
    show_on: dict[str, Any] | None
    locale: str | None
    data: dict[str, Any]


class Outcome(msgspec.Struct):
    """`withdrawn`: deliveries that must not be shown any more. `next_timer`: when to tick this person, ms. See `rules.merge` for
    `links`, `gift` and `forward_to`."""

    state: State
    deliveries: list[Delivery]
    withdrawn: list[str]
    next_timer: int | None
    considered: list[Considered]
    links: list[Link] = []  # who else this person is said to be
    gift: Gift | None = None  # the state, on its way to whom they turned out to be
    forward_to: str | None = None  # the event is another person's
    forgotten: bool = False  # the person is to be removed
    ticked: list[tuple[str, list[str]]] = []  # deliveries of checklists → all items that are done
    tally: dict[str, int] = {}  # "rule:what" → by how much it changes; see rules/tally.py
