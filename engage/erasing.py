"""A person is removed: state, inbox, deliveries, log, history, what was put aside, and back-tests that name them. And it is shown that they are.

The deciders hear of it through the log, as of everything that changes a person, and forget the state. What stands in streams is then
written anew without the person: a log keeps the ids of all other entries, so nobody who reads it loses their place. Calls that were received
after the request are those of somebody new, and stay.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
import redis.exceptions
from redis.asyncio.cluster import RedisCluster

from engage import backtest_runs, dead_letters, keys
from engage.errors import Conflict, NotFound, Unavailable
from engage.keys import ShardKeys, shard_of
from engage.log import forgotten
from engage.people import entries_of, find, is_of
from engage.store import Script, entry_order
from engage.times import now_ms
from rules import SERVICE

DECIDED_SECONDS: Final = 30.0
REWRITTEN_SECONDS: Final = 20.0
LOCKED_MS: Final = 600_000
TRIES: Final = 3
_READ: Final = 500
_decode_entry = msgspec.json.Decoder(list[msgspec.Raw]).decode

# KEYS: stream, its copy. ARGV: the id up to which it was copied. What came since is copied in this step, and nobody's place is lost.
_SWAP = Script("""
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local info = redis.call('XINFO', 'STREAM', KEYS[1])
local last
for n = 1, #info, 2 do if info[n] == 'last-generated-id' then last = info[n + 1] end end
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+')) do
  redis.call('XADD', KEYS[2], entry[1], unpack(entry[2]))
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('XADD', KEYS[2], last, 'e', '[]')
  redis.call('XDEL', KEYS[2], last)
end
redis.call('XSETID', KEYS[2], last)
redis.call('RENAME', KEYS[2], KEYS[1])
return 1
""")


class Found(msgspec.Struct):
    """How much there is of a person, by where it lies."""

    states: int = 0
    timers: int = 0
    inboxes: int = 0
    deliveries: int = 0
    events: int = 0
    decisions: int = 0
    put_aside: int = 0
    waiting: int = 0
    backtests: int = 0

    @property
    def any(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__)


class Erased(msgspec.Struct):
    """What was removed, and what a second look found (nothing, or it says so). `rewritten`: the store has written its file anew, so that
    the disk holds nothing either; else it does so by its own schedule."""

    user: str
    names: list[str]
    erased: Found
    left: Found
    rewritten: bool


async def erase(client: Any, project: str, shards: int, name: str) -> Erased:
    """Removes a person under all their names. Raises NotFound, Conflict while another is being removed, Unavailable when no decider comes
    to it in time (the request is then in the log, and the state goes as soon as one does), and the store's errors."""
    eraser = _Eraser(client, project, shards, await _names(client, project, shards, name))
    lock, token = keys.erasing(project), uuid.uuid4().hex
    if not await client.set(lock, token, nx=True, px=LOCKED_MS):
        raise Conflict("that nobody else is being removed", "another removal under way", hint="ask again in a moment")
    try:
        before = await eraser.look()
        if not before.any:
            raise NotFound("a userId or anonymousId of whom there is something", name, field="id")
        left = before
        for _ in range(TRIES):
            eraser.names |= await _names(client, project, shards, name)
            await eraser.remove()
            left = await eraser.look()
            if not left.any:
                break
        return Erased(name, sorted(eraser.names), before, left, await _rewritten(client))
    finally:
        if await client.get(lock) == token.encode():
            await client.delete(lock)


async def _names(client: Any, project: str, shards: int, name: str) -> set[str]:
    state = await find(client, project, shards, name)
    return {f"u:{name}", f"a:{name}"} | ({state.person, *state.merged} if state is not None else set())


