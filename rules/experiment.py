"""Experiments: which arm a person is in, and what an arm has achieved.

Assignment is a stable hash of the person and the rule: the same answer at every trigger, uniform, and independent from rule to rule.
"""

from collections.abc import Mapping
from math import sqrt
from typing import Any, Final

import msgspec

from rules.ids import draw

HOLDOUT: Final = "holdout"  # left out by the rule
PROJECT_HOLDOUT: Final = "project_holdout"  # left out of everything
MESSAGE: Final = "message"  # gets the rule's only message
ARMS: Final = frozenset((HOLDOUT, PROJECT_HOLDOUT, MESSAGE))
_Z: Final = 1.959963984540054  # of 95 %, two-sided


class Goal(msgspec.Struct, frozen=True):
    """Reached by one of these events, within so many ms after the person was assigned."""

    names: tuple[str, ...]
    within: int


def left_out(rule_id: str, person: str, share: float, project_share: float, known: str | None = None) -> str | None:
    """The arm of a person who gets nothing, or None. `known`: the arm that somebody who was merged into them, or they themselves, had before."""
    if known is not None:
        shares = {HOLDOUT: share, PROJECT_HOLDOUT: project_share}
        return known if shares.get(known) else None
    if project_share and draw(PROJECT_HOLDOUT, person) < project_share:
        return PROJECT_HOLDOUT
    return HOLDOUT if share and draw(HOLDOUT, rule_id, person) < share else None


def pick(rule_id: str, person: str, weights: list[float]) -> int:
    """Which of several a person gets, each in proportion to its weight."""
    point = draw("variant", rule_id, person) * sum(weights)
    for index, weight in enumerate(weights):
        point -= weight
        if point < 0:
            return index
    return max(index for index, weight in enumerate(weights) if weight)  # rounding, at the very end


def compare(arms: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """Arms (people, those who reached the goal) → rates, and against the holdout the `difference` of the rates and the `lift` (relative), each
    with its 95 % interval; null where the numbers cannot say."""
    told: dict[str, Any] = {}
    control = arms.get(HOLDOUT)
    for arm, (people, reached) in arms.items():
        told[arm] = {"people": people, "reached": reached, "rate": _rounded(reached / people) if people else None}
        if control is not None and arm not in (HOLDOUT, PROJECT_HOLDOUT):
            told[arm] |= _against((people, reached), control)
    return told


def _against(arm: tuple[int, int], control: tuple[int, int]) -> dict[str, Any]:
    if not arm[0] or not control[0]:
        return dict.fromkeys(("difference", "difference_95", "lift", "lift_95"))
    rate, base = arm[1] / arm[0], control[1] / control[0]
    low, high = difference_interval(*arm, *control)
    ratio = ratio_interval(*arm, *control)
    return {
        "difference": _rounded(rate - base),
        "difference_95": [_rounded(low), _rounded(high)],
        "lift": _rounded(rate / base - 1) if base else None,
        "lift_95": None if ratio is None else [_rounded(end - 1) for end in ratio],
    }


def wilson(people: int, reached: int) -> tuple[float, float]:
    """Wilson's score interval of a proportion, 95 % (Wilson 1927)."""
    share, square = reached / people, _Z * _Z / people
    middle = share + square / 2
    spread = _Z * sqrt(share * (1 - share) / people + square / people / 4)
    low, high = (middle - spread) / (1 + square), (middle + spread) / (1 + square)
    return (max(0.0, low) if reached else 0.0), (min(1.0, high) if reached < people else 1.0)


def difference_interval(people: int, reached: int, control: int, control_reached: int) -> tuple[float, float]:
    """The 95 % interval of the difference of two proportions: Newcombe's hybrid score interval (Newcombe 1998, method 10)."""
    rate, base = reached / people, control_reached / control
    (low, high), (base_low, base_high) = wilson(people, reached), wilson(control, control_reached)
    down = sqrt((rate - low) ** 2 + (base_high - base) ** 2)
    up = sqrt((high - rate) ** 2 + (base - base_low) ** 2)
    return rate - base - down, rate - base + up


def ratio_interval(people: int, reached: int, control: int, control_reached: int) -> tuple[float, float] | None:
    """The 95 % interval of the ratio of two proportions: variance estimates recovered from Wilson's intervals (Donner and Zou 2012); None
    where nobody in the control reached the goal."""
    rate, base = reached / people, control_reached / control
    if not base:
        return None
    (low, high), (base_low, base_high) = wilson(people, reached), wilson(control, control_reached)
    product = rate * base

    def root(own: float, other: float) -> float:
        return sqrt(max(0.0, product**2 - own * (2 * rate - own) * other * (2 * base - other)))

    lower = low * (2 * rate - low) / (product + root(low, base_high)) if product else 0.0
    upper = (product + root(high, base_low)) / (base_low * (2 * base - base_low))
    return lower, upper


def _rounded(value: float) -> float:
    return round(value, 6)
