"""Rules that an occasion wakes: the edge of a segment, a silence and its end, a time of day."""

import random
from datetime import UTC, datetime

import pytest

from rules import Definitions, compile_rulebook, cross_check, decide, decode_state, encode_state, new_state
from rules.documents import Segment
from tests.rules.engine_helpers import PERSON, D, H, M, S, event, message, play, problems_of, results, rule

COUNT = {">=": [{"count": ["go", {"within": "1h"}]}, 2]}
SEGMENTS = [
    Segment(id="busy", condition=COUNT),
    Segment(id="paying", condition={"==": [{"var": "user.traits.plan"}, "pro"]}),
    Segment(id="rested", condition={">": [{"seconds_since": ["go"]}, 600]}),
    Segment(id="here", condition={"==": [{"var": "page.path"}, "/x"]}),
]


def book(*rules, segments=None):
    return compile_rulebook(Definitions(list(rules), [message()], segments or SEGMENTS))


def woken(trigger, **fields):
    return rule(**({"trigger": trigger, "frequency": "always"} | fields))


def deliveries(outcomes):
    return [(found.rule_id, found.decided_at) for outcome in outcomes for found in outcome.deliveries]


def test_entering_a_segment_by_an_event():
    live = book(woken({"enters": "busy"}))
    outcomes = play(
        new_state(PERSON), live, event("go", H), event("other", H + S), event("go", H + M), event("go", H + 2 * M)
    )
    assert deliveries(outcomes) == [("r", H + M)]


def test_leaving_a_segment_when_time_moves_its_window():
    live = book(woken({"leaves": "busy"}))
    outcomes = play(new_state(PERSON), live, event("go", H), event("go", H + M))
    assert outcomes[-1].next_timer == 2 * H
    outcomes = play(outcomes[-1].state, live, 2 * H - 1, 2 * H, 3 * H)
    assert deliveries(outcomes) == [("r", 2 * H)]


def test_a_trait_moves_a_person_over_the_edge_and_back():
    live = book(woken({"enters": "paying"}, id="in"), woken({"leaves": "paying"}, id="out"))
    outcomes = play(
        new_state(PERSON), live,
        event("identify", H, traits={"plan": "free"}), event("identify", H + 1, traits={"plan": "pro"}),
        event("go", H + 2), event("identify", H + 3, traits={"plan": "free"}),
    )  # fmt: skip
    assert deliveries(outcomes) == [("in", H + 1), ("out", H + 3)]


def test_somebody_new_enters_with_their_first_event_and_somebody_known_does_not():
    live = book(woken({"enters": "paying"}))
    first = event("identify", H, traits={"plan": "pro"})
    assert deliveries(play(new_state(PERSON), live, first)) == [("r", H)]
    before = play(new_state(PERSON), book(rule(trigger="x")), first)[0].state
    assert deliveries(play(before, live, event("go", 2 * H))) == []


def test_seconds_since_moves_by_itself():
    live = book(woken({"enters": "rested"}, id="in"), woken({"leaves": "rested"}, id="out"))
    outcomes = play(new_state(PERSON), live, event("go", H), H + 600 * S, H + 600 * S + 1, event("go", 2 * H))
    assert deliveries(outcomes) == [("in", H + 600 * S + 1), ("out", 2 * H)]


def test_edges_are_those_that_looking_at_every_moment_finds():
    """Against brute force: the membership at each event and at every second between them."""
    for seed in range(40):
        chance = random.Random(seed)
        within, least = chance.choice([20, 45]), chance.choice([1, 2, 3])
        condition = {"and": [
            {">=": [{"count": ["go", {"within": f"{within}s"}]}, least]},
            {"!": [{"did": ["stop", {"within": "15s"}]}]},
        ]}  # fmt: skip
        segments = [Segment(id="s", condition=condition)]
        live = book(woken({"enters": "s"}, id="in"), woken({"leaves": "s"}, id="out"), segments=segments)
        happened, at = [], H
        for _ in range(30):
            at += chance.choice([1, 3, 8, 20, 60]) * S
            happened.append((at, chance.choice(["go", "go", "stop", "other"])))
        state, found = new_state(PERSON), []
        for number, (when, name) in enumerate(happened):
            outcome = decide(state, event(name, when, message_id=str(number)), when, live)
            found += deliveries([outcome])
            state = decode_state(encode_state(outcome.state))
        found += deliveries([decide(state, None, at + 200 * S, live)])

        def times(name, span, moment, happened=happened):
            return sum(moment - span * S < when <= moment for when, one in happened if one == name)

        def inside(moment, times=times, within=within, least=least):
            return times("go", within, moment) >= least and times("stop", 15, moment) == 0

        wanted, before = [], False
        for moment in range(H, at + 200 * S + 1, S):
            if inside(moment) != before:
                before = not before
                wanted.append(("in" if before else "out", moment))
        assert found == wanted, seed


