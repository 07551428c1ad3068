"""What the analysis calls impossible never happens, and what it calls certain always does: against the engine itself."""

from collections import Counter
from typing import Any

import pytest
from engine_helpers import PERSON, D, H, S, event, message, rule, rulebook
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import Rule, decide, new_state
from rules.analysis import Analysis, analyse
from rules.contradiction import known_of
from rules.dialect import EvaluationError, compile_logic, handle, is_true
from rules.history import History
from rules.precedence import outranked
from rules.problems import Report
from rules.solver import Solver, TooHard

pytestmark = pytest.mark.slow
CONSTANTS: list[Any] = [None, True, False, 0, 1, 2, 2.5, -1, "", "a", "b", "1", "05", "7d", "168h", "true", "/x"]
DATA: list[Any] = [*CONSTANTS, 3, 1.0, "2", " 1", "nan", "c", [], [1], ["a"], {}, {"a": 1}, 1e300, -0.0]
ORDER = ["<", "<=", ">", ">="]
EQUALITY = ["==", "===", "!=", "!=="]
ABSENT = object()

constants = st.sampled_from(CONSTANTS)
variables = st.sampled_from([{"var": "x"}, {"var": "x"}, {"val": ["x"]}, {"var": ["y"]}, {"+": [{"var": "y"}, 1]}])


@st.composite
def atoms(draw: Any) -> Any:
    term = draw(variables)
    kind = draw(st.sampled_from(["order", "equal", "in", "truth", "between", "terms"]))
    if kind == "truth":
        return term
    if kind == "in":
        return {"in": [term, draw(st.lists(constants, max_size=3))]}
    if kind == "between":
        return {draw(st.sampled_from(ORDER)): [draw(constants), term, draw(constants)]}
    operator = draw(st.sampled_from(ORDER if kind == "order" else EQUALITY))
    other = draw(variables) if kind == "terms" else draw(constants)
    return {operator: [term, other] if draw(st.booleans()) else [other, term]}


def compounds(parts: Any) -> Any:
    several = st.lists(parts, min_size=1, max_size=4)
    return st.one_of(
        several.map(lambda found: {"and": found}),
        several.map(lambda found: {"and": found}),
        several.map(lambda found: {"or": found}),
        several.map(lambda found: {"if": found}),
        parts.map(lambda found: {"!": [found]}),
        parts.map(lambda found: {"!": found}),
        parts.map(lambda found: {"!!": [found]}),
    )


def verdict(solver: Solver, logic: Any, claims: Counter[str]) -> str:
    try:
        found = "never" if not solver.can([logic]) else "always" if solver.always([logic]) else "open"
    except TooHard:
        found = "too hard"
    claims[found] += 1
    return found


def test_of_any_data() -> None:
    claims: Counter[str] = Counter()

    @settings(max_examples=1_500, deadline=None)
    @given(st.recursive(atoms(), compounds, max_leaves=7))
    def of_any_data(logic: Any) -> None:
        holds_for_data(logic, verdict(Solver({}), logic, claims))

    of_any_data()
    assert claims["never"] > 50
    assert claims["always"] > 10
    assert claims["too hard"] < 10


def holds_for_data(logic: Any, said: str) -> None:
    if said not in ("never", "always"):
        return
    compiled = compile_logic(logic)
    for x in (ABSENT, *DATA):
        for y in (ABSENT, *DATA) if "y" in str(logic) else (ABSENT,):
            data = {name: value for name, value in (("x", x), ("y", y)) if value is not ABSENT}
            try:
                holds = is_true(compiled, handle(data))
            except EvaluationError:
                holds = None
            assert holds is True if said == "always" else holds is not True, (said, data, holds)


NAMES = ["page", "A", "B"]
WINDOWS = ["10s", "1m", "2h"]
PATHS = ["/a", "/b"]
AT_A = {"==": [{"var": "page.path"}, "/a"]}
wheres = st.sampled_from([AT_A, {"!": [AT_A]}, {"!=": [{"var": "page.path"}, "/b"]}])
asked = st.one_of(st.sampled_from(NAMES), st.sampled_from([["A", "B"], ["page", "A"], NAMES]))


@st.composite
def questions(draw: Any) -> Any:
    options: dict[str, Any] = {}
    name = draw(
        st.sampled_from(["did", "did", "count", "count", "seconds_since", "distinct", "days_active", "sequence"])
    )
    if name != "seconds_since" and draw(st.booleans()):
        options["within"] = draw(st.sampled_from(WINDOWS))
    if name == "sequence":
        return {name: [draw(st.lists(asked, min_size=2, max_size=3)), options]}
    if draw(st.booleans()):
        options["where"] = draw(wheres)
    if name == "seconds_since":
        options["first"] = draw(st.booleans())
    if name == "distinct":
        options["of"] = "page.path"
    question = {name: [draw(asked), options]}
    if name == "did":
        return question if draw(st.booleans()) else {"!": [question]}
    operator = draw(st.sampled_from(ORDER + EQUALITY))
    number = (
        draw(st.sampled_from([-1, 0, 1, 2, 3, 10, 60, 7200])) if name == "seconds_since" else draw(st.integers(-1, 3))
    )
    return {operator: [question, number] if draw(st.booleans()) else [number, question]}


