"""Temporal operators give the same answer as counting the whole history by brute force."""

from typing import Any

import pytest
from engine_helpers import PERSON, D, H, M, S, event, message, page, play, rule, rulebook
from engine_oracle import Seen, holds
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rules import decide, decode_state, encode_state, new_state

NAMES = ["page", "A", "B"]
HAPPENING = [*NAMES, "Message Shown", "Message Clicked"]
MESSAGES = ["m-1", "m-2", "7d", "168h"]
PATHS = ["/pricing", "/docs", ""]
WINDOWS = ["1s", "10s", "1m", "90m", "2d"]
EXPRESSION_NAMES = ["==", "===", "!=", "!==", ">", ">=", "<", "<="]
EXPRESSIONS = st.sampled_from(EXPRESSION_NAMES)

wheres = st.sampled_from(
    [
        {"==": [{"var": "page.path"}, "/pricing"]},
        {"in": [{"var": "page.path"}, ["/pricing", "/docs"]]},
        {"!=": [{"var": "event.properties.n"}, 1]},
        {"and": [{"==": [{"var": "page.path"}, "/docs"]}, {">": [{"var": "event.properties.n"}, 1]}]},
        {"or": [{"==": [{"var": "event.properties.n"}, 2]}, {"==": [{"var": "event.name"}, "A"]}]},
    ]
)
events_asked = st.one_of(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))


@st.composite
def temporals(draw: Any, name: str, *options: str) -> Any:
    chosen: dict[str, Any] = {}
    if "within" in options and draw(st.booleans()):
        chosen["within"] = draw(st.sampled_from(WINDOWS))
    if "first" in options and draw(st.booleans()):
        chosen["first"] = draw(st.booleans())
    if draw(st.booleans()):
        chosen["where"] = draw(wheres)
    return {name: [draw(events_asked), chosen] if chosen or draw(st.booleans()) else [draw(events_asked)]}


counts = st.tuples(EXPRESSIONS, temporals("count", "within"), st.integers(-1, 12), st.booleans()).map(
    lambda parts: {parts[0]: [parts[2], parts[1]] if parts[3] else [parts[1], parts[2]]}
)
silences = st.tuples(
    st.sampled_from([">", ">=", "<", "<="]), temporals("seconds_since", "first"), st.sampled_from([0, 1, 9.5, 60, 5400])
)
of = st.sampled_from(["event.properties.n", "page.path", "event.name"])
zones = st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"])
compared = st.tuples(EXPRESSIONS, st.integers(-1, 5))


@st.composite
def numbers_of_values(draw: Any) -> Any:
    """`distinct` or `days_active`, compared."""
    options: dict[str, Any] = {}
    if draw(st.booleans()):
        options["within"] = draw(st.sampled_from([*WINDOWS, "30d"]))
    if draw(st.booleans()):
        options["where"] = draw(wheres)
    compare, number = draw(compared)
    if draw(st.booleans()):
        return {compare: [{"distinct": [draw(events_asked), options | {"of": draw(of)}]}, number]}
    if draw(st.booleans()):
        options["timezone"] = draw(zones)
    asked = [] if draw(st.booleans()) else [draw(events_asked)]
    return {compare: [{"days_active": [*asked, options]}, number]}


steps_asked = st.one_of(events_asked, st.fixed_dictionaries({"event": events_asked}, optional={"where": wheres}))
sequences = st.tuples(
    st.lists(steps_asked, min_size=2, max_size=4),
    st.fixed_dictionaries({}, optional={"within": st.sampled_from(WINDOWS)}),
).map(lambda parts: {"sequence": list(parts)})
seens = st.tuples(
    st.one_of(st.sampled_from(["m-1", "m-2", "7d"]), st.just(["m-1", "7d"])),
    st.fixed_dictionaries(
        {}, optional={"within": st.sampled_from(WINDOWS), "what": st.sampled_from(["shown", "clicked"])}
    ),
).map(lambda parts: {"seen": list(parts)})
leaves = st.one_of(
    counts,
    numbers_of_values(),
    sequences,
    seens,
    temporals("did", "within"),
    silences.map(lambda parts: {parts[0]: [parts[1], parts[2]]}),
    temporals("count", "within"),
    wheres,
)
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"and": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"or": parts}),
        inner.map(lambda part: {"!": [part]}),
    ),
    max_leaves=5,
)
# Steps of the clock that hit window edges often; negative ones are late events.
steps = st.sampled_from(
    [0, 1, 500, 999, S, 9_999, 10 * S, M - 1, M, 89 * M, 90 * M, D, 2 * D, -1, -S, -10 * S, -M, -H, -2 * D]
)
histories = st.lists(
    st.tuples(st.sampled_from(HAPPENING), steps, st.sampled_from(PATHS), st.integers(0, 3)), min_size=1, max_size=25
)


