"""Frequency caps, what is spent and what is not, priority and holdout."""

from typing import Any

import pytest
from engine_helpers import PERSON, D, H, M, S, event, message, play, results, rule, rulebook
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import decide, decode_state, encode_state, new_state

EXPIRES = 30 * S


def _shown(delivery_id: str, at: int) -> Any:
    return event("Message Shown", at, properties={"delivery_id": delivery_id})


histories = st.lists(
    st.tuples(st.sampled_from(["go", "show", "Stop"]), st.sampled_from([1, S, 29 * S, 30 * S, 31 * S, M, H])),
    max_size=25,
)


@settings(max_examples=200, deadline=None)
@given(history=histories, cap=st.integers(1, 3), per=st.sampled_from(["20s", "1m", "2h", "session", "lifetime"]))
def test_caps_as_counted_by_hand(history: Any, cap: int, per: str) -> None:
    book = rulebook(rule(frequency={"max": cap, "per": per}, cancel_on="Stop"), messages=[message(expires="30s")])
    windows = {"20s": 20 * S, "1m": M, "2h": 2 * H}
    state, at = new_state(PERSON), H
    made: list[dict[str, Any]] = []
    session_start, last = 0, -D
    for name, step in history:
        at += step
        if at - last >= 30 * M:
            session_start = at
        last = at
        open_ = [one for one in made if one["shown"] is None and not one["stopped"] and one["expires"] > at]
        call = event(name, at)
        if name == "show":
            call = _shown(open_[0]["id"] if open_ else "none", at)
            if open_:
                open_[0]["shown"] = at
        outcome = decide(state, call, at, book)
        state = decode_state(encode_state(outcome.state))
        if name == "Stop":
            assert outcome.withdrawn == [one["id"] for one in open_]
            for one in open_:
                one["stopped"] = True
        if name == "go":
            since = {"session": session_start - 1, "lifetime": -1}.get(per, at - windows.get(per, 0))
            used = len(open_) + sum(one["shown"] is not None and one["shown"] > since for one in made)
            assert len(outcome.deliveries) == (used < cap), (used, cap)
            for delivery in outcome.deliveries:
                made.append({"id": delivery.delivery_id, "shown": None, "stopped": False, "expires": at + EXPIRES})


def test_absent_frequency_means_once_ever() -> None:
    book = rulebook(rule())
    outcomes = play(new_state(PERSON), book, event("go", H), event("go", H + 100 * D))
    assert [results(outcome) for outcome in outcomes] == [[("r", "matched")], [("r", "expired"), ("r", "capped")]]


def _shown_then(per: Any, shown_at: int, again_at: int, *between: Any) -> bool:
    book = rulebook(rule(frequency={"max": 1, "per": per}), messages=[message(expires="1s")])
    first = play(new_state(PERSON), book, event("go", shown_at))[0]
    told = _shown(first.deliveries[0].delivery_id, shown_at)
    return bool(play(first.state, book, told, *between, event("go", again_at))[-1].deliveries)


@pytest.mark.parametrize(("after", "delivered"), [(7 * D - 1, False), (7 * D, True)])
def test_a_window_of_a_cap_is_half_open(after: int, delivered: bool) -> None:
    assert _shown_then("7d", H, H + after) == delivered


@pytest.mark.parametrize(("after", "delivered"), [(30 * M - 1, False), (30 * M, True)])
def test_a_cap_per_session_ends_with_the_session(after: int, delivered: bool) -> None:
    assert _shown_then("session", H, H + after) == delivered


def test_a_cap_per_session_when_a_timer_fires_after_the_session() -> None:
    book = rulebook(
        rule(frequency={"max": 1, "per": "session"}, trigger={"after": "A", "without": "B", "within": "1h"})
    )
    outcomes = play(new_state(PERSON), book, event("A", H), 2 * H)
    told = _shown(outcomes[1].deliveries[0].delivery_id, 2 * H + 1)
    last = play(outcomes[1].state, book, told, event("A", 2 * H + S), 4 * H)[-1]
    assert len(last.deliveries) == 1


def test_a_withdrawn_delivery_that_was_on_its_way_to_the_screen_counts() -> None:
    book = rulebook(rule(cancel_on="Stop"))
    first = play(new_state(PERSON), book, event("go", H))[0]
    told = _shown(first.deliveries[0].delivery_id, H + S)
    outcomes = play(first.state, book, event("Stop", H + S), told, event("go", H + M))
    assert outcomes[0].withdrawn
    assert not outcomes[-1].deliveries


