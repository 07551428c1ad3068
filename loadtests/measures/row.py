"""A row of the table."""

from statistics import median
from typing import Final

import msgspec

ROUNDS: Final = (1.0, 9)  # seconds, and how many: many short turns, for a shared machine's speed drifts
QUICK: Final = (0.3, 1)


class Row(msgspec.Struct):
    """`ours` and `yardstick` in `unit`; `value` is compared with `reach` (`at_least` or at most)."""

    name: str
    unit: str
    ours: float
    yardstick: float | None
    value: float
    reach: float
    at_least: bool
    note: str = ""
    failed: str = ""

    @property
    def good(self) -> bool:
        return not self.failed and (self.value >= self.reach if self.at_least else self.value <= self.reach)


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the ratios of each turn: the two of a turn met the same machine."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def percentile(found: list[float], share: float) -> float:
    return sorted(found)[min(len(found) - 1, int(len(found) * share))]
