"""What a rule means: every field read, checked and brought into the form that the rulebook compiles.

The one reading of a rule: `check` reports what it finds, `compile_rulebook` refuses on it.
"""

import re
from typing import Any, Final

import msgspec

from rules.cases import check_cases
from rules.condition import Condition, Segments, merge_trackers, read_condition
from rules.documents import ID_PATTERN, EventNames, Frequency, Occasion, Project, Rule, Wait, messages_of, names_of
from rules.duration import parse_duration
from rules.errors import DurationError
from rules.experiment import ARMS, Goal
from rules.interruptions import NO_LIMITS, Limits
from rules.limits import MAX_EVENT_NAMES, MAX_SNOOZE, MAX_VARIANTS, WITHOUT_TIMESTAMPS
from rules.occasions import ABSENCE, LiveOccasion, Watched, read_occasion, segments_of, trigger_names, watch
from rules.problems import Path, Report
from rules.schedule import LiveSchedule, read_schedule
from rules.temporal import Tracker, times_of

_ID: Final = re.compile(ID_PATTERN)
LIFETIME: Final = -1
SESSION: Final = -2


class Cap(msgspec.Struct, frozen=True):
    """At most `max` deliveries per `per` ms (or SESSION, or LIFETIME); none for `after_dismiss` ms after a dismissal."""

    max: int
    per: int
    after_dismiss: int = 0


ONCE: Final = Cap(1, LIFETIME)


class AbsenceTrigger(msgspec.Struct, frozen=True):
    after: tuple[str, ...]
    without: tuple[str, ...]
    within: int
    tracker: str


class Analysis(msgspec.Struct):
    """`wait`: what a message that interrupts does where there is no room: ms to wait at most, 0: lapse; None: wait behind others in the inbox."""

    rule: Rule
    triggers: tuple[str, ...]
    condition: Condition
    trackers: dict[str, Tracker]
    absence: AbsenceTrigger | None = None
    occasion: LiveOccasion | None = None
    watched: Watched | None = None
    delay: int | Condition = 0
    cap: Cap | None = ONCE
    schedule: LiveSchedule | None = None
    wait: int | None = None
    goal: Goal | None = None


def check_id(value: str, file: str, report: Report) -> None:
    """An id is a safe name, and the file is named after it."""
    if not _ID.fullmatch(value):
        message = f"Expected letters, digits, `_`, `.` or `-` (at most 64, a letter or digit first), got `{value[:70]}`"
        report.add(("id",), message)
    elif file.endswith(".json"):
        stem = file.replace("\\", "/").rsplit("/", 1)[-1][: -len(".json")]
        if stem != value:
            report.add(("id",), f"Expected the id `{stem[:70]}`, as the file is named, got `{value}`")


def check_reference(value: str, path: Path, report: Report) -> None:
    if not _ID.fullmatch(value):
        report.add(path, f"Expected the id of a document, got `{value[:70]}`")


def analyse(rule: Rule, report: Report, segments: Segments | None = None) -> Analysis | None:
    """None with the problems reported. Without `segments`, what a rule says of one is taken on trust."""
    _check_messages(rule, report)
    _check_names(rule, report)
    check_cases(rule.tests, [variant.id for variant in rule.variants or ()], report)
    found = read_condition(rule.condition, ("condition",), report, segments=segments)
    trackers = dict(found.trackers) if found else {}
    absence, occasion, watched = _occasion(rule, trackers, report, segments)
    delay = _delay(rule, absence, report, segments)
    cap = _cap(rule.frequency, report)
    _check_snooze(rule, report)
    schedule = None if rule.schedule is None else read_schedule(rule.schedule, ("schedule",), report)
    wait = None
    if rule.if_busy is not None:
        wait = duration_at(rule.if_busy.wait, ("if_busy", "wait"), report, 1) if isinstance(rule.if_busy, Wait) else 0
    goal = None
    if rule.goal is not None:
        goal = Goal(names_of(rule.goal.event), duration_at(rule.goal.within, ("goal", "within"), report, 1))
    if report.failed or found is None:
        return None
    if isinstance(delay, Condition):
        merge_trackers(trackers, delay.trackers)
    triggers = trigger_names(rule.trigger)
    return Analysis(rule, triggers, found, trackers, absence, occasion, watched, delay, cap, schedule, wait, goal)


def read_limits(project: Project | None, report: Report) -> Limits:
    """The project's limits on what interrupts."""
    given = project.interruptions if project else None
    if given is None:
        return NO_LIMITS
    quiet = 0 if given.quiet is None else duration_at(given.quiet, ("interruptions", "quiet"), report, 1)
    return Limits(given.per_session or 0, given.per_day or 0, quiet)


def duration_at(value: Any, path: Path, report: Report, least: int = 0) -> int:
    try:
        length = parse_duration(value)
    except DurationError as error:
        report.add(path, str(error))
        return 0
    if length < least:
        report.add(path, "Expected a duration longer than nothing")
    return length


