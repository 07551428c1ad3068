"""Two people who turn out to be one: states that were merged answer as if one person had done it all."""

import itertools
import random
from typing import Any

import msgspec
import pytest

from rules import (
    LINKED,
    MERGED,
    Definitions,
    Event,
    Segment,
    State,
    compile_rulebook,
    decide,
    decode_state,
    encode_state,
    new_state,
)  # fmt: skip
from rules.limits import INBOX_CAPACITY
from rules.merge import absorb, united
from rules.rulebook import Rulebook
from rules.tracks import Track, answer, note, note_step, note_value
from tests.rules.engine_helpers import H, M, S, event, message, rule, rulebook

ANON, USER = "a:x", "u:ann"
T = 1_700_000_000_000


class World:
    """Several people, and the service that carries what they tell one another, in any order."""

    def __init__(self, book: Rulebook, dice: random.Random | None = None) -> None:
        self.book, self.dice = book, dice
        self.states: dict[str, State] = {}
        self.on_the_way: list[Event] = []
        self.seen: set[tuple[str, str, int]] = set()
        self.delivered: list[Any] = []
        self.withdrawn: list[str] = []
        self.tally: dict[str, int] = {}
        self.numbers = itertools.count()

    def send(self, sent: Event) -> None:
        key = sent.person, sent.message_id, len(sent.via)
        if key in self.seen:
            return
        self.seen.add(key)
        state = self.states.get(sent.person) or new_state(sent.person)
        outcome = decide(decode_state(encode_state(state)), sent, sent.timestamp, self.book)
        self.states[sent.person] = outcome.state
        assert outcome.state.person == sent.person
        self.delivered += outcome.deliveries
        self.withdrawn += outcome.withdrawn
        for name, change in outcome.tally.items():
            self.tally[name] = self.tally.get(name, 0) + change
        if outcome.forward_to is not None:
            self.on_the_way.append(
                msgspec.structs.replace(sent, person=outcome.forward_to, via=(*sent.via, sent.person))
            )
        for link in outcome.links:
            self._say(link.person, LINKED, {"into": link.into, "by": link.by}, sent.timestamp)
        if (gift := outcome.gift) is not None:
            self._say(gift.into, MERGED, {"from": gift.person, "state": gift.state}, sent.timestamp)

    def _say(self, person: str, name: str, properties: dict[str, Any], at: int) -> None:
        told = Event("service", name, f"said {next(self.numbers)}", at, person, properties=properties)
        self.on_the_way += [told] * (2 if self.dice else 1)  # told twice, counted once

    def settle(self) -> None:
        for _ in range(10_000):
            if not self.on_the_way:
                return
            index = self.dice.randrange(len(self.on_the_way)) if self.dice else 0
            self.send(self.on_the_way.pop(index))
        raise AssertionError("it never ends")

    def root(self, person: str) -> State:
        while (into := self.states[person].merged_into) is not None:
            person = into
        return self.states[person]


def anonymous(name: str, at: int, **fields: Any) -> Event:
    return event(name, at, person=ANON, anonymous_id="x", **fields)


def identify(user: str = "ann", anon: str = "x", at: int = T, **traits: Any) -> Event:
    return event(
        "identify",
        at,
        person=f"u:{user}",
        user_id=user,
        anonymous_id=anon,
        traits=traits,
        message_id=f"i{user}{anon}{at}",
    )


def alias(previous: str, user: str, at: int = T) -> Event:
    return Event("alias", "alias", f"{previous}={user}", at, f"u:{user}", user_id=user, previous_id=previous)


def test_what_a_visitor_did_counts_for_the_user_they_become() -> None:
    wants = rule(id="r", trigger="go", condition={">=": [{"count": ["seen it", {"within": "7d"}]}, 3]})
    world = World(rulebook(wants))
    for number in range(2):
        world.send(anonymous("seen it", T + number))
    world.send(identify(at=T + 10))
    world.settle()
    world.send(event("seen it", T + 20))
    world.send(event("go", T + 30))
    assert [found.person for found in world.delivered] == [USER]
    assert world.states[ANON].merged_into == USER
    assert world.states[USER].merged == [ANON]


def test_the_users_own_traits_win_and_the_visitors_fill_what_is_missing() -> None:
    world = World(rulebook(rule()))
    world.send(anonymous("identify", T, traits={"plan": "free", "campaign": "spring"}))
    world.send(identify(at=T + 1, plan="team"))
    world.settle()
    assert world.states[USER].traits == {"plan": "team", "campaign": "spring"}
    world.send(anonymous("identify", T + 2, traits={"plan": "late", "city": "Kyoto"}))
    world.settle()
    assert world.states[USER].traits == {"plan": "team", "campaign": "spring", "city": "Kyoto"}


