"""`engage rules stats`: what became of each rule's matches, as `/api/stats` counts it, for people."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rules.tally import STATES

_HEADS: Final = ("rule", "matched", *STATES, "suppressed")


def table(rules: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Aligned columns, a line a rule, what was suppressed by its reason; below a rule its experiment."""
    if not rules:
        yield "no rule has matched yet"
        return
    rows = [
        (name, *(f"{found[head]:,}" for head in ("matched", *STATES)), _reasons(found)) for name, found in rules.items()
    ]
    widths = [max(len(row[column]) for row in (_HEADS, *rows)) for column in range(len(_HEADS) - 1)]
    for row in (_HEADS, *rows):
        cells = [
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        yield "  ".join([*cells, row[-1]]).rstrip()
        found = rules.get(row[0])
        if found is not None and row is not _HEADS:
            yield from _experiment(found)


def _reasons(found: Mapping[str, Any]) -> str:
    reasons = ", ".join(f"{name} {count:,}" for name, count in found["suppressed"].items()) or "0"
    return f"{reasons}; stopped {found['stopped']:,}" if "stopped" in found else reasons


def _experiment(found: Mapping[str, Any]) -> Iterator[str]:
    for arm, told in found.get("experiment", {}).items():
        rate = "" if told["rate"] is None else f" ({100 * told['rate']:.1f} %)"
        line = f"  {arm}: {told['people']:,} people, {told['reached']:,} reached the goal{rate}"
        if told.get("lift") is not None:
            low, high = told["lift_95"]
            line += f", lift {100 * told['lift']:+.0f} % (95 %: {100 * low:+.0f} to {100 * high:+.0f} %)"
        yield line