def test_silence_wakes_once_and_an_event_begins_it_anew():
    live = book(woken({"inactive_for": "1d"}))
    outcomes = play(new_state(PERSON), live, event("a", H), event("b", 3 * H))
    assert outcomes[-1].next_timer == 3 * H + D
    outcomes = play(outcomes[-1].state, live, 3 * H + D - 1, 3 * H + D, 9 * D, event("a", 10 * D), 12 * D)
    assert deliveries(outcomes) == [("r", 3 * H + D), ("r", 11 * D)]


def test_who_comes_back_wakes_it_with_the_very_event():
    live = book(woken({"returns_after": "7d"}, condition={"==": [{"var": "event.name"}, "page"]}))
    state = play(new_state(PERSON), live, event("a", H), event("a", 2 * H))[-1].state
    outcomes = play(
        state, live, event("page", 7 * D + 2 * H - 1), event("page", 14 * D + 2 * H - 1), event("go", 30 * D)
    )
    assert deliveries(outcomes) == [("r", 14 * D + 2 * H - 1)]


@pytest.mark.parametrize(
    ("trigger", "zone", "first", "wanted"),
    [
        ({"at": "09:00"}, None, "2026-03-02T08:00", ["2026-03-02T09:00", "2026-03-03T09:00"]),
        ({"at": "09:00"}, None, "2026-03-02T09:00", ["2026-03-03T09:00", "2026-03-04T09:00"]),
        ({"at": "09:00", "days": ["mon"]}, None, "2026-03-04T08:00", ["2026-03-09T09:00", "2026-03-16T09:00"]),
        ({"at": "09:00", "timezone": "Asia/Tokyo"}, None, "2026-03-02T08:00", ["2026-03-03T00:00", "2026-03-04T00:00"]),
        ({"at": "09:00", "timezone": "user"}, "Asia/Tokyo", "2026-03-02T08:00", ["2026-03-03T00:00", "2026-03-04T00:00"]),
        ({"at": "09:00", "date": "2026-03-05"}, None, "2026-03-02T08:00", ["2026-03-05T09:00"]),
        # Berlin puts its clocks forward on 2026-03-29 at 02:00 and back on 2026-10-25 at 03:00.
        ({"at": "09:00", "timezone": "Europe/Berlin"}, None, "2026-03-28T07:00", ["2026-03-28T08:00", "2026-03-29T07:00"]),
        ({"at": "02:30", "timezone": "Europe/Berlin"}, None, "2026-03-28T23:00", ["2026-03-29T01:30", "2026-03-30T00:30"]),
        ({"at": "02:30", "timezone": "Europe/Berlin"}, None, "2026-10-24T23:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
    ],
)  # fmt: skip
def test_a_time_of_day(trigger, zone, first, wanted):
    def ms(text):
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)

    live = book(woken(trigger))
    state = play(new_state(PERSON), live, event("a", ms(first), context={"timezone": zone} if zone else {}))[0].state
    found = deliveries(play(state, live, ms(wanted[-1]) - 1, ms(wanted[-1]), ms(wanted[-1]) + H))
    assert found == [("r", ms(text)) for text in wanted]


def test_the_clock_stops_for_who_was_not_seen_for_a_month_and_goes_on_when_they_come_back():
    live = book(woken({"at": "09:00"}))
    outcome = play(new_state(PERSON), live, event("a", 8 * H), 100 * D)[-1]
    assert len(outcome.deliveries) == 31
    assert not outcome.state.occasions
    outcomes = play(outcome.state, live, event("a", 200 * D), 201 * D)
    assert deliveries(outcomes) == [("r", 200 * D + 9 * H)]


def test_an_edited_occasion_is_another_one():
    state = play(new_state(PERSON), book(woken({"inactive_for": "1d"})), event("a", H))[0].state
    outcome = play(state, book(woken({"inactive_for": "3d"})), 2 * D)[0]
    assert outcome.deliveries == []
    outcomes = play(outcome.state, book(woken({"inactive_for": "3d"})), event("a", 3 * D), 7 * D)
    assert deliveries(outcomes) == [("r", 6 * D)]


