"""The index never misses a rule or a tracker: deciding with it is deciding with all of them."""

from typing import Any

import pytest
from engine_helpers import PERSON, H, event, rule, rulebook
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import Rulebook, decide, new_state
from rules import index as index_module
from rules.dialect import compile_logic, handle, is_true
from rules.index import Demand, Index, clauses, demand_of, demands, is_plain

CONSTANTS = [
    "/pricing",
    "free",
    "1",
    "1d",
    "24h",
    "true",
    "",
    "2020-01-01T00:00:00Z",
    "P1D",
    "null",
    "T",
    "a.b",
    " x",
    "é",
    1,
    0,
    True,
    None,
    1.0,
    ["free"],
    {},
]
VALUES: list[Any] = [
    *CONSTANTS,
    "60m",
    "2020-01-01T01:00:00+01:00",
    "FREE",
    "1.0",
    [["free"]],
    {"free": 1},
    "/pricing/",
    {"datetime": "x"},
]
PATHS = [
    "page.path",
    "event.properties.plan",
    "user.traits.plan",
    "event.properties.a.b",
    "group.traits.plan",
    "user.id",
    "event.name",
]


@pytest.mark.parametrize("constant", [value for value in CONSTANTS if isinstance(value, str)], ids=repr)
@pytest.mark.parametrize("operator", ["==", "===", "in"])
def test_a_plain_constant_equals_only_itself_in_the_dialect(constant: str, operator: str) -> None:
    if not is_plain(constant):
        return
    logic = {operator: [{"var": "x"}, [constant] if operator == "in" else constant]}
    compiled = compile_logic(logic)
    for value in [*VALUES, constant]:
        assert is_true(compiled, handle({"x": value})) == (value == constant and isinstance(value, str)), value


@settings(max_examples=300, deadline=None)
@given(
    constant=st.text(min_size=1, max_size=6), value=st.text(max_size=6) | st.integers(-2, 2) | st.booleans() | st.none()
)
def test_no_other_value_equals_a_plain_constant(constant: str, value: Any) -> None:
    if is_plain(constant) and value != constant:
        for operator in ("==", "==="):
            assert not is_true(compile_logic({operator: [{"var": "x"}, constant]}), handle({"x": value}))


constants = st.sampled_from(CONSTANTS)
variables = st.sampled_from(PATHS).flatmap(
    lambda path: st.sampled_from([{"var": path}, {"var": [path]}, {"var": [path, "free"]}, {"val": path.split(".")}])
)
clause = st.one_of(
    st.tuples(st.sampled_from(["==", "===", "!=", "!=="]), variables, constants, st.booleans()).map(
        lambda parts: {parts[0]: [parts[1], parts[2]] if parts[3] else [parts[2], parts[1]]}
    ),
    st.tuples(variables, st.lists(constants, max_size=3)).map(lambda parts: {"in": [parts[0], parts[1]]}),
    st.tuples(variables, constants).map(lambda parts: {"in": [parts[0], parts[1]]}),
    variables,
)
logics = st.recursive(
    clause,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: {"and": parts} if parts else True),
        st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"or": parts}),
        inner.map(lambda part: {"!": [part]}),
    ),
    max_leaves=4,
)
whole_data = st.fixed_dictionaries(
    {
        "path": st.sampled_from(VALUES),
        "plan": st.sampled_from(VALUES),
        "trait": st.sampled_from(VALUES),
        "nested": st.sampled_from(VALUES),
    }
)
bare_where = ("page", "event")


def _unindexed(monkeypatch: pytest.MonkeyPatch, rules: Any) -> Rulebook:
    with monkeypatch.context() as patch:
        patch.setattr("rules.rulebook.demands", lambda logic: [])
        return rulebook(*rules)


