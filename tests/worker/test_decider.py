"""A decider on a real store, with an engine that fails."""

import asyncio
from typing import Any

import msgspec
import pytest
import redis
from rq import Queue
from rq.serializers import JSONSerializer

from engage.keys import ShardKeys, deciders
from engage.people import events_of
from engage.rulebooks import RulebookReader
from engage.store import connect, connect_async
from engage.times import now_ms
from rules import Definitions, Message, Rule, Rulebook, State, compile_rulebook, decide, decode_state
from rules.limits import SUSPENDED_AFTER
from tests.conftest import until
from worker import decider as module
from worker.decider import ShardDecider
from worker.doorbell import FLAG_SECONDS, QUEUE, Doorbell, answered, flag
from worker.lease import LEASE_MS, Lease, fair_share
from worker.transaction import Transaction

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


async def _decide_until(url: str, events: int, rulebook: Rulebook | None = None) -> ShardDecider:
    client = connect_async(url)
    doorbell = Doorbell(url)
    reader = RulebookReader(client, "default")
    reader.current = rulebook or reader.current
    shard = ShardDecider(client, client, KEYS, reader, doorbell, 7 * 86_400_000)
    assert await shard.acquire()
    running = asyncio.create_task(shard.run())
    async with asyncio.timeout(60):
        while int(await client.hget(KEYS.stats, "events") or 0) < events:
            await asyncio.sleep(0.01)
    shard.stopping = True
    await running
    await client.aclose()
    doorbell.close()
    return shard


async def _history(url: str, state: State) -> list[dict[str, Any]]:
    client = connect_async(url)
    try:
        return await events_of(client, "default", 1, state)
    finally:
        await client.aclose()


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


def test_an_entry_of_which_nothing_can_be_read_is_put_aside_and_those_behind_it_are_decided(empty_store: str) -> None:
    """Bytes that nobody wrote, as a damaged disk leaves them: Valkey has no checksum for them."""
    with redis.Redis.from_url(empty_store) as store:
        damaged = [b"", b"[{", b'[{"p":"u:a\xff"', b"{}"]
        for payload in damaged:
            store.xadd(KEYS.log, {"e": payload})
        sent = store.xadd(KEYS.log, {"e": msgspec.json.encode([_record("a", "One")])})
        asyncio.run(_decide_until(empty_store, 1))
        assert store.get(KEYS.position) == sent
        assert [fields[b"d"] for _, fields in store.xrange(KEYS.failed)] == damaged
        assert store.hget(KEYS.stats, "events_failed") == b"%d" % len(damaged)
        state = decode_state(store.get(KEYS.state("u:a")))
        assert [bytes(event["event"]) for event in asyncio.run(_history(empty_store, state))] == [b'"One"']


def test_a_decider_begins_also_when_the_stores_memory_is_full(empty_store: str) -> None:
    async def begin() -> tuple[int, bool]:
        client = connect_async(empty_store)
        try:
            return await fair_share(client, "default", "me", 8), await Lease(client, KEYS).acquire()
        finally:
            await client.aclose()

    with redis.Redis.from_url(empty_store) as store:
        store.config_set("maxmemory", 1)
        try:
            assert asyncio.run(begin()) == (8, True)
        finally:
            store.config_set("maxmemory", 0)


def test_a_process_takes_its_own_lease_over_and_what_it_sent_before_is_fenced(empty_store: str) -> None:
    async def take_over() -> list[bool]:
        client = connect_async(empty_store)
        try:
            first, stranger = Lease(client, KEYS), Lease(client, KEYS)
            second = Lease(client, KEYS, first.token)
            answers = [await first.acquire(), await stranger.acquire(), await second.acquire()]
            late = await Transaction(position="1-1").commit(client, KEYS, first.token, 1, 0)
            return [*answers, late, await first.renew(), await second.renew(), await Lease(client, KEYS, "x").acquire()]
        finally:
            await client.aclose()

    assert asyncio.run(take_over()) == [True, False, True, False, False, True, False]


def test_who_was_heard_of_in_the_stores_future_has_no_share(empty_store: str) -> None:
    """Its clock was set back, and the decider of that heartbeat may be gone."""

    async def meet(member: str) -> int:
        client = connect_async(empty_store)
        try:
            return await fair_share(client, "default", member, 8)
        finally:
            await client.aclose()

    with redis.Redis.from_url(empty_store) as store:
        store.zadd(deciders("default"), {"future": now_ms() + 3_600_000, "past": now_ms() - 4_000})
    assert [asyncio.run(meet("a")), asyncio.run(meet("b")), asyncio.run(meet("a"))] == [8, 4, 4]


def test_a_lease_and_a_bell_from_before_the_clock_was_set_back_run_out_as_if_they_were_new(empty_store: str) -> None:
    async def acquire() -> bool:
        client = connect_async(empty_store)
        try:
            return await Lease(client, KEYS).acquire()
        finally:
            await client.aclose()

    bell = Doorbell(empty_store)
    with redis.Redis.from_url(empty_store) as store:
        store.set(KEYS.lease, "of one that died", px=3_600_000)
        store.set(flag(KEYS.prefix), 1, ex=3_600)
        assert not asyncio.run(acquire())
        assert 0 < store.pttl(KEYS.lease) <= LEASE_MS
        bell.ring(KEYS)
        bell.ring(KEYS, sweeping=True)
        bell.close()
        assert 0 < store.ttl(flag(KEYS.prefix)) <= FLAG_SECONDS


