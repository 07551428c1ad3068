"""Conditions that can never hold, or always do: what the author is told, and where."""

import json
from typing import Any

import pytest
from engine_helpers import message, problems_of, rule

from rules import Definitions, Segment, cross_doubts, parse
from rules.limits import MAX_NODES

PLAN = {"var": "user.traits.plan"}
SEATS = {"var": "user.traits.seats"}
SEATS_OF_EVENT = {"var": "event.properties.seats"}
PRICING = {"==": [{"var": "page.path"}, "/pricing"]}
OR = "; take one out, or join them with `or`"
FIRST = 'The first time is {"==":[{"count":["page"]},1]}'


def warnings(condition: Any, **fields: Any) -> list[tuple[str, str]]:
    found = problems_of("rule", {"id": "r", "trigger": "page", "message": "m", "condition": condition} | fields)
    assert {problem.severity for problem in found} <= {"warning"}
    return [(problem.path.replace("['", ".").replace("']", ""), problem.message) for problem in found]


def count(name: Any = "A", **options: Any) -> Any:
    return {"count": [name, options]}


CONTRADICTIONS: list[tuple[list[Any], int, int]] = [
    ([{"==": [PLAN, "free"]}, {"!=": [PLAN, "free"]}], 0, 1),
    ([{"===": [PLAN, "free"]}, {"in": [PLAN, ["trial", "team"]]}], 0, 1),
    ([{"in": [PLAN, ["free", "trial"]]}, {"did": ["A"]}, {"!": {"in": [PLAN, ["trial", "free", "team"]]}}], 0, 2),
    ([{"!": [PLAN]}, {"==": [PLAN, "free"]}], 0, 1),
    ([{"==": [PLAN, "free"]}, {">": [PLAN, 3]}], 0, 1),
    ([{">": [SEATS, 5]}, {"<": [SEATS, 5]}], 0, 1),
    ([{"<": [1, SEATS, 5]}, {">=": [SEATS, 5]}], 0, 1),
    ([{"==": [SEATS, 3]}, {"==": [SEATS, 4]}], 0, 1),
    ([{">": [{"+": [SEATS, 1]}, 5]}, {"<=": [{"+": [SEATS, 1]}, 2]}], 0, 1),
    ([{"some": [SEATS, {"==": [{"var": ""}, 1]}]}, {"!": {"some": [SEATS, {"==": [{"var": ""}, 1]}]}}], 0, 1),
    ([{"did": ["A"]}, {"!": {"did": ["A"]}}], 0, 1),
    ([{"did": ["A", {"within": "1d"}]}, {"!": {"did": ["A", {"within": "7d"}]}}], 0, 1),
    ([{"did": ["A"]}, {"==": [count(["A", "B"]), 0]}], 0, 1),
    ([{">=": [count(), 2]}, {"==": [count(), 0]}], 0, 1),
    ([{">": [count(within="1d"), 1]}, {"<": [count(within="2d"), 2]}], 0, 1),
    ([{">": [count(), 1]}, {"<": [count(), 2]}], 0, 1),
    ([{"did": ["A", {"where": PRICING}]}, {"!": {"did": ["A"]}}], 0, 1),
    ([{"sequence": [["A", "B"]]}, {"!": {"did": ["B"]}}], 0, 1),
    ([{">": [{"distinct": ["A", {"of": "event.properties.x"}]}, 2]}, {"<": [count(), 2]}], 0, 1),
    ([{"!": {"did": ["A"]}}, {">": [{"seconds_since": ["A"]}, 60]}], 0, 1),
    ([{">": [{"seconds_since": ["A"]}, 86_400]}, {"did": ["A", {"within": "1d"}]}], 0, 1),
    ([{"seen": ["m"]}, {"!": {"seen": ["m"]}}], 0, 1),
    ([{"segment": "vip"}, {"!": {"segment": "vip"}}], 0, 1),
]


