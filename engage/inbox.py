"""A person's inbox: the deliveries that wait to be shown. Every operation is a script, written once for async callers
(HTTP) and sync ones (RQ).

A delivery is `pending` while its entry lies in the inbox stream: whoever removes the entry has it. So a claim, a
withdrawal and a trim that meet can have only one winner.
"""

from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw

from engage.keys import ShardKeys, shard_of, shard_of_delivery
from engage.store import Script
from engage.times import iso
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


# KEYS: outbox, stats, then inbox, delivery and forward of each. ARGV: live channel, now, then of each: outbox entry, delivery id,
# person, wire JSON, expires_at or "". Returns how many deliveries were put into inboxes.
DELIVER = Script(
    f"""
local put = 0
for n = 0, (#KEYS - 2) / 3 - 1 do
  local inbox, delivery, a = KEYS[3 + n * 3], KEYS[4 + n * 3], 3 + n * 5
  if redis.call('XDEL', KEYS[1], ARGV[a]) == 1 and redis.call('EXISTS', delivery) == 0 then
    local id, person, json, expires = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
    local entry = redis.call('XADD', inbox, '*', 'd', json, 'x', expires)
    redis.call('XTRIM', inbox, 'MAXLEN', {CAPACITY})
    redis.call('PEXPIRE', inbox, {RECORD_MS})
    redis.call('HSET', delivery, 'state', 'pending', 'person', person, 'entry', entry, 'd', json, 'x', expires,
      'delivered_at', ARGV[2])
    redis.call('PEXPIRE', delivery, {RECORD_MS})
    redis.call('PUBLISH', ARGV[1], '{{"p":' .. cjson.encode(person) .. ',"i":"' .. entry .. '","d":' .. json .. '}}')
    local to = redis.call('GET', KEYS[5 + n * 3])
    if to then redis.call('XADD', KEYS[1], '*', 'k', 'move', 'd', cjson.encode({{person, to}})) end
    put = put + 1
  end
end
if put > 0 then redis.call('HINCRBY', KEYS[2], 'delivered', put) end
return put
""",
    when_full=True,
)

# KEYS: outbox, stats, inbox, delivery. ARGV: outbox entry, person. Returns 1 when the delivery can now not be shown.
WITHDRAW = Script(
    f"""
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
""",
    when_full=True,
)

# KEYS: outbox, inbox, delivery, forward. ARGV: live channel, now, person, wire JSON, expires_at or "". A delivery comes from the inbox of
# somebody who turned out to be this person; done again, it changes nothing.
PUT = Script(
    f"""
local state = redis.call('HGET', KEYS[3], 'state')
if state and state ~= 'moved' then return 0 end
local entry = redis.call('XADD', KEYS[2], '*', 'd', ARGV[4], 'x', ARGV[5])
redis.call('XTRIM', KEYS[2], 'MAXLEN', {CAPACITY})
redis.call('PEXPIRE', KEYS[2], {RECORD_MS})
redis.call('HSET', KEYS[3], 'state', 'pending', 'person', ARGV[3], 'entry', entry, 'd', ARGV[4], 'x', ARGV[5],
  'delivered_at', ARGV[2])
redis.call('PEXPIRE', KEYS[3], {RECORD_MS})
redis.call('PUBLISH', ARGV[1], '{{"p":' .. cjson.encode(ARGV[3]) .. ',"i":"' .. entry .. '","d":' .. ARGV[4] .. '}}')
local to = redis.call('GET', KEYS[4])
if to then redis.call('XADD', KEYS[1], '*', 'k', 'move', 'd', cjson.encode({{ARGV[3], to}})) end
return 1
""",
    when_full=True,
)

