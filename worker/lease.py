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
        return bool(await self._client.set(self._key, self.token, nx=True, px=LEASE_MS))

    async def renew(self) -> bool:
        return bool(await _RENEW.run(self._client, [self._key], [self.token, LEASE_MS]))

    async def release(self) -> None:
        await _RELEASE.run(self._client, [self._key], [self.token])


async def fair_share(client: Any, project: str, member: str, shards: int, now: int) -> int:
    """Says that `member` lives, and returns how many of the shards it may hold."""
    key = keys.deciders(project)
    pipeline = client.pipeline(transaction=False)
    pipeline.zadd(key, {member: now})
    pipeline.zremrangebyscore(key, "-inf", now - ALIVE_MS)
    pipeline.zcard(key)
    alive: int = (await pipeline.execute())[2]
    return math.ceil(shards / max(1, alive))


async def resign(client: Any, projects: Sequence[str], member: str) -> None:
    for project in projects:
        await client.zrem(keys.deciders(project), member)
