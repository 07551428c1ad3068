"""Whatever is thrown at it, the engine answers in bounded time and memory, and never takes the process down."""

import json
import time
from typing import Any

import pytest
from engine_helpers import PERSON, H, event, play, problems_of, results, rule, rulebook
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules import (
    Definitions,
    Rule,
    RulesError,
    StateError,
    compile_rulebook,
    cross_check,
    decode_state,
    encode_state,
    new_state,
    parse,
)
from rules.condition import read_condition
from rules.limits import MAX_TRAITS
from rules.problems import Report

KINDS = ["rule", "message", "segment"]
RULE = {"id": "r", "trigger": "go", "message": "m"}


def _deep(depth: int) -> bytes:
    return b'{"id":"r","trigger":"go","message":"m","condition":' + b'{"!":' * depth + b"true" + b"}" * depth + b"}"


TEXTS = {
    "deep operators": _deep(100_000),
    "deep arrays": b"[" * 100_000,
    "deep and closed": b"[" * 100_000 + b"]" * 100_000,
    "a million nodes": b"[" + b"1," * 1_000_000 + b"1]",
    "many nodes": b"[" + b"1," * 20_000 + b"1]",
    "many fields": json.dumps({f"f{index}": 1 for index in range(9_000)}).encode(),
    "a long number": b'{"priority":' + b"9" * 100_000 + b"}",
    "a long fraction": b'{"priority":1.' + b"9" * 100_000 + b"}",
    "a long key": json.dumps({"k" * 200_000: {"k" * 10: [1] * 9_000}}).encode(),
    "a long string": json.dumps(RULE | {"name": "n" * 200_000}).encode(),
    "lone surrogates": b'{"id":"\\ud800","trigger":"\\udfff"}',
    "a surrogate key": b'{"\\ud800":1}',
    "not utf-8": b'{"id":"\xff\xfe"}',
    "utf-16": json.dumps(RULE).encode("utf-16"),
    "nul": b"\0",
    "nothing": b"",
    "prototype": b'{"__proto__":1,"constructor":{"prototype":1},"__class__":{},"id":"__init__"}',
    "duplicates": b'{"id":"r","id":"r","id":{"id":1,"id":2}}',
    "unclosed": b'{"a":{"b":["c',
    "escapes": b'{"a":"\\u12"}',
    "quotes": b'"' * 100_001,
    "backslashes": b'"' + b"\\" * 100_001,
    "unknown operators": json.dumps(
        RULE | {"condition": {"and": [{f"op{index}": 1} for index in range(4_000)]}}
    ).encode(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text_is_refused_quickly(kind: Any, name: str) -> None:
    started = time.process_time()
    document, problems = parse(kind, TEXTS[name], "x.json")
    assert document is None
    assert 0 < len(problems) <= 100
    for problem in problems:
        assert len(str(problem).encode()) < 2_000
    assert time.process_time() - started < 5


@settings(max_examples=300, deadline=None)
@given(text=st.binary(max_size=200), kind=st.sampled_from(KINDS))
def test_any_bytes_get_an_answer(text: bytes, kind: Any) -> None:
    document, problems = parse(kind, text, "x.json")
    assert document is not None or problems


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["7d", "page", "page.path"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "and",
                    "or",
                    "if",
                    "var",
                    "val",
                    "count",
                    "did",
                    "seconds_since",
                    "in",
                    "==",
                    ">",
                    "map",
                    "reduce",
                    "where",
                    "within",
                    "first",
                    "try",
                    "sort",
                    "",
                    "x",
                ]
            ),
            inner,
            max_size=2,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(condition=values, delay=values, trigger=values)
def test_any_json_in_a_rule_is_refused_or_runs(condition: Any, delay: Any, trigger: Any) -> None:
    for fields in (
        {"condition": condition},
        {"delay": delay},
        {"trigger": trigger},
        {"condition": condition, "delay": delay},
    ):
        document, problems = parse("rule", json.dumps(RULE | fields).encode(), "")
        if document is None:
            assert problems
            continue
        assert isinstance(document, Rule)
        book = rulebook(document)
        outcome = play(new_state(PERSON), book, event("go", H), event("go", 2 * H))[-1]
        assert results(outcome) or trigger


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=values)
def test_any_json_in_a_message_is_refused_or_encodes(value: Any) -> None:
    for fields in ({"content": value}, {"content": {"en": value}}, {"show_on": value}, {"expires": value}):
        parse("message", json.dumps({"id": "m", "kind": "tour", "content": {"en": {}}} | fields).encode(), "")


NUMBERS = list(range(100))
EXPENSIVE = {
    "nested map": {"map": [NUMBERS, {"map": [NUMBERS, {"map": [NUMBERS, {"map": [NUMBERS, {"var": ""}]}]}]}]},
    "a long sort": {"all": [NUMBERS, {"sort": [{"merge": [NUMBERS] * 50}]}]},
}


@pytest.mark.parametrize("name", EXPENSIVE)
def test_an_expensive_rule_is_stopped_and_harms_no_other(name: str) -> None:
    hostile = rule(id="hostile", condition={"!!": [EXPENSIVE[name]]}, priority=100)
    book = rulebook(hostile, rule())
    started = time.process_time()
    (outcome,) = play(new_state(PERSON), book, event("go", H))
    assert time.process_time() - started < 1
    assert results(outcome) == [("hostile", "error"), ("r", "matched")]
    assert outcome.considered[0].detail == "stopped: more than 20,000 operations"