@pytest.mark.parametrize(("clauses", "first", "second"), CONTRADICTIONS, ids=repr)
def test_two_clauses_that_contradict_are_both_named(clauses: list[Any], first: int, second: int) -> None:
    [(path, said)] = warnings({"and": clauses})
    texts = [json.dumps(clauses[index], separators=(",", ":")).replace(",{}]", "]") for index in (first, second)]
    assert path == f"$.condition.and[{second}]"
    assert said.startswith(f"This contradicts `$.condition.and[{first}]` (1:")
    assert all(text.split('":')[0] in said for text in texts)
    assert "can never hold together" in said


def test_the_places_of_both_clauses_and_what_to_write() -> None:
    text = '{"id": "r", "trigger": "page", "message": "m",\n "condition": {"and": [\n  {"==": [{"var": "user.traits.plan"}, "free"]},\n  {"==": [{"var": "user.traits.plan"}, "trial"]}\n]}}'
    [problem] = parse("rule", text.encode(), "rules/r.json")[1]
    assert str(problem) == (
        "rules/r.json:4:3: warning: $.condition.and[1]: This contradicts `$.condition.and[0]` (3:3): "
        '{"==":[{"var":"user.traits.plan"},"free"]} and {"==":[{"var":"user.traits.plan"},"trial"]} can never hold together; '
        'for any of these values write {"in":[{"var":"user.traits.plan"},["free","trial"]]}'
    )


def test_three_clauses_that_only_together_contradict() -> None:
    clauses = [
        {"did": ["B"]},
        {"did": ["A"]},
        {"<": [{"seconds_since": ["A"]}, 60]},
        {"!": {"did": ["A", {"within": "2m"}]}},
    ]
    [(path, said)] = warnings({"and": clauses})
    assert path == "$.condition.and[3]"
    assert said.startswith("This contradicts `$.condition.and[1]` (1:")
    assert "and `$.condition.and[2]` (1:" in said
    assert "B" not in said


@pytest.mark.parametrize(
    ("condition", "path", "said"),
    [
        ({"<": [count(), 0]}, "$.condition", "This can never hold: `count` is a whole number, 0 or more"),
        ({"==": [count(), "many"]}, "$.condition", "This can never hold: `count` is a whole number, 0 or more"),
        ({"==": [count(), 1.5]}, "$.condition", "This can never hold: `count` is a whole number, 0 or more"),
        ({"==": [{"did": ["A"]}, 2]}, "$.condition", "This can never hold: `did` is true or false"),
        (
            {">": [{"days_active": [{"within": "7d"}]}, 20]},
            "$.condition",
            "This can never hold: `days_active` is a whole number of days, at most as many as the window has",
        ),
        ({"<": [5, SEATS, 3]}, "$.condition", "This can never hold: it is the same whatever `user.traits.seats` may be"),
        ({"in": [PLAN, []]}, "$.condition", "This can never hold: nothing is in an empty list"),
        ({">": [{"var": "event.name"}, 3]}, "$.condition", "This can never hold: `event.name` is `page` here"),
        ({"==": [{"var": "event.name"}, "A"]}, "$.condition", "This can never hold: `event.name` is `page` here"),
        ({"==": [{"var": "event.name"}, "page"]}, "$.condition", "This always holds: `event.name` is `page` here; it can be left out"),
        ({">=": [count(), 0]}, "$.condition", "This always holds: `count` is a whole number, 0 or more; it can be left out"),
        (
            {"or": [{"did": ["A"]}, {"!": {"did": ["A"]}}]},
            "$.condition",
            "This always holds: whatever comes, its parts leave no other answer; it can be left out",
        ),
        (
            {"and": [{"!=": [{"var": "session.pages"}, "x"]}, {"did": ["A"]}]},
            "$.condition.and[0]",
            "This always holds: `session.pages` is a whole number, 0 or more; it can be left out",
        ),
        (
            {"or": [{"did": ["A"]}, {"<": [{"var": "session.seconds"}, 0]}]},
            "$.condition.or[1]",
            "This can never hold: `session.seconds` is a number, 0 or more",
        ),
        (
            {"if": [{"==": [{"var": "event.type"}, "click"]}, True, {"did": ["A"]}]},
            "$.condition.if[0]",
            "This can never hold: `event.type` is one of track, page, screen, identify, group, alias",
        ),
        (
            {">": [{"var": "page.path"}, 3]},
            "$.condition",
            "This can hardly ever hold: `page.path` is a text such as `/pricing`",
        ),
        ({"!": {"did": ["page"]}}, "$.condition", f"This can never hold: the event that wakes the rule is counted itself. {FIRST}"),
        (
            {"==": [count("page", within="1d"), 0]},
            "$.condition",
            f"This can hardly ever hold: the event that wakes the rule is counted itself, unless it comes late. {FIRST}",
        ),
        ({"did": [["page", "A"]]}, "$.condition", "This always holds: the event that wakes the rule is counted itself; it can be left out"),
        (
            {"did": ["B", {"where": {"==": [{"var": "event.name"}, "A"]}}]},
            "$.condition.did[1].where",
            "This can never hold: `event.name` is `B` here",
        ),
        (
            {"sequence": [["A", {"event": "B", "where": {"==": [{"var": "event.name"}, "A"]}}]]},
            "$.condition.sequence[0][1].where",
            "This can never hold: `event.name` is `B` here",
        ),
        (False, "$.condition", 'This can never hold: it is `false`; to switch a rule off, write "enabled": false'),
        (None, "$.condition", 'This can never hold: it is `null`; to switch a rule off, write "enabled": false'),
    ],
)  # fmt: skip
def test_a_clause_on_its_own(condition: Any, path: str, said: str) -> None:
    assert warnings(condition) == [(path, said)]


