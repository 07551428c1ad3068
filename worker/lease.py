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

# A decider has to be able to begin when the store's memory is full: nobody else trims the log.
# KEYS: lease. ARGV: token, ms, the token before or "". Returns 1 to who has it now. A lease that would hold for longer than any
# was given for is of a time before the store's clock was set back: it is cut short, and who owns it renews it.
_ACQUIRE = Script(
    """
if ARGV[3] ~= '' and redis.call('GET', KEYS[1]) == ARGV[3] then redis.call('DEL', KEYS[1]) end
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
""",
    when_full=True,
)

# KEYS: the deciders. ARGV: member, for how long a heartbeat counts, ms. Returns how many live. The store's clock is the one for
# all; a heartbeat from its future was made before it was set back, and would count until that time comes again.
_MEET = Script(
    """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + 1, '+inf')
redis.call('ZADD', KEYS[1], now, ARGV[1])
return redis.call('ZCARD', KEYS[1])
""",
    when_full=True,
)

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
    """One try at one shard; every acquisition has a token of its own. `before`: the token of this process's last one, which could
    not be given back while the store was away. Taken over, it need not run out first, and fences what was sent under it."""

    def __init__(self, client: Any, shard: ShardKeys, before: str = "") -> None:
        self._client = client
        self._key = shard.lease
        self._before = before
        self.token = uuid.uuid4().hex

    async def acquire(self) -> bool:
        return bool(await _ACQUIRE.run(self._client, [self._key], [self.token, LEASE_MS, self._before]))

    async def renew(self) -> bool:
        return bool(await _RENEW.run(self._client, [self._key], [self.token, LEASE_MS]))

    async def release(self) -> None:
        await _RELEASE.run(self._client, [self._key], [self.token])


async def fair_share(client: Any, project: str, member: str, shards: int) -> int:
    """Says that `member` lives, and returns how many of the shards it may hold."""
    alive: int = await _MEET.run(client, [keys.deciders(project)], [member, ALIVE_MS])
    return math.ceil(shards / max(1, alive))


async def resign(client: Any, projects: Sequence[str], member: str) -> None:
    for project in projects:
        await client.zrem(keys.deciders(project), member)
