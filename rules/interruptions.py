"""Who may interrupt: the project's limits over all rules, and never two at once for a rule that says so.

What interrupts (`tour`, `modal`, `chat`, `survey`) counts by when it was shown; while it is not shown yet, by when it was decided; one that
expired or was withdrawn unshown does not count.
"""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import msgspec

from rules.limits import OPEN_FOR, SESSION_GAP
from rules.state import Record, State
from rules.variables import iso

DAY: Final = 86_400_000


class Limits(msgspec.Struct, frozen=True):
    """At most `per_session` and `per_day` (0: no limit), and `quiet` ms between two."""

    per_session: int = 0
    per_day: int = 0
    quiet: int = 0


NO_LIMITS: Final = Limits()


class Busy(NamedTuple):
    """Why there is no room, and when to look again (ms), where time alone will tell."""

    result: Literal["limited", "lost"]
    detail: str
    free_at: int | None


def busy(state: State, limits: Limits, alone: bool, moment: int) -> Busy | None:
    """Whether another interruption has to wait at a moment. `alone`: it may not come while another is pending or open."""
    times: list[int] = []
    for rule_id, record in _interruptions(state):
        at = _counts_at(record, moment)
        if at is None:
            continue
        if alone and moment - at < OPEN_FOR and record.dismissed_at is None and record.completed_at is None:
            return Busy("lost", f"to {rule_id}", at + OPEN_FOR)
        times.append(at)
    session = state.session
    if limits.per_session and moment - session.last_at < SESSION_GAP:
        used = sum(at >= session.started_at for at in times)
        if used >= limits.per_session:
            return Busy("limited", f"{used} of {limits.per_session} per session", session.last_at + SESSION_GAP)
    if limits.per_day:
        today = sorted(at for at in times if at > moment - DAY)
        if len(today) >= limits.per_day:
            return Busy("limited", f"{len(today)} of {limits.per_day} per day", today[-limits.per_day] + DAY)
    last = max(times, default=None)
    if last is not None and moment - last < limits.quiet:
        return Busy("limited", f"quiet until {iso(last + limits.quiet)}", last + limits.quiet)
    return None


def keeps(record: Record, state: State, quiet: int, moment: int) -> bool:
    """Whether a record may still count against a limit."""
    if not record.interrupts or record.shown_at is None:
        return False
    return moment - record.shown_at < max(DAY, quiet) or record.shown_at >= state.session.started_at


def _interruptions(state: State) -> Iterator[tuple[str, Record]]:
    for rule_id, records in state.records.items():
        for record in records:
            if record.interrupts:
                yield rule_id, record


def _counts_at(record: Record, moment: int) -> int | None:
    """When it counts; None where it does not."""
    if record.shown_at is not None:
        return record.shown_at
    gone = record.withdrawn or (record.expires_at is not None and record.expires_at <= moment)
    return None if gone else record.decided_at