async def _rewritten(client: Any) -> bool:
    """The append-only file still holds what was written: it is written anew. One that is under way began too early, and is waited for."""
    deadline = time.monotonic() + REWRITTEN_SECONDS
    asked = False
    try:
        while time.monotonic() < deadline:
            if await _is_rewriting(client):
                await asyncio.sleep(0.05)
            elif asked:
                return True
            else:
                await _rewrite_file(client)
                asked = True
    except (redis.exceptions.RedisError, redis.exceptions.RedisClusterException):
        pass  # the server is not ours to ask
    return False


async def _rewrite_file(client: Any) -> None:
    if isinstance(client, RedisCluster):
        await client.execute_command("BGREWRITEAOF", target_nodes=client.get_nodes())
    else:
        await client.bgrewriteaof()


async def _is_rewriting(client: Any) -> bool:
    found = await client.info("persistence")
    nodes = found.values() if isinstance(next(iter(found.values()), None), dict) else [found]  # a cluster's, by node
    return any(node.get("aof_rewrite_in_progress") or node.get("aof_rewrite_scheduled") for node in nodes)


class _Record(msgspec.Struct):
    """A record of the log: its person, and whom the service says they were or are."""

    p: str
    k: str = ""
    w: list[str] = []
    e: msgspec.Raw = msgspec.Raw(b"{}")


class _Said(msgspec.Struct):
    properties: dict[str, Any] = {}


_decode_record = msgspec.json.Decoder(_Record).decode
_decode_said = msgspec.json.Decoder(_Said).decode
_decode_names = msgspec.json.Decoder(list[str]).decode

Fields = dict[bytes, bytes]


def _of_record(raw: Any, names: set[str]) -> bool:
    record = _decode_record(raw)
    if record.p in names or not names.isdisjoint(record.w):
        return True
    if record.k != SERVICE:
        return False
    said = _decode_said(record.e).properties
    return said.get("into") in names or said.get("from") in names


def _of_task(fields: Fields, names: set[str]) -> bool:
    """An entry of the outbox."""
    if fields[b"k"] == b"deliver":
        return is_of(fields[b"d"], names)
    if fields[b"k"] in (b"tell", b"spread"):
        return _of_record(fields[b"d"], names)
    return not names.isdisjoint(_decode_names(fields[b"d"]))


