"""Questions that reach further back than the log is kept."""

import json
from typing import Any

import pytest

from rules import parse

D = 86_400_000
WINDOW = "The log is kept for 7d: if no live rule has asked this yet, a window of 30d is known in full only 23d after this is published."


def told(document: Any) -> list[tuple[str, str, str]]:
    kind: Any = "rule" if "trigger" in document else "segment"
    text = json.dumps(document).encode()
    before = parse(kind, text, "")[1]
    problems = parse(kind, text, "", 7 * D)[1][len(before) :]
    assert all(problem.line == 1 for problem in problems)
    return [(problem.severity, problem.path, problem.message) for problem in problems]


@pytest.mark.parametrize(
    ("condition", "path"),
    [
        ({"did": ["A", {"within": "30d"}]}, "$.condition.did[1].within"),
        ({">": [{"days_active": [{"within": "30d"}]}, 3]}, "$.condition['>'][0].days_active[0].within"),
        ({">": [{"days_active": {"within": "30d"}}, 3]}, "$.condition['>'][0].days_active.within"),
        ({"!": {"sequence": [["A", "B"], {"within": "30d"}]}}, "$.condition['!'].sequence[1].within"),
        ({"seen": ["m", {"what": "dismissed", "within": "30d"}]}, "$.condition.seen[1].within"),
    ],
)
def test_a_longer_window_is_warned_about(condition: Any, path: str) -> None:
    for document in (
        {"id": "s", "condition": condition},
        {"id": "r", "trigger": "A", "message": "m", "condition": condition},
    ):
        [(severity, at, said)] = told(document)
        assert (severity, at) == ("warning", path)
        assert said.startswith(WINDOW)


def test_the_delay_asks_too() -> None:
    delay = {"if": [{"did": ["A", {"within": "30d"}]}, "0s", "1m"]}
    [(_, path, _)] = told({"id": "r", "trigger": "A", "message": "m", "delay": delay})
    assert path == "$.delay.if[0].did[1].within"


def test_all_time_is_noted_once() -> None:
    condition = {"and": [{"!": {"did": "A"}}, {"did": ["B"]}, {">": [{"seconds_since": ["C", {"first": True}]}, 9]}]}
    assert told({"id": "s", "condition": condition}) == [
        (
            "note",
            "$.condition.and[0]['!'].did",
            "Asked of all time (`did`, `seconds_since`), but the log is kept for 7d: what no live rule has asked yet is not known from before",
        )
    ]


@pytest.mark.parametrize("condition", [True, {"did": ["A", {"within": "7d"}]}, {"==": [{"var": "page.path"}, "/"]}])
def test_what_the_log_holds_is_not_told(condition: Any) -> None:
    assert told({"id": "s", "condition": condition}) == []