# KEYS: outbox, old inbox, delivery, forward, new inbox. ARGV: live channel, person. The same within one shard, in one step.
PASS = Script(
    f"""
local entry = redis.call('HGET', KEYS[3], 'entry')
if redis.call('HGET', KEYS[3], 'state') ~= 'pending' or redis.call('XDEL', KEYS[2], entry) ~= 1 then return 0 end
local found = redis.call('HMGET', KEYS[3], 'd', 'x')
entry = redis.call('XADD', KEYS[5], '*', 'd', found[1], 'x', found[2])
redis.call('XTRIM', KEYS[5], 'MAXLEN', {CAPACITY})
redis.call('PEXPIRE', KEYS[5], {RECORD_MS})
redis.call('HSET', KEYS[3], 'person', ARGV[2], 'entry', entry)
redis.call('PUBLISH', ARGV[1], '{{"p":' .. cjson.encode(ARGV[2]) .. ',"i":"' .. entry .. '","d":' .. found[1] .. '}}')
local to = redis.call('GET', KEYS[4])
if to then redis.call('XADD', KEYS[1], '*', 'k', 'move', 'd', cjson.encode({{ARGV[2], to}})) end
return 1
""",
    when_full=True,
)

# KEYS: delivery, inbox. ARGV: live channel, its inbox entry, its new wire JSON. Returns 1 where it was still waiting.
UPDATE = Script(
    """
if redis.call('HGET', KEYS[1], 'state') ~= 'pending' or redis.call('XDEL', KEYS[2], ARGV[2]) ~= 1 then return 0 end
local found = redis.call('HMGET', KEYS[1], 'x', 'person')
local entry = redis.call('XADD', KEYS[2], '*', 'd', ARGV[3], 'x', found[1])
redis.call('HSET', KEYS[1], 'd', ARGV[3], 'entry', entry)
redis.call('PUBLISH', ARGV[1], '{"p":' .. cjson.encode(found[2]) .. ',"i":"' .. entry .. '","d":' .. ARGV[3] .. '}')
return 1
""",
    when_full=True,
)

# KEYS: delivery, inbox. ARGV: the person who has it now. Returns 1 when it moved, to be pending in that one's inbox only.
TAKE = Script(
    """
local entry = redis.call('HGET', KEYS[1], 'entry')
if redis.call('HGET', KEYS[1], 'state') ~= 'pending' or redis.call('XDEL', KEYS[2], entry) ~= 1 then return 0 end
redis.call('HSET', KEYS[1], 'state', 'moved', 'to', ARGV[1])
return 1
""",
    when_full=True,
)

# KEYS: delivery, inbox, stats. ARGV: now. Returns 1 for the one caller who may show it; -1 when it moved to another person.
CLAIM = Script(
    """
local entry = redis.call('HGET', KEYS[1], 'entry')
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'moved' then return -1 end
if not entry or state ~= 'pending' then return 0 end
local snoozed = redis.call('HGET', KEYS[1], 'n')
if snoozed and tonumber(snoozed) > tonumber(ARGV[1]) then return 0 end
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
""",
    when_full=True,
)

# KEYS: delivery, inbox, stats, forward, outbox. ARGV: live channel; and of one that is to go on: from when, whether not before ("1" or ""),
# its wire JSON, expires_at or "", and its wire JSON until now.
# Gives a claimed delivery back; returns 1 if it was claimed and may be offered again. One that was withdrawn meanwhile stays away.
RELEASE = Script(
    f"""
if redis.call('HGET', KEYS[1], 'state') ~= 'claimed' then return 0 end
if redis.call('HGET', KEYS[1], 'withdrawn') then
  redis.call('HSET', KEYS[1], 'state', 'withdrawn')
  redis.call('HINCRBY', KEYS[3], 'withdrawn', 1)
  return 0
end
if ARGV[2] then
  if redis.call('HGET', KEYS[1], 'd') ~= ARGV[6] then return 0 end
  redis.call('HSET', KEYS[1], 'n', ARGV[3] == '1' and ARGV[2] or 0, 'since', ARGV[2], 'd', ARGV[4], 'x', ARGV[5])
  for _, key in ipairs({{KEYS[1], KEYS[2]}}) do redis.call('PEXPIREAT', key, ARGV[2] + {RECORD_MS}) end
end
local found = redis.call('HMGET', KEYS[1], 'd', 'x', 'person')
local entry = redis.call('XADD', KEYS[2], '*', 'd', found[1], 'x', found[2])
redis.call('HSET', KEYS[1], 'state', 'pending', 'entry', entry)
redis.call('HINCRBY', KEYS[3], ARGV[3] == '1' and 'snoozed' or 'released', 1)
redis.call('PUBLISH', ARGV[1], '{{"p":' .. cjson.encode(found[3]) .. ',"i":"' .. entry .. '","d":' .. found[1] .. '}}')
local to = redis.call('GET', KEYS[4])
if to then redis.call('XADD', KEYS[5], '*', 'k', 'move', 'd', cjson.encode({{found[3], to}})) end
return 1
""",
    when_full=True,
)


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


