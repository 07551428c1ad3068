"""What an event changes in a person's state, before any rule is asked."""

from typing import Any, Final

from rules.data import Cause, page_data
from rules.dialect import DataHandle, EvaluationError, handle, is_true
from rules.event import SERVER, SIGNED, Event
from rules.index import Index, VarPath, walk
from rules.limits import MAX_TRAITS, SESSION_GAP
from rules.rulebook import LiveTracker, Rulebook
from rules.state import Session, State, merge_traits
from rules.tracks import Track, day_of, mark_of, note, note_step, note_value

MESSAGE_FAILED: Final = "Message Failed"  # said by the service itself: a delivery could not be rendered
SERVICE: Final = "service"  # the type of what the service itself says: no sign of the person
SNOOZED: Final = "Message Snoozed"
INTERACTIONS: Final = frozenset(
    (
        MESSAGE_FAILED,
        "Message Shown",
        "Message Clicked",
        "Message Dismissed",
        "Message Completed",
        SNOOZED,
        "Tour Step Viewed",
        "Survey Answered",
    )
)
MAX_LOCALE: Final = 64  # characters, of a time zone too


# What one tracker remembers of one event: when, and the value, the day or the steps it can be, where it keeps such. A plain tuple,
# for one is made for each event and tracker.
Note = tuple[LiveTracker, int, Any]


def apply_event(state: State, event: Event, moment: int, rulebook: Rulebook) -> None:
    """Changes the state in place."""
    if event.type == SERVICE:
        state.clock = max(moment, state.clock)
        return
    _seen(state, event, moment)
    if event.type == "identify":
        _merge_user(state, event)
    elif event.type == "group":
        _join(state, event)
    _locale(state, event)
    timezone = event.context.get("timezone")
    if (
        timezone != state.timezone
        and isinstance(timezone, str)
        and 0 < len(timezone) <= MAX_LOCALE
        and timezone.isascii()
    ):
        state.timezone = timezone
    _session(state.session, event)
    if event.name in INTERACTIONS:
        interact(state, event)
    for written in notes_of(event, rulebook.tracking):
        put(state.tracks, written)


def _seen(state: State, event: Event, moment: int) -> None:
    timestamp = event.timestamp
    if not state.clock or timestamp < state.first_seen:
        state.first_seen = timestamp
    state.clock = moment
    state.last_seen = max(state.last_seen, timestamp)
    if event.user_id is not None and not event.via:
        state.user_id = event.user_id
    if event.anonymous_id is not None:
        state.anonymous_id = event.anonymous_id


def _merge_user(state: State, event: Event) -> None:
    traits = event.traits
    if event.via:  # of a former name: the user's own win
        traits = {name: value for name, value in traits.items() if name not in state.traits}
    if event.vouched == SIGNED:
        state.signed = _also(state.signed, traits)
    elif state.signed:
        traits = {name: value for name, value in traits.items() if name in _unsigned(event, state.signed)}
    if traits:
        state.traits, dropped = merge_traits(state.traits, traits)
        state.traits_dropped += dropped


def _join(state: State, event: Event) -> None:
    """A group that a token has named is left by a signed or a server's word alone."""
    traits = event.traits
    if event.group_id != state.group_id:
        if state.signed_group is not None and event.vouched not in (SIGNED, SERVER):
            return
        state.group_id, state.group_traits, state.signed_group = event.group_id, {}, None
    if event.vouched == SIGNED:
        state.signed_group = _also(state.signed_group or [], traits)
    elif state.signed_group:
        traits = _unsigned(event, state.signed_group)
    if traits:
        state.group_traits, dropped = merge_traits(state.group_traits, traits)
        state.traits_dropped += dropped


def _also(signed: list[str], traits: dict[str, Any]) -> list[str]:
    """The names that are signed now; no more than a person may have."""
    return [*signed, *(name for name in traits if name not in signed)][:MAX_TRAITS]


def _unsigned(event: Event, signed: list[str]) -> dict[str, Any]:
    """The traits that an event may change: a server all, a page those that are not signed."""
    if event.vouched == SERVER:
        return event.traits
    return {name: value for name, value in event.traits.items() if name not in signed}


