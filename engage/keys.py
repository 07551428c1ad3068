"""Every Redis key of Engage: its name, its type, its life, and who writes it. `docs/keys.md` says the same at length.

All keys of a shard carry one hash tag, so that a transaction on a shard stays in one slot of a cluster.
"""

import re
from functools import lru_cache
from typing import Final

from rules.ids import delivery_shard_hash, hash16

REMEMBERED: Final = 16_384  # people
_DELIVERY_ID: Final = re.compile(r"[0-9a-f]{32}")


@lru_cache(REMEMBERED)  # a tenth of the time, and most events are of somebody who has just sent another
def shard_of(person: str, shards: int) -> int:
    return hash16(person) % shards


def shard_of_delivery(delivery_id: str, shards: int) -> int | None:
    """The shard a delivery id names, None where the id is not one of ours."""
    if _DELIVERY_ID.fullmatch(delivery_id) is None:
        return None
    return delivery_shard_hash(delivery_id) % shards


IN_FORCE: Final = "~"  # among the `trackers` of a shard: the version of the rulebook that decides there


class ShardKeys:
    """The keys of one shard of one project.

    | key | type | life | written by |
    |---|---|---|---|
    | log | stream, field `e`: JSON array of records | ENGAGE_LOG_RETENTION | engage (ingest) |
    | lease | string: the owner's token | 3 s, renewed | worker (decider) |
    | position | string: id of the last applied log entry | for ever | worker (decider), in the commit |
    | state | string per person | for ever | worker (decider), in the commit |
    | timers | sorted set: person → next due time, ms | until due | worker (decider), in the commit |
    | seen | set per generation: hashed messageIds | two generations | worker (decider), in the commit |
    | generation | hash: number, start and size of the `seen` in use | for ever | worker (decider), in the commit |
    | trackers | hash: tracker → `k<keep>` kept, `d<keep> <position>` no longer; `~` version of the rulebook in force | for ever | worker (decider) |
    | outbox | stream, fields `k`, `d` | until drained | decider adds, delivery removes |
    | inbox | stream per person, fields `i`, `d`, `x` | until claimed, expired, or 100 newer | delivery, claim, release |
    | delivery | hash per delivery | 30 days | delivery, claim, release |
    | forward | string per person who was merged into another: that one | for ever | delivery |
    | decisions | stream, field `d`, capped | the newest 1,000 entries of ≤ 20 | worker (decider), in the commit |
    | failed | stream, capped | the newest 1,000 | delivery, and the decider in the commit |
    | stats | hash of counters | for ever | decider (in the commit), delivery, claim |
    | matches | hash: "rule:what" → how many, see rules/tally.py | for ever | worker (decider), in the commit |
    | live | pub/sub channel | - | delivery, claim, decider |
    """

    __slots__ = (
        "decisions",
        "failed",
        "generation",
        "lease",
        "live",
        "log",
        "matches",
        "outbox",
        "position",
        "prefix",
        "stats",
        "timers",
        "trackers",
    )

    def __init__(self, project: str, shard: int) -> None:
        self.prefix = prefix = f"{{{project}.{shard}}}:"
        self.log = prefix + "log"
        self.lease = prefix + "lease"
        self.position = prefix + "position"
        self.timers = prefix + "timers"
        self.trackers = prefix + "trackers"
        self.outbox = prefix + "outbox"
        self.decisions = prefix + "decisions"
        self.generation = prefix + "generation"
        self.failed = prefix + "failed"
        self.stats = prefix + "stats"
        self.matches = prefix + "matches"
        self.live = prefix + "live"

    def state(self, person: str) -> str:
        return f"{self.prefix}state:{person}"

    def inbox(self, person: str) -> str:
        return f"{self.prefix}inbox:{person}"

    def delivery(self, delivery_id: str) -> str:
        return f"{self.prefix}delivery:{delivery_id}"

    def forward(self, person: str) -> str:
        return f"{self.prefix}forward:{person}"

    def seen(self, generation: int) -> str:
        return f"{self.prefix}seen:{generation}"


class Logs(dict[str, str]):
    """Person → the key of the log that their events go to, by a look-up for those who came lately: most events are of somebody who has
    just sent another."""

    def __init__(self, project: str, shards: int) -> None:
        super().__init__()
        self._logs = [ShardKeys(project, shard).log for shard in range(shards)]

    def __missing__(self, person: str) -> str:
        if len(self) >= REMEMBERED:
            self.clear()
        log = self[person] = self._logs[shard_of(person, len(self._logs))]
        return log


def rulebook(project: str) -> str:
    """String: the number of the rulebook in force. Moved by engage (publishing) together with the snapshot."""
    return f"{{{project}}}:rulebook"


def rulebook_version(project: str, version: int) -> str:
    """String: one immutable rulebook, JSON. Written by engage (definitions); the newest 10 are kept."""
    return f"{{{project}}}:rulebook:{version}"


def shards(project: str) -> str:
    """String: how many shards the project has, set once."""
    return f"{{{project}}}:shards"


def delivery_secret(project: str) -> str:
    """String: 32 random bytes, made by the first decider; delivery ids are keyed with it."""
    return f"{{{project}}}:delivery-secret"


def erasing(project: str) -> str:
    """String: held by who removes a person, so that one is removed at a time; ten minutes at most."""
    return f"{{{project}}}:erasing"


def dead_letters(project: str) -> str:
    """Stream, field `d`: the newest 1,000 events that the door could not take. Written by engage (ingest)."""
    return f"{{{project}}}:dead-letters"


def identity_day(project: str, day: str, proof: str) -> str:
    """HyperLogLog, 8 days: the users who came on a day (UTC) with this kind of proof. Written by engage (ingest, stream)."""
    return f"{{{project}}}:identity:{day}:{proof}"


def deciders(project: str) -> str:
    """Sorted set: decider process → last heartbeat, ms. Deciders share the shards by it."""
    return f"{{{project}}}:deciders"
