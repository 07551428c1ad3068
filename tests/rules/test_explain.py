"""Explanations: one plain sentence in two languages, and what it was read from."""

import re
from typing import Any

import pytest
from engine_helpers import D, H, M, S, event, message, page, rule

from rules import Definitions, Event, Explanation, Rule, Segment, compile_rulebook, explain, new_state
from rules.explain import _WORDS, _Explainer
from rules.replay import Replay

T = 1_700_006_400_000  # 2023-11-15T00:00:00Z
PRICING = {"==": [{"var": "page.path"}, "/pricing"]}
TWICE = {">=": [{"count": ["page", {"within": "7d", "where": PRICING}]}, 2]}
FREE = {"in": [{"var": "user.traits.plan"}, ["free"]]}


def why(asked: Rule, *log: Event, **more: Any) -> Explanation:
    definitions = Definitions([asked], [message()], more.pop("segments", []))
    now = more.pop("now", log[-1].timestamp if log else T)
    return explain(asked, definitions, "ann", [(call, call.timestamp) for call in log], now, **more)


def test_the_first_clause_that_did_not_hold_is_named_with_what_it_read() -> None:
    found = why(rule(trigger="page", condition={"and": [PRICING, TWICE, FREE]}), page("/pricing", T))
    assert found.sentence == (
        "ann did not get `m` at 2023-11-15 00:00:00 UTC: 1 of 3 conditions held. The first that did not: "
        '{">=":[{"count":["page",{"within":"7d","where":{"==":[{"var":"page.path"},"/pricing"]}}]},2]} '
        '(count page where {"==":[{"var":"page.path"},"/pricing"]} within 7d = 1)'
    )
    assert [clause.value for clause in found.clauses] == ["true", "false", "false"]
    assert found.clauses[2].reads == ["user.traits.plan = null"]
    assert (found.outcome, found.event, found.at) == ("not_matched", "page", "2023-11-15T00:00:00.000Z")


def test_an_event_that_the_index_spared_is_explained_too() -> None:
    found = why(rule(trigger="page", condition=PRICING), page("/pricing", T), page("/docs", T + 1))
    assert found.clauses[0].reads == ['page.path = "/docs"']
    assert [moment.outcome for moment in found.moments] == ["matched", "not_matched"]


def test_what_became_of_a_delivery_is_said() -> None:
    asked = rule(trigger="go", cancel_on=["stop"])
    made = why(asked, event("go", T))
    assert made.sentence == "ann got `m` at 2023-11-15 00:00:00 UTC: its conditions held. It has not been shown yet."
    assert made.delivery is not None
    shown = event("Message Shown", T + S, properties={"delivery_id": made.delivery.delivery_id})
    assert "It was shown at 2023-11-15 00:00:01 UTC." in why(asked, event("go", T), shown).sentence
    delivery = {"delivery_id": made.delivery.delivery_id}
    put_off = event("Message Snoozed", T + 2 * S, properties=delivery)
    later = rule(trigger="go", cancel_on=["stop"], snooze="1d")
    waiting = why(later, event("go", T), shown, put_off)
    assert "They put it off at 2023-11-15 00:00:02 UTC: it comes again" in waiting.sentence
    assert waiting.delivery is not None
    assert waiting.delivery.snoozed_at == "2023-11-15T00:00:02.000Z"
    again = event("Message Shown", T + 3 * S, properties=delivery)
    assert "put it off" not in why(later, event("go", T), shown, put_off, again).sentence
    assert "put it off" not in why(later, event("go", T), shown, put_off, event("stop", T + 3 * S)).sentence
    taken_back = why(asked, event("go", T), event("stop", T + S))
    assert taken_back.sentence == "`m` was taken back at 2023-11-15 00:00:01 UTC before ann saw it: stop happened."
    assert "It was taken back before it was shown." in why(asked, event("go", T), event("stop", T + S), at=T).sentence
    never_made = why(asked, event("go", T), was_made=lambda found: False)
    assert never_made.delivery is not None
    assert never_made.delivery.state == "shown"


