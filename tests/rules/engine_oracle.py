"""The engine's answers, found the slow and obvious way: by looking at the whole history each time.

Shares no code with `rules`, on purpose.
"""

from dataclasses import dataclass, field
from datetime import datetime
from operator import eq, ge, gt, le, lt, ne
from typing import Any
from zoneinfo import ZoneInfo

UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
COMPARE = {"==": eq, "===": eq, "!=": ne, "!==": ne, ">": gt, ">=": ge, "<": lt, "<=": le}


@dataclass
class Seen:
    name: str
    at: int
    path: str = ""
    properties: dict[str, Any] = field(default_factory=dict)


def ms(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


def holds(logic: Any, history: list[Seen], now: int) -> bool:
    return bool(value(logic, history, now))


def value(logic: Any, history: list[Seen], now: int) -> Any:
    if not isinstance(logic, dict):
        return logic
    ((name, arguments),) = logic.items()
    if name in ("count", "did", "seconds_since"):
        return temporal(name, arguments, history, now)
    if name in ("distinct", "days_active", "sequence", "seen"):
        return {"distinct": distinct, "days_active": days_active, "sequence": sequence, "seen": seen_message}[name](
            arguments, history, now
        )
    if name == "var":
        return read(arguments, history[-1])
    if name == "and":
        return all(value(part, history, now) for part in arguments)
    if name == "or":
        return any(value(part, history, now) for part in arguments)
    if name == "!":
        return not value(arguments[0], history, now)
    if name == "in":
        return value(arguments[0], history, now) in arguments[1]
    left, right = (value(part, history, now) for part in arguments)
    if name in (">", ">=", "<", "<="):
        left, right = left or 0, right or 0  # null is zero in an order
    return COMPARE[name](left, right)


def found(names: Any, options: dict[str, Any], history: list[Seen], now: int) -> list[Seen]:
    """The matching events of a window in the order of their time, at equal times of their arrival; `names` None: any."""
    listed = names if isinstance(names, list) else [names]
    since = now - ms(options["within"]) if "within" in options else -(10**15)
    matching = [
        seen
        for seen in history
        if (names is None or seen.name in listed) and since < seen.at <= now and matches(options.get("where"), seen)
    ]
    return sorted(matching, key=lambda seen: seen.at)


def distinct(arguments: list[Any], history: list[Seen], now: int) -> int:
    values = [read(arguments[1]["of"], seen) for seen in found(arguments[0], arguments[1], history, now)]
    return len({repr(value) for value in values if value is not None})


def days_active(arguments: list[Any], history: list[Seen], now: int) -> int:
    names = None if not arguments or isinstance(arguments[0], dict) else arguments[0]
    options = arguments[-1] if arguments and isinstance(arguments[-1], dict) else {}
    zone = ZoneInfo(options.get("timezone", "UTC"))
    return len({datetime.fromtimestamp(seen.at / 1000, zone).date() for seen in found(names, options, history, now)})


def sequence(arguments: list[Any], history: list[Seen], now: int) -> bool:
    """Every way to pick one event per step, one after the other."""
    events = found(None, arguments[1] if len(arguments) > 1 else {}, history, now)

    def follows(step: int, start: int) -> bool:
        if step == len(arguments[0]):
            return True
        wanted = arguments[0][step]
        names, where = (wanted["event"], wanted.get("where")) if isinstance(wanted, dict) else (wanted, None)
        listed = names if isinstance(names, list) else [names]
        return any(
            seen.name in listed and matches(where, seen) and follows(step + 1, index + 1)
            for index, seen in enumerate(events)
            if index >= start
        )

    return follows(0, 0)


def seen_message(arguments: list[Any], history: list[Seen], now: int) -> bool:
    wanted = arguments[0] if isinstance(arguments[0], list) else [arguments[0]]
    options = arguments[1] if len(arguments) > 1 else {}
    name = f"Message {options.get('what', 'shown').capitalize()}"
    return any(seen.properties.get("message_id") in wanted for seen in found(name, options, history, now))


def temporal(name: str, arguments: list[Any], history: list[Seen], now: int) -> Any:
    names = arguments[0] if isinstance(arguments[0], list) else [arguments[0]]
    options = arguments[1] if len(arguments) > 1 else {}
    since = now - ms(options["within"]) if "within" in options else -(10**15)
    times = [
        seen.at
        for seen in history
        if seen.name in names and since < seen.at <= now and matches(options.get("where"), seen)
    ]
    if name == "count":
        return len(times)
    if name == "did":
        return bool(times)
    if not times:
        return None
    return (now - (min(times) if options.get("first") else max(times))) / 1000


def matches(where: Any, seen: Seen) -> bool:
    return where is None or holds(where, [seen], seen.at)


def read(name: str, seen: Seen) -> Any:
    if name == "event.name":
        return seen.name
    if name == "page.path":
        return seen.path or None
    assert name.startswith("event.properties."), name
    return seen.properties.get(name.removeprefix("event.properties."))


def absences(history: list[Seen], after: str, without: str, within: int) -> list[int]:
    """When each silence ends: in order of time, the first `after` starts one, `without` ends it, others while it runs are part of it."""
    fired = []
    busy_until = -1
    afters = sorted(seen.at for seen in history if seen.name == after)
    withouts = [seen.at for seen in history if seen.name == without]
    for at in afters:
        if at <= busy_until or any(at < other <= at + within for other in withouts):
            continue
        busy_until = at + within
        fired.append(busy_until)
    return fired
