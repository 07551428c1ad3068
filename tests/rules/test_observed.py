"""Rules against what really came: warnings with the place, the nearest right name and the numbers."""

import json
from typing import Any

import pytest
from engine_helpers import event

from rules import Observed, Rule, doubt, parse
from rules.source import read_document

H = 3_600_000


@pytest.fixture(scope="module")
def observed() -> Observed:
    seen = Observed()
    for number in range(10):
        person = f"u:{number}"
        traits = {"plan": "free", "seats": str(number)} | ({"role": "admin"} if number < 5 else {})
        seen.add(event("identify", H, person=person, traits=traits))
        seen.add(event("Plan Purchased", H, person=person, properties={"price": 10.5, "plan": "team"}))
        seen.add(event("page", H, person=person))
        if number < 3:
            seen.add(event("Export Failed", H, person=person, properties={"format": "csv"} if number else {}))
    return seen


def doubts(observed: Observed, **fields: Any) -> list[tuple[str, str]]:
    text = json.dumps({"id": "r", "trigger": "page", "message": "m"} | fields).encode()
    rule, problems = parse("rule", text, "r.json")
    assert isinstance(rule, Rule), problems
    report = read_document(text, "r.json")[1]
    doubt(rule, observed, "7d", report)
    assert all(problem.severity == "warning" and problem.line == 1 for problem in report.problems)
    return [(problem.path, problem.message) for problem in report.problems]


PURCHASE = "`Plan Purchase` was never seen in the log; did you mean `Plan Purchased` (10 in 7d)?"


@pytest.mark.parametrize(
    ("fields", "path", "said"),
    [
        ({"trigger": "Plan Purchase"}, "$.trigger", PURCHASE),
        ({"trigger": ["page", "Plan Purchase"]}, "$.trigger[1]", PURCHASE),
        ({"trigger": "Page"}, "$.trigger", "`Page` was never seen in the log; did you mean `page` (10 in 7d)?"),
        ({"trigger": "Something Else Entirely"}, "$.trigger", "`Something Else Entirely` was never seen in the log"),
        ({"trigger": {"after": "page", "without": "Plan Purchase", "within": "1d"}}, "$.trigger.without", PURCHASE),
        ({"cancel_on": ["Plan Purchase"]}, "$.cancel_on[0]", PURCHASE),
        ({"goal": {"event": "Plan Purchase", "within": "1d"}}, "$.goal.event", PURCHASE),
        ({"condition": {"!": {"did": ["Plan Purchase"]}}}, "$.condition['!'].did[0]", PURCHASE),
        ({"condition": {"did": [["page", "Plan Purchase"], {"within": "1d"}]}}, "$.condition.did[0][1]", PURCHASE),
        (
            {"condition": {"sequence": [["page", {"event": "Plan Purchase"}]]}},
            "$.condition.sequence[0][1].event",
            PURCHASE,
        ),
        (
            {"condition": {"in": [{"var": "user.traits.role"}, ["admin"]]}},
            "$.condition.in[0].var",
            "`user.traits.role` is absent in 50 % of 10 people",
        ),
        (
            {"condition": {"==": [{"var": "user.traits.Plan"}, "free"]}},
            "$.condition['=='][0].var",
            "`user.traits.Plan` was never there in 10 people; did you mean `user.traits.plan`?",
        ),
        (
            {"condition": {">": [{"var": "user.traits.seats"}, 5]}},
            "$.condition['>'][0]",
            "`user.traits.seats` is a text in all people that have it, and is compared with a number",
        ),
        (
            {"trigger": "Export Failed", "condition": {"==": [{"var": "event.properties.format"}, "csv"]}},
            "$.condition['=='][0].var",
            "`event.properties.format` is absent in 33 % of 3 `Export Failed` events",
        ),
        (
            {
                "condition": {
                    "did": ["Plan Purchased", {"where": {"==": [{"val": ["event", "properties", "price"]}, "10"]}}]
                }
            },
            "$.condition.did[1].where['=='][0]",
            "`event.properties.price` is a number in all `Plan Purchased` events that have it, and is compared with a text",
        ),
        (
            {"condition": {"did": ["Plan Purchased", {"where": {"!": {"var": "event.properties.Price"}}}]}},
            "$.condition.did[1].where['!'].var",
            "`event.properties.Price` was never there in 10 `Plan Purchased` events; did you mean `event.properties.price`?",
        ),
    ],
)
def test_what_the_log_does_not_show_is_doubted(observed: Observed, fields: Any, path: str, said: str) -> None:
    assert (path, said) in doubts(observed, **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"trigger": ["page", "screen", "Plan Purchased"], "cancel_on": "Export Failed"},
        {"condition": {"==": [{"var": "user.traits.plan"}, "free"]}},
        {
            "condition": {
                "<": [{"count": ["Plan Purchased", {"where": {">": [{"var": "event.properties.price"}, 3]}}]}, 5]
            }
        },
        {"condition": {"some": [{"var": "user.traits.plan"}, {"==": [{"var": "user.traits.nothing"}, 1]}]}},
        {"condition": {"==": [{"var": "page.path"}, "/nowhere"]}},
        {"condition": {"seen": ["m"]}},
        {"condition": {">": [{"days_active": [{"within": "30d"}]}, 3]}},
    ],
    ids=repr,
)
def test_what_the_log_shows_is_not(observed: Observed, fields: Any) -> None:
    assert doubts(observed, **fields) == []


def test_a_trait_that_was_taken_away_is_not_there() -> None:
    seen = Observed()
    for person, value in (("u:ann", "x"), ("u:bob", None)):
        seen.add(event("identify", H, person=person, traits={"plan": "x"}))
        seen.add(event("identify", H, person=person, traits={"plan": value}))
    found = doubts(seen, condition={"==": [{"var": "user.traits.plan"}, "x"]}, trigger="identify")
    assert found == [("$.condition['=='][0].var", "`user.traits.plan` is absent in 50 % of 2 people")]
