"""What the state knows, what a condition may read of it, and what a message gets."""

from typing import Any

import pytest
from engine_helpers import PERSON, D, H, M, S, event, message, page, play, rule, rulebook

from rules import (
    Definitions,
    State,
    compile_rulebook,
    decode_state,
    delivery_id,
    delivery_shard_hash,
    encode_state,
    format_duration,
    hash16,
    new_state,
    parse_duration,
)
from rules.errors import DurationError


def _holds(condition: Any, *events: Any) -> bool:
    return bool(play(new_state(PERSON), rulebook(rule(condition=condition)), *events)[-1].deliveries)


GO = event(
    "go",
    3 * H,
    user_id="ann",
    properties={"n": 3},
    context={"page": {"path": "/p"}, "locale": "ja", "userAgent": "UA", "screen": {"width": 9}},
)
READS = [
    ({"==": [{"var": "event.name"}, "go"]}),
    ({"==": [{"var": "event.type"}, "track"]}),
    ({"==": [{"var": "event.properties.n"}, 3]}),
    ({"==": [{"var": "event.timestamp"}, "1970-01-01T03:00:00.000Z"]}),
    ({"==": [{"var": "page.path"}, "/p"]}),
    ({"==": [{"var": "user.id"}, "ann"]}),
    ({"==": [{"var": "user.anonymous_id"}, "anon"]}),
    ({"==": [{"var": "user.traits.plan"}, "free"]}),
    ({"==": [{"var": "user.first_seen"}, "1970-01-01T01:00:00.000Z"]}),
    ({"==": [{"date_diff": [{"var": "now"}, {"var": "user.first_seen"}, "hours"]}, 2]}),
    ({">": [{"var": "now"}, "1970-01-01T02:59:00+00:00"]}),
    ({"==": [{"var": "user.last_seen"}, {"var": "now"}]}),
    ({"==": [{"var": "session.number"}, 3]}),
    ({"==": [{"var": "session.events"}, 1]}),
    ({"==": [{"var": "session.seconds"}, 0]}),
    ({"==": [{"var": "group.id"}, "acme"]}),
    ({"==": [{"var": "group.traits.seats"}, 12]}),
    ({"==": [{"var": "device.locale"}, "ja"]}),
    ({"==": [{"var": "device.screen.width"}, 9]}),
    ({"missing": ["user.traits.gone"]}),
    ({"some": [{"var": "user.traits.tags"}, {"==": [{"var": ""}, "b"]}]}),
    ({"==": [{"length": {"var": "user.traits.tags"}}, 2]}),
    ({"==": [{"var": ["user.traits.gone", 7]}, 7]}),
]


@pytest.mark.parametrize("condition", READS, ids=repr)
def test_what_a_condition_may_read(condition: Any) -> None:
    before = [
        event("identify", H, anonymous_id="anon", traits={"plan": "free", "tags": ["a", "b"]}),
        event("group", 2 * H, group_id="acme", traits={"seats": 12}),
    ]
    assert _holds(condition, *before, GO)


def test_page_falls_back_to_the_properties_of_a_page_call() -> None:
    book = rulebook(rule(trigger="page", condition={"==": [{"var": "page.path"}, "/x"]}))
    assert play(new_state(PERSON), book, event("page", H, properties={"path": "/x"}))[0].deliveries


def test_traits_merge_shallowly_and_null_removes() -> None:
    first = event("identify", H, traits={"a": {"x": 1}, "b": 2})
    second = event("identify", H + 1, traits={"a": {"y": 1}, "b": None})
    assert play(new_state(PERSON), rulebook(rule()), first, second)[-1].state.traits == {"a": {"y": 1}}


def test_another_group_starts_with_no_traits() -> None:
    first = event("group", H, group_id="a", traits={"seats": 1})
    state = play(new_state(PERSON), rulebook(rule()), first, event("group", H + 1, group_id="b"))[-1].state
    assert (state.group_id, state.group_traits) == ("b", {})


