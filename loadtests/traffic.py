"""A stream of events as a product's people make them: they come, look around, use features, and go; new ones come after them."""

import random
import time
from typing import Any, Final

import msgspec

from loadtests import realistic
from loadtests.processes import WRITE_KEY

AT_ONCE: Final = 500  # people
STAY: Final = 60  # events of one of them, on average
PROBES: Final = 0.01  # of all events: one that wakes a rule, of somebody who listens


class Traffic:
    """Bodies of batches, each event with a messageId of its own."""

    def __init__(self, listeners: int) -> None:
        self._dice = random.Random(5)
        self._listeners = listeners
        self._came = AT_ONCE
        self._people = [f"user-{number}" for number in range(AT_ONCE)]
        self._prefix = f"t{time.monotonic_ns():x}"
        self._sent = 0

    def batch(self, size: int) -> bytes:
        events = [self._event() for _ in range(size)]
        return msgspec.json.encode({"batch": events, "writeKey": WRITE_KEY})

    def _event(self) -> dict[str, Any]:
        dice = self._dice
        self._sent += 1
        event: dict[str, Any] = {
            "messageId": f"{self._prefix}-{self._sent}",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "context": {"page": {"path": dice.choice(realistic.PATHS)}, "locale": "ja-JP", "timezone": "Asia/Tokyo"},
        }
        if dice.random() < PROBES:
            return event | {"type": "track", "event": "Probe", "userId": f"listener-{dice.randrange(self._listeners)}"}
        place = dice.randrange(AT_ONCE)
        if dice.random() < 1 / STAY:
            self._came += 1
            self._people[place] = f"user-{self._came}"
        event |= {"userId": self._people[place], "anonymousId": "a-" + self._people[place]}
        kind = dice.choices(("page", "track", "identify"), (60, 35, 5))[0]
        if kind == "page":
            return event | {"type": "page"}
        if kind == "identify":
            return event | {"type": "identify", "traits": {"plan": dice.choice(realistic.PLANS), "seats": 4}}
        return event | {
            "type": "track",
            "event": dice.choice(realistic.NAMES),
            "properties": {"format": "csv", "rows": 120},
        }