def test_a_type_error_harms_no_other_rule() -> None:
    bad = rule(id="bad", condition={">": [{"+": [{"var": "event.properties.word"}, 1]}, 1]}, priority=9)
    (outcome,) = play(new_state(PERSON), rulebook(bad, rule()), event("go", H, properties={"word": "x"}))
    assert results(outcome) == [("bad", "error"), ("r", "matched")]
    assert "NaN" in outcome.considered[0].detail


def _python_depth(depth: int) -> Any:
    logic: Any = True
    for _ in range(depth):
        logic = {"!": [logic]}
    return logic


def test_a_deep_python_object_never_reaches_the_native_engine() -> None:
    report = Report("x")
    assert read_condition(_python_depth(100_000), ("condition",), report) is None
    assert "64 levels" in report.problems[0].message
    with pytest.raises(RulesError):
        compile_rulebook(Definitions([Rule(id="r", trigger="go", message="m", condition=_python_depth(100_000))]))


@pytest.mark.parametrize(
    "value",
    [_python_depth(10_000), "\ud800", float("nan"), 2**200, {"a": {1: 2}}],
    ids=lambda value: type(value).__name__,
)
def test_hostile_event_data_harms_no_other_rule(value: Any) -> None:
    reading = rule(id="reading", condition={"==": [{"var": "event.properties.x"}, 1]}, priority=9)
    counting = rule(
        id="count", condition={"did": ["go", {"where": {">": [{"var": "event.properties.x"}, 0]}}]}, priority=8
    )
    (outcome,) = play(new_state(PERSON), rulebook(reading, counting, rule()), event("go", H, properties={"x": value}))
    assert ("r", "matched") in results(outcome)


def test_traits_are_bounded() -> None:
    book = rulebook(rule())
    many = {f"t{index}": index for index in range(1_000)}
    big = {"big": "x" * 100_000, "small": 1}
    state = play(new_state(PERSON), book, event("identify", H, traits=many))[-1].state
    assert len(state.traits) == MAX_TRAITS
    assert state.traits_dropped == 500
    state = play(state, book, event("identify", H, traits={"t0": None}), event("identify", H, traits=big))[-1].state
    assert "big" not in state.traits
    assert state.traits["small"] == 1
    assert len(encode_state(state)) < 80_000


@pytest.mark.parametrize("value", [2**200, "\ud800", _python_depth(10_000)], ids=["huge", "surrogate", "deep"])
def test_what_no_state_can_hold_is_dropped(value: Any) -> None:
    book = rulebook(
        rule(trigger={"after": "go", "without": "x", "within": "1d"}, condition={"!": {"var": "event.properties.bad"}}),
        rule(id="d", delay="1s", condition={"var": "event.properties.good"}),
    )
    told = event("identify", H, traits={"bad": value, "good": 1}, context={"locale": "\ud800"})
    state = play(new_state(PERSON), book, told, event("go", H, properties={"bad": value, "good": 1}))[-1].state
    assert state.traits == {"good": 1}
    assert decode_state(encode_state(state)).waiting["r"].timers


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xc1" * 10, b"\x93\x01\x02\x03", b"\x91" * 100_000], ids=range(5))
def test_what_is_no_state_is_refused(data: bytes) -> None:
    with pytest.raises(StateError):
        decode_state(data)


def test_a_state_of_a_later_version_is_refused() -> None:
    state = new_state(PERSON)
    state.version = 2
    with pytest.raises(StateError, match="version 1, got version 2"):
        decode_state(encode_state(state))


def test_compiling_what_was_never_checked_raises_with_the_problems() -> None:
    bad = Rule(id="r", trigger="go", message="gone", condition={"coutn": 1})
    with pytest.raises(RulesError) as caught:
        compile_rulebook(Definitions([bad]))
    assert [problem.path for problem in caught.value.problems] == ["$.condition.coutn", "$.message"]
    assert cross_check(Definitions([bad]))


ACCUMULATOR = {"var": "accumulator"}


@pytest.mark.parametrize(
    "body",
    [
        {"cat": [ACCUMULATOR, ACCUMULATOR]},
        {"merge": [ACCUMULATOR, [ACCUMULATOR]]},
        {"if": [True, [ACCUMULATOR, ACCUMULATOR], 1]},
        {"cat": [{"val": ["accumulator"]}, "x", {"cat": [ACCUMULATOR]}]},
        {"max": [1, {"cat": [{"var": ""}, {"var": ["accumulator", 1]}]}]},
    ],
    ids=repr,
)
def test_an_accumulator_that_doubles_is_refused(body: Any) -> None:
    """No budget of operations ends it: thirty items make a gigabyte."""
    (found,) = problems_of(
        "rule",
        {
            "id": "r",
            "trigger": "go",
            "message": "m",
            "condition": {"!": {"reduce": [{"var": "event.properties.x"}, body, "a"]}},
        },
    )
    assert "twice, it doubles with each item" in found.message


@pytest.mark.parametrize(
    "body",
    [
        {"+": [ACCUMULATOR, {"var": "current"}]},
        {"cat": [ACCUMULATOR, {"var": "current"}]},
        {"if": [{">": [ACCUMULATOR, {"var": "current"}]}, ACCUMULATOR, {"var": "current"}]},
        {"max": [ACCUMULATOR, {"*": [ACCUMULATOR, {"var": "current"}]}]},
    ],
    ids=repr,
)
def test_an_accumulator_that_does_not_is_fine(body: Any) -> None:
    assert not problems_of(
        "rule",
        {
            "id": "r",
            "trigger": "go",
            "message": "m",
            "condition": {"!": {"reduce": [{"var": "event.properties.x"}, body, 0]}},
        },
    )