def test_a_cap_holds_for_both_together_and_what_is_too_much_is_withdrawn() -> None:
    world = World(rulebook(rule()))
    world.send(anonymous("go", T))
    world.send(event("go", T + 1))
    ours = world.delivered[1].delivery_id
    world.send(identify(at=T + 2))
    world.settle()
    assert world.withdrawn == [world.delivered[0].delivery_id]
    assert list(world.states[USER].pending) == [ours]
    assert (world.tally["r:matched"], world.tally["r:waiting"], world.tally["r:cancelled"]) == (2, 1, 1)
    world.send(event("go", T + 3))
    assert len(world.delivered) == 2


def test_a_pending_delivery_and_a_delay_go_with_the_person() -> None:
    later = rule(id="later", trigger="slow", delay="1h", cancel_on=["stop"])
    world = World(rulebook(rule(), later))
    world.send(anonymous("go", T))
    world.send(anonymous("slow", T))
    world.send(identify(at=T + S))
    world.settle()
    state = world.states[USER]
    assert list(state.pending) == [world.delivered[0].delivery_id]
    assert not world.states[ANON].pending
    assert not world.states[ANON].timers
    outcome = decide(state, None, T + H, world.book)
    assert [found.rule_id for found in outcome.deliveries] == ["later"]


def test_an_absence_ends_by_what_the_other_half_did() -> None:
    absent = rule(trigger={"after": "began", "without": "done", "within": "1d"})
    world = World(rulebook(absent))
    world.send(anonymous("began", T))
    world.send(event("done", T + H))
    world.send(identify(at=T + 2 * H))
    world.settle()
    assert not world.states[USER].waiting["r"].timers


def test_two_people_at_one_browser_are_not_merged() -> None:
    world = World(rulebook(rule()))
    world.send(anonymous("seen it", T))
    world.send(identify("ann", at=T + 1))
    world.settle()
    world.send(identify("bob", at=T + 2))
    world.settle()
    assert world.states["u:bob"].merged == []
    assert world.states[ANON].merged_into == USER
    assert world.states[USER].merged_into is None


@pytest.mark.parametrize("seed", range(30))
def test_a_circle_of_aliases_ends_with_all_in_one(seed: int) -> None:
    counted = rule(condition={">=": [{"count": ["n"]}, 1_000]})
    world = World(rulebook(counted), random.Random(seed))
    names = ["a", "b", "c", "d"]
    for number, name in enumerate(names):
        world.send(event("n", T + number, person=f"u:{name}", user_id=name, message_id=f"n{number}"))
    for previous, user in [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]:
        world.send(alias(previous, user, T + 100))
        if seed % 2:
            world.settle()
    world.settle()
    roots = {world.root(f"u:{name}").person for name in names}
    assert len(roots) == 1
    (track,) = world.root("u:a").tracks.values()
    assert track.count == len(names)


@pytest.mark.parametrize("seed", range(40))
def test_in_any_order_it_counts_what_one_person_would_have_counted(seed: int) -> None:
    """Calls of a visitor and a user in every order, the linking call among them, some sent twice."""
    dice = random.Random(seed)
    asked = rule(
        condition={
            "and": [
                {">=": [{"count": ["n", {"within": "2h"}]}, 4]},
                {">=": [{"distinct": ["n", {"of": "event.properties.v", "within": "1d"}]}, 2]},
                {"sequence": [["n", "m"], {"within": "1d"}]},
            ]
        }
    )
    calls = [
        (event if dice.random() < 0.5 else anonymous)(
            dice.choice("nnm"), T + dice.randrange(5 * H), properties={"v": dice.randrange(4)}, message_id=f"m{number}"
        )
        for number in range(40)
    ]
    calls = [msgspec.structs.replace(call, timestamp=T + index) for index, call in enumerate(calls)]
    one = World(rulebook(asked))
    for call in calls:
        one.send(msgspec.structs.replace(call, person=USER))
    two = World(rulebook(asked), dice)
    shuffled = [*calls, identify(at=T + 50), identify(at=T + 50), *dice.sample(calls, 10)]
    dice.shuffle(shuffled)
    for call in shuffled:
        two.send(call)
        if dice.random() < 0.3 and two.on_the_way:
            two.send(two.on_the_way.pop(dice.randrange(len(two.on_the_way))))
    two.settle()
    mine, theirs = one.states[USER].tracks, two.states[USER].tracks
    assert mine.keys() == theirs.keys()
    for name, tracker in two.book.trackers.items():
        for now in (T + 100, T + H, T + 2 * H, T + 30 * H):
            slots = [slot for slot in asked_slots(two.book) if slot.tracker == name]
            for slot in slots:
                assert answer(slot, mine.get(name), now) == answer(slot, theirs.get(name), now), tracker


def asked_slots(book: Rulebook) -> list[Any]:
    return [slot for live in book.rules.values() for slot in live.slots.values()]