OF_THE_EVENT = [
    AT_A,
    {"==": [{"var": "event.name"}, "A"]},
    {"!=": [{"var": "event.name"}, "page"]},
    {"==": [{"var": "event.type"}, "page"]},
    {">": [{"var": "session.pages"}, 1]},
    {"<": [{"var": "session.events"}, 2]},
    {"<": [{"var": "session.seconds"}, 0]},
    {"!": [{"var": "user.id"}]},
]
clauses = st.one_of(questions(), questions(), st.sampled_from(OF_THE_EVENT))
conditions = st.one_of(
    st.lists(clauses, min_size=1, max_size=4).map(lambda found: {"and": found}),
    st.lists(clauses, min_size=1, max_size=3).map(lambda found: {"or": found}),
    st.recursive(clauses, compounds, max_leaves=5),
)
happenings = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.sampled_from([0, 1, 9, 10, 11, 60, 119, 3600]), st.sampled_from(PATHS), st.booleans()
    ),
    min_size=1,
    max_size=8,
)


def test_of_any_history() -> None:
    claims: Counter[str] = Counter()

    @settings(max_examples=600, deadline=None)
    @given(
        conditions,
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True),
        st.lists(happenings, min_size=3, max_size=3),
    )
    def of_any_history(condition: Any, triggers: list[str], histories: list[Any]) -> None:
        report = Report("")
        document = rule(condition=condition, trigger=triggers, frequency="always")
        found = analyse(document, report)
        assert isinstance(found, Analysis), report.problems
        history = History(found.condition.slots, found.condition.trackers, found.triggers)
        solver = Solver(known_of(found), found.condition.slots, history)
        holds_for_histories(document, histories, verdict(solver, found.condition.logic, claims))

    of_any_history()
    assert claims["never"] > 50
    assert claims["always"] > 10
    assert claims["too hard"] < 10


def holds_for_histories(document: Rule, histories: list[Any], said: str) -> None:
    if said not in ("never", "always"):
        return
    book = rulebook(document)
    for happened in histories:
        state, at = new_state(PERSON), D
        for number, (name, later, path, is_late) in enumerate(happened):
            at += later * S
            when = at - 3 * H if is_late else at
            fields = {"message_id": f"{number}", "context": {"page": {"path": path}}}
            outcome = decide(state, event(name, when, **fields), when, book)
            state = outcome.state
            matched = any(considered.outcome == "matched" for considered in outcome.considered)
            wanted = said == "always" and name in document.trigger
            assert matched is wanted, (said, happened[: number + 1])


SURVEY = {"en": {"questions": [{"type": "nps", "text": "How likely?"}]}}


def test_who_is_outranked_is_never_delivered_alone() -> None:
    claims: Counter[str] = Counter()
    kinds = [message(id="m", kind="modal"), message(id="n", kind="survey", content=SURVEY)]

    @settings(max_examples=400, deadline=None)
    @given(
        st.lists(clauses, max_size=2),
        st.lists(clauses, max_size=2),
        st.booleans(),
        st.lists(happenings, min_size=2, max_size=2),
    )
    def never_alone(wide: list[Any], more: list[Any], replaced: bool, histories: list[Any]) -> None:
        narrow = [*more, *(wide[1:] if replaced else wide)]
        common = {"trigger": ["page", "A"], "frequency": "always"}
        rules = [
            rule(id="high", priority=2, condition={"and": wide} if wide else True, **common),
            rule(
                id="low",
                priority=1,
                message="n",
                if_busy="lapse",
                condition={"and": narrow} if narrow else True,
                **common,
            ),
        ]
        outranks = list(outranked(rules, kinds, {}))
        claims["outranked" if outranks else "open"] += 1
        if not outranks:
            return
        book = rulebook(*rules, messages=kinds)
        for happened in histories:
            state, at = new_state(PERSON), D
            for number, (name, later, path, is_late) in enumerate(happened):
                at += later * S
                when = at - 3 * H if is_late else at
                about = {"message_id": f"{number}", "context": {"page": {"path": path}}}
                outcome = decide(state, event(name, when, **about), when, book)
                state = outcome.state
                delivered = {delivery.rule_id for delivery in outcome.deliveries}
                assert "low" not in delivered, happened[: number + 1]

    never_alone()
    assert claims["outranked"] > 50
    assert claims["open"] > 50
