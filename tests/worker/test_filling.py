"""A new rule knows the past: whatever rulebooks came and went, histories are what the log says. On a real store."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engage import keys, rulebooks
from engage.keys import IN_FORCE, ShardKeys
from engage.log import decode_entry, to_event
from engage.publishing import put_in_force
from engage.rulebooks import RulebookReader
from engage.store import connect_async
from rules import Definitions, Message, Rule, compile_rulebook, decode_state
from rules.replay import Replay
from worker.decider import ShardDecider
from worker.doorbell import Doorbell

KEYS = ShardKeys("default", 0)
START = 1_760_000_000_000
MESSAGE = Message(id="m", kind="banner", content={"en": {"text": "hi"}})
ODD = {"==": [{"var": "event.properties.odd"}, True]}
ASKED: dict[str, Any] = {
    "none": True,
    "few": {">=": [{"count": ["A", {"within": "7d"}]}, 3]},
    "many": {">=": [{"count": ["A", {"within": "7d"}]}, 40]},
    "ever": {"!": {"did": ["A"]}},
    "odd": {">=": [{"count": ["A", {"within": "1d", "where": ODD}]}, 2]},
    "values": {">=": [{"distinct": [["A", "B"], {"of": "event.properties.n"}]}, 12]},
    "days": {">=": [{"days_active": [{"within": "30d"}]}, 3]},
    "steps": {"sequence": [["A", "B", "A"], {"within": "1h"}]},
}


def definitions(name: str) -> Definitions:
    return Definitions([Rule(id=name, trigger="go", message="m", condition=ASKED[name])], [MESSAGE], [], [])


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rulebooks, "POLL_SECONDS", 0.005)


class Shard:
    """One shard with a decider, and a log whose entries stand at times of our own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = connect_async(url)
        self.store = redis.Redis.from_url(url)
        self.running: asyncio.Task[None] | None = None
        self.at = START
        self.sent = 0

    async def start(self) -> None:
        await self.client.delete(KEYS.lease)  # the one before is dead
        self.doorbell = Doorbell(self.url)
        reader = RulebookReader(self.client, "default")
        await reader.refresh()
        self.decider = ShardDecider(self.client, self.client, KEYS, reader, self.doorbell, 10**15)
        assert await self.decider.acquire()
        self.following = asyncio.create_task(reader.follow())
        self.running = asyncio.create_task(self.decider.run())

    async def kill(self) -> None:
        """Nothing is finished, nothing is said."""
        assert self.running is not None
        await _end({self.running, self.following})
        self.doorbell.close()

    async def send(self, *calls: tuple[str, str], again: int = 0) -> None:
        """(person, event) each; with `again` the last so many are sent twice."""
        records = []
        for person, name in calls:
            self.at += 60_000
            self.sent += 1
            properties = {"n": self.sent % 17, "odd": self.sent % 2 == 1}
            call = {
                "type": "track",
                "event": name,
                "userId": person,
                "messageId": f"m{self.sent}",
                "properties": properties,
            }
            records.append({"p": f"u:{person}", "r": self.at, "e": call})
        for batch in (records, records[len(records) - again :]):
            if batch:
                await self.client.xadd(KEYS.log, {"e": msgspec.json.encode(batch)}, id=f"{self.at}-*")

    async def settled(self) -> None:
        def position() -> bool:
            last = self.store.xrevrange(KEYS.log, count=1)
            return not last or self.store.get(KEYS.position) == last[0][0]

        await self.until(position)

    async def in_force(self) -> None:
        def switched() -> bool:
            return self.store.hget(KEYS.trackers, IN_FORCE) == self.store.get(keys.rulebook("default"))

        await self.until(switched)

    async def until(self, true: Callable[[], bool]) -> None:
        assert self.running is not None
        async with asyncio.timeout(60):
            while not true():
                if self.running.done():
                    self.running.result()
                await asyncio.sleep(0.002)

    def publish(self, name: str) -> None:
        version = int(self.store.get(keys.rulebook("default")) or 0) + 1
        put_in_force(self.store, "default", version, definitions(name))

    def compare(self, name: str) -> None:
        """The histories of every person are those of a replay of the log, by a rulebook that was always there."""
        replay = Replay(compile_rulebook(definitions(name)), lambda found: True)
        seen = set()
        for _, fields in self.store.xrange(KEYS.log):
            for record in decode_entry(fields[b"e"]):
                if record.message_id not in seen:
                    seen.add(record.message_id)
                    list(replay.event(to_event(record), record.r))
        for person, expected in replay.states.items():
            state = decode_state(self.store.get(KEYS.state(person)))
            for tracker in replay.rulebook.trackers:
                found, wanted = state.tracks.get(tracker), expected.tracks.get(tracker)
                if wanted is None:
                    assert found is None
                    continue
                assert found is not None, (person, tracker)
                newest = len(wanted.recent)
                assert (found.count, found.first, found.last) == (wanted.count, wanted.first, wanted.last)
                assert (found.recent[-newest:], found.marks[-newest:]) == (wanted.recent, wanted.marks)
                assert found.before == wanted.before

    async def close(self) -> None:
        self.decider.stopping = True
        assert self.running is not None
        await self.running
        await _end({self.following})
        self.doorbell.close()
        await self.client.aclose()
        self.store.close()


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    """A task in the middle of a reply of the store may not hear the first time that it is cancelled."""
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=0.05)


