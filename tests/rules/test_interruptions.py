"""Who may interrupt: the project's limits, and rules that give way."""

import random
from itertools import pairwise

import pytest

from rules import Definitions, compile_rulebook, cross_check, new_state
from rules.documents import Interruptions, Project
from tests.rules.engine_helpers import PERSON, D, H, M, event, message, play, problems_of, results, rule

MESSAGES = [message(id="m", kind="chat"), message(id="tour", kind="modal"), message(id="banner", kind="banner")]


def book(*rules, **interruptions):
    project = Project(id="p", interruptions=Interruptions(**interruptions))
    return compile_rulebook(Definitions(list(rules), MESSAGES, project=[project]))


def told(outcomes):
    return [results(outcome) for outcome in outcomes]


def chat(name, **fields):
    return rule(**({"id": name, "trigger": "go", "message": "m", "frequency": "always"} | fields))


def test_without_limits_all_are_delivered_the_higher_priority_first():
    outcome = play(new_state(PERSON), book(chat("b"), chat("a"), chat("top", priority=9)), event("go", H))[0]
    assert [found.rule_id for found in outcome.deliveries] == ["top", "a", "b"]


def test_a_rule_that_lapses_loses_to_the_higher_one():
    live = book(chat("low", if_busy="lapse"), chat("high", priority=5), chat("quiet", message="banner"))
    outcome = play(new_state(PERSON), live, event("go", H))[0]
    assert results(outcome) == [("high", "matched"), ("low", "lost"), ("quiet", "matched")]
    assert outcome.considered[1].detail == "to high"


def test_it_comes_again_when_the_other_was_closed():
    live = book(chat("low", if_busy="lapse"), chat("high", priority=5, trigger="first"))
    first = play(new_state(PERSON), live, event("first", H))[0]
    about = {"delivery_id": first.deliveries[0].delivery_id}
    shown = event("Message Shown", H + 1, properties=about)
    closed = event("Message Dismissed", H + 3, properties=about)
    outcomes = play(first.state, live, shown, event("go", H + 2), closed, event("go", H + 4))
    assert told(outcomes) == [[], [("low", "lost")], [], [("low", "matched")]]


def test_a_rule_that_waits_is_delivered_as_soon_as_there_is_room():
    live = book(chat("low", if_busy={"wait": "1h"}), chat("high", priority=5, trigger=["go", "other"]))
    first = play(new_state(PERSON), live, event("go", H))[0]
    assert results(first) == [("high", "matched"), ("low", "queued")]
    about = {"delivery_id": first.deliveries[0].delivery_id}
    outcomes = play(first.state, live, event("Message Completed", H + 3 * M, properties=about))
    assert told(outcomes) == [[("low", "matched")]]


def test_it_waits_no_longer_than_it_says_and_only_while_its_condition_holds():
    holds = {"==": [{"var": "user.traits.plan"}, "trial"]}
    fields = {"if_busy": {"wait": "5m"}, "condition": holds}
    live = book(chat("low", **fields), chat("high", priority=5))
    start = play(new_state(PERSON), live, event("identify", H, traits={"plan": "trial"}), event("go", H))[1]
    assert start.next_timer == H + 5 * M
    assert told(play(start.state, live, H + 5 * M)) == [[("low", "lost")]]
    start = play(new_state(PERSON), live, event("identify", H, traits={"plan": "trial"}), event("go", H))[1]
    bought = event("identify", H + M, traits={"plan": "pro"})
    about = {"delivery_id": start.deliveries[0].delivery_id}
    closed = event("Message Dismissed", H + 2 * M, properties=about)
    assert told(play(start.state, live, bought, closed)) == [[], [("low", "cancelled")]]


def test_at_most_so_many_in_a_session():
    live = book(chat("a"), per_session=2)
    outcomes = play(new_state(PERSON), live, *(event("go", H + n * M) for n in range(3)), event("go", H + 33 * M))
    assert [found for ((_, found),) in told(outcomes)] == ["matched", "matched", "limited", "matched"]
    assert outcomes[2].considered[0].detail == "2 of 2 per session"


