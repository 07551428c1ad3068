"""The `privacy` of a project's document: what `engage rules check` says of it."""

import json

import pytest

from rules import cross_doubts, parse
from rules.documents import Definitions


def problems(**privacy):
    document, found = parse("project", json.dumps({"id": "shop", "privacy": privacy}).encode(), "project/shop.json")
    return document, [(one.severity, one.path, one.message) for one in found]


def test_fields_of_an_event_may_be_denied_and_hashed():
    document, found = problems(
        deny=["properties.card.number", "context.userAgent"], hash=["traits.email"], consent="Advertising"
    )
    assert found == []
    assert document.privacy.deny == ["properties.card.number", "context.userAgent"]


@pytest.mark.parametrize(
    ("privacy", "path", "said"),
    [
        ({"deny": ["propertis.card"]}, "$.privacy.deny[0]", "got `propertis.card`; did you mean `properties`?"),
        ({"deny": ["email"]}, "$.privacy.deny[0]", "got `email`, such as `traits.email`"),
        ({"hash": ["traits"]}, "$.privacy.hash[0]", "Expected a field inside `traits`, such as `traits.email`"),
        ({"hash": ["traits..email"]}, "$.privacy.hash[0]", "Expected a field inside `traits`"),
        ({"deny": [""]}, "$.privacy.deny[0]", "Expected a field of `properties`, `traits` or `context`"),
        ({"deny": ["traits." + "x" * 300]}, "$.privacy.deny[0]", "Expected at most 200 characters, got 307"),
        ({"deny": [f"traits.{n}" for n in range(101)]}, "$.privacy.deny", "Expected at most 100 fields, got 101"),
        ({"consent": " "}, "$.privacy.consent", "got an empty text"),
        ({"denied": []}, "$.privacy.denied", "Unknown field `denied`; did you mean `deny`?"),
        ({"deny": "traits.email"}, "$.privacy.deny", "Expected an array, got the text `traits.email`"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(privacy, path, said):
    document, [(severity, where, message)] = problems(**privacy)
    assert (document, severity, where) == (None, "error", path)
    assert said in message


def test_what_has_no_effect_is_warned_of():
    document, found = problems(deny=["traits.email", "traits.email"], hash=["traits.email"])
    assert document is not None
    assert [one[:2] for one in found] == [("warning", "$.privacy.deny[1]"), ("warning", "$.privacy.hash[0]")]


@pytest.mark.parametrize(
    ("variable", "denied"),
    [
        ("event.properties.card.number", "properties.card"),
        ("user.traits.email", "traits.email"),
        ("group.traits.email", "traits.email"),
        ("page.search", "context.page.search"),
        ("device.user_agent", "context.userAgent"),
    ],
)
def test_a_rule_that_reads_a_denied_field_is_named(variable, denied):
    rule = {
        "id": "r",
        "trigger": "page",
        "message": "m",
        "condition": {"and": [True, {"==": [{"var": variable}, "x"]}]},
    }
    project, _ = parse("project", json.dumps({"id": "p", "privacy": {"deny": [denied]}}).encode(), "project/p.json")
    text = json.dumps(rule).encode()
    parsed, _ = parse("rule", text, "rules/r.json")
    other, _ = parse("rule", json.dumps({**rule, "id": "s", "condition": True}).encode(), "rules/s.json")
    files = {("rule", "r"): ("rules/r.json", text)}
    [found] = cross_doubts(Definitions(rules=[parsed, other], project=[project]), files)
    assert (found.severity, found.file) == ("warning", "rules/r.json")
    assert found.path.startswith("$.condition.and[1]")
    assert f"`{variable}` is never there: the project denies `{denied}`" in found.message