def play(url: str, story: Callable[[Shard], Awaitable[None]]) -> None:
    async def main() -> None:
        shard = Shard(url)
        shard.store.flushall()
        shard.publish("none")
        await shard.start()
        await story(shard)
        await shard.close()

    asyncio.run(main())


def test_a_rule_published_later_counts_what_happened_before(empty_store: str) -> None:
    async def story(shard: Shard) -> None:
        await shard.in_force()
        await shard.send(("ann", "A"), ("ann", "A"), ("bob", "A"))
        await shard.settled()
        shard.publish("few")
        await shard.in_force()
        await shard.send(("ann", "A"), ("ann", "go"), ("bob", "go"))
        await shard.settled()
        shard.compare("few")
        made = [msgspec.json.decode(fields[b"d"])["person"] for _, fields in shard.store.xrange(KEYS.outbox)]
        assert made == ["u:ann"]

    play(empty_store, story)


people = st.sampled_from(["ann", "bob"])
happened = st.lists(st.tuples(people, st.sampled_from(["A", "B", "C"])), min_size=1, max_size=30)
steps = st.one_of(
    st.tuples(st.just("send"), happened, st.integers(0, 3)),
    st.tuples(st.just("publish"), st.sampled_from(sorted(ASKED)), st.booleans()),
    st.tuples(st.just("kill"), st.integers(0, 4), st.none()),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(life=st.lists(steps, min_size=2, max_size=9), last=st.sampled_from(sorted(ASKED)))
def test_histories_are_what_the_log_says_whatever_rulebooks_came_and_went(
    empty_store: str, life: Any, last: str
) -> None:
    """Published while events come, killed in the middle, sent again: the last rulebook finds the whole past."""

    async def story(shard: Shard) -> None:
        for what, argument, more in life:
            if what == "send":
                await shard.send(*argument, again=min(more, len(argument)))
            elif what == "publish":
                shard.publish(argument)
                if more:
                    await shard.in_force()
                    await shard.settled()
            else:
                await asyncio.sleep(argument / 1000)
                await shard.kill()
                await shard.start()
        shard.publish(last)
        await shard.in_force()
        await shard.send(("ann", "go"))
        await shard.settled()
        shard.compare(last)

    play(empty_store, story)


def test_what_is_older_than_the_log_is_not_lost(empty_store: str) -> None:
    async def story(shard: Shard) -> None:
        shard.publish("few")
        await shard.in_force()
        await shard.send(*[("ann", "A")] * 20)
        await shard.settled()
        await shard.client.xtrim(KEYS.log, maxlen=0)
        await shard.send(*[("ann", "A")] * 5)
        await shard.settled()
        shard.publish("many")  # the same tracker, with a longer list
        await shard.in_force()
        shard.publish("none")
        await shard.in_force()
        await shard.send(*[("ann", "A")] * 2)  # nobody keeps it
        await shard.settled()
        shard.publish("ever")
        await shard.in_force()
        await shard.send(("ann", "go"))
        await shard.settled()
        (track,) = decode_state(shard.store.get(KEYS.state("u:ann"))).tracks.values()
        assert (track.count, track.first, track.last) == (27, START + 60_000, START + 27 * 60_000)

    play(empty_store, story)
