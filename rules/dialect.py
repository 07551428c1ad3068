"""The one JSONLogic dialect this project speaks, and the only module that touches the engine that runs it.

Source: the community dialect as datalogic 5 implements it, with these choices:

- Truthiness is JavaScript's, save that `[]` and `{}` are false.
- Values of unlike types are not equal: `{"==": ["abc", 1]}` is false, not an error. `null` loosely equals `0`, `""` and `false`.
- Two strings that both read as dates, or both as durations, compare by what they mean: `"60m"` equals `"1h"`.
- Arithmetic and order on what is no number is an error; the rule is then not matched, and says so.
- A missing variable reads as null.
- There is no clock operator: `{"var": "now"}` is the time of the decision, so that a replay gives the same answer.
- Every evaluation has a budget; the engine refuses the work before doing it.

Dangers, all kept in here: compiling or wrapping a deeply nested *Python* object crashes the process, so rules are bounded
first (`bounded`) and data crosses as JSON *text*, which the engine refuses beyond 256 levels; a rule that is a bare string is
read as JSON text, so a constant is boxed; a Session may be used by the thread that made it alone.
"""

import threading
from collections.abc import Callable
from typing import Any, Final

import msgspec
from datalogic_py import DataHandle, DataLogicError, Engine, Session
from datalogic_py import Rule as Compiled

from rules.limits import MAX_DEPTH, MAX_NODES, OPS_BUDGET

__all__ = [
    "ENGINE",
    "OPERATORS",
    "REFUSED",
    "SCOPED",
    "BudgetExceeded",
    "Compiled",
    "DataHandle",
    "EvaluationError",
    "bounded",
]

FAMILIES: Final = ("ExtString", "ExtArray", "ExtObject", "ExtMath", "ExtControl", "ErrorHandling", "DateTime")
ENGINE: Final = Engine(
    families=FAMILIES,
    config={
        "loose_equality_errors": False,
        "truthy_evaluator": "javascript",
        "ops_budget": OPS_BUDGET,
        "max_recursion_depth": 2 * MAX_DEPTH,
    },
)

# Operators the engine has and the project does not, with what to say instead.
REFUSED: Final = {
    "now": 'a rule has no clock of its own; read {"var": "now"}',
    "distinct": "here `distinct` asks for a person's history, and that cannot be done in this place",
}


def _operators() -> tuple[frozenset[str], dict[str, int]]:
    names: set[str] = set()
    scoped: dict[str, int] = {}
    for operator in ENGINE.operators():
        if operator["family"] != "Core" and operator["family"] not in FAMILIES:
            continue
        for name in (operator["name"], *operator["aliases"]):
            names.add(name)
            where = operator["scoped_arg"]
            if where is not None:
                scoped[name] = -1 if where == "last" else where
    return frozenset(names - REFUSED.keys()), scoped


# SCOPED: the argument in which `var` means the item at hand instead of the whole data (-1: the last one).
OPERATORS, SCOPED = _operators()


class EvaluationError(Exception):
    """A rule that could not be evaluated on this data."""


class BudgetExceeded(EvaluationError):
    """It was stopped: it would have taken too many operations."""


class _Local(threading.local):
    def __init__(self) -> None:
        self.session: Session = ENGINE.session()


_local = _Local()
_encode: Final[Callable[[Any], bytes]] = msgspec.json.Encoder().encode


def bounded(value: Any) -> bool:
    """Whether a JSON value is shallow and small enough to be compiled. Does not recurse."""
    waiting: list[tuple[Any, int]] = [(value, 0)]
    nodes = 0
    while waiting:
        item, depth = waiting.pop()
        nodes += 1
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            return False
        if isinstance(item, dict):
            waiting += [(inner, depth + 1) for inner in item.values()]
        elif isinstance(item, list):
            waiting += [(inner, depth + 1) for inner in item]
    return True


def nodes(value: Any) -> int:
    """How many JSON values a value holds. Does not recurse."""
    waiting = [value]
    for item in waiting:
        waiting += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return len(waiting)


def compile_logic(logic: Any) -> Compiled:
    """Compiles what `bounded` has passed. Raises EvaluationError where the engine refuses it."""
    try:
        return ENGINE.compile(_boxed(logic))
    except DataLogicError as error:
        raise EvaluationError(str(error)) from error


def _boxed(logic: Any) -> Any:
    return {"if": [True, logic]} if isinstance(logic, str) else logic


def diagnose(logic: Any) -> list[tuple[str, str, str]]:
    """(JSON Pointer, message, severity) of every problem the engine sees before it runs."""
    return [(found["pointer"], found["message"], found["severity"]) for found in ENGINE.check(_boxed(logic))]


def handle(data: Any) -> DataHandle:
    """Data ready to be read by any number of rules. Raises EvaluationError for what is no JSON data."""
    try:
        return DataHandle(_encode(data).decode())
    except (DataLogicError, RecursionError, UnicodeEncodeError, TypeError, OverflowError, ValueError) as error:
        raise EvaluationError(f"unreadable data: {type(error).__name__}") from error


def is_true(rule: Compiled, data: DataHandle) -> bool:
    """Whether a condition holds. Raises EvaluationError."""
    try:
        return _local.session.evaluate_truthy(rule, data)
    except DataLogicError as error:
        raise _stopped(error) from error


def value_of(rule: Compiled, data: DataHandle) -> Any:
    """What an expression gives. Raises EvaluationError."""
    try:
        return _local.session.evaluate_data(rule, data)
    except DataLogicError as error:
        raise _stopped(error) from error


def _stopped(error: DataLogicError) -> EvaluationError:
    if getattr(error, "error_type", "") == "BudgetExceeded":
        return BudgetExceeded(f"stopped: more than {OPS_BUDGET:,} operations")
    return EvaluationError(str(error)[:200])