MAX_MOVES: Final = 1_000


class Held(NamedTuple):
    """Where a delivery is: the keys of the shard, the person whose inbox it went to, and its state."""

    keys: ShardKeys
    person: str
    state: str


async def holder(client: Any, project: str, shards: int, delivery_id: str) -> Held | None:
    """Follows a delivery that moved with its person; None where there is no such delivery."""
    number = shard_of_delivery(delivery_id, shards)
    for _ in range(MAX_MOVES):
        if number is None:
            break
        keys = ShardKeys(project, number)
        found = await client.hmget(keys.delivery(delivery_id), "person", "state", "to")
        held, number = _next(keys, found, shards)
        if number is None:
            return held
    return None


def holder_sync(client: Any, project: str, shards: int, delivery_id: str) -> Held | None:
    """The same, for RQ jobs."""
    number = shard_of_delivery(delivery_id, shards)
    for _ in range(MAX_MOVES):
        if number is None:
            break
        keys = ShardKeys(project, number)
        held, number = _next(keys, client.hmget(keys.delivery(delivery_id), "person", "state", "to"), shards)
        if number is None:
            return held
    return None


def _next(keys: ShardKeys, found: list[bytes | None], shards: int) -> tuple[Held | None, int | None]:
    person, state, to = (value.decode() if value is not None else None for value in found)
    if person is None or state is None:
        return None, None
    if state == "moved" and to is not None and to != person:
        return None, shard_of(to, shards)
    return Held(keys, person, state), None


async def claim(client: Any, project: str, shards: int, delivery_id: str, now: int) -> bool | None:
    """True for exactly one caller while the delivery waits; None where there is no such delivery."""
    while (held := await holder(client, project, shards, delivery_id)) is not None:
        keys = held.keys
        done = await CLAIM.run(client, [keys.delivery(delivery_id), keys.inbox(held.person), keys.stats], [now])
        if int(done) >= 0:
            return bool(done)
    return None


async def release(client: Any, held: Held, delivery_id: str, again: "Again | None" = None) -> bool:
    """True when a claimed delivery went back into its inbox."""
    keys, person = held.keys, held.person
    names = [keys.delivery(delivery_id), keys.inbox(person), keys.stats, keys.forward(person), keys.outbox]
    more = (
        []
        if again is None
        else [again.since, "1" if again.snoozed else "", again.wire, again.expires_at or "", again.was]
    )
    return bool(await RELEASE.run(client, names, [keys.live, *more]))


class Again(NamedTuple):
    """A delivery as it comes again: at `since` (ms), or where it is not `snoozed` at once. It `was` in its `turn` until now."""

    since: int
    snoozed: bool
    wire: bytes
    expires_at: int | None
    was: bytes
    turn: int


async def again(client: Any, held: Held, delivery_id: str, step: int, now: int, snoozed: bool) -> Again | None:
    """How a delivery comes again, to go on at `step` and to wait as long as at first before it expires: at once, on another page, or after
    the time that its rule sets; None where its rule offers no such thing."""
    found = await client.hmget(held.keys.delivery(delivery_id), "d", "x", "delivered_at", "since")
    was = found[0] or b"{}"
    told = msgspec.json.decode(was)
    turn = told.get("turn", 0)
    length = told.get("snooze") if snoozed else 0
    if length is None:
        return None
    since = now + length
    expires_at = since + int(found[1]) - int(found[3] or found[2]) if found[1] else None
    told |= {
        "step": step,
        "shown": not snoozed,
        "turn": turn + 1,
        "expires_at": None if expires_at is None else iso(expires_at),
    }
    if snoozed:
        told["not_before"] = iso(since)
    return Again(since, snoozed, msgspec.json.encode(told), expires_at, was, turn)
