"""Schedules: the clock on the wall decides, in any time zone and on any day."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from engine_helpers import PERSON, D, H, M, event, play, results, rule, rulebook
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import Rule, new_state
from rules.analysis import analyse
from rules.problems import Report
from rules.schedule import LiveSchedule

NAMES = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def live(**schedule: Any) -> LiveSchedule:
    found = analyse(rule(schedule=schedule), Report(""))
    assert found is not None
    assert found.schedule is not None
    return found.schedule


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


clocks = st.tuples(st.integers(0, 23), st.sampled_from([0, 30, 59])).map(lambda parts: f"{parts[0]:02}:{parts[1]:02}")


@settings(max_examples=300, deadline=None)
@given(
    moment=st.integers(0, 3 * 365 * 24 * 4).map(lambda quarter: at("2025-01-01") + quarter * 15 * M),
    hours=st.lists(clocks, min_size=2, max_size=2, unique=True),
    days=st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
    start=st.dates(datetime(2025, 1, 1).date(), datetime(2026, 6, 1).date()),
    zone=st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
)
def test_it_allows_what_the_wall_clock_says(
    moment: int, hours: list[str], days: list[str], start: Any, zone: str
) -> None:
    end = start + timedelta(days=200)
    schedule = live(hours=hours, days=days, start=f"{start}", end=f"{end}", timezone=zone)
    local = datetime.fromtimestamp(moment / 1000, UTC).astimezone(ZoneInfo(zone))
    clock, day = f"{local:%H:%M}", local.date()
    if hours[0] < hours[1]:
        open_ = hours[0] <= clock < hours[1]
    else:
        open_ = clock >= hours[0] or clock < hours[1]
        day -= timedelta(days=clock < hours[1])
    assert schedule.allows(moment, None) == (open_ and NAMES[day.weekday()] in days and start <= day <= end)


def test_summer_time_changes_nothing() -> None:
    """New York, 2026-03-08: the hour from 02:00 is left out. 2026-11-01: the hour from 01:00 comes twice."""
    morning = live(hours=["09:00", "10:00"], timezone="America/New_York")
    for day in ("2026-03-07", "2026-03-08", "2026-03-09", "2026-10-31", "2026-11-01", "2026-11-02"):
        opens = at(f"{day}T09:00", "America/New_York")
        assert [morning.allows(opens + step, None) for step in (-1, 0, H - 1, H)] == [False, True, True, False]
    night = live(hours=["01:00", "02:00"], timezone="America/New_York")
    first = at("2026-11-01T01:00", "America/New_York")
    assert [night.allows(first + step, None) for step in (-1, 0, H, 2 * H - 1, 2 * H)] == [
        False,
        True,
        True,
        True,
        False,
    ]


def test_the_first_and_the_last_day_are_whole() -> None:
    december = live(start="2026-12-01", end="2026-12-31", timezone="Asia/Tokyo")
    begin, end = at("2026-12-01T00:00", "Asia/Tokyo"), at("2027-01-01T00:00", "Asia/Tokyo")
    assert [december.allows(moment, None) for moment in (begin - 1, begin, end - 1, end)] == [False, True, True, False]


OFFICE = {"hours": ["09:00", "18:00"]}


def played(asked: Rule, *calls: Any) -> list[list[tuple[str, str]]]:
    return [results(outcome) for outcome in play(new_state(PERSON), rulebook(asked), *calls)]


def test_what_matches_outside_is_not_delivered_and_not_made_up_for() -> None:
    asked = rule(trigger="go", schedule=OFFICE)
    day = at("2026-12-01")
    found = played(asked, event("go", day + 8 * H), day + 10 * H, event("go", day + 11 * H, message_id="2"))
    assert found == [[("r", "outside_schedule")], [], [("r", "matched")]]


def test_a_delay_that_ends_outside_delivers_nothing() -> None:
    day = at("2026-12-01")
    found = played(rule(trigger="go", delay="2h", schedule=OFFICE), event("go", day + 17 * H), day + D)
    assert found == [[("r", "delayed")], [("r", "outside_schedule")]]
    absent = rule(trigger={"after": "go", "without": "stop", "within": "2h"}, schedule=OFFICE)
    assert played(absent, event("go", day + 17 * H), day + D)[1] == [("r", "outside_schedule")]


@pytest.mark.parametrize(
    ("timezone", "outcome"),
    [("Asia/Tokyo", "matched"), ("America/New_York", "outside_schedule"), ("Nowhere/Land", "outside_schedule"), (None, "outside_schedule"), (7, "outside_schedule")],
)  # fmt: skip
def test_the_users_own_time_zone_is_what_their_browser_said_last(timezone: Any, outcome: str) -> None:
    """01:00 UTC is 10:00 in Tokyo."""
    asked = rule(trigger="go", schedule=OFFICE | {"timezone": "user"})
    seen = event("page", at("2026-12-01"), context={} if timezone is None else {"timezone": timezone})
    assert played(asked, seen, event("go", at("2026-12-01T01:00")))[1] == [("r", outcome)]
