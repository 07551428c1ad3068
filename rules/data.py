"""The data document a condition reads, built from a person's state and the event at hand; only the roots that are asked for."""

from typing import Any, Final

from rules.event import Event
from rules.limits import MAX_SNAPSHOT_BYTES, SESSION_GAP
from rules.state import State, packed_size
from rules.temporal import Slot
from rules.tracks import answer
from rules.variables import SLOTS, VARIABLES, iso

ROOTS: Final = tuple(VARIABLES)
BIT: Final = {root: 1 << index for index, root in enumerate(ROOTS)}
ALL: Final = (1 << len(ROOTS)) - 1
OF_EVENT: Final = BIT["event"] | BIT["page"] | BIT["device"]


def mask_of(reads: list[list[str]], complete: bool) -> int:
    """The roots a compiled rule reads, as bits."""
    if not complete or any(not path for path in reads):
        return ALL
    mask = 0
    for path in reads:
        mask |= BIT.get(path[0], 0)
    return mask


class Cause:
    """The event a decision is about: a call, or what a timer kept of it."""

    __slots__ = ("event", "message_id", "snapshot")

    def __init__(self, event: Event | None, message_id: str, snapshot: dict[str, Any] | None = None) -> None:
        self.event = event
        self.message_id = message_id
        self.snapshot = snapshot or {}

    def root(self, name: str) -> dict[str, Any]:
        """`event`, `page` or `device`."""
        if self.event is None:
            found = self.snapshot.get(name)
            return found if isinstance(found, dict) else {}
        if name == "event":
            return event_data(self.event)
        return page_data(self.event) if name == "page" else device_data(self.event)

    def keep(self, mask: int) -> dict[str, Any] | None:
        """What a timer keeps of this event: the roots that are read later, properties dropped where they are too large."""
        kept = {name: self.root(name) for name in ("event", "page", "device") if mask & BIT[name]}
        if not kept:
            return None
        if _size(kept) > MAX_SNAPSHOT_BYTES:
            kept = {name: _slim(value) for name, value in kept.items()}
        return kept


def event_data(event: Event) -> dict[str, Any]:
    return {
        "name": event.name,
        "type": event.type,
        "properties": event.properties,
        "timestamp": iso(event.timestamp),
    }


def page_data(event: Event) -> dict[str, Any]:
    """`context.page`, else a page call's properties."""
    page = event.context.get("page")
    if isinstance(page, dict) and page:
        return page
    return event.properties if event.type == "page" else {}


def device_data(event: Event) -> dict[str, Any]:
    context = event.context
    device = context.get("device")
    found: dict[str, Any] = dict(device) if isinstance(device, dict) else {}
    for name, source in (("locale", "locale"), ("timezone", "timezone"), ("user_agent", "userAgent")):
        if source in context:
            found[name] = context[source]
    for name in ("screen", "os"):
        if isinstance(context.get(name), dict):
            found[name] = context[name]
    return found


def user_data(state: State) -> dict[str, Any]:
    return {
        "id": state.user_id,
        "anonymous_id": state.anonymous_id,
        "traits": state.traits,
        "first_seen": iso(state.first_seen),
        "last_seen": iso(state.last_seen),
    }


def session_data(state: State, moment: int) -> dict[str, Any]:
    session = state.session
    if moment - session.last_at >= SESSION_GAP:  # a timer fires after it ended
        return {"started_at": None, "seconds": 0, "events": 0, "pages": 0, "number": session.number}
    return {
        "started_at": iso(session.started_at),
        "seconds": (moment - session.started_at) / 1000,
        "events": session.events,
        "pages": session.pages,
        "number": session.number,
    }


def group_data(state: State) -> dict[str, Any]:
    return {"id": state.group_id, "traits": state.group_traits}


def build(state: State, cause: Cause, moment: int, mask: int, slots: dict[str, Slot]) -> dict[str, Any]:
    """The data document: the roots of `mask`, and the answers to `slots`."""
    data: dict[str, Any] = {}
    for name in ("event", "page", "device"):
        if mask & BIT[name]:
            data[name] = cause.root(name)
    if mask & BIT["user"]:
        data["user"] = user_data(state)
    if mask & BIT["session"]:
        data["session"] = session_data(state, moment)
    if mask & BIT["group"]:
        data["group"] = group_data(state)
    if mask & BIT["now"]:
        data["now"] = iso(moment)
    if slots:
        tracks = state.tracks
        data[SLOTS] = {name: answer(slot, tracks.get(slot.tracker), moment) for name, slot in slots.items()}
    return data


def _size(value: Any) -> int:
    size = packed_size(value)
    return MAX_SNAPSHOT_BYTES + 1 if size is None else size


def _slim(values: dict[str, Any]) -> dict[str, Any]:
    """Scalars of modest size only, as many as fit."""
    slim: dict[str, Any] = {}
    room = MAX_SNAPSHOT_BYTES // 4
    for name, value in values.items():
        if name == "properties" and isinstance(value, dict):
            value = _slim(value)
        cost = _size({name: value})
        if cost <= room:
            slim[name] = value
            room -= cost
    return slim