def test_delay_cancel_on_condition_and_frequency_are_as_with_any_rule():
    live = book(woken({"enters": "paying"}, delay="10m", cancel_on="stop", condition={"did": ["go"]}))
    buys, leaves = ({"plan": "pro"}, {"plan": "free"})
    outcomes = play(
        new_state(PERSON), live, event("identify", H, traits=buys), event("identify", H + 1, traits=leaves), event("go", H + 2),
        event("identify", H + 3, traits=buys), event("identify", H + M, traits=leaves), event("identify", H + 2 * M, traits=buys),
        H + 10 * M + 3, event("identify", H + 20 * M, traits=leaves), event("identify", H + 21 * M, traits=buys), event("stop", H + 22 * M),
    )  # fmt: skip
    assert deliveries(outcomes) == [("r", H + 10 * M + 3)]
    said = [found for outcome in outcomes for found in results(outcome)]
    assert [name for _, name in said] == [
        "not_matched",
        "delayed",
        "delayed",
        "matched",
        "delayed",
        "cancelled",
        "withdrawn",
    ]


def test_two_rules_at_one_edge_by_priority():
    live = book(woken({"enters": "paying"}, id="a"), woken({"enters": "paying"}, id="b", priority=1))
    outcome = play(new_state(PERSON), live, event("identify", H, traits={"plan": "pro"}))[0]
    assert [found.rule_id for found in outcome.deliveries] == ["b", "a"]


def test_a_replay_by_single_steps_is_the_same_as_one_long_tick():
    rules = [woken({"leaves": "busy"}, id="l"), woken({"inactive_for": "30m"}, id="i"), woken({"at": "02:00"}, id="c")]
    live = book(*rules)
    state = play(new_state(PERSON), live, event("go", H), event("go", H + 10 * M))[-1].state
    kept = encode_state(state)
    at_once = deliveries([decide(decode_state(kept), None, 3 * H, live)])
    stepwise, state = [], decode_state(kept)
    for at in range(H, 3 * H + 1, M):
        outcome = decide(state, None, at, live)
        stepwise += deliveries([outcome])
        state = outcome.state
    assert at_once == stepwise == [("i", H + 40 * M), ("c", 2 * H), ("l", 2 * H)]


@pytest.mark.parametrize(
    ("trigger", "path", "text"),
    [
        ({}, "$.trigger", "got none of them"),
        ({"enters": "a", "leaves": "b"}, "$.trigger", "got `enters` and `leaves`"),
        ({"enters": "a", "days": ["mon"]}, "$.trigger.days", "`days` goes with `at`, not with `enters`"),
        ({"after": "A", "without": "B", "within": "1d", "at": "09:00"}, "$.trigger.at", "does not go with"),
        ({"after": "A"}, "$.trigger", "Expected the field `without`, which is missing"),
        ({"inactive_for": "soon"}, "$.trigger.inactive_for", "duration"),
        ({"returns_after": "0s"}, "$.trigger.returns_after", "longer than nothing"),
        ({"at": "9:00"}, "$.trigger.at", "Expected a time of day such as 09:00"),
        ({"at": "09:00", "timezone": "Asia/Tokio"}, "$.trigger.timezone", "did you mean `Asia/Tokyo`?"),
        ({"at": "09:00", "days": ["mon"], "date": "2026-01-01"}, "$.trigger.days", "either `date` or `days`"),
        ({"at": "09:00", "date": "01/01/2026"}, "$.trigger", "Expected a day such as 2026-12-01"),
        ({"enter": "a"}, "$.trigger.enter", "Unknown field `enter`; did you mean `enters`?"),
    ],
)
def test_what_is_wrong_is_said(trigger, path, text):
    found = [(one.path, one.message) for one in problems_of("rule", {"id": "x", "message": "m", "trigger": trigger})]
    assert any(one.startswith(path) and text in said for one, said in found), found


def test_the_segment_has_to_exist_and_to_have_an_edge():
    def said(name):
        return [one.message for one in cross_check(Definitions([woken({"enters": name})], [message()], SEGMENTS))]

    assert said("bussy") == ["The segment `bussy` does not exist; did you mean `busy`?"]
    assert said("here") == [
        "The segment `here` reads `page.path`, so it means something at an event only: it has no edge"
    ]
    assert said("busy") == []


@pytest.mark.parametrize("seconds", [1e300, -1e300, 1e18, 0, -5])
def test_a_number_of_any_size_in_a_watched_segment(seconds):
    segments = [Segment(id="s", condition={"<": [{"seconds_since": ["go"]}, seconds]})]
    outcome = play(new_state(PERSON), book(woken({"leaves": "s"}), segments=segments), event("go", H))[0]
    assert decode_state(encode_state(outcome.state)).look_at <= H + 5 * 366 * D
