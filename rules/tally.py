"""What became of each rule's matches, in numbers that reconcile.

A match is a moment at which a rule's trigger and condition both held. It is in exactly one state, always:

`matched` = `shown` + `waiting` + `cancelled` + `expired` + `failed` + the `suppressed:*`

A decision says by how much each number changes; who adds them up, in the transaction of the decision, has the sums.
"""

import re
from collections.abc import Container, Iterable, Mapping
from typing import Any, Final

from rules.experiment import compare
from rules.limits import SUSPENDED_AFTER, TARGET_MISSED
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
TARGET: Final = "target:"  # and then which message, release, step, and whether it was `found` or `missing`
RELEASE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,39}")  # of the customer's site, as it says itself


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
    targets = _targets(found)
    if targets:
        told["targets"] = targets
    arms = _arms(name.removeprefix(ARM) for name in found if name.startswith(ARM))
    if arms:
        told["experiment"] = compare(
            {arm: (found.get(f"{ARM}{arm}:people", 0), found.get(f"{ARM}{arm}:reached", 0)) for arm in arms}
        )
    return told


def _targets(found: Mapping[str, int]) -> dict[str, dict[str, dict[str, int]]]:
    """release → step → how often its target was `found`, how often it was `missing`, whatever the version of the tour."""
    told: dict[str, dict[str, dict[str, int]]] = {}
    for name, value in sorted(found.items()):
        if name.startswith(TARGET):
            _, _, release, step, what = name.split(":")
            sums = told.setdefault(release, {}).setdefault(step, {"found": 0, "missing": 0})
            sums[what] += value
    return told


def suspended(
    sums: Mapping[str, int], digests: Mapping[str, str], tours: Mapping[str, Container[str]]
) -> dict[str, str]:
    """The rules that are not asked, and why: the budget has stopped their condition (rule → its digest) too often, or a target of
    their tour (rule → the digests of its messages) is mostly gone. Edited, they are asked again."""
    told = {}
    for rule_id, digest in digests.items():
        stopped = sums.get(f"{rule_id}:{STOPPED}{digest}", 0)
        if stopped >= SUSPENDED_AFTER:
            told[rule_id] = f"its condition was stopped {stopped} times"
    for name, missing in sums.items():
        rule_id, _, what = name.partition(":")
        if missing < TARGET_MISSED or not what.startswith(TARGET) or not what.endswith(":missing"):
            continue
        _, digest, release, step, _ = what.split(":")
        found = sums.get(name.removesuffix("missing") + "found", 0)
        if missing > found and digest in tours.get(rule_id, ()):
            told.setdefault(
                rule_id,
                f"the target of step {step} was missing {missing} of {missing + found} times in release {release}",
            )
    return told


def _arms(names: Iterable[str]) -> list[str]:
    return sorted({name.rpartition(":")[0] for name in names})
