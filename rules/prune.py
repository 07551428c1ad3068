"""Letting go of history that no live rule reads, late: a rule that is edited away and back keeps its past."""

from rules.limits import MAX_UNKNOWN, PRUNE_AFTER
from rules.rulebook import Rulebook
from rules.state import State


def prune(state: State, rulebook: Rulebook, moment: int) -> None:
    """To be called every PRUNE_EVERY ms of the person's time."""
    state.pruned_at = moment
    strange = [name for name in state.tracks if name not in rulebook.trackers]
    strange += [
        name
        for known in (state.records, state.waiting, state.exposures)
        for name in known
        if name not in rulebook.rules
    ]
    unknown = {name: state.unknown.get(name, moment) for name in strange}
    oldest_first = sorted(unknown, key=lambda name: (unknown[name], name))
    surplus = len(oldest_first) - MAX_UNKNOWN
    for index, name in enumerate(oldest_first):
        if index < surplus or moment - unknown[name] >= PRUNE_AFTER:
            for known in (state.tracks, state.records, state.waiting, state.exposures):
                known.pop(name, None)
            del unknown[name]
    state.unknown = unknown
    state.occasions = {key: due for key, due in state.occasions.items() if key in rulebook.keys}
    state.members = {key: inside for key, inside in state.members.items() if key in rulebook.watched}