@pytest.mark.parametrize(("gap", "number"), [(30 * M - 1, 1), (30 * M, 2)])
def test_thirty_minutes_of_silence_end_a_session(gap: int, number: int) -> None:
    state = play(new_state(PERSON), rulebook(rule()), page("/", H), page("/", H + gap))[-1].state
    assert state.session.number == number


def test_the_locale_of_the_person_wins_over_the_browser() -> None:
    book = rulebook(rule(frequency="always"))
    japanese = event("go", H, context={"locale": "ja-JP"})
    outcomes = play(new_state(PERSON), book, japanese, event("identify", H, traits={"language": "en"}), japanese)
    assert [outcomes[0].deliveries[0].locale, outcomes[2].deliveries[0].locale] == ["ja-JP", "en"]


def test_the_clock_of_a_person_never_runs_backwards() -> None:
    book = rulebook(rule(frequency="always"))
    outcomes = play(new_state(PERSON), book, event("x", D), event("go", H))
    assert outcomes[1].deliveries[0].decided_at == D
    assert (outcomes[1].state.first_seen, outcomes[1].state.last_seen) == (H, D)


def test_a_delivery_carries_what_its_message_may_read_and_no_more() -> None:
    liquid = message(
        content={"en": {"text": "{{ user.traits.name }}{% if event.properties.n %}x{% endif %}"}},
        expires="30m",
        show_on={"path": "/p*"},
    )
    (delivery,) = play(new_state(PERSON), rulebook(rule(priority=7), messages=[liquid]), GO)[0].deliveries
    assert set(delivery.data) == {"user", "event"}
    assert (delivery.priority, delivery.kind, delivery.show_on) == (7, "banner", {"path": "/p*"})
    assert delivery.expires_at == delivery.decided_at + 30 * M
    (plain,) = play(new_state(PERSON), rulebook(rule()), GO)[0].deliveries
    assert plain.data == {}


def test_a_disabled_rule_is_silent() -> None:
    assert not play(new_state(PERSON), rulebook(rule(enabled=False)), event("go", H))[0].considered


def test_ids_say_their_shard_and_do_not_repeat() -> None:
    identifier = delivery_id("r", PERSON, "m1")
    assert delivery_shard_hash(identifier) == hash16(PERSON)
    assert len(identifier) == 32
    assert len({delivery_id(rule_id, PERSON, sent) for rule_id in "ab" for sent in "xy"}) == 4
    assert delivery_id("a", "b", "c") == delivery_id("a", "b", "c")
    keyed = {delivery_id("r", PERSON, "m1", secret) for secret in (b"one", b"another")}
    assert len(keyed | {identifier}) == 3
    assert {one[:4] for one in keyed} == {identifier[:4]}
    book = compile_rulebook(Definitions([rule()], [message()]), secret=b"one")
    assert play(new_state(PERSON), book, event("go", H, message_id="m1"))[0].deliveries[0].delivery_id in keyed


def test_a_state_survives_its_bytes() -> None:
    book = rulebook(rule(delay="20s"), rule(id="w", trigger={"after": "go", "without": "x", "within": "1d"}))
    state = play(
        new_state(PERSON), book, event("identify", H, traits={"a": [1, None, {"b": "é"}]}), event("go", 2 * H)
    )[-1].state
    assert decode_state(encode_state(state)) == state
    assert isinstance(decode_state(encode_state(new_state("a:1"))), State)


@pytest.mark.parametrize(
    ("text", "length"),
    [("20s", 20 * S), ("1h30m", 90 * M), ("7d", 7 * D), ("2w", 14 * D), ("250ms", 250), (1500, 1500), ("0s", 0)],
)
def test_durations(text: Any, length: int) -> None:
    assert parse_duration(text) == length
    assert parse_duration(format_duration(length)) == length


@pytest.mark.parametrize(
    "text", ["", "7", "d7", "7 d", "-7d", "1.5h", "9" * 30 + "d", True, None, -1, 1.5, "7d\n", "٧d"]
)
def test_what_is_no_duration(text: Any) -> None:
    with pytest.raises(DurationError):
        parse_duration(text)
