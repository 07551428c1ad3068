"""`make bench`: the table of measures, each a ratio within this run on this machine.

python -m loadtests.bench [--only NAME …] [--quick] [--json FILE]
"""

import argparse
import sys
import traceback
from pathlib import Path

import msgspec

from loadtests.measures import MEASURES, Row

HEADS = ("what", "unit", "ours", "yardstick", "value", "reach", "")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure Engage against its yardsticks.")
    parser.add_argument("--only", nargs="+", choices=sorted(MEASURES), help="these measures only")
    parser.add_argument("--quick", action="store_true", help="one short round: shows that it works, not how fast")
    parser.add_argument("--json", type=Path, default=Path(".engage/bench.json"), help="where the table goes as JSON")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for name, measure in MEASURES.items():
        if arguments.only and name not in arguments.only:
            continue
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        try:
            for row in measure(arguments.quick):
                print(table([row]).splitlines()[1], file=sys.stderr, flush=True)
                rows.append(row)
        except Exception as error:  # the other measures are not lost by it
            traceback.print_exc()
            rows.append(Row(name, "", 0, None, 0, 0, False, failed=repr(error)))
    print(table(rows))
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode([_as_object(row) for row in rows]), indent=2))
    print(f"\nas JSON: {arguments.json}")
    if any(row.failed for row in rows):
        sys.exit(1)


def table(rows: list[Row]) -> str:
    """Aligned columns, a line a row."""
    lines = [HEADS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
    shown = []
    for line in lines:
        left = line[0].ljust(widths[0]) + "  " + line[1].ljust(widths[1])
        right = "  ".join(cell.rjust(width) for cell, width in zip(line[2:6], widths[2:6], strict=True))
        shown.append(f"{left}  {right}  {line[6]}".rstrip())
    return "\n".join(shown)


def _cells(row: Row) -> tuple[str, ...]:
    state = f"FAILED: {row.failed}" if row.failed else ("ok" if row.good else "short")
    note = f"{state}  {row.note}" if row.note else state
    yardstick = "" if row.yardstick is None else _number(row.yardstick)
    reach = f"{'≥' if row.at_least else '≤'} {row.reach:g}"
    return row.name, row.unit, _number(row.ours), yardstick, f"{row.value:.2f}", reach, note


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def _as_object(row: Row) -> dict[str, object]:
    return {**msgspec.structs.asdict(row), "good": row.good}


if __name__ == "__main__":
    main()