def test_a_first_visit_is_not_asked_for_with_did() -> None:
    [(path, said)] = warnings({"and": [PRICING, {"!": {"did": ["page", {"where": PRICING}]}}]})
    assert path == "$.condition.and[1]"
    assert said.endswith(f"can never hold together: the event that wakes the rule is counted itself. {FIRST}")


def test_the_delay_is_looked_at_too() -> None:
    delay = {"if": [{"<": [count(), 0]}, "0s", "20s"]}
    assert warnings(True, delay=delay) == [
        ("$.delay.if[0]", "This can never hold: `count` is a whole number, 0 or more")
    ]


@pytest.mark.parametrize(
    "condition",
    [
        {"and": [{"==": [SEATS, 1]}, {"==": [SEATS, "1"]}]},
        {"and": [{"==": [SEATS, 0]}, {"!": [SEATS]}, {"==": [SEATS, None]}]},
        {"and": [{"<": [SEATS, 1]}, {"==": [SEATS, None]}]},
        {"and": [{"==": [PLAN, "7d"]}, {"==": [PLAN, "168h"]}]},
        {"and": [{"!=": [PLAN, "free"]}, {"!=": [PLAN, "trial"]}]},
        {"or": [{">": [SEATS, 5]}, {"<=": [SEATS, 5]}]},  # a text is neither
        {"and": [{"did": ["A"]}, {"!": {"did": ["A", {"within": "7d"}]}}]},
        {"and": [{"did": ["A"]}, {"!": {"did": ["A", {"where": PRICING}]}}]},
        {"and": [{"did": [["A", "B"]]}, {"!": {"did": ["A"]}}]},
        {"and": [{"segment": "a"}, {"!": {"segment": "b"}}]},
        {"and": [{">": [{"seconds_since": ["A"]}, 60]}, {"did": ["A", {"within": "2m"}]}]},
        {"and": [{">": [{"seconds_since": ["A", {"first": True}]}, 86_400]}, {"did": ["A", {"within": "1d"}]}]},
        {"==": [count("page"), 1]},
        {"!": {"did": ["page", {"where": PRICING}]}},
        {">": [{"var": "user.id"}, 3]},
        {"==": [{"var": "user.traits.n"}, {"var": "user.traits.m"}]},
    ],
    ids=repr,
)
def test_what_can_be_is_no_contradiction(condition: Any) -> None:
    assert warnings(condition) == []


