"""Groups (accounts): what one member's `group` call says is known to the rules of all (Segment Spec: Group).

A group is kept like a person, under `g:<groupId>`. The shard of that name has the last word: it takes changes in the order they come and gives
each new whole a number; every shard keeps the newest it has heard of.
"""

from typing import Any, Final

from rules.event import SERVER, SIGNED, Event
from rules.state import State, merge_traits

PREFIX: Final = "g:"
CHANGED: Final = "Group Changed"  # said to the group: a member's call
KNOWN: Final = "Group Known"  # said to every shard: the traits as they are now, and their number


def change(group: State, traits: dict[str, Any]) -> bool:
    """In the group's own shard: takes a member's traits in; says whether there is something to tell the others."""
    _merge(group, traits)
    if group.traits == group.group_traits:  # what was told last
        return False
    group.group_traits = group.traits
    group.given += 1
    return True


def join(state: State, group: State, event: Event) -> dict[str, Any] | None:
    """A member's `group` call counts here at once, and the member gets all that is known of the group. Returns what the call may say of
    it; None where it says nothing: a group that a token has named is left, and its signed traits are changed, by a signed or a server's word alone."""
    traits = event.traits
    if state.signed_group is not None and event.vouched not in (SIGNED, SERVER):
        if event.group_id != state.group_id:
            return None
        traits = {name: value for name, value in traits.items() if name not in state.signed_group}
    if event.group_id != state.group_id:
        state.group_id, state.signed_group = event.group_id, None
    _merge(group, traits)
    state.group_traits = group.traits
    return traits


def _merge(group: State, traits: dict[str, Any]) -> None:
    group.traits, dropped = merge_traits(group.traits, traits)
    group.traits_dropped += dropped


def learn(group: State, traits: Any, number: Any) -> None:
    """The whole as its own shard has it, unless a newer one is known."""
    if isinstance(traits, dict) and isinstance(number, int) and number > group.given:
        group.traits, group.given = traits, number


def see(state: State, group: State | None) -> None:
    """A member sees the group as it is known here."""
    if group is not None and (group.traits or group.given):
        state.group_traits = group.traits
