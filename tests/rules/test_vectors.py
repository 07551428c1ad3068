"""The dialect against vectors kept as data: the public test set, our own, and the list of differences."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rules.dialect import ENGINE, OPERATORS, REFUSED, EvaluationError, compile_logic, handle, value_of
from tests.rules.engine_helpers import problems_of

FOLDER = Path(__file__).parent / "vectors"
DOCS = Path(__file__).parents[2] / "docs" / "jsonlogic.md"


def read(name: str) -> list[Any]:
    return [case for case in json.loads((FOLDER / name).read_text()) if not isinstance(case, str)]


PUBLIC, OWN, DIFFERENCES = read("jsonlogic.json"), read("dialect.json"), read("differences.json")


def evaluated(rule: Any, data: Any) -> dict[str, Any]:
    try:
        return {"result": value_of(compile_logic(rule), handle(data))}
    except EvaluationError as error:
        return {"error": str(error)}


def same(found: Any, wanted: Any) -> bool:
    """Equal as JSON: true is not 1, but 1 is 1.0."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return bool(found == wanted)


def test_all_of_the_public_set_is_here() -> None:
    assert len(PUBLIC) == len({json.dumps(case) for case in PUBLIC}) == 278


@pytest.mark.parametrize(("rule", "data", "wanted"), PUBLIC, ids=range(len(PUBLIC)))
def test_the_public_set(rule: Any, data: Any, wanted: Any) -> None:
    found = evaluated(rule, data)
    assert "result" in found, found
    assert same(found["result"], wanted)


@pytest.mark.parametrize("case", OWN, ids=range(len(OWN)))
def test_our_own(case: dict[str, Any]) -> None:
    found = evaluated(case["rule"], case["data"])
    if "error" in case:
        assert case["error"] in found.get("error", ""), found
    else:
        assert "result" in found, found
        assert same(found["result"], case["result"])


@pytest.mark.parametrize("case", DIFFERENCES, ids=range(len(DIFFERENCES)))
def test_the_differences_are_what_they_are_said_to_be(case: dict[str, Any]) -> None:
    if "refused" in case["ours"]:
        (problem,) = problems_of("rule", {"id": "r", "trigger": "go", "message": "m", "condition": {"!": case["rule"]}})
        assert case["ours"]["refused"] in problem.message
    else:
        assert evaluated(case["rule"], case["data"]) == case["ours"]
        assert case["ours"] != case["community"]


def test_the_page_lists_every_difference_and_no_other() -> None:
    table = DOCS.read_text().partition("## Where it differs")[2]
    told = re.findall(r"^\| `(.+?)` \|.*\|$", table, re.MULTILINE)
    assert [json.loads(rule) for rule in told] == [case["rule"] for case in DIFFERENCES]


def test_the_page_shows_every_operator_with_an_example_that_is_right() -> None:
    table = DOCS.read_text().partition("## Operators")[2].partition("\n## ")[0]
    told: set[str] = set()
    for names, rule, data, result in re.findall(
        r"^\| (.+?) \| `(.+?)` \| (?:`(.+?)`)? ?\| `(.+?)` \|$", table, re.MULTILINE
    ):
        told |= set(re.findall(r"`(.+?)`", names.split("`: ")[0] + "`"))
        found = evaluated(json.loads(rule), json.loads(data) if data else None)
        assert same(found.get("result", found), json.loads(result)), rule
    aliases = {alias for operator in ENGINE.operators() for alias in operator["aliases"]}
    assert told - aliases == OPERATORS - aliases
    assert not told & REFUSED.keys()
