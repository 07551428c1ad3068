"""Short ways to make documents, events and rulebooks for the tests of the engine."""

import json
from typing import Any

from rules import Definitions, Event, Message, Outcome, Problem, Rule, Rulebook, State, compile_rulebook, decide, parse

PERSON = "u:ann"
S, M, H, D = 1_000, 60_000, 3_600_000, 86_400_000


def rule(**fields: Any) -> Rule:
    document, problems = parse("rule", json.dumps({"id": "r", "trigger": "go", "message": "m"} | fields).encode(), "")
    assert isinstance(document, Rule), problems
    return document


def message(**fields: Any) -> Message:
    text = json.dumps({"id": "m", "kind": "banner", "content": {"en": {"text": "hello"}}} | fields).encode()
    document, problems = parse("message", text, "")
    assert isinstance(document, Message), problems
    return document


def rulebook(*rules: Rule, messages: list[Message] | None = None) -> Rulebook:
    return compile_rulebook(Definitions(list(rules), messages or [message()]))


def problems_of(kind: Any, value: Any, file: str = "") -> list[Problem]:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return parse(kind, text, file)[1]


def event(name: str, at: int, **fields: Any) -> Event:
    kind = name if name in ("page", "identify", "group") else "track"
    given = {"type": kind, "name": name, "message_id": f"{name}@{at}", "timestamp": at, "person": PERSON}
    return Event(**(given | fields))


def page(path: str, at: int, **fields: Any) -> Event:
    return event("page", at, context={"page": {"path": path}}, **fields)


def play(state: State, book: Rulebook, *events: Event | int) -> list[Outcome]:
    """Decides one after the other; a number is a tick at that time."""
    outcomes = []
    for item in events:
        given = (None, item) if isinstance(item, int) else (item, item.timestamp)
        outcomes.append(decide(state, given[0], given[1], book))
        state = outcomes[-1].state
    return outcomes


def results(outcome: Outcome) -> list[tuple[str, str]]:
    return [(found.rule_id, found.outcome) for found in outcome.considered]
