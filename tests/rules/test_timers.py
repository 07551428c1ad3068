"""Delay, cancel_on, absence: against an oracle over random histories, and edge by edge."""

from typing import Any

import pytest
from engine_helpers import PERSON, D, H, S, event, message, page, play, results, rule, rulebook
from engine_oracle import Seen, absences
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import Rulebook, decide, decode_state, encode_state, new_state

TRIAL = {"after": "A", "without": "B", "within": "10s"}
NAMES = ["A", "B", "x"]
in_order = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from([0, 1, S, 5 * S, 9_999, 10 * S, 11 * S])), max_size=20
)


def _absent() -> Rulebook:
    return rulebook(rule(trigger=TRIAL, frequency="always"))


def _fired(book: Rulebook, history: list[Seen]) -> list[int]:
    state, fired = new_state(PERSON), []
    for index, seen in enumerate(history):
        outcome = decide(state, event(seen.name, seen.at, message_id=str(index)), seen.at, book)
        fired += [delivery.decided_at for delivery in outcome.deliveries]
        state = decode_state(encode_state(outcome.state))
    last = decide(state, None, 10**14, book)
    assert last.next_timer is None
    return fired + [delivery.decided_at for delivery in last.deliveries]


@settings(max_examples=200, deadline=None)
@given(steps=in_order)
def test_absences_in_order(steps: Any) -> None:
    history, at = [], H
    for name, step in steps:
        at += step
        history.append(Seen(name, at))
    assert _fired(_absent(), history) == absences(history, "A", "B", 10 * S)


@settings(max_examples=200, deadline=None)
@given(moments=st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 9_999)), max_size=8))
def test_absences_whatever_the_order_of_arrival(moments: Any) -> None:
    history = [Seen(name, H + at) for name, at in moments]
    assert _fired(_absent(), history) == absences(history, "A", "B", 10 * S)


def test_without_at_the_very_end_still_counts() -> None:
    outcomes = play(new_state(PERSON), _absent(), event("A", H), event("B", H + 10 * S), H + D)
    assert [len(outcome.deliveries) for outcome in outcomes] == [0, 0, 0]
    assert results(outcomes[0]) == [("r", "waiting")]
    assert results(outcomes[1]) == [("r", "cancelled")]


@pytest.mark.parametrize(("at", "waits"), [(H, True), (H + 1, False), (H + 10 * S, False), (H + 10 * S + 1, True)])
def test_without_may_arrive_before_a_late_after(at: int, waits: bool) -> None:
    outcomes = play(new_state(PERSON), _absent(), event("B", at), event("A", H))
    assert (outcomes[1].next_timer is not None) == waits


def test_a_late_after_from_a_silence_that_was_over_starts_no_other() -> None:
    outcomes = play(new_state(PERSON), _absent(), event("A", H), event("x", H + H), event("A", H + S), H + D)
    assert [len(outcome.deliveries) for outcome in outcomes] == [0, 1, 0, 0]


def test_a_late_after_beyond_memory_starts_nothing_on_a_guess() -> None:
    many = [event("B", H + step * 20 * S) for step in range(100)]
    assert play(new_state(PERSON), _absent(), *many, event("A", H + S))[-1].next_timer is None


def test_silence_after_the_same_event_is_inactivity() -> None:
    book = rulebook(rule(trigger={"after": "page", "without": "page", "within": "7d"}))
    outcomes = play(new_state(PERSON), book, page("/", H), page("/", 3 * D), 10 * D - 1, 10 * D)
    assert [len(outcome.deliveries) for outcome in outcomes] == [0, 0, 0, 1]


def test_the_condition_of_an_absence_is_asked_when_it_fires() -> None:
    book = rulebook(rule(trigger=TRIAL, condition={"==": [{"var": "user.traits.plan"}, "pro"]}))
    outcomes = play(
        new_state(PERSON), book, event("A", H), event("identify", H + S, traits={"plan": "pro"}), H + 10 * S
    )
    assert [len(outcome.deliveries) for outcome in outcomes] == [0, 0, 1]


def test_an_absence_keeps_what_its_condition_and_message_read_of_the_event() -> None:
    liquid = message(content={"en": {"text": "{{ event.properties.n }} {{ page.path }}"}})
    book = rulebook(rule(trigger=TRIAL, condition={"==": [{"var": "event.properties.n"}, 5]}), messages=[liquid])
    first = event("A", H, properties={"n": 5}, context={"page": {"path": "/p"}})
    (delivery,) = play(new_state(PERSON), book, first, H + D)[-1].deliveries
    assert delivery.data["event"]["properties"] == {"n": 5}
    assert delivery.data["page"] == {"path": "/p"}


DELAYED: dict[str, Any] = {"delay": "20s", "cancel_on": ["Chosen"]}


def test_a_delay_fires_once_at_its_time_with_the_id_of_its_cause() -> None:
    book = rulebook(rule(**DELAYED))
    outcomes = play(new_state(PERSON), book, event("go", H), event("go", H + S), H + 20 * S - 1, H + 20 * S, H + D)
    assert [len(outcome.deliveries) for outcome in outcomes] == [0, 0, 0, 1, 0]
    assert outcomes[0].next_timer == H + 20 * S
    direct = play(new_state(PERSON), rulebook(rule()), event("go", H))[0].deliveries[0]
    assert outcomes[3].deliveries[0].delivery_id == direct.delivery_id
    assert outcomes[3].next_timer == H + 20 * S + 30 * D  # then it is too late to show it


