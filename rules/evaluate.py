"""One JSONLogic rule on one data document: for `engage rules eval`, and for trying things out.

The dialect is that of conditions (rules/dialect.py), without what asks for a person's history, and on any data. Texts are bounded
like documents: 256 KB, 64 levels, 10,000 values, numbers of 64 bits. The evaluation has its budget of operations, but some work is not
counted in it (values that grow by being copied into themselves): whoever evaluates what strangers wrote does it in a process that can be lost.
"""

from collections.abc import Iterator
from typing import Any, Final

from rules import dialect
from rules.dialect import EvaluationError
from rules.problems import kind_of, nearest
from rules.source import read_document
from rules.temporal import OPTIONS, SEGMENT

FIELDS: Final = ("rule", "data")
_HISTORY: Final = frozenset((*OPTIONS, SEGMENT))


def evaluate(rule: Any, data: Any) -> Any:
    """What a bounded rule gives on bounded data. Raises EvaluationError."""
    unknown = ""
    for name in _operators(rule):
        if name in _HISTORY:
            raise EvaluationError(f"`{name}` asks for a person's history, which is not here: see `engage rules test`")
        if name in dialect.REFUSED:
            raise EvaluationError(f"Unknown operator `{name}`: {dialect.REFUSED[name]}")
        if name not in dialect.OPERATORS and not unknown:
            unknown = name
    try:
        return dialect.value_of(dialect.compile_logic(rule), dialect.handle(data))
    except EvaluationError as error:
        if unknown and str(error).startswith("Invalid operator"):
            guess = nearest(unknown, dialect.OPERATORS)
            raise EvaluationError(f"Unknown operator `{unknown[:60]}`{guess}") from None
        raise


def read_value(text: bytes, file: str) -> Any:
    """The JSON value of a text. Raises EvaluationError with file, line and column of all that is wrong."""
    value, report = read_document(text, file)
    if report.failed:
        raise EvaluationError("\n".join(map(str, report.problems)))
    return value


def read_pair(line: bytes) -> tuple[Any, Any]:
    """The rule and the data of a line `{"rule": …, "data": …}`; without `data` it is null. Raises EvaluationError."""
    value, report = read_document(line, "")
    if report.failed:
        found = report.problems[0]
        place = f"column {found.column}: {found.path}: " if found.column else ""
        raise EvaluationError(place + found.message)
    if not isinstance(value, dict):
        raise EvaluationError(f'Expected an object {{"rule": …, "data": …}}, got {kind_of(value)}')
    for name in value:
        if name not in FIELDS:
            raise EvaluationError(f"Unknown field `{name[:60]}`{nearest(name, FIELDS)}")
    if "rule" not in value:
        raise EvaluationError("Expected the field `rule`, which is missing")
    return value["rule"], value.get("data")


def _operators(rule: Any) -> Iterator[str]:
    """Every operator of a rule, the outermost first. Does not recurse."""
    waiting = [rule]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if len(item) == 1:
                yield next(iter(item))
            waiting += item.values()
        elif isinstance(item, list):
            waiting += reversed(item)
