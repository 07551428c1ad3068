"""The tests inside rules: their form, and that they run through the engine as life does."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from engine_helpers import message, problems_of, rule
from schema_validator import accepts

from rules import Definitions, Rule, Trial, cross_check, document_schema, parse, trial_rulebook, try_case

RULE = {"id": "r", "trigger": "go", "message": "m"}
CASE = {"name": "one", "events": [{"at": "0s", "event": "go"}], "expect": [{"at": "0s", "deliver": "m"}]}


def _run(case: dict[str, Any], *others: Any, alone: bool = False, **fields: Any) -> Trial:
    tested = rule(**fields, tests=[{"name": "one"} | case])
    messages = [message(), *(message(id=other.message) for other in others if other.message != "m")]
    book = trial_rulebook(Definitions([tested, *others], messages), tested, alone)
    return try_case(tested, 0, book, alone)


def _failed(trial: Trial) -> tuple[list[str], list[str]]:
    return [str(came) for came in trial.missing], [str(came) for came in trial.unexpected]


FAULTS: list[tuple[Any, str, str]] = [
    ({"name": ""}, "$.tests[0].name", "Expected a text that is not empty"),
    ({"evnets": []}, "$.tests[0].evnets", "Unknown field `evnets`; did you mean `events`?"),
    ({"events": []}, "$.tests[0].events", "Expected at least one event, got none"),
    ({"events": [{"at": "soon", "page": "/"}]}, "$.tests[0].events[0].at", "Expected a duration like"),
    ({"events": [{"at": -1, "page": "/"}]}, "$.tests[0].events[0].at", "Expected a duration like"),
    ({"events": [{"page": "/"}]}, "$.tests[0].events[0]", "Expected the field `at`, which is missing"),
    ({"events": [{"at": 0, "pge": "/"}]}, "$.tests[0].events[0].pge", "did you mean `page`?"),
    (
        {"events": [{"at": 0, "properties": 3}]},
        "$.tests[0].events[0].properties",
        "Expected an object, got the number 3",
    ),
    ({"events": [{"at": 0, "event": "x", "message": "a b"}]}, "$.tests[0].events[0].message", "Expected the id"),
    ({"user": {"traits": 3}}, "$.tests[0].user.traits", "Expected an object, got the number 3"),
    ({"user": {"trait": {}}}, "$.tests[0].user.trait", "did you mean `traits`?"),
    ({"expect": [{"at": "0s", "delivr": "m"}]}, "$.tests[0].expect[0].delivr", "did you mean `deliver`?"),
    ({"expect": [{"at": "0s", "deliver": "../m"}]}, "$.tests[0].expect[0].deliver", "Expected the id of a message"),
    ({"expect": {"at": "0s"}}, "$.tests[0].expect", "Expected an array, got an object"),
]
# What JSON Schema is not told.
FAULTS_BEYOND: list[tuple[Any, str, str]] = [
    ({"events": [{"at": "0s"}]}, "$.tests[0].events[0]", "Expected one of `page`, `event`, `identify`"),
    ({"events": [{"at": "0s", "event": "a", "group": "b"}]}, "$.tests[0].events[0]", "got `event` and `group`"),
    ({"events": [{"at": "0s", "page": ""}]}, "$.tests[0].events[0].page", "Expected some text"),
    ({"events": [{"at": "0s", "event": "a", "traits": {"a": 1}}]}, "$.tests[0].events[0].traits", "beside `group`"),
    ({"events": [{"at": "0s", "page": "/", "message": "m"}]}, "$.tests[0].events[0].message", "beside an `event`"),
    ({"expect": [{"at": "0s"}]}, "$.tests[0].expect[0]", "Expected either `deliver` or `withdraw`, got neither"),
    ({"expect": [{"at": 0, "deliver": "m", "withdraw": "m"}]}, "$.tests[0].expect[0]", "got both"),
    ({"start": "tomorrow"}, "$.tests[0].start", "Expected a time like `2026-01-05T09:00:00Z`, got `tomorrow`"),
]


@pytest.mark.parametrize(("fields", "path", "said"), FAULTS + FAULTS_BEYOND, ids=repr)
def test_a_malformed_test_is_refused_with_its_place(fields: dict[str, Any], path: str, said: str) -> None:
    problems = problems_of("rule", RULE | {"tests": [CASE | fields]}, "rules/r.json")
    assert any(found.path == path and said in found.message for found in problems), problems
    assert all(found.line == 1 and found.column > 1 for found in problems)


@pytest.mark.parametrize("fields", [fields for fields, _, _ in FAULTS], ids=repr)
def test_an_editor_sees_it_too(fields: dict[str, Any]) -> None:
    assert accepts(document_schema("rule"), RULE | {"tests": [CASE]})
    assert not accepts(document_schema("rule"), RULE | {"tests": [CASE | fields]})


def test_each_name_once() -> None:
    (problem,) = problems_of("rule", RULE | {"tests": [CASE, CASE]})
    assert (problem.path, problem.message) == (
        "$.tests[1].name",
        "Expected each test's name once, got `one` twice",
    )


def test_a_message_a_test_names_must_exist() -> None:
    text = json.dumps(RULE | {"tests": [CASE | {"expect": [{"at": "0s", "deliver": "mesage"}]}]}, indent=1).encode()
    document, _ = parse("rule", text, "rules/r.json")
    (problem,) = cross_check(
        Definitions([document], [message(), message(id="message")]),  # type: ignore[list-item]
        {("rule", "r"): ("rules/r.json", text)},
    )
    assert problem.path == "$.tests[0].expect[0].deliver"
    assert problem.message == "The message `mesage` does not exist; did you mean `message`?"
    assert problem.line > 10


EVERY_CALL = [
    ({"event": "go"}, {"event": {"name": "go", "type": "track"}}),
    (
        {"event": "go", "properties": {"n": 1}, "page": "/p"},
        {"event": {"properties": {"n": 1}}, "page": {"path": "/p"}},
    ),
    ({"page": "/p?plan=team"}, {"event": {"name": "page"}, "page": {"path": "/p", "search": "?plan=team"}}),
    ({"page": {"path": "/p", "title": "P"}}, {"page": {"title": "P"}, "event": {"properties": {"title": "P"}}}),
    ({"identify": {"plan": "pro"}}, {"event": {"type": "identify"}, "user": {"traits": {"plan": "pro", "seats": 3}}}),
    ({"group": "g2", "traits": {"a": 1}}, {"event": {"name": "group"}, "group": {"id": "g2", "traits": {"a": 1}}}),
    ({"screen": "Home"}, {"event": {"name": "screen", "properties": {"name": "Home"}}, "group": {"id": "g1"}}),
    ({"alias": "old"}, {"event": {"type": "alias"}, "user": {"id": "ann", "traits": {"plan": "free"}}}),
    ({"event": "go", "context": {"locale": "ja"}}, {"device": {"locale": "ja"}}),
]


@pytest.mark.parametrize(("call", "reads"), EVERY_CALL, ids=repr)
def test_every_call_is_what_a_client_would_have_sent(call: dict[str, Any], reads: dict[str, Any]) -> None:
    def clauses(value: Any, path: str) -> list[Any]:
        if isinstance(value, dict):
            return [one for name, inner in value.items() for one in clauses(inner, f"{path}.{name}" if path else name)]
        return [{"===": [{"var": path}, value]}]

    user = {"id": "ann", "traits": {"plan": "free", "seats": 3}, "group": "g1", "group_traits": {"size": 9}}
    trial = _run(
        {"user": user, "events": [{"at": 0, **call}], "expect": [{"at": 0, "deliver": "m"}]},
        trigger=["go", "page", "identify", "group", "screen", "alias"],
        condition={"and": clauses(reads, "")},
    )
    assert trial.passed, trial.timeline


def test_timers_run_after_the_last_event() -> None:
    go = [{"at": "1m", "event": "go"}]
    assert _run({"events": go, "expect": [{"at": "1h1m", "deliver": "m"}]}, delay="1h").passed
    assert _failed(_run({"events": go, "expect": []}, delay="1h")) == ([], ["1h1m deliver m"])
    absence = {"after": "go", "without": "done", "within": "3d"}
    assert _run({"events": go, "expect": [{"at": "3d1m", "deliver": "m"}]}, trigger=absence).passed
    done = [*go, {"at": "2d", "event": "done"}]
    assert _run({"events": done, "expect": []}, trigger=absence).passed


def test_what_came_is_compared_to_the_millisecond() -> None:
    trial = _run({"events": [{"at": 5, "event": "go"}], "expect": [{"at": 6, "deliver": "m"}]})
    assert not trial.passed
    assert _failed(trial) == (["6ms deliver m"], ["5ms deliver m"])


def test_the_same_message_twice_is_expected_twice() -> None:
    two = [{"at": 0, "event": "go"}, {"at": 0, "event": "go"}]
    once = {"at": 0, "deliver": "m"}
    assert _run({"events": two, "expect": [once, once]}, frequency="always").passed
    assert _failed(_run({"events": two, "expect": [once]}, frequency="always")) == ([], ["0s deliver m"])


def test_withdrawals_are_compared_when_one_is_expected() -> None:
    events = [{"at": "0s", "event": "go"}, {"at": "1s", "event": "Chosen"}]
    delivered, withdrawn = {"at": "0s", "deliver": "m"}, {"at": "1s", "withdraw": "m"}
    assert _run({"events": events, "expect": [delivered]}, cancel_on="Chosen").passed
    assert _run({"events": events, "expect": [delivered, withdrawn]}, cancel_on="Chosen").passed
    assert _failed(_run({"events": events, "expect": [delivered, withdrawn]})) == (["1s withdraw m"], [])


def test_an_interaction_is_about_the_latest_delivery() -> None:
    events = [
        {"at": "0s", "event": "go"},
        {"at": "30s", "event": "Message Shown", "message": "m"},
        {"at": "40s", "event": "Chosen"},
        {"at": "1m", "event": "go"},
    ]
    case = {"events": events, "expect": [{"at": "20s", "deliver": "m"}, {"at": "20s", "withdraw": "m"}]}
    trial = _run(case, delay="20s", cancel_on="Chosen")
    assert _failed(trial) == (["20s withdraw m"], [])  # it had been shown


def test_an_interaction_with_what_was_not_delivered_is_said() -> None:
    trial = _run({"events": [{"at": "1s", "event": "Message Shown", "message": "m"}], "expect": []})
    assert not trial.passed
    assert trial.error == "at event Message Shown message m: `m` had not been delivered"


def test_a_late_event_is_counted_where_it_belongs() -> None:
    events = [{"at": "1h", "event": "x"}, {"at": "10m", "event": "go"}]
    trial = _run({"events": events, "expect": [{"at": "1h", "deliver": "m"}]})
    assert trial.passed
    assert trial.timeline[1].text == "event go, late"


def test_the_other_rules_are_in_force_unless_alone() -> None:
    other = rule(id="other", message="n")
    case = {"events": [{"at": 0, "event": "go"}], "expect": [{"at": 0, "deliver": "m"}]}
    assert _failed(_run(case, other)) == ([], ["0s deliver n"])
    assert _run(case, other, alone=True).passed
    both = case | {"expect": [{"at": 0, "deliver": "m"}, {"at": 0, "deliver": "n"}]}
    assert _run(both, other).passed
    assert _run(both, other, alone=True).passed


def test_what_others_do_after_the_story_is_not_its_matter() -> None:
    later = rule(id="later", message="n", delay="1h")
    go = {"events": [{"at": 0, "event": "go"}], "expect": [{"at": 0, "deliver": "m"}]}
    assert _run(go, later).passed
    longer = {"events": [{"at": 0, "event": "go"}, {"at": "2h", "event": "x"}], "expect": go["expect"]}
    assert _failed(_run(longer, later)) == ([], ["1h deliver n"])


def test_nobody_is_held_out_and_the_rule_is_switched_on() -> None:
    assert _run(CASE, holdout=1.0, enabled=False).passed
    off = rule(id="off", message="n", enabled=False)
    assert _run(CASE, off).passed


def test_the_moment_of_the_start() -> None:
    condition = {"==": [{"var": "now"}, "2026-12-01T09:01:00.000Z"]}
    case = {"events": [{"at": "1m", "event": "go"}], "expect": [{"at": "1m", "deliver": "m"}]}
    for start in ("2026-12-01T09:00:00Z", "2026-12-01T18:00:00+09:00", "2026-12-01 09:00"):
        assert _run(case | {"start": start}, condition=condition).passed


def test_a_failure_shows_each_clause_and_what_it_read() -> None:
    condition = {
        "and": [
            {"==": [{"var": "user.traits.plan"}, "free"]},
            {">=": [{"count": ["go", {"within": "7d"}]}, 2]},
            {">": [{"var": "user.traits.plan"}, 3]},
            {"some": [{"var": "user.traits.tags"}, {"==": [{"var": "x"}, 1]}]},
        ]
    }
    case = {"user": {"traits": {"plan": "free", "tags": [{"x": 1}]}}, "events": [{"at": 0, "event": "go"}]}
    trial = _run(case | {"expect": [{"at": 0, "deliver": "m"}]}, condition=condition)
    assert [(moment.kind, moment.text) for moment in trial.timeline] == [
        ("event", "event go"),
        ("considered", "not_matched"),
    ]
    clauses = trial.timeline[1].clauses
    assert [clause.value[:5] for clause in clauses] == ["true", "false", "error", "true"]
    assert [clause.reads for clause in clauses] == [
        ['user.traits.plan = "free"'],
        ["count go within 7d = 1"],
        ['user.traits.plan = "free"'],
        ['user.traits.tags = [{"x":1}]'],
    ]


def test_an_absence_shows_its_clauses_when_its_time_is_over() -> None:
    trial = _run(
        {
            "events": [{"at": "0s", "event": "go", "properties": {"n": 1}}, {"at": "2h", "identify": {"plan": "pro"}}],
            "expect": [{"at": "1h", "deliver": "m"}],
        },
        trigger={"after": "go", "without": "done", "within": "1h"},
        condition={"and": [{"==": [{"var": "event.properties.n"}, 1]}, {"==": [{"var": "user.traits.plan"}, "pro"]}]},
    )
    assert not trial.passed
    assert [(moment.at, moment.text) for moment in trial.timeline] == [
        (0, 'event go properties {"n":1}'),
        (0, "waiting"),
        (3_600_000, "not_matched"),
        (7_200_000, 'identify {"plan":"pro"}'),
    ]
    assert [moment.clauses for moment in trial.timeline if not moment.text.startswith("not")] == [[], [], []]
    assert [(clause.value, clause.reads) for clause in trial.timeline[2].clauses] == [
        ("true", ["event.properties.n = 1"]),
        ("false", ["user.traits.plan = null"]),
    ]


def test_an_event_that_the_index_spared_shows_its_clauses_too() -> None:
    condition = {"==": [{"var": "page.path"}, "/help"]}
    case = {"events": [{"at": 0, "page": "/help/"}], "expect": [{"at": 0, "deliver": "m"}]}
    trial = _run(case, trigger="page", condition=condition)
    assert [(moment.text, [clause.reads for clause in moment.clauses]) for moment in trial.timeline] == [
        ("page /help/", []),
        ("not_matched", [['page.path = "/help/"']]),
    ]


def test_a_rule_that_was_never_woken_says_which_events_would_have() -> None:
    case = {"events": [{"at": 0, "event": "Export Failed"}], "expect": [{"at": 0, "deliver": "m"}]}
    trial = _run(case, trigger=["Export Faild", "page"])
    assert trial.timeline[-1].text == "never woken: no event of this test is `Export Faild` or `page`"
    trial = _run(case, trigger={"after": "Trial", "without": "x", "within": "1d"})
    assert trial.timeline[-1].text == "never woken: no event of this test is `Trial`"


def test_a_test_runs_the_same_every_time() -> None:
    case = {"events": [{"at": "0s", "event": "go"}, {"at": "1s", "event": "go"}], "expect": []}
    assert _run(case, delay="5s") == _run(case, delay="5s")


def test_the_test_in_the_guide_passes() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
    (text,) = [text for text in re.findall(r"```json\n(.*?)```", guide, re.DOTALL) if '"tests"' in text]
    document, problems = parse("rule", text.encode(), "")
    assert isinstance(document, Rule)
    assert problems == []
    book = trial_rulebook(Definitions([document], [message(id=document.message)]), document)
    assert try_case(document, 0, book).passed
