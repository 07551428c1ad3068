"""Questions that reach further back than the log: what a new rule does not know yet.

Deciders keep every history exactly. But a question that no live rule has asked before is filled from the log, and that reaches back
only so far: at first the answer is that of a shorter past.
"""

from collections.abc import Iterator
from typing import Any

from rules.documents import Document, Rule, Segment
from rules.duration import format_duration, parse_duration
from rules.errors import DurationError
from rules.problems import Path, Report
from rules.temporal import OPTIONS


def beyond_retention(document: Document, retention: int, report: Report) -> None:
    """Reports of a checked rule or segment each window that is longer than the log is kept (ms), as a warning; and what is asked
    of all time, once, as a note: most rules do, and most of them can live with it."""
    kept = format_duration(retention)
    ever: dict[str, Path] = {}
    for name, arguments, path in _questions(document):
        within = _window(arguments)
        if within is None:
            ever.setdefault(f"`{name}`", path)
        elif within[0] > retention:
            later = format_duration(within[0] - retention)
            message = (
                f"The log is kept for {kept}: if no live rule has asked this yet, a window of {format_duration(within[0])} is known in full "
                f"only {later} after this is published. Shorten it, or keep the log longer (ENGAGE_LOG_RETENTION)"
            )
            report.add((*path, *within[1]), message, "warning")
    if ever:
        asked = ", ".join(ever)
        message = f"Asked of all time ({asked}), but the log is kept for {kept}: what no live rule has asked yet is not known from before"
        report.add(next(iter(ever.values())), message, "note")


def _questions(document: Document) -> Iterator[tuple[str, Any, Path]]:
    """(operator, arguments, place of the arguments) of each question to the history."""
    waiting: list[tuple[Any, Path]] = []
    if isinstance(document, Rule):
        waiting = [(document.delay, ("delay",)), (document.condition, ("condition",))]
    elif isinstance(document, Segment):
        waiting = [(document.condition, ("condition",))]
    while waiting:
        item, path = waiting.pop()
        if isinstance(item, list):
            waiting += [(inner, (*path, index)) for index, inner in reversed(list(enumerate(item)))]
        elif isinstance(item, dict):
            for name, inner in item.items():
                if name in OPTIONS and len(item) == 1:
                    yield name, inner, (*path, name)
                else:
                    waiting.append((inner, (*path, name)))


def _window(arguments: Any) -> tuple[int, Path] | None:
    """The window of a question in ms, and where it stands below its arguments."""
    options = arguments[-1] if isinstance(arguments, list) and arguments else arguments
    if not isinstance(options, dict) or "within" not in options:
        return None
    place: Path = (len(arguments) - 1, "within") if isinstance(arguments, list) else ("within",)
    try:
        return parse_duration(options["within"]), place
    except DurationError:  # `check` says so
        return None
