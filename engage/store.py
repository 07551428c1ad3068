"""Connections to the Redis protocol stores, and scripts written once for async and sync callers.

`redis://`, `rediss://`, `unix://` name one server; `redis+cluster://` a cluster (Valkey or Redis), reached by any of its nodes.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

import redis
import redis.asyncio as aredis
from hiredis import pack_command
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import RedisError
from redis.retry import Retry

STORE_ERRORS: Final = (RedisError, OSError)
TIMEOUT: Final = 5.0
_CLUSTER: Final = "redis+cluster://"


def connect_async(url: str, timeout: float | None = TIMEOUT) -> Any:
    """An asyncio client (`redis.asyncio.Redis` or its cluster twin: typed Any, for the two share no base); one failed try is reported at once, for the callers know better when to try again."""
    if url.startswith(_CLUSTER):
        return AsyncRedisCluster.from_url("redis://" + url.removeprefix(_CLUSTER), socket_timeout=timeout)
    client: Any = aredis.Redis.from_url(
        url, socket_timeout=timeout, socket_connect_timeout=TIMEOUT, retry=AsyncRetry(NoBackoff(), 0)
    )
    client.connection_pool.connection_class = _telling(client.connection_pool.connection_class)
    return client


@cache
def _telling(connection: Any) -> Any:
    """The connection class that tells when its line was closed meanwhile: to the pool, which then opens another before anything is
    sent (redis-py 8 sees an end of file, not a reset), and to who sends, as a store error (uvloop raises RuntimeError)."""

    async def can_read(self: Any) -> bool:
        if _is_lost(self):
            raise redis.exceptions.ConnectionError("the line was closed meanwhile")
        return bool(await connection.can_read(self))

    async def send_packed_command(self: Any, command: Any, check_health: bool = True) -> None:
        try:
            await connection.send_packed_command(self, command, check_health)
        except RuntimeError as error:
            raise redis.exceptions.ConnectionError(f"the line was closed: {error}") from error

    return type(connection.__name__, (connection,), {"can_read": can_read, "send_packed_command": send_packed_command})


def _is_lost(connection: Any) -> bool:
    """An idle connection whose line ended. redis-py has no public word for it (`is_connected`: it was opened once)."""
    return bool(connection.is_connected) and (connection._writer.transport.is_closing() or connection._reader.at_eof())


def connect_subscriber(url: str) -> Any:
    """An asyncio client for subscriptions, without a time limit. In a cluster any one node hears what is published on all
    (classic pub/sub is broadcast), so one plain connection is enough there too."""
    return connect_async(url.replace(_CLUSTER, "redis://", 1), timeout=None)


def connect(url: str, timeout: float | None = TIMEOUT) -> Any:
    """A blocking client (see `connect_async`), for RQ jobs and the command line."""
    if url.startswith(_CLUSTER):
        return RedisCluster.from_url("redis://" + url.removeprefix(_CLUSTER), socket_timeout=timeout)
    return redis.Redis.from_url(
        url, socket_timeout=timeout, socket_connect_timeout=TIMEOUT, retry=Retry(NoBackoff(), 0)
    )


Command = tuple[Any, ...]  # of str, bytes and int


class Pipe:
    """Sends commands in one round trip: the writes and reads that every event waits for.

    To one server they go over connections of its own, one for each call under way: redis-py's pipeline costs several times as much
    as the rest of the way (profiled: 220 µs for eight commands, 35 µs so). A cluster gets the pipeline, which knows its nodes.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._is_cluster = isinstance(client, AsyncRedisCluster)
        self._idle: list[Any] = []

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """The replies, in order. Raises a store error; then the outcome is unknown."""
        if self._is_cluster:
            pipeline = self._client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            return list(await pipeline.execute())
        connection = self._idle.pop() if self._idle else self._client.connection_pool.make_connection()
        try:
            if not connection.is_connected or _is_lost(connection):
                await _open(connection)
            async with asyncio.timeout(TIMEOUT):
                replies = await _run(connection, commands)
        except BaseException as error:
            # What is still on its way on this connection must not be taken for the next reply.
            await connection.disconnect(nowait=True)
            if isinstance(error, TimeoutError):
                raise redis.exceptions.TimeoutError(f"no answer within {TIMEOUT:g} s") from error
            raise
        self._idle.append(connection)
        return replies

    async def append(self, entries: Sequence[tuple[str, bytes]]) -> None:
        """Returns when the store has confirmed all `(stream, value of field e)`; with `appendfsync always` they are on disk then."""
        await self.run([("XADD", stream, "*", "e", value) for stream, value in entries])

    async def read(self, stream: str, after: str, count: int, block: int) -> list[tuple[bytes, bytes]]:
        """The next entries of a stream, each with its value of field e; waits `block` ms for the first one, and keeps its connection
        for so long. Raises a store error."""
        if self._is_cluster:
            found = await self._client.xread({stream: after}, count=count, block=block)
        else:
            command = ("XREAD", "COUNT", count, "BLOCK", block, "STREAMS", stream, after)
            [found] = await self.run([command])
        return list(_entries(found))

    async def evalsha(self, sha: str, number: int, *given: Any) -> Any:
        """As the clients have it: see `Script`."""
        if self._is_cluster:
            return await self._client.evalsha(sha, number, *given)
        return (await self.run([("EVALSHA", sha, number, *given)]))[0]

    async def eval(self, body: str, number: int, *given: Any) -> Any:
        if self._is_cluster:
            return await self._client.eval(body, number, *given)
        return (await self.run([("EVAL", body, number, *given)]))[0]

    async def aclose(self) -> None:
        """Closes its connections; the client is its owner's."""
        while self._idle:
            await self._idle.pop().disconnect(nowait=True)


