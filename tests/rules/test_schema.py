"""The JSON Schemas: what `rules check` accepts they accept, and what it refuses for its shape they refuse."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from schema_validator import accepts
from test_problems import MESSAGE, MESSAGES, RULE, RULES

from rules import KINDS, document_schema, parse
from rules.dialect import OPERATORS
from rules.temporal import OPTIONS, SEGMENT

ROOT = Path(__file__).parents[2]
SCHEMAS = {kind: document_schema(kind) for kind in KINDS}
FOLDERS = {"rules": "rule", "messages": "message", "segments": "segment"}

# What is no matter of form: no schema can say it, or none that an editor's author would thank us for.
BEYOND = (
    r"Unknown variable",
    r"has no fields",
    r"takes at least|is never evaluated",
    r"A `where` (reads only|cannot ask)",
    r"cannot stand inside an iteration",
    r"compared with a constant|at most 1,000 are kept",
    r"at most five years, got '",
    r"A rule on absence cannot be delayed",
    r"Expected (a day from|two different times)",
    r"IANA time zone",
    r"Expected a condition",
    r"needs `actions`|got both|would be empty|needs `alt`|has no (options|scale)|2 to 20 options|got one twice",
    r"is there twice|an earlier question|did you mean `(score|Price)`|got none of them|a number from 0 to 10",
    r"the `id` of a step|did you mean `last`|the end of the tour|needs a `target`|regular expression|at most a minute",
    r"who types gets no answer|not open needs its launcher|of at most 8 turns",
    r"at most 30 days|got several|the same items|did you mean `create`|has no items",
    r"got `(javascript|data|vbscript|http):`",
)


def _documents() -> Iterator[tuple[str, str, Any]]:
    """(where, kind, document) of every example and of every document in the docs."""
    for file in sorted((ROOT / "examples").glob("*/*.json")):
        if file.parent.name in FOLDERS:
            yield file.name, FOLDERS[file.parent.name], json.loads(file.read_text())
    for file in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for number, text in enumerate(re.findall(r"```json\n(.*?)```", file.read_text(), re.DOTALL)):
            value = json.loads(text)
            if "id" in value:
                fields = {"kind": "message", "trigger": "rule"}
                fields |= dict.fromkeys(("interruptions", "privacy", "theme"), "project")
                kind = next((kind for field, kind in fields.items() if field in value), "segment")
                yield f"{file.name}-{number}", kind, value


DOCUMENTS = list(_documents())


def _refused() -> Iterator[Any]:
    """Every fault that the tests of `check` know and that is one of form."""
    for kind, base, faults in (("rule", RULE, RULES), ("message", MESSAGE, MESSAGES)):
        for fields, path, said in faults:
            if not any(re.search(beyond, said) for beyond in BEYOND):
                yield pytest.param(kind, base | fields, id=f"{kind} {path} {said[:30]}")


def test_the_documents_are_found() -> None:
    assert len(DOCUMENTS) >= 10
    assert {kind for _, kind, _ in DOCUMENTS} == {"rule", "message", "segment", "project"}


@pytest.mark.parametrize(("kind", "document"), [(kind, document) for _, kind, document in DOCUMENTS])
def test_a_document_that_check_accepts_is_valid(kind: Any, document: Any) -> None:
    assert parse(kind, json.dumps(document).encode(), "")[0] is not None
    assert accepts(SCHEMAS[kind], document)
    assert accepts(SCHEMAS[kind], document | {"$schema": f"http://127.0.0.1:8700/api/schemas/{kind}.json"})


@pytest.mark.parametrize(
    "fields",
    [
        {"trigger": ["a", "b"]},
        {"trigger": {"after": ["A", "B"], "without": "C", "within": 5_000}},
        {"delay": 0},
        {"delay": "0s"},
        {"delay": {"if": [True, "1s", "2s"]}},
        {"delay": None, "name": None, "goal": None},
        {"cancel_on": []},
        {"frequency": "always"},
        {"frequency": {"max": 3, "per": "session"}},
        {"frequency": {"max": 3, "per": 60_000}},
        {"condition": None},
        {"condition": {}},
        {"condition": {"in": [{"var": "user.id"}, [1, [2.5, "x", False]]]}},
        {"condition": {"did": "A"}},
        {"condition": {"did": [["A", "B"]]}},
        {"condition": {">": [{"count": ["A", {"within": "1d", "where": {"==": [{"var": "page.path"}, "/"]}}]}, 1]}},
        {"condition": {"==": [{"distinct": ["A", {"of": "event.properties.n", "within": "1d"}]}, 1]}},
        {"condition": {">": [{"days_active": []}, 3]}},
        {"condition": {">": [{"days_active": [{"timezone": "Asia/Tokyo"}]}, 3]}},
        {"condition": {">": [{"days_active": {"within": "30d"}}, 3]}},
        {"condition": {">": [{"days_active": [["A", "B"], {"within": "30d"}]}, 3]}},
        {
            "condition": {
                "sequence": [["A", ["B", "C"], {"event": "D", "where": {"var": "page.path"}}], {"within": "1h"}]
            }
        },
        {"condition": {"seen": "m"}},
        {"condition": {"seen": [["m", "n"], {"what": "completed", "within": "30d"}]}},
        {"condition": {"and": [{"segment": "vip"}, {"segment": ["vip"]}]}},
        {"condition": {"some": [{"var": "user.traits.tags"}, {"in": [{"var": ""}, ["a"]]}]}},
    ],
    ids=repr,
)
def test_every_form_of_a_field_is_valid(fields: dict[str, Any]) -> None:
    document = RULE | fields
    problems = parse("rule", json.dumps(document).encode(), "")[1]
    assert [problem for problem in problems if problem.severity == "error"] == []
    assert accepts(SCHEMAS["rule"], document)


@pytest.mark.parametrize(("kind", "document"), list(_refused()))
def test_what_check_refuses_for_its_form_is_invalid(kind: str, document: Any) -> None:
    assert not accepts(SCHEMAS[kind], document)


def test_a_segment_is_a_condition_with_an_id() -> None:
    schema = SCHEMAS["segment"]
    assert accepts(schema, {"id": "vip", "condition": {"did": ["Plan Purchased"]}})
    assert not accepts(schema, {"id": "vip"})
    assert not accepts(schema, {"id": "vip", "condition": {"dit": ["Plan Purchased"]}})


def test_every_field_is_described_and_every_operator_completed() -> None:
    for kind, schema in SCHEMAS.items():
        for name, field in schema["properties"].items():
            assert field["description"].endswith("."), (kind, name)
    operators = SCHEMAS["rule"]["$defs"]["Logic"]["anyOf"][2]["properties"]
    assert set(operators) == OPERATORS | set(OPTIONS) | {SEGMENT}
    assert "user.traits" in operators["var"]["examples"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_example_is_valid_itself(kind: str) -> None:
    root = SCHEMAS[kind]
    for schema in (root, *root["$defs"].values()):
        for field in schema.get("properties", {}).values():
            for example in field.get("examples", ()):
                assert accepts({**field, "$defs": root["$defs"]}, example), example
