"""Durations: `"20s"`, `"30m"`, `"1h30m"`, `"7d"`, or a whole number of milliseconds."""

import re
from typing import Any, Final

from rules.errors import DurationError
from rules.limits import MAX_DURATION

UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
EXPECTED: Final = 'a duration like "20s", "30m", "1h30m", "7d" or milliseconds'

PATTERN: Final = r"(?:[0-9]{1,15}(?:ms|s|m|h|d|w)){1,6}"

_PART = re.compile(r"([0-9]{1,15})(ms|s|m|h|d|w)")
_WHOLE = re.compile(PATTERN)


def parse_duration(value: Any) -> int:
    """Milliseconds. Raises DurationError: not a duration, negative, or longer than five years."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        length = sum(int(number) * UNITS[unit] for number, unit in _PART.findall(value))
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        length = value
    else:
        shown = repr(value[:40] if isinstance(value, str) else value)[:60]
        raise DurationError(f"Expected {EXPECTED}, got {shown}")
    if length > MAX_DURATION:
        raise DurationError(f"Expected at most five years, got {value!r:.60}")
    return length


def format_duration(length: int) -> str:
    """The shortest text of whole units: 90_000 → "1m30s"."""
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        number, length = divmod(length, UNITS[unit])
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"
