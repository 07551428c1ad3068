"""Connections to the Redis protocol stores, and scripts written once for async and sync callers.

`redis://`, `rediss://`, `unix://` name one server; `redis+cluster://` a cluster (Valkey or Redis), reached by any of its nodes.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import redis
import redis.asyncio as aredis
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
    return aredis.Redis.from_url(
        url, socket_timeout=timeout, socket_connect_timeout=TIMEOUT, retry=AsyncRetry(NoBackoff(), 0)
    )


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


class Script:
    """A Lua script and its SHA1; `EVAL` is sent whenever the server does not know it (after a restart)."""

    def __init__(self, body: str) -> None:
        self.body = body
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