class _Eraser:
    def __init__(self, client: Any, project: str, shards: int, names: set[str]) -> None:
        self.client, self.project, self.shards = client, project, shards
        self.names = names
        self.until: dict[str, str] = {}  # log → the entry that asks for the removal

    def _places(self) -> dict[ShardKeys, set[str]]:
        found: dict[int, set[str]] = {}
        for name in sorted(self.names):
            found.setdefault(shard_of(name, self.shards), set()).add(name)
        return {ShardKeys(self.project, shard): names for shard, names in found.items()}

    async def look(self) -> Found:
        """How much there is of the person. Reads everything that could name them."""
        found, client = Found(), self.client
        for at, names in self._places().items():
            for name in names:
                found.states += int(await client.exists(at.state(name), at.forward(name)))
                found.timers += await client.zscore(at.timers, name) is not None
                found.inboxes += int(await client.exists(at.inbox(name)))
            found.deliveries += len([key async for key in self._deliveries(at)])
            found.events += await self._sift(at.log, b"e", _of_record)
            found.decisions += await self._sift(at.decisions, b"d", is_of)
            found.put_aside += len([1 async for _, f in entries_of(client, at.failed) if is_of(f[b"d"], self.names)])
            found.waiting += len([1 async for _, f in entries_of(client, at.outbox) if _of_task(f, self.names)])
        found.put_aside += len([entry async for entry in self._letters()])
        found.backtests = len([run async for run in self._backtests()])
        return found

    async def remove(self) -> None:
        client = self.client
        await self._forget()
        for at, names in self._places().items():
            for stream, of in ((at.outbox, _of_task), (at.failed, lambda fields, some: is_of(fields[b"d"], some))):
                async for entry, fields in entries_of(client, stream):
                    if of(fields, self.names):
                        await client.xdel(stream, entry)
            async for key in self._deliveries(at):
                await client.delete(key)
            await client.delete(*(key for name in names for key in (at.inbox(name), at.forward(name))))
            await self._sift(at.log, b"e", _of_record, remove=True)
            await self._sift(at.decisions, b"d", is_of, remove=True)
        async for entry in self._letters():
            await client.xdel(keys.dead_letters(self.project), entry)
        async for run in self._backtests():
            await client.delete(backtest_runs.run_key(self.project, run))
            await client.zrem(backtest_runs.list_key(self.project), run)

    async def _letters(self) -> AsyncIterator[bytes]:
        """Events that the door could not take and that name this person."""
        async for entry, fields in entries_of(self.client, keys.dead_letters(self.project)):
            if dead_letters.is_of(fields[b"d"], self.names):
                yield entry

    async def _forget(self) -> None:
        """Asks the deciders to forget, and waits until they have."""
        places = self._places()
        for at, names in places.items():
            said = [forgotten(name, now_ms()) for name in sorted(names)]
            entry = await self.client.xadd(at.log, {"e": msgspec.json.encode(said)})
            self.until[at.log] = entry.decode()
        deadline = time.monotonic() + DECIDED_SECONDS
        for at in places:
            while entry_order(await self.client.get(at.position) or b"0-0") < entry_order(self.until[at.log]):
                if time.monotonic() > deadline:
                    raise Unavailable(f"a decider that comes to it within {DECIDED_SECONDS:g} s")
                await asyncio.sleep(0.02)

    async def _sift(self, stream: str, field: bytes, of: Callable[[Any, set[str]], bool], remove: bool = False) -> int:
        """How many of the items in a stream's arrays are of the person; with `remove` they are taken out. What came into a log after the
        request stays."""
        until = self.until.get(stream)
        whole: list[bytes] = []
        mixed = number = 0
        async for entry, fields in entries_of(self.client, stream):
            if until is not None and entry_order(entry) > entry_order(until):
                break
            items = _decode_entry(fields[field])
            mine = sum(of(item, self.names) for item in items)
            number += mine
            mixed += 0 < mine < len(items)
            if mine and mine == len(items):
                whole.append(entry)
        if remove and mixed:
            await self._rewrite(stream, field, of, until)
        elif remove:
            for start in range(0, len(whole), _READ):
                await self.client.xdel(stream, *whole[start : start + _READ])
        return number

    async def _rewrite(self, stream: str, field: bytes, of: Callable[[Any, set[str]], bool], until: str | None) -> None:
        copy, last = f"{stream}:{uuid.uuid4().hex}", b"0-0"
        pipeline = self.client.pipeline(transaction=False)
        try:
            async for entry, fields in entries_of(self.client, stream):
                if until is not None and entry_order(entry) > entry_order(until):
                    break
                items = _decode_entry(fields[field])
                kept = [item for item in items if not of(item, self.names)]
                if kept:
                    pipeline.xadd(copy, fields | {field: msgspec.json.encode(kept)}, id=entry)
                last = entry
                if len(pipeline) >= _READ:
                    await pipeline.execute()
            await pipeline.execute()
            await _SWAP.run(self.client, [stream, copy], [last])
        finally:
            await self.client.delete(copy)

    async def _deliveries(self, at: ShardKeys) -> AsyncIterator[bytes]:
        async for key in self.client.scan_iter(f"{at.prefix}delivery:*", count=10_000):
            person = await self.client.hget(key, "person")
            if person is not None and person.decode() in self.names:
                yield key

    async def _backtests(self) -> AsyncIterator[str]:
        """Results list people by the id alone."""
        named = [msgspec.json.encode(name[2:]) for name in self.names]
        for run in await self.client.zrange(backtest_runs.list_key(self.project), 0, -1):
            result = await self.client.hget(backtest_runs.run_key(self.project, run.decode()), "result")
            if result is not None and any(name in result for name in named):
                yield run.decode()
