"""Frequency caps: what counts against a rule's limit, and for how long it is remembered.

A delivery counts while it may still be shown, and from then on by the time it was shown. One that expired or was
withdrawn unshown is not spent. A dismissal keeps a rule quiet for as long as its `after_dismiss` says.
"""

from rules.analysis import LIFETIME, SESSION, Cap
from rules.interruptions import keeps
from rules.limits import MAX_SNOOZE, RECORDS_FOR_ALWAYS, SESSION_GAP, SPENT_GRACE
from rules.state import Record, State
from rules.variables import iso


def capped(state: State, rule_id: str, cap: Cap | None, moment: int) -> str | None:
    """Why a rule may not deliver now, or None."""
    if cap is None:
        return None
    used = len(counted(state, rule_id, cap, moment))
    if used >= cap.max:
        return f"{used} of {cap.max}"
    quiet_until = max((_quiet_until(record, cap) for record in state.records.get(rule_id, ())), default=0)
    return f"dismissed, not again before {iso(quiet_until)}" if quiet_until > moment else None


def counted(state: State, rule_id: str, cap: Cap, moment: int) -> list[Record]:
    """The deliveries that count against a cap."""
    records = state.records.get(rule_id)
    if not records:
        return []
    since = _since(state, cap, moment)
    return [record for record in records if _counts(record, since, moment)]


def pending(record: Record, moment: int) -> bool:
    """Whether a delivery may still be shown."""
    if record.shown_at is not None or record.withdrawn:
        return False
    return record.expires_at is None or record.expires_at > moment


def remember(state: State, rule_id: str, record: Record, cap: Cap | None, moment: int, quiet: int = 0) -> None:
    """Adds a record and lets go of those that can never count again, here or (`quiet`) for the project's limits."""
    since = _since(state, cap, moment) if cap else moment
    kept = [
        known
        for known in state.records.get(rule_id, ())
        if _counts(known, since, moment)
        or _spent_lately(known, moment)
        or _comes_again(known, moment)
        or (cap is not None and _quiet_until(known, cap) > moment)
        or keeps(known, state, quiet, moment)
    ]
    limit = RECORDS_FOR_ALWAYS if cap is None else cap.max + RECORDS_FOR_ALWAYS
    kept.append(record)
    state.records[rule_id] = kept[-limit:]


def _quiet_until(record: Record, cap: Cap) -> int:
    """Until when a dismissal keeps the rule quiet."""
    return 0 if record.dismissed_at is None else record.dismissed_at + cap.after_dismiss


def _since(state: State, cap: Cap, moment: int) -> int:
    """Shown after this moment counts."""
    if cap.per == LIFETIME:
        return -1
    if cap.per == SESSION:
        ended = moment - state.session.last_at >= SESSION_GAP
        return moment if ended else state.session.started_at - 1
    return moment - cap.per


def _counts(record: Record, since: int, moment: int) -> bool:
    return record.shown_at > since if record.shown_at is not None else pending(record, moment)


def _spent_lately(record: Record, moment: int) -> bool:
    end = record.expires_at if record.expires_at is not None else record.decided_at
    return record.shown_at is None and moment - end < SPENT_GRACE


def _comes_again(record: Record, moment: int) -> bool:
    return record.snoozed_at is not None and moment - record.snoozed_at < MAX_SNOOZE
