"""When a rule may act: days, hours and dates in a time zone, by the clock on the wall there (so that summer time is no matter)."""

import re
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from rules.asking import timezone_problem
from rules.documents import Schedule
from rules.problems import Path, Report

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
USER: Final = "user"
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")


class LiveSchedule(msgspec.Struct, frozen=True):
    """`zone` None: the user's own. Dates as ordinals, both included; minutes of the day, the last excluded; `days` from 0, Monday."""

    zone: ZoneInfo | None
    start: int
    end: int
    hours: tuple[int, int]
    days: frozenset[int]

    def allows(self, moment: int, timezone: str | None) -> bool:
        """Whether a moment, ms, is within; `timezone` is the user's, None (or one that is none): UTC."""
        zone = self.zone or user_zone(timezone)
        local = datetime.fromtimestamp(moment // 1000, zone)
        day, minute = local.toordinal(), local.hour * 60 + local.minute
        begin, end = self.hours
        if begin >= end and minute < end:  # past midnight: it is still the night that began the day before
            day -= 1
        elif not (begin <= minute < end if begin < end else minute >= begin):
            return False
        return self.start <= day <= self.end and (day - 1) % 7 in self.days


def user_zone(timezone: str | None) -> ZoneInfo:
    try:
        return ZoneInfo(timezone or "UTC")
    except (KeyError, OSError, ValueError):
        return ZoneInfo("UTC")


def read_schedule(schedule: Schedule, path: Path, report: Report) -> LiveSchedule | None:
    """None with the problems reported."""
    before = len(report.problems)
    if schedule.timezone != USER and (problem := timezone_problem(schedule.timezone)):
        report.add((*path, "timezone"), f"{problem}, or `{USER}` for the person's own")
    start = _day(schedule.start, (*path, "start"), report, date.min)
    end = _day(schedule.end, (*path, "end"), report, date.max)
    if start > end:
        report.add((*path, "end"), f"Expected a day from {schedule.start} on, got `{schedule.end}`")
    hours = (0, 24 * 60)
    if schedule.hours is not None:
        times = [minute_of(text, (*path, "hours", index), report) for index, text in enumerate(schedule.hours)]
        hours = times[0], times[1]
        if times[0] == times[1]:
            report.add((*path, "hours"), f"Expected two different times, got `{schedule.hours[0]}` twice")
    if schedule.days is not None and not schedule.days:
        report.add((*path, "days"), "Expected at least one day, got an empty array")
    if len(report.problems) > before:
        return None
    days = DAYS if schedule.days is None else schedule.days
    zone = None if schedule.timezone == USER else ZoneInfo(schedule.timezone)
    return LiveSchedule(zone, start.toordinal(), end.toordinal(), hours, frozenset(DAYS.index(day) for day in days))


def _day(text: str | None, path: Path, report: Report, default: date) -> date:
    if text is None:
        return default
    try:
        if len(text) == len("2026-12-01"):
            return date.fromisoformat(text)
    except ValueError:
        pass
    report.add(path, f"Expected a day such as 2026-12-01, got `{text[:40]}`")
    return default


def minute_of(text: str, path: Path, report: Report) -> int:
    if _CLOCK.fullmatch(text) is None:
        report.add(path, f"Expected a time of day such as 09:00, got `{text[:40]}`")
        return 0
    return int(text[:2]) * 60 + int(text[3:])