def test_an_absence_is_not_counted_when_it_fires() -> None:
    trigger = {"after": "A", "without": "B", "within": "1d"}
    assert warnings({"!": {"did": ["A"]}}, trigger=trigger) == []
    assert warnings({"==": [{"var": "event.name"}, "B"]}, trigger=trigger) == [
        ("$.condition", "This can never hold: `event.name` is `A` here")
    ]


def test_a_segment_is_looked_at_alone_and_where_it_is_used() -> None:
    condition = {"and": [{"==": [PLAN, "free"]}, {"==": [PLAN, "team"]}]}
    [problem] = problems_of("segment", {"id": "s", "condition": condition})
    assert problem.path == "$.condition.and[1]"
    assert problems_of("segment", {"id": "s", "condition": {"==": [{"var": "event.name"}, "A"]}}) == []
    payers = Segment(id="payers", condition={"in": [PLAN, ["team", "business"]]})
    text = json.dumps(
        {
            "id": "r",
            "trigger": "page",
            "message": "m",
            "condition": {"and": [{"==": [PLAN, "free"]}, {"segment": "payers"}]},
        }
    )
    used = parse("rule", text.encode(), "")[0]
    found = cross_doubts(Definitions([used], [message()], [payers]), {("rule", "r"): ("rules/r.json", text.encode())})  # type: ignore[list-item]
    assert [(problem.path, problem.column > 1, problem.severity) for problem in found] == [
        ("$.condition.and[1]", True, "warning")
    ]
    assert 'and {"segment":"payers"} can never hold together' in found[0].message


def hostile() -> list[Any]:
    alternatives = [{"or": [{"==": [{"var": f"user.traits.t{n}"}, m]} for m in range(8)]} for n in range(40)]
    deep: Any = {"did": ["A"]}
    for _ in range(12):
        deep = {"!": [{"and": [deep, deep]}]} if deep == {"did": ["A"]} else {"!": [{"or": [deep]}]}
    return [
        {"and": alternatives},
        {"and": [{"!": [one]} for one in alternatives]},
        {"or": [{"and": [{"==": [SEATS, n]}, {"!=": [SEATS, n + 1]}]} for n in range(600)]},
        {"and": [{"!=": [SEATS, n]} for n in range(1_900)]},
        {"and": [{"did": [f"E{n}"]} for n in range(1_000)]},
        {"in": [SEATS, list(range(MAX_NODES - 20))]},
        {"and": [{"or": [{"did": ["A", {"within": f"{n + m}d"}]} for m in range(3)]} for n in range(1, 20)]},
        {"and": [{"did": [f"E{n}", {"where": {"in": [SEATS_OF_EVENT, [*range(400), n]]}}]} for n in range(24)]},
        deep,
    ]


@pytest.mark.parametrize("condition", hostile(), ids=lambda condition: str(condition)[:40])
def test_what_is_too_hard_is_passed_over(condition: Any) -> None:
    assert warnings(condition) == []