def _locale(state: State, event: Event) -> None:
    """`traits.locale` or `traits.language` wins over what the browser says."""
    for source in (state.traits.get("locale"), state.traits.get("language"), event.context.get("locale")):
        if isinstance(source, str) and 0 < len(source) <= MAX_LOCALE and source.isascii():
            state.locale = source
            return


def _session(session: Session, event: Event) -> None:
    """30 minutes of silence end a session. An event from before the session does not change it."""
    timestamp = event.timestamp
    if not session.number or timestamp - session.last_at >= SESSION_GAP:
        session.number += 1
        session.started_at = session.last_at = timestamp
        session.events = session.pages = 0
    elif timestamp < session.started_at:
        if session.started_at - timestamp >= SESSION_GAP:
            return
        session.started_at = timestamp
    elif timestamp > session.last_at:
        session.last_at = timestamp
    session.events += 1
    if event.type == "page":
        session.pages += 1


def interact(state: State, event: Event) -> None:
    """Any interaction with a delivery says that it was shown, also with one that was just withdrawn."""
    wanted = event.properties.get("delivery_id")
    if not isinstance(wanted, str):
        return
    for records in state.records.values():
        for record in records:
            if record.delivery_id != wanted:
                continue
            at = max(event.timestamp, record.decided_at)
            if record.shown_at is None:
                record.shown_at = at
            if event.name == SNOOZED:
                record.snoozed_at = max(at, record.snoozed_at or 0)
            elif record.snoozed_at is not None and at > record.snoozed_at:
                record.snoozed_at = None  # it has come again
            if event.name == "Message Dismissed":
                record.dismissed_at = max(at, record.dismissed_at or 0)
            elif event.name == "Message Completed":
                record.completed_at = max(at, record.completed_at or 0)
            return


def notes_of(event: Event, tracking: Index[LiveTracker]) -> list[Note]:
    """What trackers remember of an event."""

    def read(path: VarPath) -> Any:
        return walk(event_root(event, path[0]), path[1:])

    notes: list[Note] = []
    steps: dict[str, tuple[LiveTracker, int]] = {}
    timestamp = event.timestamp
    data: DataHandle | None = None
    for tracker in tracking.find(event.name, read):
        if tracker.where is not None:
            if data is None:
                data = _handle({"event": event_root(event, "event"), "page": page_data(event)})
            if data is None or not _holds(tracker, data):
                continue
        elif tracker.demands and not all(read(path) in values for path, values in tracker.demands):
            continue
        if tracker.steps:
            can_be = steps[tracker.id][1] if tracker.id in steps else 0
            steps[tracker.id] = tracker, can_be | 1 << tracker.step
        elif tracker.of is not None:
            value = walk(Cause(event, event.message_id).root(tracker.of[0]), tracker.of[1:])
            if value is not None:
                notes.append((tracker, timestamp, mark_of(value)))
        elif tracker.days is not None:
            notes.append((tracker, timestamp, day_of(timestamp, tracker.days)))
        else:
            notes.append((tracker, timestamp, None))
    if steps:
        notes += [(tracker, timestamp, can_be) for tracker, can_be in steps.values()]
    return notes


def put(tracks: dict[str, Track], written: Note) -> None:
    """Adds a note to a person's tracks."""
    tracker, timestamp, mark = written
    track = tracks.get(tracker.id)
    if track is None:
        track = tracks[tracker.id] = Track()
    if mark is None:
        note(track, timestamp, tracker.keep)
    elif tracker.steps:
        note_step(track, timestamp, mark, tracker.steps)
    else:
        note_value(track, timestamp, mark, tracker.keep)


def event_root(event: Event, root: str) -> Any:
    """`event` or `page` of an event, for the index: without building what is not asked for."""
    if root == "page":
        return page_data(event)
    if root == "event":
        return {"name": event.name, "type": event.type, "properties": event.properties}
    return Cause(event, event.message_id).root(root)


def _handle(data: dict[str, Any]) -> DataHandle | None:
    try:
        return handle(data)
    except EvaluationError:
        return None


def _holds(tracker: LiveTracker, data: DataHandle) -> bool:
    """A `where` that cannot be evaluated does not hold."""
    assert tracker.where is not None
    try:
        return is_true(tracker.where, data)
    except EvaluationError:
        return False
