"""A person's inbox: the deliveries that wait to be shown. Every operation is a script, written once for async callers
(HTTP) and sync ones (RQ).

A delivery is `pending` while its entry lies in the inbox stream: whoever removes the entry has it. So a claim, a
withdrawal and a trim that meet can have only one winner.
"""

from typing import Any

import msgspec
from msgspec import Raw

from engage.keys import ShardKeys
from engage.store import Script
from rules.limits import DELIVERY_LIFE as RECORD_MS
from rules.limits import INBOX_CAPACITY as CAPACITY


class Notice(msgspec.Struct):
    """What goes over a shard's live channel: a new inbox entry `i` of person `p` with delivery `d`; all fields empty
    say that decisions were committed."""

    p: str | None = None
    i: str | None = None
    d: Raw = Raw(b"")


class Pending(msgspec.Struct):
    entry: str
    delivery: Raw
    expires_at: int | None


# KEYS: outbox, stats, then inbox and delivery of each. ARGV: live channel, now, then of each: outbox entry, delivery id,
# person, wire JSON, expires_at or "". Returns how many deliveries were put into inboxes.
DELIVER = Script(f"""
local put = 0
for n = 0, (#KEYS - 2) / 2 - 1 do
  local inbox, delivery, a = KEYS[3 + n * 2], KEYS[4 + n * 2], 3 + n * 5
  if redis.call('XDEL', KEYS[1], ARGV[a]) == 1 and redis.call('EXISTS', delivery) == 0 then
    local id, person, json, expires = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
    local entry = redis.call('XADD', inbox, '*', 'd', json, 'x', expires)
    redis.call('XTRIM', inbox, 'MAXLEN', {CAPACITY})
    redis.call('PEXPIRE', inbox, {RECORD_MS})
    redis.call('HSET', delivery, 'state', 'pending', 'person', person, 'entry', entry, 'd', json, 'x', expires,
      'delivered_at', ARGV[2])
    redis.call('PEXPIRE', delivery, {RECORD_MS})
    redis.call('PUBLISH', ARGV[1], '{{"p":' .. cjson.encode(person) .. ',"i":"' .. entry .. '","d":' .. json .. '}}')
    put = put + 1
  end
end
if put > 0 then redis.call('HINCRBY', KEYS[2], 'delivered', put) end
return put
""")

# KEYS: outbox, stats, inbox, delivery. ARGV: outbox entry, person. Returns 1 when the delivery can now not be shown.
WITHDRAW = Script(f"""
redis.call('XDEL', KEYS[1], ARGV[1])
local entry = redis.call('HGET', KEYS[4], 'entry')
if not entry then
  redis.call('HSET', KEYS[4], 'state', 'withdrawn', 'person', ARGV[2])
elseif redis.call('XDEL', KEYS[3], entry) == 1 then
  redis.call('HSET', KEYS[4], 'state', 'withdrawn')
else
  redis.call('HSET', KEYS[4], 'withdrawn', 1)
  return 0
end
redis.call('PEXPIRE', KEYS[4], {RECORD_MS})
redis.call('HINCRBY', KEYS[2], 'withdrawn', 1)
return 1
""")

# KEYS: delivery, inbox, stats. ARGV: now. Returns 1 for the one caller who may show it.
CLAIM = Script("""
local entry = redis.call('HGET', KEYS[1], 'entry')
if not entry or redis.call('HGET', KEYS[1], 'state') ~= 'pending' then return 0 end
if redis.call('XDEL', KEYS[2], entry) ~= 1 then
  redis.call('HSET', KEYS[1], 'state', 'expired')
  return 0
end
local expires = redis.call('HGET', KEYS[1], 'x')
if expires ~= '' and tonumber(expires) <= tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'state', 'expired')
  return 0
end
redis.call('HSET', KEYS[1], 'state', 'claimed', 'claimed_at', ARGV[1])
redis.call('HINCRBY', KEYS[3], 'claimed', 1)
return 1
""")

# KEYS: delivery, inbox, stats. ARGV: live channel. Gives a claimed delivery back; returns 1 if it was claimed and may be
# offered again. One that was withdrawn meanwhile stays away.
RELEASE = Script("""
if redis.call('HGET', KEYS[1], 'state') ~= 'claimed' then return 0 end
if redis.call('HGET', KEYS[1], 'withdrawn') then
  redis.call('HSET', KEYS[1], 'state', 'withdrawn')
  redis.call('HINCRBY', KEYS[3], 'withdrawn', 1)
  return 0
end
local found = redis.call('HMGET', KEYS[1], 'd', 'x', 'person')
local entry = redis.call('XADD', KEYS[2], '*', 'd', found[1], 'x', found[2])
redis.call('HSET', KEYS[1], 'state', 'pending', 'entry', entry)
redis.call('HINCRBY', KEYS[3], 'released', 1)
redis.call('PUBLISH', ARGV[1], '{"p":' .. cjson.encode(found[3]) .. ',"i":"' .. entry .. '","d":' .. found[1] .. '}')
return 1
""")


def pending_from(entries: list[tuple[bytes, dict[bytes, bytes]]], now: int) -> list[Pending]:
    """Inbox stream entries as deliveries, oldest first, without those that have expired."""
    found = []
    for entry, fields in entries:
        expires = int(fields[b"x"]) if fields[b"x"] else None
        if expires is None or expires > now:
            found.append(Pending(entry.decode(), Raw(fields[b"d"]), expires))
    return found


async def read_pending(client: Any, keys: ShardKeys, person: str, after: str | None, now: int) -> list[Pending]:
    """The person's pending deliveries behind the entry `after` (all, when None), oldest first."""
    start = "-" if after is None else f"({after}"
    return pending_from(await client.xrange(keys.inbox(person), start, "+", count=CAPACITY), now)


async def holder(client: Any, keys: ShardKeys, delivery_id: str) -> str | None:
    """The person a delivery is for; None where there is no such delivery."""
    person = await client.hget(keys.delivery(delivery_id), "person")
    return None if person is None else person.decode()


async def claim(client: Any, keys: ShardKeys, delivery_id: str, person: str, now: int) -> bool:
    """True for exactly one caller while the person's delivery waits."""
    return bool(await CLAIM.run(client, [keys.delivery(delivery_id), keys.inbox(person), keys.stats], [now]))


async def release(client: Any, keys: ShardKeys, delivery_id: str, person: str) -> bool:
    """True when the person's claimed delivery went back into their inbox."""
    return bool(await RELEASE.run(client, [keys.delivery(delivery_id), keys.inbox(person), keys.stats], [keys.live]))