RULES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"condition": PRICING}, {"condition": {"and": [{"did": ["A"]}, PRICING]}}),
    ({"condition": {">=": [count(), 2]}}, {"condition": {">=": [count(), 3]}}),
    ({"condition": {"did": ["A", {"within": "7d"}]}}, {"condition": {">": [count(within="1d"), 2]}}),
    ({"condition": {"in": [PLAN, ["free", "trial"]]}}, {"condition": {"==": [PLAN, "trial"]}}),
    ({"condition": {"==": [PLAN, "7d"]}}, {"condition": {"==": [PLAN, "7d"]}}),
    ({"trigger": ["page", "A"]}, {"trigger": "A"}),
    ({"priority": 5}, {"priority": 5, "id": "z"}),
    ({"condition": {"segment": "payers"}}, {"condition": {"==": [PLAN, "team"]}}),
]
LESS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"frequency": {"max": 5, "per": "1d"}}, {}),
    ({"frequency": None}, {}),
    ({"holdout": 0.1}, {}),
    ({"delay": "1s"}, {}),
    ({"schedule": {"days": ["mon"]}}, {}),
    ({"enabled": False}, {}),
    ({"message": "quiet"}, {}),
    ({"message": "elsewhere"}, {}),
    ({"priority": 0}, {}),
    ({"priority": 1, "id": "zz"}, {}),
    ({"trigger": "A"}, {}),
    ({"trigger": "page"}, {"trigger": ["page", "A"]}),
    ({}, {"trigger": {"after": "page", "without": "B", "within": "1d"}}),
    ({}, {"delay": "1s"}),
    ({}, {"message": "quiet"}),
    ({}, {"enabled": False}),
    ({"condition": PRICING}, {}),
    ({"condition": {">=": [count(), 3]}}, {"condition": {">=": [count(), 2]}}),
    ({"condition": {">": [SEATS, 3]}}, {"condition": {"!=": [SEATS, 2]}}),
    ({"condition": {"==": [PLAN, 1]}}, {"condition": {"==": [PLAN, True]}}),
    ({"condition": {"segment": "payers"}}, {"condition": {"==": [PLAN, "free"]}}),
]  # fmt: skip


def test_a_checklist_is_not_put_off() -> None:
    rules = [rule(id=kind, message=kind, snooze="1d") for kind in ("list", "news")]
    items = {"en": {"title": "Start", "items": [{"id": "a", "label": "A"}]}}
    messages = [message(id="list", kind="checklist", content=items), message(id="news")]
    [found] = cross_doubts(Definitions(rules, messages))
    assert str(found).startswith("rules/list:0:0: warning: $.snooze: A checklist is not put off")


def outranked(above: dict[str, Any], below: dict[str, Any]) -> list[str]:
    messages = [
        message(id="m", kind="modal"),
        message(id="quiet"),
        message(id="elsewhere", kind="tour", show_on={"path": "/x"}, content={"en": {"steps": [{"text": "x"}]}}),
    ]
    rules = [
        rule(**{"id": "high", "trigger": "page", "priority": 9, "frequency": "always"} | above),
        rule(**{"id": "low", "trigger": "page", "priority": 1, "if_busy": "lapse"} | below),
    ]
    payers = Segment(id="payers", condition={"in": [PLAN, ["team", "business"]]})
    return [str(found) for found in cross_doubts(Definitions(rules, messages, [payers]))]


@pytest.mark.parametrize(("above", "below"), RULES, ids=repr)
def test_a_rule_that_can_never_win(above: dict[str, Any], below: dict[str, Any]) -> None:
    [found] = outranked(above, below)
    identifier, priority = below.get("id", "low"), above.get("priority", 9)
    assert found == (
        f"rules/{identifier}:0:0: warning: $.priority: This can never win: `high` (priority {priority}) matches whenever it does and shows its "
        "modal each time; give this one a higher priority, or `high` a narrower condition or a `frequency`"
    )


def test_a_rule_that_waits_behind_the_other_comes_after_it() -> None:
    assert outranked({}, {"if_busy": None}) == []
    assert outranked({}, {"if_busy": {"wait": "1h"}}) == []
    assert len(outranked({}, {})) == 1


@pytest.mark.parametrize(("above", "below"), LESS, ids=repr)
def test_a_rule_that_may_win_sometimes(above: dict[str, Any], below: dict[str, Any]) -> None:
    assert outranked(above, below) == []