def test_always_makes_a_delivery_each_time_and_stays_bounded() -> None:
    book = rulebook(rule(frequency="always"))
    state = new_state(PERSON)
    for index in range(100):
        outcome = decide(state, event("go", H + index), H, book)
        assert len(outcome.deliveries) == 1
        state = outcome.state
    assert len(state.records["r"]) <= 20


def test_an_expired_unshown_delivery_is_not_spent() -> None:
    book = rulebook(rule(), messages=[message(expires="30s")])
    outcomes = play(new_state(PERSON), book, event("go", H), event("go", H + 29 * S), event("go", H + 30 * S))
    assert [len(outcome.deliveries) for outcome in outcomes] == [1, 0, 1]


def test_the_cap_is_asked_again_when_a_timer_fires() -> None:
    book = rulebook(rule(trigger=["go", "slow"], delay={"if": [{"==": [{"var": "event.name"}, "slow"]}, "20s", "0s"]}))
    outcomes = play(new_state(PERSON), book, event("slow", H), event("go", H + S), H + 20 * S)
    assert [results(outcome) for outcome in outcomes] == [[("r", "delayed")], [("r", "matched")], [("r", "capped")]]


def test_deliveries_come_by_priority_then_by_rule() -> None:
    rules = [rule(id="b", priority=5), rule(id="c", priority=50), rule(id="a", priority=5)]
    (outcome,) = play(new_state(PERSON), rulebook(*rules), event("go", H))
    assert [delivery.rule_id for delivery in outcome.deliveries] == ["c", "a", "b"]


@pytest.mark.parametrize("name", ["Message Clicked", "Message Dismissed", "Message Completed", "Tour Step Viewed"])
def test_any_interaction_says_that_a_delivery_was_shown(name: str) -> None:
    book = rulebook(rule(), messages=[message(expires="30s")])
    first = play(new_state(PERSON), book, event("go", H))[0]
    told = event(name, H + S, properties={"delivery_id": first.deliveries[0].delivery_id})
    assert not play(first.state, book, told, event("go", H + D))[-1].deliveries


def test_a_holdout_is_stable_and_near_its_share() -> None:
    book = rulebook(rule(holdout=0.25, frequency="always"))
    held = 0
    for index in range(2_000):
        person = f"u:{index}"
        outcomes = play(new_state(person), book, event("go", H, person=person), event("go", 2 * H, person=person))
        first, second = (results(outcome)[0][1] for outcome in outcomes)
        assert first == second
        held += first == "holdout"
    assert 400 < held < 600


def test_a_dismissal_keeps_the_rule_quiet() -> None:
    book = rulebook(rule(trigger="go", frequency={"max": 9, "per": "1d", "after_dismiss": "3d"}))
    state, made, delivered = new_state(PERSON), [], []
    for day in range(8):
        outcome = play(state, book, event("go", D + day * D, message_id=f"{day}"))[-1]
        made += [one.delivery_id for one in outcome.deliveries]
        delivered.append((day, [found.detail for found in outcome.considered]))
        state = outcome.state
        if day in (1, 5):
            about = {"delivery_id": made[-1]}
            state = play(state, book, event("Message Dismissed", D + day * D + 1, properties=about))[-1].state
        state = decode_state(encode_state(state))
    quiet = {2: 6, 3: 6, 4: 6, 6: 10, 7: 10}
    assert delivered == [
        (day, [f"dismissed, not again before 1970-01-{quiet[day]:02}T00:00:00.001Z"] if day in quiet else [""])
        for day in range(8)
    ]


def test_a_dismissal_of_another_rules_message_keeps_nobody_quiet() -> None:
    book = rulebook(
        rule(trigger="go", frequency={"max": 9, "per": "1d", "after_dismiss": "3d"}), rule(id="other", trigger="x")
    )
    outcomes = play(new_state(PERSON), book, event("x", D))
    about = {"delivery_id": outcomes[0].deliveries[0].delivery_id}
    last = play(outcomes[-1].state, book, event("Message Dismissed", D + 1, properties=about), event("go", D + 2))[-1]
    assert [one.rule_id for one in last.deliveries] == ["r"]
