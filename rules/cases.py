"""The tests inside a rule, read: their form, and the engine's events that they stand for."""

import re
from datetime import UTC, datetime
from typing import Any, Final

from rules.documents import ID_PATTERN, Case, CaseEvent, CaseUser, Expected
from rules.duration import parse_duration
from rules.errors import DurationError
from rules.event import Event
from rules.problems import Path, Report, nearest
from rules.state import State, new_state

CALLS: Final = ("event", "identify", "group", "screen", "alias")
START: Final = "2026-01-05T09:00:00Z"  # a Monday
VISITOR: Final = "visitor"  # the anonymousId of whoever has no userId

_ID: Final = re.compile(ID_PATTERN)
_INTERACTIONS: Final = ("Message Shown", "Message Clicked", "Message Dismissed", "Message Completed")


def check_cases(cases: list[Case], variants: list[str], report: Report) -> None:
    """What the shape alone does not say: times, one call an event, one outcome an expectation, each name once."""
    names: set[str] = set()
    for index, case in enumerate(cases):
        path: Path = ("tests", index)
        if case.name in names:
            report.add((*path, "name"), f"Expected each test's name once, got `{case.name[:60]}` twice")
        names.add(case.name)
        if case.start is not None and _moment(case.start) is None:
            report.add((*path, "start"), f"Expected a time like `{START}`, got `{case.start[:60]}`")
        if case.variant is not None and case.variant not in variants:
            message = f"The rule has no variant `{case.variant[:60]}`{nearest(case.variant, variants)}"
            report.add((*path, "variant"), message)
        if not case.events:
            report.add((*path, "events"), "Expected at least one event, got none")
        for number, event in enumerate(case.events):
            _check_event(event, (*path, "events", number), report)
        for number, expected in enumerate(case.expect):
            _check_expected(expected, (*path, "expect", number), report)


def _check_event(event: CaseEvent, path: Path, report: Report) -> None:
    _check_offset(event.at, (*path, "at"), report)
    given = [name for name in CALLS if getattr(event, name) is not None]
    listed = ", ".join(f"`{name}`" for name in ("page", *CALLS))
    if len(given) > 1:
        report.add(path, f"Expected one of {listed}, got " + " and ".join(f"`{name}`" for name in given))
    elif not given and event.page is None:
        report.add(path, f"Expected one of {listed}, which are all missing")
    if event.traits and event.group is None:
        report.add((*path, "traits"), "Expected `traits` beside `group` alone; a user's traits are `identify`'s")
    for name in ("page", "group", "screen", "alias"):
        if getattr(event, name) == "":
            report.add((*path, name), "Expected some text, got an empty string")
    if event.message is not None:
        _check_reference(event.message, (*path, "message"), report)
        if event.event is None:
            asked = ", ".join(f"`{name}`" for name in _INTERACTIONS)
            report.add((*path, "message"), f"Expected `message` beside an `event` alone, such as {asked}")


def _check_expected(expected: Expected, path: Path, report: Report) -> None:
    _check_offset(expected.at, (*path, "at"), report)
    if (expected.deliver is None) == (expected.withdraw is None):
        got = "neither" if expected.deliver is None else "both"
        report.add(path, f"Expected either `deliver` or `withdraw`, got {got}")
    for name, value in (("deliver", expected.deliver), ("withdraw", expected.withdraw)):
        if value is not None:
            _check_reference(value, (*path, name), report)


def _check_reference(value: str, path: Path, report: Report) -> None:
    if not _ID.fullmatch(value):
        report.add(path, f"Expected the id of a message, got `{value[:70]}`")


def _check_offset(value: str | int, path: Path, report: Report) -> None:
    try:
        parse_duration(value)
    except DurationError as error:
        report.add(path, str(error))


def messages_in(cases: list[Case]) -> list[tuple[Path, str]]:
    """Every message the tests name, with its path."""
    found: list[tuple[Path, str]] = []
    for index, case in enumerate(cases):
        for number, event in enumerate(case.events):
            if event.message is not None:
                found.append((("tests", index, "events", number, "message"), event.message))
        for number, expected in enumerate(case.expect):
            for name, value in (("deliver", expected.deliver), ("withdraw", expected.withdraw)):
                if value is not None:
                    found.append((("tests", index, "expect", number, name), value))
    return found


def start_of(case: Case) -> int:
    """The moment of `0s`, ms. The case has been checked."""
    moment = _moment(case.start or START)
    assert moment is not None
    return moment


def state_of(user: CaseUser) -> State:
    """What is known of the person before the first event."""
    state = new_state(f"a:{VISITOR}" if user.id is None else f"u:{user.id}")
    state.user_id = user.id
    state.anonymous_id = VISITOR if user.id is None else None
    state.traits = dict(user.traits)
    state.group_id = user.group
    state.group_traits = dict(user.group_traits)
    return state


def event_of(call: CaseEvent, index: int, moment: int, state: State) -> Event:
    """The engine's event of a test's event at a moment, ms."""
    page = _page(call.page)
    kind = next((name for name in CALLS if getattr(call, name) is not None), "page")
    properties = dict(call.properties)
    if kind == "page":
        properties = page | properties
    elif kind == "screen":
        properties = {"name": call.screen} | properties
    return Event(
        type="track" if kind == "event" else kind,
        name=call.event or kind,
        message_id=f"test-{index}",
        timestamp=moment,
        person=state.person,
        user_id=state.user_id,
        anonymous_id=state.anonymous_id,
        properties=properties,
        traits=call.identify or call.traits,
        context=call.context | ({"page": page} if page else {}),
        group_id=call.group,
        previous_id=call.alias,
    )


def unknown_message(name: str, known: list[str]) -> str:
    """What to say when an event is about a message that was not delivered."""
    return f"`{name}` had not been delivered{nearest(name, known)}"


def _page(page: str | dict[str, Any] | None) -> dict[str, Any]:
    if not isinstance(page, str):
        return page or {}
    path, mark, search = page.partition("?")
    return {"path": path} | ({"search": mark + search} if mark else {})


def _moment(text: str) -> int | None:
    """ISO 8601 → ms since the epoch, or None; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        found = round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return found if found > 0 else None
