"""Sums that must hold after a run: every match of every rule is in exactly one state."""

from collections.abc import Iterator, Mapping
from typing import Any

from rules.tally import STATES


def mismatches(rules: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """One line for each rule of `/api/stats` whose `matched` is not the sum of its states and of what was suppressed."""
    for name, found in rules.items():
        states = {state: found[state] for state in STATES}
        states["suppressed"] = sum(found["suppressed"].values())
        total = sum(states.values())
        if found["matched"] != total:
            parts = " + ".join(f"{state} {number:,}" for state, number in states.items())
            yield f"rule {name}: matched {found['matched']:,}, but {parts} = {total:,}"
