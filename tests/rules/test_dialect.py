"""The JSONLogic dialect as rules/dialect.py states it, choice by choice."""

from typing import Any

import pytest

from rules.dialect import ENGINE, OPERATORS, EvaluationError, bounded, compile_logic, handle, is_true, value_of

DATA = {"xs": [1, 2], "word": "x", "empty": {}, "zero": 0}


@pytest.mark.parametrize("value", [[], {}, 0, "", None, False], ids=repr)
def test_what_is_false(value: Any) -> None:
    assert not is_true(compile_logic({"var": "x"}), handle({"x": value}))


@pytest.mark.parametrize("value", [[0], {"a": 0}, 1, "0", "false", " ", True, -1, 0.5], ids=repr)
def test_what_is_true(value: Any) -> None:
    assert is_true(compile_logic({"var": "x"}), handle({"x": value}))


CHOICES: list[tuple[Any, Any]] = [
    ({"==": ["abc", 1]}, False),
    ({"==": [["a"], "a"]}, False),
    ({"==": [None, 0]}, True),
    ({"==": ["1", 1]}, True),
    ({"===": ["1", 1]}, False),
    ({"==": ["60m", "1h"]}, True),
    ({"==": ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00"]}, True),
    ({"<": [1, 2, 3]}, True),
    ({">=": [{"var": "gone"}, 1]}, False),
    ({"var": "gone"}, None),
    ({"var": ["gone", 5]}, 5),
    ({"??": [{"var": "gone"}, 5]}, 5),
    ({"val": ["xs", 1]}, 2),
    ({"exists": "word"}, True),
    ({"try": [{"throw": "x"}, 7]}, 7),
    ({"map": [{"var": "xs"}, {"*": [{"var": ""}, 2]}]}, [2, 4]),
    ({"reduce": [{"var": "xs"}, {"+": [{"var": "accumulator"}, {"var": "current"}]}, 0]}, 3),
    ("a bare string", "a bare string"),
    ('{"var": "word"}', '{"var": "word"}'),
    (True, True),
]


@pytest.mark.parametrize(("logic", "value"), CHOICES, ids=repr)
def test_a_choice_of_the_dialect(logic: Any, value: Any) -> None:
    assert value_of(compile_logic(logic), handle(DATA)) == value


@pytest.mark.parametrize("logic", [{"+": [{"var": "word"}, 1]}, {">": [{"var": "word"}, 1]}, {"throw": "x"}], ids=repr)
def test_what_is_an_error(logic: Any) -> None:
    with pytest.raises(EvaluationError):
        is_true(compile_logic(logic), handle(DATA))


def test_there_is_no_clock_and_no_chance_among_the_operators() -> None:
    effects = {operator["name"]: operator["effect"] for operator in ENGINE.operators()}
    assert {effects.get(name, "pure") for name in OPERATORS} <= {"pure", "catches", "throws"}
    assert not OPERATORS & {"now", "distinct", "fractional", "tensor"}


def test_bounds_are_found_without_recursion() -> None:
    deep: Any = 1
    for _ in range(200_000):
        deep = [deep]
    assert not bounded(deep)
    assert not bounded([0] * 20_000)
    assert bounded({"and": [True] * 100})
