"""The parts of a condition, each with its value at a moment and what it read: for explanations and for failed tests."""

from typing import Any, Final

import msgspec

from rules.condition import Segments, read_condition
from rules.data import ALL, Cause, build
from rules.dialect import EvaluationError, compile_logic, handle, is_true, value_of
from rules.duration import format_duration
from rules.problems import Report
from rules.state import State
from rules.temporal import Slot, Tracker
from rules.variables import SLOTS, VARIABLES

_SHOWN: Final = 100  # characters of a value
_encode: Final = msgspec.json.Encoder().encode


class Clause(msgspec.Struct):
    """One part of a rule's condition: its JSON, whether it holds (`true`, `false` or `error: …`), and what it read."""

    text: str
    value: str
    reads: list[str]


class ClauseReader:
    """A clause that can be asked again and again."""

    def __init__(self, written: Any, segments: Segments) -> None:
        self.text = shown(written)
        found = read_condition(written, (), Report(""), segments=segments)
        assert found is not None  # a part of a condition that has been checked
        self.logic = compile_logic(found.logic)
        self.slots: dict[str, Slot] = found.slots
        self.trackers: dict[str, Tracker] = found.trackers
        self.variables = [(name, compile_logic({"var": name})) for name in _variables(found.logic)]

    def at(self, state: State, cause: Cause, moment: int) -> Clause:
        data = build(state, cause, moment, ALL, self.slots)
        whole = handle(data)
        reads = [f"{name} = {shown(value_of(read, whole))}" for name, read in self.variables]
        for name, slot in self.slots.items():
            reads.append(f"{_asked(slot, self.trackers[slot.tracker])} = {shown(data[SLOTS][name])}")
        try:
            value = shown(is_true(self.logic, whole))
        except EvaluationError as error:
            value = f"error: {error}"
        return Clause(self.text, value, reads)


def clauses_of(written: Any, segments: Segments) -> list[ClauseReader]:
    """The parts of a checked condition: of an `and`, its arguments."""
    if written is True:
        return []
    parts = written.get("and") if isinstance(written, dict) else None
    return [ClauseReader(part, segments) for part in (parts if isinstance(parts, list) else [written])]


def _variables(logic: Any) -> list[str]:
    """Constant names that `var` reads of the whole data, told from those of an item by their root."""
    found: dict[str, None] = {}
    waiting = [logic]
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            for name, arguments in item.items():
                first = arguments[0] if isinstance(arguments, list) and arguments else arguments
                if name == "var" and isinstance(first, str) and first.split(".")[0] in VARIABLES:
                    found[first] = None
                else:
                    waiting.append(arguments)
    return list(found)


def _asked(slot: Slot, tracker: Tracker) -> str:
    """A question to the history, in words: `count page where {…} within 7d`."""
    steps = " → ".join(_what(step.names, step.where) for step in tracker.steps)
    words = [slot.question, "first" if slot.first else "", steps or _what(tracker.names, tracker.where)]
    words += [f"of {tracker.of}" if tracker.of else "", f"in {tracker.days}" if tracker.days else ""]
    words.append("" if slot.within is None else f"within {format_duration(slot.within)}")
    return " ".join(filter(None, words))


def _what(names: tuple[str, ...], where: Any) -> str:
    what = " | ".join(name or "any event" for name in names)
    return what if where is None else f"{what} where {shown(where)}"


def shown(value: Any) -> str:
    """JSON, cut short."""
    text = _encode(value).decode()
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
