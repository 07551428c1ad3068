"""Deliveries in the outboxes, as deciders leave them there."""

from collections.abc import Sequence
from typing import Any

import msgspec

from engage.keys import ShardKeys, shard_of
from rules import Delivery, delivery_id

AT_ONCE = 1_000


def fill(client: Any, persons: Sequence[str], message: str, shards: int = 8, each: int = 1) -> None:
    """Puts `each` deliveries of a message for every person into their shards' outboxes."""
    pipeline = client.pipeline(transaction=False)
    for number in range(each):
        for person in persons:
            made = Delivery(
                delivery_id("r", person, f"{message}-{number}"), "r", message, "chat", person, 0, None, 0, None, None, "en",
                {"user": {"traits": {"first_name": "Aiko"}}},
            )  # fmt: skip
            outbox = ShardKeys("default", shard_of(person, shards)).outbox
            pipeline.xadd(outbox, {"k": "deliver", "d": msgspec.json.encode(made)})
            if len(pipeline) >= AT_ONCE:
                pipeline.execute()
    pipeline.execute()
