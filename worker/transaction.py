"""The decider's commit: state, timers, deliveries, decisions, dedup and read position, together or not at all."""

from collections import Counter
from typing import Any, Final

import msgspec

from engage.keys import ShardKeys
from engage.log import Logged
from engage.store import Script
from worker.lease import LEASE_MS

DECISIONS_KEPT: Final = 1_000  # entries …
DECISIONS_EACH: Final = 20  # … of so many decisions at most: what history may cost a shard is bounded
FAILED_KEPT: Final = 1_000
TELL: Final = "tell"  # in the outbox: a record for the log of its person's shard
SPREAD: Final = "spread"  # in the outbox: a record for the log of every shard
MOVE: Final = "move"  # in the outbox: [person, whom they turned out to be]

# KEYS: lease, position, timers, outbox, decisions, stats, seen, generation, retired seen, failed, matches, then the states.
# ARGV: token, lease ms, position or "", live channel, generation number, its start, then eight counts (states, timers,
# outbox, stats, seen, decisions, failed, matches) and their values in this order. Returns 1, or 0 when the lease is another's.
COMMIT = Script(
    f"""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local states, timers, outbox = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local stats, seen, decisions = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local failed, matches = tonumber(ARGV[13]), tonumber(ARGV[14])
local a = 15
for n = 1, states do
  if ARGV[a] == '' then redis.call('DEL', KEYS[11 + n]) else redis.call('SET', KEYS[11 + n], ARGV[a]) end
  a = a + 1
end
for n = 1, timers do
  if ARGV[a + 1] == '' then redis.call('ZREM', KEYS[3], ARGV[a]) else redis.call('ZADD', KEYS[3], ARGV[a + 1], ARGV[a]) end
  a = a + 2
end
for n = 1, outbox do redis.call('XADD', KEYS[4], '*', 'k', ARGV[a], 'd', ARGV[a + 1]); a = a + 2 end
for n = 1, stats do redis.call('HINCRBY', KEYS[6], ARGV[a], ARGV[a + 1]); a = a + 2 end
if seen > 0 then
  for n = 1, seen do redis.call('SADD', KEYS[7], ARGV[a]); a = a + 1 end
  redis.call('HSET', KEYS[8], 'number', ARGV[5], 'since', ARGV[6])
  redis.call('UNLINK', KEYS[9])
end
if ARGV[3] ~= '' then redis.call('SET', KEYS[2], ARGV[3]) end
for n = 1, decisions do
  redis.call('XADD', KEYS[5], 'MAXLEN', '~', {DECISIONS_KEPT}, '*', 'd', ARGV[a])
  a = a + 1
end
for n = 1, failed do
  redis.call('XADD', KEYS[10], 'MAXLEN', '~', {FAILED_KEPT}, '*', 'd', ARGV[a], 'reason', ARGV[a + 1])
  a = a + 2
end
for n = 1, matches do redis.call('HINCRBY', KEYS[11], ARGV[a], ARGV[a + 1]); a = a + 2 end
if decisions > 0 then redis.call('PUBLISH', ARGV[4], '{{}}') end
return 1
""",
    when_full=True,
)


class Decision(msgspec.Struct):
    """What one event (or timer) led to, as history and the live panel read it."""

    person: str
    at: int
    event: dict[str, Any] | None
    considered: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]


class Transaction(msgspec.Struct):
    """What a batch of events changes in a shard."""

    position: str = ""
    states: dict[str, bytes] = {}  # empty: removed
    timers: dict[str, int | None] = {}
    outbox: list[tuple[str, bytes]] = []
    stats: Counter[str] = msgspec.field(default_factory=Counter)
    matches: Counter[str] = msgspec.field(default_factory=Counter)  # see rules/tally.py
    seen: list[bytes] = []
    failed: list[tuple[bytes, str]] = []
    decisions: list[Decision] = []

    def tell(self, record: Logged) -> None:
        """Puts a record into the outbox, for the log of its person's shard."""
        self.outbox.append((TELL, msgspec.json.encode(record)))

    async def commit(self, client: Any, keys: ShardKeys, token: str, generation: int, since: int) -> bool:
        """False when the lease is another's: then nothing was changed."""
        decisions = [
            msgspec.json.encode(self.decisions[start : start + DECISIONS_EACH])
            for start in range(0, len(self.decisions), DECISIONS_EACH)
        ]
        script_keys = [
            keys.lease, keys.position, keys.timers, keys.outbox, keys.decisions, keys.stats,
            keys.seen(generation), keys.generation, keys.seen(generation - 2), keys.failed, keys.matches,
            *(keys.state(person) for person in self.states),
        ]  # fmt: skip
        args: list[Any] = [
            token, LEASE_MS, self.position, keys.live, generation, since,
            len(self.states), len(self.timers), len(self.outbox), len(self.stats), len(self.seen), len(decisions),
            len(self.failed), len(self.matches),
            *self.states.values(),
        ]  # fmt: skip
        for person, due in self.timers.items():
            args += (person, "" if due is None else due)
        for kind, payload in self.outbox:
            args += (kind, payload)
        for name, count in self.stats.items():
            args += (name, count)
        args += self.seen
        args += decisions
        for payload, reason in self.failed:
            args += (payload, reason)
        for name, change in self.matches.items():
            args += (name, change)
        return bool(await COMMIT.run(client, script_keys, args))