def test_the_limit_and_what_counts_against_it() -> None:
    asked = rule(trigger="go", frequency={"max": 1, "per": "7d"})
    found = why(asked, event("go", T), event("go", T + D, message_id="2"), was_made=lambda found: False)
    assert (
        found.sentence
        == "ann did not get `m` at 2023-11-16 00:00:00 UTC: the conditions held, but 1 of 1 per 7d were used."
    )
    assert found.limits is not None
    assert (found.limits.used, found.limits.max, found.limits.per) == (1, 1, "7d")
    assert found.limits.counted == ["2023-11-15T00:00:00.000Z"]


def test_a_dismissal_that_keeps_the_rule_quiet() -> None:
    asked = rule(trigger="go", frequency={"max": 5, "per": "1d", "after_dismiss": "7d"})
    made = why(asked, event("go", T)).delivery
    assert made is not None
    dismissed = event("Message Dismissed", T + S, properties={"delivery_id": made.delivery_id})
    found = why(asked, event("go", T), dismissed, event("go", T + 2 * S, message_id="2"))
    assert found.sentence.endswith(
        "the conditions held, but ann dismissed it: dismissed, not again before 2023-11-22T00:00:01.000Z."
    )


def test_a_schedule_that_does_not_allow_the_time() -> None:
    found = why(rule(trigger="go", schedule={"hours": ["09:00", "18:00"]}), event("go", T))
    assert found.sentence == (
        "ann did not get `m` at 2023-11-15 00:00:00 UTC: the conditions held, but the rule's schedule does not allow that time."
    )


def test_a_timer_and_what_ends_it() -> None:
    asked = rule(trigger="go", delay="20s", cancel_on=["stop", "leave"])
    running = why(asked, event("go", T))
    assert running.sentence == (
        "ann gets `m` at 2023-11-15 00:00:20 UTC, unless `stop` or `leave` comes before: the conditions held at 2023-11-15 00:00:00 UTC."
    )
    assert running.waits_until == "2023-11-15T00:00:20.000Z"
    over = why(asked, event("go", T), now=T + M)
    assert over.sentence == "ann got `m` at 2023-11-15 00:00:20 UTC: its time was over. It has not been shown yet."
    assert over.event is None
    ended = why(asked, event("go", T), event("stop", T + S))
    assert ended.sentence == "ann did not get `m`: stop happened at 2023-11-15 00:00:01 UTC, which ended its time."
    again = why(asked, event("go", T), event("go", T + S, message_id="2"))
    assert (
        again.sentence
        == "Nothing new at 2023-11-15 00:00:01 UTC: the conditions held, and its delay was running already."
    )


def test_what_was_put_off_and_taken_back() -> None:
    asked = rule(trigger="go", snooze="1d", cancel_on="stop")
    made = why(asked, event("go", T)).delivery
    assert made is not None
    snoozed = event("Message Snoozed", T + S, properties={"delivery_id": made.delivery_id})
    found = why(asked, event("go", T), snoozed, event("stop", T + M))
    assert found.sentence == (
        "`m`, which ann had put off, was taken back at 2023-11-15 00:01:00 UTC, and does not come again: stop happened."
    )


def test_an_absence_is_asked_when_its_time_is_over() -> None:
    asked = rule(trigger={"after": "A", "without": "B", "within": "1h"}, condition=FREE)
    waiting = why(asked, event("A", T))
    assert waiting.sentence.startswith("ann gets `m` at 2023-11-15 01:00:00 UTC if `B` has not come by then")
    over = why(asked, event("A", T), now=T + H)
    assert over.sentence.startswith("ann did not get `m` at 2023-11-15 01:00:00 UTC: 0 of 1 conditions held.")
    late = why(asked, event("B", T + 1), event("A", T))
    assert late.sentence == "ann did not get `m` at 2023-11-15 00:00:00 UTC: what it waits for had happened."