def test_a_timer_fires_before_a_later_event_at_its_own_time() -> None:
    outcomes = play(new_state(PERSON), rulebook(rule(**DELAYED)), event("go", H), event("x", H + H))
    assert [delivery.decided_at for delivery in outcomes[1].deliveries] == [H + 20 * S]


@pytest.mark.parametrize(("after", "delivered"), [(0, 0), (S, 0), (20 * S, 0), (20 * S + 1, 1)])
def test_cancel_on_until_the_timer_is_due(after: int, delivered: int) -> None:
    book = rulebook(rule(**DELAYED))
    outcomes = play(new_state(PERSON), book, event("go", H), event("Chosen", H + after), H + D)
    assert sum(len(outcome.deliveries) for outcome in outcomes) == delivered


def test_a_late_cancel_from_before_the_trigger_cancels_nothing() -> None:
    book = rulebook(rule(**DELAYED))
    outcomes = play(new_state(PERSON), book, event("go", H), event("Chosen", H - S), H + D)
    assert len(outcomes[-1].deliveries) == 1


def test_cancel_on_withdraws_what_was_not_shown() -> None:
    book = rulebook(rule(cancel_on="Chosen", frequency="always"))
    first, second = (play(new_state(PERSON), book, event("go", H))[0] for _ in range(2))
    identifier = first.deliveries[0].delivery_id
    withdrawn = play(first.state, book, event("Chosen", H + S))[0]
    assert withdrawn.withdrawn == [identifier]
    assert results(withdrawn) == [("r", "withdrawn")]
    shown = event("Message Shown", H + 1, properties={"delivery_id": identifier})
    assert play(second.state, book, shown, event("Chosen", H + S))[-1].withdrawn == []


def test_cancel_on_withdraws_what_was_put_off() -> None:
    book = rulebook(rule(cancel_on="Chosen", frequency="always"))
    outcome = play(new_state(PERSON), book, event("go", H))[0]
    about = {"delivery_id": outcome.deliveries[0].delivery_id}
    shown, snoozed = (event(f"Message {name}", H + at, properties=about) for name, at in (("Shown", 1), ("Snoozed", 2)))
    # Another of the same rule does not make it forgotten.
    outcomes = play(outcome.state, book, shown, snoozed, event("go", H + S, message_id="2"), event("Chosen", H + D))
    chosen, other = outcomes[-1], outcomes[-2].deliveries[0].delivery_id
    assert chosen.withdrawn == [about["delivery_id"], other]
    assert results(chosen) == [("r", "withdrawn"), ("r", "withdrawn")]
    assert chosen.tally == {"r:waiting": -1, "r:cancelled": 1}  # of the other: the first was shown, and stays so
    state = decode_state(encode_state(chosen.state))
    assert play(state, book, event("Chosen", H + 2 * D))[-1].withdrawn == []  # once


def test_what_came_again_after_it_was_put_off_is_not_withdrawn() -> None:
    book = rulebook(rule(cancel_on="Chosen"))
    outcome = play(new_state(PERSON), book, event("go", H))[0]
    about = {"delivery_id": outcome.deliveries[0].delivery_id}
    calls = [
        event(f"Message {name}", H + at * S, properties=about) for at, name in enumerate(("Shown", "Snoozed", "Shown"))
    ]
    assert play(outcome.state, book, *calls, event("Chosen", H + D))[-1].withdrawn == []


def test_a_trigger_that_also_cancels_starts_again() -> None:
    book = rulebook(rule(trigger="page", delay="20s", cancel_on="page"))
    outcomes = play(new_state(PERSON), book, page("/a", H), page("/b", H + 10 * S), H + 20 * S, H + 30 * S)
    assert [len(outcome.deliveries) for outcome in outcomes] == [0, 0, 0, 1]


def test_a_delay_may_be_an_expression() -> None:
    delay = {"if": [{"did": ["Purchased"]}, "0s", {"cat": [10, "s"]}]}
    book = rulebook(rule(delay=delay))
    assert play(new_state(PERSON), book, event("Purchased", H), event("go", H + 1))[-1].deliveries
    assert play(new_state(PERSON), book, event("go", H))[-1].next_timer == H + 10 * S


def test_a_delay_that_is_no_duration_is_an_error_of_its_rule_only() -> None:
    bad = rule(id="bad", delay={"var": "event.properties.wait"}, priority=9)
    outcome = play(new_state(PERSON), rulebook(bad, rule()), event("go", H))[0]
    assert results(outcome) == [("bad", "error"), ("r", "matched")]
    assert "Expected a duration" in outcome.considered[0].detail


def test_a_timer_of_a_rule_that_is_gone_is_let_go() -> None:
    state = play(new_state(PERSON), rulebook(rule(**DELAYED)), event("go", H))[0].state
    outcome = play(state, rulebook(rule(id="other")), H + D)[0]
    assert results(outcome) == [("r", "cancelled")]
    assert outcome.next_timer is None
