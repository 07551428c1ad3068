"""Who decides for a shard: a lease in the store, whose token fences every commit.

A process that lost its lease (it was stopped, the network was) finds its token gone when it commits, and commits nothing.
"""

import math
import uuid
from collections.abc import Sequence
from typing import Any, Final

from engage import keys
from engage.keys import ShardKeys
from engage.store import Script

LEASE_MS: Final = 3_000
ALIVE_MS: Final = 3_000  # a decider not heard of for so long has no share any more

# These two may also be taken when the store's memory is full: only a decider trims the log, so one has to be able to begin.
# KEYS: lease. ARGV: token, ms. Returns 1 to who has it now.
_ACQUIRE = Script("""#!lua flags=allow-oom
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
""")

# KEYS: the deciders. ARGV: member, now, the oldest heartbeat that still counts. Returns how many live.
_MEET = Script("""#!lua flags=allow-oom
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
return redis.call('ZCARD', KEYS[1])
""")

# KEYS: lease. ARGV: token, ms. Returns 1 while the lease is ours.
_RENEW = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
""")

# KEYS: lease. ARGV: token.
_RELEASE = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
""")


class Lease:
    """One try at one shard; every acquisition has a token of its own."""

    def __init__(self, client: Any, shard: ShardKeys) -> None:
        self._client = client
        self._key = shard.lease
        self.token = uuid.uuid4().hex

    async def acquire(self) -> bool:
        return bool(await _ACQUIRE.run(self._client, [self._key], [self.token, LEASE_MS]))

    async def renew(self) -> bool:
        return bool(await _RENEW.run(self._client, [self._key], [self.token, LEASE_MS]))

    async def release(self) -> None:
        await _RELEASE.run(self._client, [self._key], [self.token])


async def fair_share(client: Any, project: str, member: str, shards: int, now: int) -> int:
    """Says that `member` lives, and returns how many of the shards it may hold."""
    alive: int = await _MEET.run(client, [keys.deciders(project)], [member, now, now - ALIVE_MS])
    return math.ceil(shards / max(1, alive))


async def resign(client: Any, projects: Sequence[str], member: str) -> None:
    for project in projects:
        await client.zrem(keys.deciders(project), member)