async def _open(connection: Any) -> None:
    """A store greets in several round trips. Each may take as long as an answer: one that is slow is not away."""
    await connection.disconnect(nowait=True)
    connection.socket_timeout = TIMEOUT
    await connection.connect()
    connection.socket_timeout = None  # from here on there is one limit for all replies of a call


async def _run(connection: Any, commands: Sequence[Command]) -> list[Any]:
    await connection.send_packed_command(b"".join([pack_command(command) for command in commands]), check_health=False)
    return [await connection.read_response() for _ in commands]


def _entries(found: Any) -> Iterator[tuple[bytes, bytes]]:
    """Of the only stream in a reply to XREAD: a list in RESP2, a dictionary in RESP3; fields as they came, or made into a dictionary."""
    if not found:
        return
    entries = next(iter(found.values())) if isinstance(found, dict) else found[0][1]
    if entries and entries[0] and isinstance(entries[0][0], (list, tuple)):
        entries = entries[0]
    for entry, fields in entries:
        yield entry, fields[b"e"] if isinstance(fields, dict) else fields[fields.index(b"e") + 1]


def entry_order(entry: bytes | str) -> tuple[int, int]:
    """What the ids of a stream's entries are sorted by."""
    ms, _, sequence = (entry.decode() if isinstance(entry, bytes) else entry).partition("-")
    return int(ms), int(sequence or 0)


class Script:
    """A Lua script and its SHA1; `EVAL` is sent whenever the server does not know it (after a restart). `when_full`: it also
    writes when the store's memory is full. So does all that what is logged already leads to: only events are kept out."""

    def __init__(self, body: str, when_full: bool = False) -> None:
        self.body = body = "#!lua flags=allow-oom\n" + body if when_full else body
        self.sha = hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest()

    async def run(self, client: Any, keys: Sequence[str | bytes], args: Sequence[Any]) -> Any:
        try:
            return await client.evalsha(self.sha, len(keys), *keys, *args)
        except redis.exceptions.NoScriptError:
            return await client.eval(self.body, len(keys), *keys, *args)

    def run_sync(self, client: Any, keys: Sequence[str | bytes], args: Sequence[Any]) -> Any:
        try:
            return client.evalsha(self.sha, len(keys), *keys, *args)
        except redis.exceptions.NoScriptError:
            return client.eval(self.body, len(keys), *keys, *args)
