"""What a group call may say, and who hears of it."""

from rules import new_state
from rules.event import SERVER, SIGNED, Event
from rules.groups import change, join, learn, see
from tests.rules.engine_helpers import PERSON, event


def _call(group: str, vouched: str | None = None, **traits: object) -> Event:
    return event("group", 1, group_id=group, traits=traits, vouched=vouched)


def test_a_members_word_counts_at_once_and_the_member_gets_all_that_is_known() -> None:
    member, group = new_state(PERSON), new_state("g:acme")
    learn(group, {"plan": "team", "seats": 5}, 1)
    assert join(member, group, _call("acme", seats=6)) == {"seats": 6}
    assert member.group_id == "acme"
    assert member.group_traits == group.traits == {"plan": "team", "seats": 6}


def test_the_groups_own_shard_tells_what_is_new_and_numbers_it() -> None:
    group = new_state("g:acme")
    assert change(group, {"plan": "team"})
    assert not change(group, {"plan": "team"})
    assert join(new_state(PERSON), group, _call("acme", plan="free"))  # a member of this shard
    assert change(group, {"plan": "free"})
    assert group.given == 2


def test_an_older_whole_says_nothing() -> None:
    group, member = new_state("g:acme"), new_state(PERSON)
    learn(group, {"plan": "new"}, 2)
    learn(group, {"plan": "old"}, 1)
    see(member, group)
    assert member.group_traits == {"plan": "new"}
    see(member, new_state("g:acme"))  # nothing known here yet: what the member said stands
    assert member.group_traits == {"plan": "new"}


def test_a_signed_group_is_neither_left_nor_changed_by_an_unsigned_word() -> None:
    member, group, other = new_state(PERSON), new_state("g:acme"), new_state("g:rival")
    join(member, group, _call("acme", SIGNED, plan="team"))
    member.signed_group = ["plan"]
    assert join(member, other, _call("rival", plan="x")) is None
    assert member.group_id == "acme"
    assert other.traits == {}
    assert join(member, group, _call("acme", plan="enterprise", city="Kyoto")) == {"city": "Kyoto"}
    assert group.traits == {"plan": "team", "city": "Kyoto"}
    assert join(member, other, _call("rival", SERVER)) == {}
    assert member.group_id == "rival"
    assert member.signed_group is None
