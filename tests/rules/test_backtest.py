"""A back-test of what is live equals what was decided; a draft is what it would have been, by the same engine."""

from typing import Any

from engine_helpers import PERSON, D, H, M, S, event, message, page, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import Backtest, Definitions, Event, Rule, RuleTest, compile_rulebook, decide, new_state

T = 1_700_006_400_000  # 2023-11-15T00:00:00Z
NAMES = ["A", "B", "page"]


def run(rules: list[Rule], tested: list[str], log: list[Event], **more: Any) -> list[RuleTest]:
    made = more.pop("made", frozenset())
    test = Backtest(Definitions(rules, [message()]), tested, more.pop("since", 0), made.__contains__)
    for call in log:
        test.event(call, call.timestamp + 1)
    test.finish(more.pop("until", log[-1].timestamp))
    return test.report()


RULES = [
    rule(id="third", trigger="A", condition={"==": [{"%": [{"count": ["A"]}, 3]}, 0]}, frequency="always"),
    rule(id="late", trigger=["A", "B"], delay="10s", cancel_on=["B"], frequency={"max": 2, "per": "1h"}),
    rule(id="silent", trigger={"after": "A", "without": "B", "within": "1m"}, frequency="always"),
    rule(id="page", trigger="page", frequency={"max": 1, "per": "session"}),
]
calls = st.tuples(
    st.sampled_from([*NAMES, "Message Shown"]),
    st.sampled_from([0, 1, S, 9 * S, 10 * S, M, 31 * M, D]),
    st.integers(0, 1),
)


@settings(max_examples=80, deadline=None)
@given(story=st.lists(calls, min_size=1, max_size=30))
def test_a_back_test_of_a_live_rule_equals_what_was_decided(story: Any) -> None:
    """In life the clock fires the timers, and people see some of what is delivered."""
    book = compile_rulebook(Definitions(RULES, [message()]))
    states = {person: new_state(person) for person in ("u:ann", "u:bob")}
    made: dict[str, tuple[str, str, int]] = {}
    log: list[Event] = []
    at = T

    def decided(person: str, call: Event | None, now: int) -> None:
        outcome = decide(states[person], call, now, book)
        states[person] = outcome.state
        made.update({one.delivery_id: (one.rule_id, person, one.decided_at) for one in outcome.deliveries})

    for number, (name, step, who) in enumerate(story):
        at += step
        for person in states:
            decided(person, None, at)  # the clock
        person = ("u:ann", "u:bob")[who]
        mine = [identifier for identifier, one in made.items() if one[1] == person]
        about = {"delivery_id": mine[-1]} if name == "Message Shown" and mine else {}
        call = event(name, at, person=person, message_id=f"m{number}", properties=about)
        log.append(call)
        decided(person, call, at)
    for person in states:
        decided(person, None, at + D)
    found = run(RULES, [one.id for one in RULES], log, made=frozenset(made), until=at + D)
    for one in found:
        expected = [(person[2:], when) for rule_id, person, when in made.values() if rule_id == one.rule_id]
        assert (one.deliveries, one.users) == (len(expected), len({person for person, _ in expected}))
        assert one.outcomes.get("matched", 0) == len(expected)
    assert found == run(RULES, [one.id for one in RULES], log, made=frozenset(made), until=at + D)


def test_what_was_never_made_counts_as_shown_at_once() -> None:
    """Else the first delivery, which nobody could see, would wait for ever and fill the cap."""
    capped = rule(trigger="A", frequency={"max": 1, "per": "1d"})
    (found,) = run([capped], ["r"], [event("A", T + day * D, message_id=f"{day}") for day in range(4)])
    assert (found.users, found.deliveries) == (1, 4)
    assert found.who[0].at == [f"2023-11-{15 + day}T00:00:00.000Z" for day in range(4)]


def test_days_people_and_outcomes_are_counted_in_the_window() -> None:
    often = rule(
        trigger="A", condition={">=": [{"count": ["A", {"within": "2d"}]}, 2]}, frequency={"max": 2, "per": "2d"}
    )
    log = [
        event("A", T + day * D + hour * H, message_id=f"{name}{day}{hour}", person=f"u:{name}")
        for day in range(3)
        for hour in range(2)
        for name in ("ann", "bob")[: 1 + (day == 2)]
    ]
    (found,) = run([often], ["r"], log, since=T + D - 1)
    # Ann: twice on the second day (the first day's events count, though they lie before the window); Bob once on the third.
    assert [(day.day, day.users, day.deliveries) for day in found.by_day] == [
        ("2023-11-16", 1, 1),
        ("2023-11-17", 2, 2),
    ]
    assert (found.users, found.deliveries) == (2, 3)
    assert found.outcomes == {"capped": 2, "matched": 3, "not_matched": 1}


def test_the_goal_is_counted_where_it_came_in_time() -> None:
    wanted = rule(trigger="A", frequency="always", goal={"event": ["Bought", "Renewed"], "within": "1h"})
    log = [
        event("A", T, person=f"u:{name}", message_id=name) for name in ("in-time", "late", "before", "never", "twice")
    ]
    log += [event("Bought", T + H, person="u:in-time"), event("Bought", T + H + 1, person="u:late")]
    log += [event("Bought", T, person="u:before"), event("A", T + 1, person="u:twice", message_id="again")]
    log += [event("Renewed", T + 2, person="u:twice")]
    (found,) = run([wanted], ["r"], log)
    assert found.goals is not None
    assert (found.goals.users, found.goals.deliveries, found.goals.share) == (2, 3, 0.4)


def test_a_draft_is_switched_on_and_the_others_go_on_beside_it() -> None:
    draft = rule(id="draft", trigger="page", condition={"==": [{"var": "page.path"}, "/x"]}, enabled=False)
    found = run([draft, *RULES], ["draft"], [page("/x", T), page("/y", T + 1)])
    assert [(one.rule_id, one.deliveries, one.displaced) for one in found] == [("draft", 1, [])]


def test_people_of_several_shards_are_counted_together() -> None:
    test = Backtest(Definitions([rule(trigger="A")], [message()]), ["r"], 0, frozenset().__contains__)
    for name in ("ann", "bob"):
        test.event(event("A", T, person=f"u:{name}"), T)
        test.finish(T)
    assert (test.report()[0].users, test.people, test.events) == (2, 2, 2)
    assert PERSON == "u:ann"


def test_two_messages_that_interrupt_within_half_an_hour_collide() -> None:
    rules = [
        rule(id=name, trigger=name, message=kind, frequency="always")
        for name, kind in (("a", "chat"), ("b", "tour"), ("c", "banner"))
    ]
    messages = [
        message(id="chat", kind="chat"),
        message(id="tour", kind="tour", content={"en": {"steps": [{"text": "x"}]}}),
        message(id="banner"),
    ]
    test = Backtest(Definitions(rules, messages), ["a", "b", "c"], 0, frozenset().__contains__)
    story = [
        ("ann", "a", 0),
        ("ann", "c", 1),
        ("ann", "b", 29 * M),
        ("ann", "a", 30 * M),
        ("bob", "a", 0),
        ("bob", "b", 30 * M),
    ]
    for number, (name, trigger, after) in enumerate(story):
        test.event(event(trigger, T + after, person=f"u:{name}", message_id=f"{number}"), T + after)
    assert test.collisions() == {("a", "b"): 1}
