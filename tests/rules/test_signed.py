"""What a signed token has said of a person: no unsigned word changes it."""

from engine_helpers import PERSON, S, event, play, rule, rulebook

from rules import SERVER, SIGNED, State, decode_state, encode_state, new_state
from rules.limits import MAX_TRAITS

BOOK = rulebook(rule(trigger="never"))


def _after(*calls: tuple[str, str | None, dict, str | None]) -> State:
    events = [
        event(kind, (number + 1) * S, traits=traits, group_id=group, vouched=vouched)
        for number, (kind, group, traits, vouched) in enumerate(calls)
    ]
    return decode_state(encode_state(play(new_state(PERSON), BOOK, *events)[-1].state))


def test_a_signed_trait_is_changed_by_a_token_and_by_a_server_alone():
    first = ("identify", None, {"plan": "free"}, SIGNED)
    for vouched in (None, "h", "t"):
        lie = ("identify", None, {"plan": "gold", "name": "Aiko"}, vouched)
        assert _after(first, lie).traits == {"plan": "free", "name": "Aiko"}
        assert _after(first, ("identify", None, {"plan": None}, vouched)).traits == {"plan": "free"}
    assert _after(first, ("identify", None, {"plan": "team"}, SERVER)).traits == {"plan": "team"}
    assert _after(first, ("identify", None, {"plan": "pro"}, SIGNED)).traits == {"plan": "pro"}


def test_signing_takes_over_what_was_said_before_and_stays_when_a_later_token_signs_less():
    said = ("identify", None, {"plan": "gold"}, None)
    signed, less = ("identify", None, {"plan": "free"}, SIGNED), ("identify", None, {"seats": 3}, SIGNED)
    assert _after(said, signed, less, said).traits == {"plan": "free", "seats": 3}


def test_a_trait_that_a_token_removed_cannot_be_put_back_by_a_page():
    removed = ("identify", None, {"beta": None}, SIGNED)
    assert _after(removed, ("identify", None, {"beta": True}, None)).traits == {}


def test_a_signed_group_is_left_by_a_token_and_by_a_server_alone():
    signed = ("group", "acme", {"tier": "basic"}, SIGNED)
    away, within = ("group", "evil", {"tier": "top"}, "h"), ("group", "acme", {"tier": "top", "colour": "red"}, "h")
    found = _after(("group", "evil", {"x": 1}, None), signed, away, within)
    assert (found.group_id, found.group_traits) == ("acme", {"tier": "basic", "colour": "red"})
    for vouched in (SIGNED, SERVER):
        found = _after(signed, ("group", "new", {"tier": "top"}, vouched))
        assert (found.group_id, found.group_traits) == ("new", {"tier": "top"})
    # A group that the server named is a page's to leave: nobody signed it.
    assert _after(signed, ("group", "new", {}, SERVER), away).group_id == "evil"


def test_how_much_is_remembered_as_signed_is_bounded():
    calls = [("identify", None, {f"t{n}-{m}": 1 for m in range(100)}, SIGNED) for n in range(8)]
    assert len(_after(*calls).signed) == MAX_TRAITS