def _seen(history: list[tuple[str, int, str, int]]) -> list[Seen]:
    at = 1_700_000_000_000
    found = []
    for name, step, path, number in history:
        at += step
        about = {"message_id": MESSAGES[number]} if name.startswith("Message") else {}
        found.append(Seen(name, at, path, {"n": number} | about))
    return found


@settings(max_examples=400, deadline=None)
@given(condition=conditions, history=histories)
def test_a_condition_holds_exactly_when_brute_force_says_so(condition: Any, history: Any) -> None:
    messages = [message(id=name) for name in ("m", *MESSAGES)]
    book = rulebook(rule(trigger=HAPPENING, condition=condition, frequency="always"), messages=messages)
    state, past, now = new_state(PERSON), [], 0
    for seen in _seen(history):
        past.append(seen)
        now = max(now, seen.at)
        call = event(
            seen.name, seen.at, properties=seen.properties, context={"page": {"path": seen.path}} if seen.path else {}
        )
        if seen.name == "page" and not seen.path:
            call.properties = {"n": seen.properties["n"]}
        outcome = decide(state, call, seen.at, book)
        assert bool(outcome.deliveries) == holds(condition, past, now), (past, now)
        state = decode_state(encode_state(outcome.state))


WHERE = {"==": [{"var": "page.path"}, "/pricing"]}
EVERY = (
    [{compare: [{"count": ["A", {"within": window}]}, number]} for compare in ("==", ">", "<=") for window in ("1s", "10s") for number in (0, 1, 3)]
    + [{"did": ["A", {"within": window} | more]} for window in ("1s", "10s") for more in ({}, {"where": WHERE})]
    + [{compare: [{"seconds_since": ["A", options]}, number]} for compare in ("<=", ">") for options in ({}, {"first": True}) for number in (0, 1, 10)]
    + [{"==": [{"count": [["A", "B"], {"where": WHERE}]}, number]} for number in (1, 2, 5)]
    + [{"<": [1, {"count": ["A", {"within": "10s"}]}, 4]}]
)  # fmt: skip
edges = st.sampled_from([0, 1, 999, S, S + 1, 9_000, 9_999, 10 * S, -1, -999, -S, -9_000, -10 * S])


@settings(max_examples=150, deadline=None)
@given(
    history=st.lists(
        st.tuples(st.sampled_from("AAAB"), edges, st.sampled_from(PATHS), st.just(0)), min_size=1, max_size=14
    )
)
def test_every_operator_at_the_edges_of_its_window(history: Any) -> None:
    book = rulebook(
        *(
            rule(id=f"r{index}", trigger=["A", "B"], condition=logic, frequency="always")
            for index, logic in enumerate(EVERY)
        )
    )
    state, past, now = new_state(PERSON), [], 0
    for seen in _seen(history):
        past.append(seen)
        now = max(now, seen.at)
        outcome = decide(state, event(seen.name, seen.at, context={"page": {"path": seen.path}}), seen.at, book)
        state = decode_state(encode_state(outcome.state))
        expected = {f"r{index}" for index, logic in enumerate(EVERY) if _chained(logic, past, now)}
        assert {delivery.rule_id for delivery in outcome.deliveries} == expected


def _chained(logic: Any, past: list[Seen], now: int) -> bool:
    ((name, arguments),) = logic.items()
    if name in EXPRESSION_NAMES and len(arguments) == 3:
        return holds({name: arguments[:2]}, past, now) and holds({name: arguments[1:]}, past, now)
    return holds(logic, past, now)


@pytest.mark.parametrize(("offset", "inside"), [(-1, True), (0, False), (1, False)])
def test_a_window_is_half_open(offset: int, inside: bool) -> None:
    book = rulebook(rule(condition={">=": [{"count": ["A", {"within": "10s"}]}, 1]}, frequency="always"))
    last = play(new_state(PERSON), book, event("A", H), event("go", H + 10 * S + offset))[-1]
    assert bool(last.deliveries) == inside


def test_the_triggering_event_counts_itself() -> None:
    book = rulebook(rule(trigger="A", condition={"==": [{"count": ["A"]}, 1]}, frequency="always"))
    outcomes = play(new_state(PERSON), book, event("A", H), event("A", H + 1))
    assert [len(outcome.deliveries) for outcome in outcomes] == [1, 0]


def test_editing_a_window_keeps_the_past() -> None:
    before = rulebook(rule(condition={">=": [{"count": ["A", {"within": "10s"}]}, 1]}))
    after = rulebook(rule(condition={">=": [{"count": ["A", {"within": "7d"}]}, 7]}))
    state = play(new_state(PERSON), before, *[event("A", H + step) for step in range(7)])[-1].state
    assert play(state, after, event("go", 3 * H))[-1].deliveries