@settings(max_examples=300, deadline=None)
@given(conditions=st.lists(logics, min_size=1, max_size=6), seen=st.lists(whole_data, min_size=1, max_size=4))
def test_deciding_with_the_index_is_deciding_with_all(conditions: Any, seen: Any) -> None:
    rules = []
    for number, condition in enumerate(conditions):
        rules.append(rule(id=f"c{number}", trigger=["go", "page"], condition=condition, frequency="always"))
        if all(f'"{root}' not in repr(condition).replace("'", '"') for root in ("user", "group")):
            counted = {">=": [{"count": [["go", "page"], {"where": condition}]}, 2]}
            rules.append(rule(id=f"w{number}", trigger=["go", "page"], condition=counted, frequency="always"))
    with pytest.MonkeyPatch.context() as patch:
        books = [rulebook(*rules), _unindexed(patch, rules)]
    states = [new_state(PERSON), new_state(PERSON)]
    for step, data in enumerate(seen):
        calls = [
            event("identify", H + step, traits={"plan": data["trait"]}),
            event("group", H + step, group_id="g", traits={"plan": data["trait"]}),
            event(
                "go" if step % 2 else "page",
                H + step,
                user_id="free",
                properties={"plan": data["plan"], "a": {"b": data["nested"]}, "a.b": data["trait"]},
                context={"page": {"path": data["path"]}},
            ),
        ]
        for call in calls:
            outcomes = [decide(state, call, call.timestamp, book) for state, book in zip(states, books, strict=True)]
            states = [outcome.state for outcome in outcomes]
            assert outcomes[0].deliveries == outcomes[1].deliveries
            errors = [{one.rule_id for one in outcome.considered if one.outcome == "error"} for outcome in outcomes]
            assert errors[0] <= errors[1]
            assert states[0].tracks == states[1].tracks


@pytest.mark.parametrize(
    ("logic", "demanded"),
    [
        ({"==": [{"var": "page.path"}, "/a"]}, [Demand(("page", "path"), frozenset({"/a"}))]),
        ({"===": ["/a", {"var": ["page.path"]}]}, [Demand(("page", "path"), frozenset({"/a"}))]),
        ({"in": [{"val": ["page", "path"]}, ["/a", "/b"]]}, [Demand(("page", "path"), frozenset({"/a", "/b"}))]),
        (
            {"and": [{"and": [{"==": [{"var": "page.path"}, "/a"]}]}, True]},
            [Demand(("page", "path"), frozenset({"/a"}))],
        ),
        ({"or": [{"==": [{"var": "page.path"}, "/a"]}]}, []),
        ({"==": [{"var": ["page.path", "/a"]}, "/a"]}, []),
        ({"==": [{"var": "page.path"}, "7d"]}, []),
        ({"==": [{"var": "page.path"}, 7]}, []),
        ({"in": [{"var": "page.path"}, []]}, []),
        ({"in": [{"var": "page.path"}, "/a/b"]}, []),
        ({"==": [{"var": "page.0"}, "/a"]}, []),
        ({"==": [{"var": "now"}, "x"]}, []),
    ],
    ids=lambda value: repr(value) if isinstance(value, dict) else "",
)
def test_what_a_condition_demands(logic: Any, demanded: list[Demand]) -> None:
    assert demands(logic) == demanded


def test_the_most_selective_demand_files_a_rule() -> None:
    logic = [{"==": [{"var": "page.path"}, f"/{number}"]} for number in range(9)]
    plan = demand_of({"==": [{"var": "user.traits.plan"}, "free"]})
    assert plan is not None
    entries = [(number, ["page"], [plan, *demands(part)]) for number, part in enumerate(logic)]
    asked = []

    def read(path: tuple[str, ...]) -> str:
        asked.append(path)
        return "/3"

    assert Index(entries).find("page", read) == [3]
    assert asked == [("page", "path")]
    assert clauses({"and": []}) == [{"and": []}]
    assert index_module.demand_of(True) is None


def test_rules_that_cannot_match_are_not_even_considered() -> None:
    rules = [rule(id=f"r{n}", trigger="page", condition={"==": [{"var": "page.path"}, f"/{n}"]}) for n in range(50)]
    outcome = decide(new_state(PERSON), event("page", H, context={"page": {"path": "/7"}}), H, rulebook(*rules))
    assert [found.rule_id for found in outcome.considered] == ["r7"]
