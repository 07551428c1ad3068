"""Segments: the condition of a segment stands where its name stood, and a set that cannot work is refused with its reason."""

import json
from typing import Any

import pytest
from engine_helpers import PERSON, D, H, event, message, page, play, problems_of, rule

from rules import Definitions, RulesError, Segment, State, compile_rulebook, cross_check, new_state

PAID = {"in": [{"var": "user.traits.plan"}, ["team", "pro"]]}
BUSY = {"and": [{">=": [{"count": ["A", {"within": "7d"}]}, 2]}, {"segment": "paid"}]}


def definitions(condition: Any, **segments: Any) -> Definitions:
    found = [Segment(id=name, condition=logic) for name, logic in segments.items()]
    return Definitions([rule(condition=condition, frequency="always")], [message()], found)


def test_a_segment_holds_where_its_condition_holds() -> None:
    book = compile_rulebook(definitions({"segment": "busy"}, paid=PAID, busy=BUSY))
    free = play(new_state(PERSON), book, event("A", H), event("A", H + 1), event("go", H + 2))
    assert not free[-1].deliveries
    paid = play(free[-1].state, book, event("identify", H + 3, traits={"plan": "pro"}), event("go", H + 4))
    assert paid[-1].deliveries
    assert not play(paid[-1].state, book, event("go", 8 * D))[-1].deliveries


@pytest.mark.parametrize(
    "condition",
    [
        {"!": {"segment": "busy"}},
        {"==": [{"segment": "busy"}, False]},
        {"if": [{"segment": ["busy"]}, False, True]},
        {"===": [{"+": [{"segment": "busy"}, 1]}, 1]},
    ],
    ids=json.dumps,
)
def test_a_segment_is_true_or_false(condition: Any) -> None:
    book = compile_rulebook(definitions(condition, paid=PAID, busy=BUSY))
    assert play(new_state(PERSON), book, event("go", H))[-1].deliveries
    state = new_state(PERSON)
    state.traits = {"plan": "pro"}
    assert not play(state, book, event("A", H), event("A", H), event("go", H))[-1].deliveries


def test_the_index_sees_what_a_segment_demands() -> None:
    pricing = {"==": [{"var": "page.path"}, "/pricing"]}
    found = definitions({"segment": "pricing"}, pricing=pricing)
    found.rules[0].trigger = "page"
    outcomes = play(State(1, PERSON), compile_rulebook(found), page("/docs", H), page("/pricing", H))
    assert [outcome.considered != [] for outcome in outcomes] == [False, True]


def refused(found: Definitions) -> list[str]:
    with pytest.raises(RulesError) as caught:
        compile_rulebook(found)
    assert [str(problem) for problem in cross_check(found)]
    return [f"{problem.file}: {problem.message}" for problem in caught.value.problems]


def test_a_segment_that_does_not_exist_is_named_with_the_nearest_one() -> None:
    said = refused(definitions({"and": [{"segment": "payed"}]}, paid=PAID))
    assert "rules/r: The segment `payed` does not exist; did you mean `paid`?" in said


def test_a_message_that_does_not_exist_is_named_with_the_nearest_one() -> None:
    said = refused(definitions({"segment": "a"}, a={"seen": [["m", "n"], {"what": "clicked"}]}))
    assert said == ["segments/a: The message `n` does not exist"]


def test_segments_made_of_themselves_are_refused_with_the_round_trip() -> None:
    said = refused(definitions({"segment": "a"}, a={"segment": "b"}, b={"!": {"segment": "c"}}, c={"segment": "a"}))
    assert "segments/a: The segment is made of itself: `a` → `b` → `c` → `a`" in said
    assert "segments/a: The segment is made of itself: `a` → `a`" in refused(definitions(True, a={"segment": "a"}))


def test_segments_inside_segments_are_bounded() -> None:
    deep = {f"s{index}": {"segment": f"s{index + 1}"} for index in range(12)} | {"s12": True}
    said = refused(definitions({"segment": "s0"}, **deep))
    assert "Expected at most 8 segments one inside the other, and 10,000 values in all" in said[0]
    wide = {f"s{index}": {"and": [{"segment": f"s{index + 1}"}] * 40} for index in range(7)} | {"s7": PAID}
    assert "Expected at most 8 segments one inside the other" in refused(definitions({"segment": "s0"}, **wide))[0]
    nested: Any = {"var": "user.traits.plan"}
    for _ in range(40):
        nested = {"!": [nested]}
    high = refused(definitions({"!": [{"segment": "a"}]}, a={"!": [nested, {"segment": "b"}]}, b=nested))
    assert high


def test_a_segment_cannot_stand_where_history_cannot_be_asked() -> None:
    where = {"condition": {"did": ["A", {"where": {"segment": "paid"}}]}, "id": "r", "trigger": "go", "message": "m"}
    assert [one.message for one in problems_of("rule", where)] == ["A `where` cannot ask for history, got `segment`"]
    where["condition"] = {"some": [{"var": "user.traits.tags"}, {"segment": "paid"}]}
    assert "`segment` cannot stand inside an iteration" in problems_of("rule", where)[0].message
