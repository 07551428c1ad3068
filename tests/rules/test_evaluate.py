"""One rule on one data document, without a person."""

from typing import Any

import pytest

from rules import EvaluationError, evaluate, read_pair, read_value


@pytest.mark.parametrize(
    ("rule", "data", "result"),
    [
        ({"+": [1, 2]}, None, 3),
        ({"var": "temp"}, {"temp": 110}, 110),
        ({"var": "1.1"}, ["apple", ["banana", "beer"]], "beer"),
        ({"var": ""}, 1, 1),
        ("apple", {}, "apple"),
        ('{"+": [1, 2]}', {}, '{"+": [1, 2]}'),
        ({"if": [True, 1, {"unknown": []}]}, {}, 1),
        ({"try": [{"throw": "x"}, 7]}, {}, 7),
    ],
    ids=repr,
)
def test_a_rule_on_any_data(rule: Any, data: Any, result: Any) -> None:
    assert evaluate(rule, data) == result


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"iff": [1]}, "Unknown operator `iff`; did you mean `if`?"),
        ({"or": [0, {"lenght": "x"}]}, "Unknown operator `lenght`; did you mean `length`?"),
        ({"now": []}, "a rule has no clock of its own"),
        ({"!": {"did": ["Plan Purchased"]}}, "`did` asks for a person's history"),
        ({"segment": "vip"}, "`segment` asks for a person's history"),
        ({"throw": "x"}, "Thrown"),
        ({"reduce": [[1] * 60, {"cat": [{"var": "accumulator"}, {"var": "accumulator"}]}, "ab"]}, "operations"),
    ],
    ids=repr,
)
def test_a_rule_without_a_result_says_why(rule: Any, said: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        evaluate(rule, {})
    assert said in str(caught.value)


def test_a_line_is_a_rule_and_its_data() -> None:
    assert read_pair(b'{"rule": 1, "data": [2]}') == (1, [2])
    assert read_pair(b'{"rule": null}') == (None, None)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"", "column 1: $: Expected a JSON value, got the end of the text"),
        (b"[1]", 'Expected an object {"rule": …, "data": …}, got an array'),
        (b"{}", "Expected the field `rule`, which is missing"),
        (b'{"rule": 1, "dat": 2}', "Unknown field `dat`; did you mean `data`?"),
        (b'{"rule": 1e999}', "column 10: $: Expected a number of 64 bits, got one out of range"),
        (b'{"rule":' + b"[" * 100_000, "Expected at most 64 levels of nesting"),
        (b'{"rule":[' + b"1," * 1_000_000 + b"1]}", "Expected at most 262,144 bytes, got 2,000,012"),
        (b'{"rule":[' + b"1," * 20_000 + b"1]}", "Expected at most 10,000 values in one document"),
        (b'{"rule":"\xff"}', "Expected UTF-8, got the byte 0xff"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_bad_line_says_what_was_expected(line: bytes, said: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        read_pair(line)
    assert said in str(caught.value)


def test_a_bad_text_names_its_place() -> None:
    with pytest.raises(EvaluationError, match=r"^DATA:2:1: error: \$: Expected a JSON value, got `x`$"):
        read_value(b"\nx", "DATA")