def test_workers_that_are_slower_than_the_sweep_find_one_job_a_shard(empty_store: str) -> None:
    """As with a store of two seconds a command: rung for again and again, the queue would hold more than is ever drained."""
    bell = Doorbell(empty_store)
    queue = Queue(QUEUE, connection=connect(empty_store), serializer=JSONSerializer)
    with queue.connection as store:
        rings = 4
        for _ in range(rings):
            bell.ring(KEYS, sweeping=True)
            until(lambda: store.exists(flag(KEYS.prefix)), what="rung")
            store.delete(flag(KEYS.prefix))  # FLAG_SECONDS later
        bell.ring(ShardKeys("default", 1))
        bell.close()
        assert [job.args for job in queue.jobs] == [[KEYS.prefix], [ShardKeys("default", 1).prefix]]

        store.lpop(queue.key)  # a worker took it, and died
        store.delete(flag(KEYS.prefix))
        bell = Doorbell(empty_store)
        bell.ring(KEYS)
        until(lambda: queue.count == 2, what="rung again for a job that was lost")
        answered(store, KEYS.prefix)
        bell.ring(KEYS)  # what comes while it is drained
        bell.close()
        assert queue.count == 3


def test_states_at_hand_are_bounded_by_bytes(empty_store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHED_BYTES", 2_000)
    sent = [
        {**_record(f"p{n}", "One"), "e": {**_record(f"p{n}", "One")["e"], "context": {"locale": "ja"}}}
        for n in range(50)
    ]
    with redis.Redis.from_url(empty_store) as store:
        for record in sent:
            store.xadd(KEYS.log, {"e": msgspec.json.encode([record])})
    shard = asyncio.run(_decide_until(empty_store, len(sent)))
    assert 0 < sum(shard._sizes.values()) <= 2_000
    assert shard._sizes.keys() == shard._states.keys()


def _book(condition: Any) -> Rulebook:
    rules = [
        Rule(id="endless", trigger="Work", message="m", condition=condition, frequency="always"),
        Rule(id="other", trigger="Work", message="m", frequency="always"),
    ]
    return compile_rulebook(Definitions(rules, [Message(id="m", kind="banner", content={"en": {"text": "hi"}})]))


def test_a_rule_that_the_budget_stops_again_and_again_is_suspended_and_the_others_go_on(empty_store: str) -> None:
    numbers = list(range(100))
    endless = _book({"!!": [{"map": [numbers, {"map": [numbers, {"map": [numbers, {"var": ""}]}]}]}]})

    def send(store: Any, start: int, number: int) -> None:
        for n in range(start, start + number):
            record = _record(f"p{n % 7}", "Work")
            record["e"]["messageId"] = str(n)
            store.xadd(KEYS.log, {"e": msgspec.json.encode([record])})

    def outcomes(store: Any) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        for _, fields in store.xrange(KEYS.decisions):
            for decision in msgspec.json.decode(fields[b"d"]):
                for one in decision["considered"]:
                    key = one["rule_id"], one["outcome"]
                    found[key] = found.get(key, 0) + 1
        return found

    with redis.Redis.from_url(empty_store) as store:
        send(store, 0, SUSPENDED_AFTER + 50)
        asyncio.run(_decide_until(empty_store, SUSPENDED_AFTER + 50, endless))
        found = outcomes(store)
        # Asked until the commit in which it was the hundredth time.
        assert SUSPENDED_AFTER <= found["endless", "error"] < SUSPENDED_AFTER + module.READ_ENTRIES
        assert found["endless", "error"] + found["endless", "suspended"] == SUSPENDED_AFTER + 50
        assert found["other", "matched"] == SUSPENDED_AFTER + 50
        before = found["endless", "error"]
        send(store, 1_000, 5)  # and by the next owner of the shard
        asyncio.run(_decide_until(empty_store, SUSPENDED_AFTER + 55, endless))
        assert outcomes(store)["endless", "error"] == before
        send(store, 2_000, 5)  # edited, it is asked again
        asyncio.run(_decide_until(empty_store, SUSPENDED_AFTER + 60, _book({"!!": [{"map": [numbers, {"var": ""}]}]})))
        assert outcomes(store)["endless", "matched"] == 5


def test_who_is_ended_holds_its_lease_no_longer_though_the_renewal_did_not_hear_of_it(empty_store: str) -> None:
    """As a client does in the middle of a reply: it takes a cancellation for the end of its waiting."""

    async def scenario() -> None:
        client, doorbell = connect_async(empty_store), Doorbell(empty_store)
        shard = ShardDecider(client, client, KEYS, RulebookReader(client, "default"), doorbell, 7 * 86_400_000)
        asked = asyncio.Event()

        async def deaf() -> bool:
            asked.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass
            return True

        shard._lease.renew = deaf  # type: ignore[method-assign]
        assert await shard.acquire()
        running = asyncio.create_task(shard.run())
        await asked.wait()
        shard.stopping = True
        await running
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=30)
        assert not [task for task in others if not task.done()], "it renews for ever"
        await client.aclose()
        doorbell.close()

    asyncio.run(scenario())
