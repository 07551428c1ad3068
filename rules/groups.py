"""Groups (accounts): what one member's `group` call says is known to the rules of all (Segment Spec: Group).

A group is kept like a person, under `g:<groupId>`. The shard of that name has the last word: it takes changes in the order they come and gives
each new whole a number; every shard keeps the newest it has heard of.
"""

from typing import Any, Final

from rules.event import Event
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


def join(group: State, event: Event) -> None:
    """A member's `group` call counts here at once; the member gets all that is known of the group."""
    _merge(group, event.traits)
    event.traits = group.traits


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