def test_at_most_so_many_in_a_day_and_banners_do_not_count():
    live = book(chat("a"), chat("b", message="banner"), per_day=1)
    outcomes = play(new_state(PERSON), live, event("go", H), event("go", H + D - 1), event("go", H + D))
    assert [dict(one)["a"] for one in told(outcomes)] == ["matched", "limited", "matched"]
    assert [dict(one)["b"] for one in told(outcomes)] == ["matched"] * 3


def test_a_quiet_time_between_two_counts_from_when_it_was_shown():
    live = book(chat("a"), quiet="10m")
    first = play(new_state(PERSON), live, event("go", H))[0]
    shown = event("Message Shown", H + 5 * M, properties={"delivery_id": first.deliveries[0].delivery_id})
    outcomes = play(first.state, live, shown, event("go", H + 15 * M - 1), event("go", H + 15 * M))
    assert told(outcomes) == [[], [("a", "limited")], [("a", "matched")]]


def test_one_that_waits_for_the_quiet_time_comes_when_it_is_over():
    live = book(chat("a"), chat("b", trigger="later", if_busy={"wait": "1h"}), quiet="20m")
    outcomes = play(new_state(PERSON), live, event("go", H), event("later", H + M))
    assert results(outcomes[1]) == [("b", "queued")]
    outcomes = play(outcomes[1].state, live, H + 10 * M, H + 20 * M - 1, H + 20 * M)
    assert told(outcomes) == [[("b", "queued")], [], [("b", "matched")]]


def test_random_lives_never_exceed_the_limits():
    for seed in range(60):
        chance = random.Random(seed)
        per_session, per_day = chance.choice([1, 2, 3]), chance.choice([2, 3, 5])
        rules = [
            chat(f"r{n}", trigger=chance.sample(["a", "b", "c"], 2), priority=chance.randrange(3),
                 message=chance.choice(["m", "tour"]),
                 **chance.choice([{}, {"if_busy": "lapse"}, {"if_busy": {"wait": "30m"}}]))
            for n in range(6)
        ]  # fmt: skip
        live = book(*rules, per_session=per_session, per_day=per_day, quiet="2m")
        state, at, made = new_state(PERSON), H, []
        for _ in range(120):
            gap = chance.choice([M // 2, M, 3 * M, 20 * M, 40 * M, 5 * H])
            outcome = play(state, live, at + gap)[0] if chance.random() < 0.3 else play(state, live, event(
                chance.choice("abc"), at + gap, message_id=str(chance.random())))[0]  # fmt: skip
            at, state = at + gap, outcome.state
            for found in outcome.deliveries:
                made.append(found.decided_at)
        assert all(later - sooner >= 2 * M for sooner, later in pairwise(made))
        assert all(sum(1 for one in made if at < one + D and one <= at) <= per_day for at in made)
        assert len(made) > 5


@pytest.mark.parametrize(
    ("kind", "fields", "path", "text"),
    [
        ("rule", {"if_busy": "later"}, "$.if_busy", "Expected `lapse` or an object, got `later`"),
        ("rule", {"if_busy": {"wait": "soon"}}, "$.if_busy.wait", "duration"),
        ("rule", {"if_busy": {"wait": "0s"}}, "$.if_busy.wait", "longer than nothing"),
        ("project", {"interruptions": {"quiet": "x"}}, "$.interruptions.quiet", "duration"),
        ("project", {"interruptions": {"per_day": 0}}, "$.interruptions.per_day", ">= 1"),
        ("project", {"interruptions": {"per_hour": 1}}, "$.interruptions.per_hour", "Unknown field `per_hour`"),
        ("project", {"holdout": 2}, "$.holdout", "<= 1"),
    ],
)
def test_what_is_wrong_is_said(kind, fields, path, text):
    base = {"id": "x", "trigger": "go", "message": "m"} if kind == "rule" else {"id": "p"}
    (problem,) = problems_of(kind, base | fields)
    assert problem.path == path
    assert text in problem.message


def test_a_set_has_one_project_at_most():
    two = Definitions(project=[Project(id="a"), Project(id="b")])
    assert "one document about the project" in cross_check(two)[0].message
