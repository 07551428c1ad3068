"""A long run of the whole language on a real store: deciders that are killed at random come to what one that was not comes to."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from engage.definitions import load_folder
from engage.keys import ShardKeys
from engage.rulebooks import RulebookReader
from engage.store import STORE_ERRORS, connect_async
from engage.times import iso, now_ms
from rules import Delivery, Rulebook, compile_rulebook, decode_state, encode_state
from worker import decider
from worker.decider import ShardDecider
from worker.doorbell import Doorbell

KEYS = ShardKeys("default", 0)
COOKBOOK = Path(__file__).parents[2] / "examples" / "cookbook"
NAMES = (
    "Signed Up", "Project Created", "Item Added", "Invite Sent", "Trial Started", "Report Viewed", "Report Shared", "Feature Used",
    "Plan Selected", "Checkout Started", "Search Clicked", "Export Failed", "Export Succeeded", "Login Failed", "Feature Requested",
    "Feature Released", "Due Date Set", "Item Edited", "Message Dismissed",
)  # fmt: skip
PATHS = (
    "/dashboard",
    "/pricing",
    "/billing",
    "/billing/cancel",
    "/help/a",
    "/help/b",
    "/help/c",
    "/settings",
    "/projects",
)
D = 86_400_000


def _log(seed: int, people: int, number: int) -> list[dict[str, Any]]:
    """Calls of some people over forty days that ended sixty days ago, so that no timer still runs: late ones and repeated ones too."""
    dice = random.Random(seed)
    at, end = now_ms() - 100 * D, now_ms() - 60 * D
    found: list[dict[str, Any]] = []
    while at < end and len(found) < number:
        at += dice.choice([1_000, 30_000, 60_000, 300_000, 3_600_000])
        person = dice.randrange(people)
        happened = at - dice.choice([0, 0, 0, 0, 60_000, D])
        call: dict[str, Any] = {"userId": f"p{person}", "messageId": f"{seed}-{len(found)}", "timestamp": iso(happened)}
        kind = dice.choices(["track", "page", "identify"], [6, 5, 1])[0]
        call["type"] = kind
        if kind == "track":
            call |= {"event": dice.choice(NAMES), "properties": {"feature": dice.choice("abcd"), "title": "it"}}
        elif kind == "page":
            call["context"] = {"page": {"path": dice.choice(PATHS)}, "timezone": dice.choice(["Asia/Tokyo", "UTC"])}
        else:
            call["traits"] = {
                "plan": dice.choice(["free", "trial", "team"]),
                "billing": dice.choice(["monthly", "yearly"]),
            }
        found.append({"p": f"u:p{person}", "r": at, "e": call})
        if dice.random() < 0.05:
            found.append(dice.choice(found))
    return found


async def _run(url: str, book: Rulebook, number: int, kill: random.Random | None) -> int:
    """Decides until the log is applied and no time is due any more; returns how often it was killed."""
    killed = 0
    while True:
        client = connect_async(url)
        doorbell = Doorbell(url)
        reader = RulebookReader(client, "default")
        reader.current = book
        shard = ShardDecider(client, client, KEYS, reader, doorbell, 365 * D)
        while not await shard.acquire():
            await asyncio.sleep(0.05)
        running = asyncio.create_task(shard.run())
        life = kill.uniform(0.0, 0.05) if kill is not None and killed < 25 else 300.0
        deadline = asyncio.get_running_loop().time() + life
        done = False
        while asyncio.get_running_loop().time() < deadline and not running.done():
            stats = await client.hget(KEYS.stats, "events")
            due = await client.zrange(KEYS.timers, 0, 0, withscores=True)
            if int(stats or 0) >= number and not (due and due[0][1] <= now_ms()):
                done = True
                break
            await asyncio.sleep(0.01)
        while not running.done():
            running.cancel()
            await asyncio.wait([running], timeout=0.002)
        assert running.cancelled() or isinstance(running.exception(), (*STORE_ERRORS, type(None))), running.exception()
        await client.aclose()
        doorbell.close()
        if done:
            return killed
        killed += 1


def _what_came_of_it(url: str, records: list[dict[str, Any]], book: Rulebook, kill: random.Random | None) -> Any:
    with redis.Redis.from_url(url) as store:
        store.flushall()
        for start in range(0, len(records), 3):
            store.xadd(KEYS.log, {"e": msgspec.json.encode(records[start : start + 3])})
        number = len({record["e"]["messageId"] for record in records})
        killed = asyncio.run(_run(url, book, number, kill))
        states = {key: decode_state(store.get(key)) for key in store.keys(KEYS.state("*"))}
        deliveries: dict[str, list[Delivery]] = {}
        for _, fields in store.xrange(KEYS.outbox):
            if fields[b"k"] == b"deliver":
                found = msgspec.json.decode(fields[b"d"], type=Delivery)
                deliveries.setdefault(found.person, []).append(found)
        matches = {name.decode(): int(value) for name, value in store.hgetall(KEYS.matches).items() if int(value)}
        return killed, {key: encode_state(state) for key, state in states.items()}, deliveries, matches


@pytest.mark.timeout(480)
def test_killed_at_random_it_delivers_what_an_undisturbed_run_delivers(
    empty_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decider, "READ_ENTRIES", 1)  # many commits to be killed in
    definitions = load_folder(COOKBOOK).definitions
    book = compile_rulebook(definitions)
    kills, rules = 0, Counter[str]()
    for seed in range(3):
        records = _log(seed, people=5, number=3_000)
        none, *undisturbed = _what_came_of_it(empty_store, records, book, None)
        assert none == 0
        killed, *disturbed = _what_came_of_it(empty_store, records, book, random.Random(seed))
        kills += killed
        assert disturbed[0].keys() == undisturbed[0].keys()
        assert disturbed[1] == undisturbed[1]
        assert disturbed[2] == undisturbed[2]
        assert disturbed[0] == undisturbed[0]
        rules.update(found.rule_id for made in undisturbed[1].values() for found in made)
    assert kills >= 15
    assert len(rules) >= 12, rules
