"""What became of each rule's matches, in numbers that reconcile.

A match is a moment at which a rule's trigger and condition both held. It is in exactly one state, always:

`matched` = `shown` + `waiting` + `cancelled` + `expired` + `failed` + the `suppressed:*`

A decision says by how much each number changes; who adds them up, in the transaction of the decision, has the sums.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rules.experiment import compare
from rules.limits import SUSPENDED_AFTER
from rules.outcome import Result

WAITING: Final = "waiting"
SHOWN: Final = "shown"
CANCELLED: Final = "cancelled"
EXPIRED: Final = "expired"
FAILED: Final = "failed"
STATES: Final = (SHOWN, WAITING, CANCELLED, EXPIRED, FAILED)
SUPPRESSED: Final = "suppressed:"
# The state of a match, by what a decision came to.
STATE_OF: Final[dict[Result, str]] = {
    "matched": WAITING,
    "delayed": WAITING,
    "queued": WAITING,
    "capped": SUPPRESSED + "frequency",
    "outside_schedule": SUPPRESSED + "schedule",
    "holdout": SUPPRESSED + "holdout",
    "limited": SUPPRESSED + "limits",
    "lost": SUPPRESSED + "lost",
    "cancelled": CANCELLED,
    "withdrawn": CANCELLED,
    "expired": EXPIRED,
    "failed": FAILED,
    "error": FAILED,
}
RUNNING: Final = SUPPRESSED + "delayed"  # matched while its delay (or its wait for room) was running
ARM: Final = "arm:"
STOPPED: Final = "stopped:"  # and then which condition: how often the budget stopped it


def summary(sums: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Sums by "rule:what" → per rule: `matched`, each state, `suppressed` by reason, and the arms of its experiment."""
    by_rule: dict[str, dict[str, int]] = {}
    for name, value in sums.items():
        rule_id, _, what = name.partition(":")
        by_rule.setdefault(rule_id, {})[what] = value
    return {rule_id: _of_rule(found) for rule_id, found in sorted(by_rule.items())}


def _of_rule(found: Mapping[str, int]) -> dict[str, Any]:
    suppressed = {
        name.removeprefix(SUPPRESSED): value for name, value in sorted(found.items()) if name.startswith(SUPPRESSED)
    }
    told: dict[str, Any] = {"matched": found.get("matched", 0)}
    told |= {state: found.get(state, 0) for state in STATES}
    told["suppressed"] = {name: value for name, value in suppressed.items() if value}
    stopped = sum(value for name, value in found.items() if name.startswith(STOPPED))
    if stopped:
        told["stopped"] = stopped
    arms = _arms(name.removeprefix(ARM) for name in found if name.startswith(ARM))
    if arms:
        told["experiment"] = compare(
            {arm: (found.get(f"{ARM}{arm}:people", 0), found.get(f"{ARM}{arm}:reached", 0)) for arm in arms}
        )
    return told


def suspended(sums: Mapping[str, int], digests: Mapping[str, str]) -> frozenset[str]:
    """The rules whose condition (rule → its digest) the budget has stopped too often. Edited, it is asked again."""
    return frozenset(
        rule_id for rule_id, digest in digests.items() if sums.get(f"{rule_id}:{STOPPED}{digest}", 0) >= SUSPENDED_AFTER
    )


def _arms(names: Iterable[str]) -> list[str]:
    return sorted({name.rpartition(":")[0] for name in names})
