"""Checklists: items tick themselves off, once, by conditions on the person's history; the history before counts."""

from typing import Any

from engine_helpers import event, message, rule, rulebook

from rules import decide
from rules.state import State, decode_state, encode_state, new_state

ITEMS = [{"id": "create", "label": "Create a project"}, {"id": "invite", "label": "Invite three people"}]


def book(**fields: Any) -> Any:
    made = message(
        kind="checklist",
        content={"en": {"title": "Get started", "items": ITEMS}, "ja": {"title": "はじめに", "items": ITEMS[::-1]}},
        **fields,
    )
    return rulebook(rule(trigger="Signed Up", message="m"), messages=[made])


DONE = {"create": {"did": ["Project Created"]}, "invite": {">=": [{"count": ["Invite Sent"]}, 3]}}


def live(rules: Any, *names: str, state: State | None = None, **properties: Any) -> tuple[State, list[list[str]]]:
    """The state after these events, a second apart, and what was ticked off at each."""
    state = state or new_state("ann")
    ticked = []
    for name in names:
        at = state.clock + 1_000
        outcome = decide(state, event(name, at, properties=properties), at, rules)
        state = decode_state(encode_state(outcome.state))
        ticked.append([item for _, items in outcome.ticked for item in items])
    return state, ticked


def test_items_tick_themselves_off_once() -> None:
    rules = book(done=DONE)
    _, ticked = live(
        rules, "Signed Up", "Project Created", "Project Created", "Invite Sent", "Invite Sent", "Invite Sent", "Other"
    )
    assert ticked == [[], ["create"], [], [], [], ["create", "invite"], []]


def test_what_was_done_before_is_ticked_off_at_once() -> None:
    _, ticked = live(book(done=DONE), "Project Created", "Signed Up")
    assert ticked == [[], ["create"]]


def test_an_item_without_a_condition_is_ticked_off_by_the_person() -> None:
    rules = book()
    state, ticked = live(rules, "Signed Up", "Project Created")
    assert ticked == [[], []]
    state, ticked = live(rules, "Checklist Item Completed", state=state, message_id="another", item="invite")
    assert ticked == [[]]
    _, ticked = live(rules, "Checklist Item Completed", state=state, message_id="m", item="invite")
    assert ticked == [["invite"]]


def test_a_checklist_that_was_closed_is_not_looked_at() -> None:
    rules = book(done=DONE)
    state = new_state("ann")
    outcome = decide(state, event("Signed Up", 1_000), 1_000, rules)
    (delivery,) = outcome.deliveries
    closed = event("Message Dismissed", 2_000, properties={"delivery_id": delivery.delivery_id})
    state = decide(outcome.state, closed, 2_000, rules).state
    _, ticked = live(rules, "Project Created", state=state)
    assert ticked == [[]]
