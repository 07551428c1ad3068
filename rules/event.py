"""What the engine sees of one call of the Segment Spec."""

from typing import Any, Final

import msgspec

# Who vouches for an event, as its record in the log says it.
SIGNED: Final = "c"  # the customer's backend, by the claims of a signed token
SERVER: Final = "k"  # the customer's server, by the secret key
UNPROVEN: Final = "n"  # nobody, where an inbox is guarded: an alias, which would bring another user's messages along


class Event(msgspec.Struct):
    """`timestamp` is event time in ms, already corrected for client clocks and never in the future."""

    type: str
    name: str
    message_id: str
    timestamp: int
    person: str
    user_id: str | None = None
    anonymous_id: str | None = None
    properties: dict[str, Any] = {}
    traits: dict[str, Any] = {}
    context: dict[str, Any] = {}
    group_id: str | None = None
    previous_id: str | None = None
    via: tuple[str, ...] = ()  # who handed it on: people who were merged into another
    vouched: str | None = None  # how its userId was proven: SIGNED, SERVER, or in another way; None: it was not
