"""What a condition may read: the data document, described as a table and built from a state and an event."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from rules.problems import nearest

# Each root with its fields; None: any name below it. Times are ISO 8601 in UTC, durations seconds.
VARIABLES: Final[dict[str, dict[str, bool] | None]] = {
    "event": {"name": False, "type": False, "properties": True, "timestamp": False},
    "page": None,  # context.page, else a page call's properties: path, url, title, referrer, search …
    "user": {"id": False, "anonymous_id": False, "traits": True, "first_seen": False, "last_seen": False},
    "session": {"started_at": False, "seconds": False, "events": False, "pages": False, "number": False},
    "group": {"id": False, "traits": True},
    "device": None,  # context: locale, timezone, user_agent, screen, os, device …
    "now": {},
}
WHERE_ROOTS: Final = ("event", "page")
_EPOCH: Final = datetime(1970, 1, 1)  # without a zone, so that isoformat writes none
SLOTS: Final = "@"  # where resolved temporal values stand; no author can name it


def variable_problem(name: str, roots: Iterable[str] = VARIABLES) -> str | None:
    """What is wrong with the name of a variable, or None."""
    root, *rest = name.split(".")
    known = tuple(roots)
    if root not in known:
        if root in VARIABLES:
            return f"A `where` reads only the event it counts ({', '.join(known)}), got `{name[:60]}`"
        return f"Unknown variable `{name[:60]}`{nearest(root, known) or _hint(name, known)}"
    fields = VARIABLES[root]
    if fields is None or not rest:
        return None
    if rest[0] not in fields:
        if not fields:
            return f"`{root}` has no fields, got `{name[:60]}`"
        guess = nearest(rest[0], fields) or _properties_hint(root, rest[0])
        return f"Unknown variable `{name[:60]}`{guess}"
    if len(rest) > 1 and not fields[rest[0]]:
        return f"`{root}.{rest[0]}` has no fields, got `{name[:60]}`"
    return None


def _hint(name: str, known: tuple[str, ...]) -> str:
    return f"; expected one of {', '.join(known)}"


def _properties_hint(root: str, field: str) -> str:
    bag = {"event": "event.properties", "user": "user.traits", "group": "group.traits"}.get(root)
    return f"; did you mean `{bag}.{field[:40]}`?" if bag else ""


def iso(moment: int) -> str:
    """ms since the epoch → `2026-12-01T00:00:00.000Z`."""
    try:
        return (_EPOCH + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds") + "Z"
    except OverflowError:
        return "9999-12-31T23:59:59.999Z"
