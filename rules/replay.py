"""Deciding a log again, through the same `decide` as life, for people of whom nothing is known before it begins.

A timer fires when the log has come past its time, as the clock would have made it fire: before a call that was received later.
"""

from collections.abc import Callable, Iterator

import msgspec

from rules.apply import SERVICE
from rules.decide import decide
from rules.event import Event
from rules.groups import KNOWN, PREFIX, join, learn, see
from rules.merge import MERGED
from rules.outcome import Outcome
from rules.rulebook import Rulebook
from rules.state import State, new_state
from rules.timers import next_due


class Replay:
    """The states of some people, and what one rulebook makes of their events."""

    def __init__(self, rulebook: Rulebook, was_made: Callable[[str], bool]) -> None:
        """`was_made` says of a delivery's id whether it was made in life too: then the log tells whether it was shown. Any other
        counts as shown at once: nobody can have seen it, and its rule's cap shall mean something."""
        self.rulebook = rulebook
        self.was_made = was_made
        self.states: dict[str, State] = {}
        self._groups: dict[str, State] = {}
        self._gifts: dict[str, bytes] = {}  # by who gave it and its number

    def event(self, event: Event, received: int) -> Iterator[Outcome]:
        """What follows from one event that was `received` at a time, ms; timers that were due before come first."""
        if event.person.startswith(PREFIX):
            if event.name == KNOWN:
                learn(self._group(event.person), event.properties.get("traits"), event.properties.get("number"))
            return
        yield from self.fire(event.person, received - 1)
        state = self.states.get(event.person)
        if state is None:
            state = new_state(event.person)
        if event.type == SERVICE and event.name == MERGED:
            given = self._gifts.pop(str(event.properties.get("from")), None)
            if given is None:
                return  # of before the log begins, or what was filled in life: the replay knew it from the start
            event = msgspec.structs.replace(event, properties=event.properties | {"state": given})
        self._see(state)
        if event.type == "group" and event.group_id is not None and state.merged_into is None:
            join(state, self._group(PREFIX + event.group_id), event)
        yield self._done(decide(state, event, event.timestamp, self.rulebook))

    def _group(self, name: str) -> State:
        return self._groups.setdefault(name, new_state(name))

    def _see(self, state: State) -> None:
        if state.group_id is not None:
            see(state, self._groups.get(PREFIX + state.group_id))

    def fire(self, person: str, until: int) -> Iterator[Outcome]:
        """The timers of a person due until a moment, one moment after the other."""
        state = self.states.get(person)
        while state is not None and (due := next_due(state)) is not None and due <= until:
            self._see(state)
            yield self._done(decide(state, None, due, self.rulebook))
            state = self.states[person]

    def finish(self, until: int) -> Iterator[Outcome]:
        """The timers due until a moment, person by person."""
        for person in list(self.states):
            yield from self.fire(person, until)

    def _done(self, outcome: Outcome) -> Outcome:
        state = self.states[outcome.state.person] = outcome.state
        if outcome.gift is not None:
            self._gifts[outcome.gift.person] = outcome.gift.state
        for delivery in outcome.deliveries:
            if not self.was_made(delivery.delivery_id):
                state.pending.pop(delivery.delivery_id, None)
                for record in state.records[delivery.rule_id]:
                    if record.delivery_id == delivery.delivery_id:
                        record.shown_at = delivery.decided_at
        return outcome