@pytest.mark.parametrize("seed", range(20))
def test_united_histories_are_the_history_of_one(seed: int) -> None:
    dice = random.Random(seed)
    keep = 10
    sides, whole = [Track(), Track()], Track()
    marked, whole_marked = [Track(), Track()], Track()
    steps, whole_steps = [Track(), Track()], Track()
    for at in sorted(dice.sample(range(1_000), 60)):
        side, value, can_be = dice.randrange(2), dice.randrange(20).to_bytes(8, "big"), dice.randrange(1, 8)
        note(sides[side], at, keep)
        note(whole, at, keep)
        note_value(marked[side], at, value, keep)
        note_value(whole_marked, at, value, keep)
        note_step(steps[side], at, can_be, 3)
        note_step(whole_steps, at, can_be, 3)
    assert united(*sides, keep) == whole
    assert united(*marked, keep).recent == whole_marked.recent
    assert united(*marked, keep).marks == whole_marked.marks
    assert united(*steps, keep) == whole_steps


def test_long_sequences_are_united_within_their_bound() -> None:
    one, other = Track(), Track()
    for at in range(0, 400, 2):
        note_step(one, at, 1, 2)
        note_step(other, at + 1, 2, 2)
    both = united(one, other, 0)
    assert both.count == 400
    assert len(both.recent) <= 64
    assert both.before[0] is not None


def test_an_experiment_counts_one_person_once_in_the_arm_they_were_in_first() -> None:
    tried = rule(
        variants=[{"id": "one", "message": "m"}, {"id": "two", "message": "m"}],
        message=None,
        frequency="always",
        goal={"event": "bought", "within": "1d"},
    )
    world = World(rulebook(tried))
    world.send(anonymous("go", T))
    world.send(event("go", T + 1))
    world.send(event("bought", T + 2))
    first = world.states[ANON].exposures["r"].arm
    world.send(identify(at=T + 3))
    world.settle()
    people = {name: number for name, number in world.tally.items() if name.endswith(":people") and number}
    assert people == {f"r:arm:{first}:people": 1}
    assert world.states[USER].exposures["r"].reached
    assert sum(number for name, number in world.tally.items() if name.endswith(":reached")) == 1
    world.send(event("go", T + 4))
    assert world.delivered[-1].variant == first


def test_an_inbox_of_both_holds_no_more_than_one() -> None:
    world = World(rulebook(rule(frequency="always")))
    for number in range(80):
        world.send(anonymous("go", T + number))
        world.send(event("go", T + number))
    world.send(identify(at=T + M))
    world.settle()
    assert len(world.states[USER].pending) == INBOX_CAPACITY
    assert len(world.withdrawn) == 160 - INBOX_CAPACITY
    assert world.tally["r:waiting"] == INBOX_CAPACITY


def test_an_edge_that_both_together_pass_wakes_the_rule() -> None:
    busy = Segment(id="busy", condition={">=": [{"count": ["n"]}, 3]})
    woken = rule(trigger={"enters": "busy"})
    world = World(compile_rulebook(Definitions([woken], [message()], [busy])))
    world.send(anonymous("n", T))
    world.send(anonymous("n", T + 1))
    world.send(event("n", T + 2))
    assert not world.delivered
    world.send(identify(at=T + 3))
    world.settle()
    assert [found.person for found in world.delivered] == [USER]


def test_a_gift_that_comes_again_by_a_later_name_is_no_stranger() -> None:
    book = rulebook(rule(condition={">=": [{"count": ["n"]}, 1_000]}))
    one, other = new_state(USER), new_state(ANON)
    other = decide(other, anonymous("n", T), T, book).state
    absorb(one, other, book)
    assert one.first_seen == T == one.last_seen
    assert one.session.number == 1
    assert one.anonymous_id == "x"


def test_what_was_shown_before_the_merge_had_come_is_not_shown_again() -> None:
    world = World(rulebook(rule()))
    world.send(anonymous("go", T))
    shown = {"delivery_id": world.delivered[0].delivery_id}
    world.send(identify(at=T + 1))
    world.send(event("Message Shown", T + 2, user_id="ann", properties=shown))
    world.settle()
    (record,) = world.states[USER].records["r"]
    assert record.shown_at == T + 2
    assert not world.states[USER].pending
    assert not world.states[USER].strays
    assert (world.tally["r:waiting"], world.tally["r:shown"]) == (0, 1)


def test_interactions_with_deliveries_nobody_knows_are_kept_within_bounds() -> None:
    world = World(rulebook(rule()))
    for number in range(100):
        world.send(event("Message Shown", T + number, properties={"delivery_id": f"{number}"}))
    assert len(world.states[USER].strays) == 20


@pytest.mark.parametrize(("vouched", "asked"), [(None, 2), ("k", 2), ("h", 1), ("t", 1)])
def test_who_proves_to_be_one_user_has_not_proven_to_have_been_another(vouched: str | None, asked: int) -> None:
    world = World(rulebook(rule()))
    world.send(msgspec.structs.replace(alias("victim", "ann"), vouched=vouched))
    assert sorted(told.person for told in world.on_the_way) == ["a:victim", "u:victim"][:asked]
