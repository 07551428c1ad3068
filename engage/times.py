"""Times: inside the service `int` milliseconds since the epoch, on the wire ISO 8601 in UTC."""

import time
from datetime import UTC, datetime


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def iso(ms: int) -> str:
    """ms since the epoch → `2026-12-01T00:00:00.000Z`."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
