"""Which pages may call: origins as browsers send them, and `https://*.example.com` for every host below a domain."""

import re
from collections.abc import Iterable
from typing import Final

# What the place of the star may hold: labels of a host, so no port, no user, no path.
_LABELS: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def allows(allowed: Iterable[str], origin: str) -> bool:
    """Whether one of the allowed origins is this one. `null` (a sandboxed or local page) never is."""
    return any(origin == one or ("*" in one and _is_below(one, origin)) for one in allowed)


def _is_below(pattern: str, origin: str) -> bool:
    start, _, end = pattern.partition("*")
    if len(origin) <= len(start) + len(end) or not origin.startswith(start) or not origin.endswith(end):
        return False
    return _LABELS.fullmatch(origin[len(start) : len(origin) - len(end)]) is not None
