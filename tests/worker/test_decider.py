"""A decider on a real store, with an engine that fails."""

import asyncio
from typing import Any

import msgspec
import pytest
import redis

from engage.keys import ShardKeys
from engage.rulebooks import RulebookReader
from engage.store import connect_async
from engage.times import now_ms
from rules import decide, decode_state
from worker import decider as module
from worker.decider import ShardDecider
from worker.doorbell import Doorbell

KEYS = ShardKeys("default", 0)


def _record(person: str, name: str) -> dict[str, Any]:
    return {
        "p": f"u:{person}",
        "r": now_ms(),
        "e": {"type": "track", "event": name, "userId": person, "messageId": f"{person} {name}"},
    }


def _fails_half_way(state: Any, event: Any, now: int, rulebook: Any) -> Any:
    outcome = decide(state, event, now, rulebook)
    if event is not None and event.name == "Bad":
        state.traits["half"] = "changed"
        raise ZeroDivisionError("a mistake")
    return outcome


async def _decide_until(url: str, events: int) -> None:
    client = connect_async(url)
    doorbell = Doorbell(url)
    shard = ShardDecider(client, client, KEYS, RulebookReader(client, "default"), doorbell, 7 * 86_400_000)
    assert await shard.acquire()
    running = asyncio.create_task(shard.run())
    async with asyncio.timeout(15):
        while int(await client.hget(KEYS.stats, "events") or 0) < events:
            await asyncio.sleep(0.01)
    shard.stopping = True
    await running
    await client.aclose()
    doorbell.close()


def test_an_event_that_breaks_the_engine_is_put_aside_and_its_person_is_as_before(
    empty_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [("a", "One"), ("b", "One"), ("a", "Bad"), ("a", "Two"), ("b", "Two")]
    monkeypatch.setattr(module, "decide", _fails_half_way)
    with redis.Redis.from_url(empty_store) as store:
        sent = store.xadd(KEYS.log, {"e": msgspec.json.encode([_record(person, name) for person, name in names])})
        asyncio.run(_decide_until(empty_store, len(names)))
        decided = [
            (decision["person"], decision["event"]["name"])
            for _, fields in store.xrange(KEYS.decisions)
            for decision in msgspec.json.decode(fields[b"d"])
        ]
        assert decided == [(f"u:{person}", name) for person, name in names if name != "Bad"]
        assert decode_state(store.get(KEYS.state("u:a"))).traits == {}
        [(_, failed)] = store.xrange(KEYS.failed)
        assert msgspec.json.decode(failed[b"d"])["e"]["event"] == "Bad"
        assert failed[b"reason"] == b"ZeroDivisionError('a mistake')"
        assert store.hget(KEYS.stats, "events_failed") == b"1"
        assert store.get(KEYS.position) == sent