def test_history_of_a_rule_edited_away_and_back_is_kept() -> None:
    book = rulebook(rule(condition={">=": [{"count": ["A"]}, 2]}))
    other = rulebook(rule(id="other", trigger="nothing"))
    state = play(new_state(PERSON), book, event("A", H), event("A", 2 * H))[-1].state
    state = play(state, other, event("x", 3 * H), event("x", 4 * H), event("x", 3 * D))[-1].state
    assert play(state, book, event("go", 4 * D))[-1].deliveries
    state = play(state, book, event("x", 5 * D))[-1].state
    state = play(state, other, *[event("x", day * D) for day in range(6, 15)])[-1].state
    assert not state.tracks
    assert not state.unknown


def test_memory_is_bounded_by_what_the_condition_asks() -> None:
    book = rulebook(rule(condition={">=": [{"count": ["page", {"within": "7d"}]}, 20]}))
    state = new_state(PERSON)
    for index in range(500):
        state = decide(state, page("/", H + index), H, book).state
    (track,) = state.tracks.values()
    assert (track.count, len(track.recent)) == (500, 21)


SEQUENCES = [
    {"sequence": [["A", "B"], {"within": "10s"}]},
    {"sequence": [["A", "B", "A"], {"within": "1m"}]},
    {"sequence": [["A", ["A", "B"], "page", "B"]]},
]


@settings(max_examples=20, deadline=None)
@example(many=[("page", 0)] * 25 + [("A", 0)] + [("page", 0)] * 75, late=[("B", 0)])
@given(
    many=st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from([0, 1, 700, S, 9 * S])), min_size=100, max_size=160
    ),
    late=st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 40)), max_size=5),
)
def test_a_long_history_is_forgotten_without_changing_what_a_sequence_says(many: Any, late: Any) -> None:
    book = rulebook(*(rule(id=f"r{index}", trigger=NAMES, condition=logic, frequency="always") for index, logic in enumerate(SEQUENCES)))  # fmt: skip
    happened, at = [], 1_700_000_000_000
    for name, step in many:
        at += step
        happened.append(Seen(name, at))
    happened += [Seen(name, happened[-1 - back].at) for name, back in late]  # late, among the newest ones
    state, past, now = new_state(PERSON), [], 0
    for seen in happened:
        past.append(seen)
        now = max(now, seen.at)
        outcome = decide(state, event(seen.name, seen.at), seen.at, book)
        state = decode_state(encode_state(outcome.state))
        if len(past) % 9 == 0 or len(past) > len(many):
            expected = {f"r{index}" for index, logic in enumerate(SEQUENCES) if holds(logic, past, now)}
            assert {delivery.rule_id for delivery in outcome.deliveries} == expected
    assert all(len(track.recent) <= 64 for track in state.tracks.values())


def test_one_event_is_one_step_of_a_sequence_only() -> None:
    book = rulebook(rule(trigger="A", condition={"sequence": [["A", "A"]]}, frequency="always"))
    outcomes = play(new_state(PERSON), book, event("A", H), event("A", H))
    assert [len(outcome.deliveries) for outcome in outcomes] == [0, 1]


def test_the_values_remembered_are_bounded_by_what_is_asked() -> None:
    condition = {">=": [{"distinct": ["A", {"of": "event.properties.n"}]}, 20]}
    book = rulebook(rule(trigger="A", condition=condition, frequency="always"))
    state, delivered = new_state(PERSON), []
    for index in range(300):
        outcome = decide(state, event("A", H + index, properties={"n": str(index)}), H, book)
        state = outcome.state
        delivered.append(bool(outcome.deliveries))
    (track,) = state.tracks.values()
    assert (len(track.recent), len(track.marks)) == (21, 21)
    assert delivered == [False] * 19 + [True] * 281


@pytest.mark.parametrize(
    ("values", "different"),
    [
        ([1, 1.0, "1"], 2),
        (["x", None, "x"], 1),
        ([[1, 2], [2, 1], {"a": 1, "b": 2}, {"b": 2, "a": 1}], 3),
        ([True, 1, "true"], 3),
        (["\ud800", "\ud801"], 2),
        ([10**30, 10**31], 2),
    ],
)
def test_values_are_different_as_json_values_are(values: list[Any], different: int) -> None:
    condition = {"==": [{"distinct": ["A", {"of": "event.properties.n"}]}, different]}
    book = rulebook(rule(trigger="go", condition=condition))
    calls = [event("A", H + index, properties={"n": value}) for index, value in enumerate(values)]
    assert play(new_state(PERSON), book, *calls, event("go", D))[-1].deliveries


def test_a_day_begins_in_its_time_zone() -> None:
    """15:00 UTC is midnight in Tokyo."""
    at = [1_764_514_800_000 - 1, 1_764_514_800_000]  # 2025-11-30T15:00:00Z
    for zone, days in (("UTC", 1), ("Asia/Tokyo", 2)):
        condition = {"==": [{"days_active": ["A", {"timezone": zone}]}, days]}
        book = rulebook(rule(trigger="go", condition=condition))
        calls = [event("A", moment) for moment in at]
        assert play(new_state(PERSON), book, *calls, event("go", at[1]))[-1].deliveries, zone