def _check_messages(rule: Rule, report: Report) -> None:
    """One `message`, or `variants` of it."""
    for path, name in messages_of(rule).items():
        check_reference(name, path, report)
    if rule.variants is None:
        if rule.message is None:
            report.add((), "Expected the field `message` (or `variants`), which is missing")
        return
    if rule.message is not None:
        report.add(("message",), "Expected either `message` or `variants`, got both")
    ids = [variant.id for variant in rule.variants]
    if not 2 <= len(ids) <= MAX_VARIANTS:
        report.add(("variants",), f"Expected 2 to {MAX_VARIANTS} variants, got {len(ids)}")
    if ids and not any(variant.weight for variant in rule.variants):
        report.add(("variants",), "Expected at least one variant with a weight above 0")
    for index, name in enumerate(ids):
        path = ("variants", index, "id")
        if name in ids[:index]:
            report.add(path, f"Expected each variant's id once, got `{name}` twice")
        elif name in ARMS:
            report.add(path, f"Expected another id: `{name}` is what statistics call those who are in no variant")
        elif not _ID.fullmatch(name):
            report.add(path, f"Expected letters, digits, `_`, `.` or `-` (at most 64), got `{name[:70]}`")


def _check_names(rule: Rule, report: Report) -> None:
    fields: list[tuple[Path, EventNames]] = [(("cancel_on",), rule.cancel_on)]
    if isinstance(rule.trigger, Occasion):
        for name in ("after", "without"):
            names = getattr(rule.trigger, name)
            if names is not None:
                fields.append((("trigger", name), names))
        for path, segment in segments_of(rule.trigger):
            check_reference(segment, path, report)
    else:
        fields.append((("trigger",), rule.trigger))
    if rule.goal:
        fields.append((("goal", "event"), rule.goal.event))
    for path, names in fields:
        if not names and path != ("cancel_on",):
            report.add(path, "Expected the name of at least one event, got an empty array")
        if len(names_of(names)) > MAX_EVENT_NAMES:
            report.add(path, f"Expected at most {MAX_EVENT_NAMES} event names, got {len(names)}")


def _occasion(
    rule: Rule, trackers: dict[str, Tracker], report: Report, segments: Segments | None
) -> tuple[AbsenceTrigger | None, LiveOccasion | None, Watched | None]:
    """What wakes a rule whose trigger is not the name of an event: an absence, or another occasion and the segment it watches."""
    trigger = rule.trigger
    if not isinstance(trigger, Occasion):
        return None, None, None
    if any(getattr(trigger, name) is not None for name in ABSENCE):
        return _absence(trigger, trackers, report), None, None
    before = len(report.problems)
    occasion = read_occasion(trigger, ("trigger",), report, segments, duration_at)
    if occasion is None or not occasion.segment or len(report.problems) > before:
        return None, occasion, None
    if segments is None or occasion.segment not in segments:
        return None, occasion, None
    watched = watch(occasion.segment, segments)
    merge_trackers(trackers, watched.condition.trackers)
    return None, occasion, watched


def _absence(trigger: Occasion, trackers: dict[str, Tracker], report: Report) -> AbsenceTrigger | None:
    missing = [name for name in ABSENCE if getattr(trigger, name) is None]
    for name in missing:
        report.add(("trigger",), f"Expected the field `{name}`, which is missing")
    others = [
        field for field in trigger.__struct_fields__ if field not in ABSENCE and getattr(trigger, field) is not None
    ]
    for name in others:
        report.add(("trigger", name), f"`{name}` does not go with `after`, `without` and `within`", key=name)
    if missing or others or trigger.within is None:
        return None
    within = duration_at(trigger.within, ("trigger", "within"), report, 1)
    without = names_of(trigger.without or [])
    tracker = times_of(without, None, WITHOUT_TIMESTAMPS)
    merge_trackers(trackers, {tracker.id: tracker})
    return AbsenceTrigger(names_of(trigger.after or []), without, within, tracker.id)


def _delay(rule: Rule, absence: AbsenceTrigger | None, report: Report, segments: Segments | None) -> int | Condition:
    if rule.delay is None:
        return 0
    if absence is not None:
        report.add(("delay",), "A rule on absence cannot be delayed; make `within` longer")
        return 0
    if isinstance(rule.delay, dict):
        return read_condition(rule.delay, ("delay",), report, truth=False, segments=segments) or 0
    return duration_at(rule.delay, ("delay",), report)


def _check_snooze(rule: Rule, report: Report) -> None:
    if rule.snooze is not None and duration_at(rule.snooze, ("snooze",), report, 1) > MAX_SNOOZE:
        report.add(("snooze",), f"Expected at most 30 days, got `{rule.snooze}`")


def _cap(frequency: str | Frequency | None, report: Report) -> Cap | None:
    if frequency is None:
        return ONCE
    if not isinstance(frequency, Frequency):
        return None
    quiet = 0
    if frequency.after_dismiss is not None:
        quiet = duration_at(frequency.after_dismiss, ("frequency", "after_dismiss"), report, 1)
    if frequency.per == "lifetime":
        return Cap(frequency.max, LIFETIME, quiet)
    if frequency.per == "session":
        return Cap(frequency.max, SESSION, quiet)
    try:
        per = parse_duration(frequency.per)
    except DurationError as error:
        report.add(("frequency", "per"), f"{error}, or `session`, or `lifetime`")
        return ONCE
    if per == 0:
        report.add(("frequency", "per"), "Expected a duration longer than nothing")
    return Cap(frequency.max, per, quiet)