def test_the_arm_of_an_experiment() -> None:
    found = why(rule(trigger="go", holdout=1.0), event("go", T))
    assert found.sentence.endswith("the conditions held, but ann is among the 100 % who are left out.")
    assert found.arm is not None
    assert found.arm.left_out


def test_a_condition_that_cannot_be_evaluated_says_why() -> None:
    found = why(
        rule(trigger="go", condition={">": [{"var": "event.properties.n"}, 1]}), event("go", T, properties={"n": "x"})
    )
    assert "it could not be evaluated" in found.sentence
    assert found.clauses[0].value.startswith("error: ")


def test_a_segment_shows_what_its_condition_read() -> None:
    asked = rule(trigger="go", condition={"segment": "free"})
    found = why(asked, event("go", T), segments=[Segment(id="free", condition=FREE)])
    assert (found.clauses[0].text, found.clauses[0].reads) == ('{"segment":"free"}', ["user.traits.plan = null"])


def test_a_rule_that_was_never_woken() -> None:
    asked = rule(trigger=["Trial Started", "page"])
    assert why(asked).sentence == "ann has sent no event that is still in the log."
    assert why(asked, event("x", T)).sentence == (
        "`r` was never woken for ann: none of their 1 events in the log is `Trial Started` or `page`."
    )
    assert why(asked, page("/", T), at=T - 1).outcome is None


def test_a_given_moment_is_explained_instead_of_the_last() -> None:
    asked = rule(trigger="page", condition=TWICE, frequency="always")
    log = [page("/pricing", T + hour * H, message_id=f"{hour}") for hour in range(3)]
    assert [why(asked, *log, at=T + hour * H).outcome for hour in range(3)] == ["not_matched", "matched", "matched"]


def test_the_newest_moments_are_listed() -> None:
    log = [event("go", T + number, message_id=f"{number}") for number in range(30)]
    found = why(rule(trigger="go"), *log)
    assert len(found.moments) == 20
    assert found.moments[-1].at == found.at


@pytest.mark.parametrize(
    ("asked", "log", "said"),
    [
        ({"trigger": "go"}, [event("go", T)], "ann さんには 2023-11-15 00:00:00 UTC に「m」が届きました(条件が成り立ちました)。まだ表示されていません。"),
        ({"trigger": "go", "condition": False}, [event("go", T)], "2023-11-15 00:00:00 UTC に「m」は ann さんに届きませんでした。1 件の条件のうち成り立ったのは 0 件です。最初に成り立たなかった条件: false"),
        ({"trigger": "go", "delay": "20s", "cancel_on": ["stop"]}, [event("go", T)], "2023-11-15 00:00:00 UTC に条件が成り立ちました。その前に `stop` がなければ、ann さんには 2023-11-15 00:00:20 UTC に「m」が届きます。"),
        ({"trigger": "go"}, [], "ann さんのイベントはログに残っていません。"),
    ],
)  # fmt: skip
def test_it_is_said_in_japanese_too(asked: Any, log: list[Event], said: str) -> None:
    assert why(rule(**asked), *log, language="ja").sentence == said


def test_both_languages_say_the_same_things() -> None:
    """Of the same facts, each in its words."""
    english, japanese = ({name: set(re.findall(r"{(\w+)}", text)) for name, text in _WORDS[lang].items()} for lang in ("en", "ja"))  # fmt: skip
    assert english == japanese


def test_people_who_are_each_the_other_are_explained_all_the_same() -> None:
    """Ends: two states whose mending lies outside the log that is replayed."""
    replay = Replay(compile_rulebook(Definitions([rule()], [message()])), lambda _: True)
    for one, other in (("u:a", "u:b"), ("u:b", "u:a")):
        replay.states[one] = new_state(one)
        replay.states[one].merged_into = other
    assert _Explainer(rule(), "a", "en", replay).whoever("u:a") in replay.states
    replay.states["u:b"].merged_into = None
    assert _Explainer(rule(), "a", "en", replay).whoever("u:a") == "u:b"
