"""Real traffic, and what must follow from it whatever happens meanwhile.

The clients behave as real ones: whatever is not a 200 they send again, the same events with the same messageIds. Each knows
what was acknowledged. Afterwards `verify` reads the whole log and compares:

- acknowledged ⊆ logged ⊆ attempted, byte for byte, in the order of sending where the client kept one;
- the decisions are those of the pure engine over the log read once, and for some people those of an oracle that shares no code with it;
- every delivery exists once, and of many who claim it at once exactly one gets it;
- no process and no store takes more memory than it may (`Memory`).
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from engage import keys
from engage.keys import ShardKeys
from engage.log import Logged, decode_entry, to_event
from engage.publishing import put_in_force
from engage.settings import load_settings
from engage.store import STORE_ERRORS, connect
from rules import Definitions, Message, Rule, Rulebook, compile_rulebook, decide, new_state
from tests.conftest import Service, until
from tests.rules.engine_oracle import Seen, holds

CHAOS = bool(os.environ.get("ENGAGE_CHAOS"))  # `make chaos`: the full form
PEOPLE = 30
# What a person waits between two batches, at most, and before the same is sent again: seconds. More would prove no more, and a
# machine that is busy with traffic mends what was killed later.
PAUSE, AGAIN = (0.05, 0.03) if CHAOS else (0.2, 0.1)
SHARDS = 8
INBOX = 100
BY_BRUTE_FORCE = 5  # people for whom the slow oracle is asked as well
THIRD = {"==": [{"%": [{"count": ["Ping"]}, 3]}, 0]}
LATELY = {"count": ["Ping", {"within": "10s"}]}
RECENT = {"or": [{"==": [LATELY, number]} for number in (2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128)]}
RULES: dict[str, dict[str, Any]] = {
    # Every third one: any event lost or counted twice moves a decision.
    "third": {"trigger": "Ping", "condition": THIRD, "message": "third", "frequency": "always"},
    # So and so many in the last ten seconds: any time that is wrong moves one too.
    "recent": {"trigger": "Ping", "condition": RECENT, "message": "recent", "frequency": "always"},
    "probe": {"trigger": "Probe", "message": "probe", "frequency": "always"},
}
MESSAGES = {name: {"kind": "banner", "content": {"en": {"text": f"{name}: hi {{{{ user.id }}}}"}}} for name in RULES}
HOUR = 3_600_000


def seed() -> int:
    """Of this run: ENGAGE_CHAOS_SEED, or another each time. It is printed, so that a failure can be had again."""
    given = os.environ.get("ENGAGE_CHAOS_SEED")
    found = int(given) if given else random.randrange(2**32)
    print(f"seed {found}: ENGAGE_CHAOS_SEED={found} makes the same choices again")
    return found


def definitions() -> Definitions:
    return Definitions(
        [Rule(id=name, **rule) for name, rule in RULES.items()],
        [Message(id=name, **message) for name, message in MESSAGES.items()],
        [],
        [],
    )


def write_definitions(folder: Path) -> Path:
    for kind, documents in (("rules", RULES), ("messages", MESSAGES)):
        (folder / kind).mkdir(parents=True)
        for name, document in documents.items():
            (folder / kind / f"{name}.json").write_text(json.dumps({"id": name, **document}))
    return folder


def store(running: Service) -> Any:
    """A client of the log's store."""
    return connect(load_settings(running.environment).redis_url)


def iso(ms: float) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Traffic:
    """People who send batches until told to stop, each knowing what was acknowledged.

    `messy`: they also send late events, shuffle them, send again what was acknowledged, and reuse its messageId for another body.
    """

    def __init__(
        self,
        running: Service,
        name: str = "user",
        *,
        people: int = PEOPLE,
        messy: bool = False,
        dice: random.Random | None = None,
    ) -> None:
        self.running = running
        self.write_key = running.write_key
        self.name = name
        self.people = people
        self.messy = messy
        self.dice = dice or random.Random(name)
        self.sent: dict[str, list[dict[str, Any]]] = defaultdict(list)  # acknowledged, in order
        self.attempted: dict[str, set[str]] = defaultdict(set)
        self.answers: Counter[str] = Counter()
        self.again = 0  # events that were sent once more
        self.slowest = 0.0  # seconds one request took
        self.stopping = False
        self.client = httpx.AsyncClient(base_url=running.url, timeout=15)

    async def person(self, number: int) -> None:
        dice = random.Random(f"{self.dice.random()}{number}")
        user, count = f"{self.name}-{number}", 0
        held: list[dict[str, Any]] = []
        while not self.stopping:
            batch = [self.event(user, count + index, dice) for index in range(dice.choice((1, 1, 3, 8)))]
            count += len(batch)
            if self.messy:
                dice.shuffle(batch)
                if not held and dice.random() < 0.2:  # this one overtakes nobody: it comes after the next
                    held = batch
                    continue
            await self.deliver(user, batch)
            if held:
                await self.deliver(user, held)
                held = []
            if self.messy and dice.random() < 0.3:
                again = dice.sample(self.sent[user], min(len(self.sent[user]), 3))
                self.again += len(again)
                await self.send([event | {"properties": {"another": "body"}} for event in again[:1]] + again[1:])
            await asyncio.sleep(dice.random() * PAUSE)
        if held:
            await self.deliver(user, held)

    def event(self, user: str, number: int, dice: random.Random) -> dict[str, Any]:
        properties = {"n": number, "text": '日本語 "quoted" 😀', "list": [1, {"a": None}]}
        made = {
            "type": "track",
            "event": "Ping",
            "userId": user,
            "messageId": f"{user}-{number}",
            "properties": properties,
        }
        if self.messy and dice.random() < 0.3:
            made["timestamp"] = iso(time.time() * 1000 - dice.choice((2_000, 9_990, 10_000, HOUR)))
        return made

    async def deliver(self, user: str, batch: list[dict[str, Any]]) -> None:
        self.attempted[user].update(event["messageId"] for event in batch)
        await self.send(batch)
        self.sent[user] += batch

    def envelope(self, batch: list[dict[str, Any]]) -> dict[str, Any]:
        return {"batch": batch, "writeKey": self.write_key}

    async def send(self, batch: list[dict[str, Any]]) -> None:
        """Until it is acknowledged."""
        while True:
            began = time.monotonic()
            try:
                reply = await self.client.post("/v1/batch", json=self.envelope(batch))
            except httpx.HTTPError as error:
                self.answers[type(error).__name__] += 1
            else:
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.answers[str(reply.status_code)] += 1
                if reply.status_code == 200:
                    assert all(result == {"status": 200} for result in reply.json()["results"])
                    return
                assert reply.status_code == 429, reply.text
                assert int(reply.headers["retry-after"]) >= 1
            self.again += len(batch)
            await asyncio.sleep(AGAIN)

    async def stopped(self) -> None:
        """Until nothing is acknowledged any more; what was on its way to the store may still have been confirmed."""
        before = -1
        while before != self.answers["200"]:
            before = self.answers["200"]
            await asyncio.sleep(0.5)

    async def moved(self, number: int = 60, seconds: float = 60) -> None:
        """Until that many more batches were acknowledged: the product works (again)."""
        goal = self.answers["200"] + number
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.answers["200"] >= goal:
                return
            await asyncio.sleep(0.01)
        pytest.fail(f"no more acknowledgements; so far {dict(self.answers)}\n{self.running.log[-4_000:]}")


Disturb = Callable[[Traffic], Awaitable[None]]


def drive(
    running: Service, disturb: Disturb, *, tabs: int = 0, make: Callable[..., Traffic] = Traffic, **given: Any
) -> Traffic:
    """Traffic, the disturbance in its middle, and some more traffic. `tabs`: so many people look at two tabs each meanwhile."""

    async def main() -> Traffic:
        traffic = make(running, **given)
        people = [asyncio.create_task(traffic.person(number)) for number in range(traffic.people)]
        looking = [Tabs(running, f"{traffic.name}-{number}") for number in range(tabs)]
        disturbing = asyncio.create_task(_in_the_middle(traffic, disturb))
        try:
            done, _ = await asyncio.wait([disturbing, *people], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # a person may have met what must not be
            traffic.stopping = True
            await asyncio.gather(*people)
            if tabs:
                await asyncio.to_thread(settle, running)
        finally:
            for task in (disturbing, *people):
                task.cancel()
            await asyncio.gather(disturbing, *people, return_exceptions=True)
            met = [await one.close() for one in looking]
            await traffic.client.aclose()
        for problem in met:
            assert problem is None, problem
        return traffic

    with Memory(running) as memory:
        traffic = asyncio.run(main())
    MEMORIES.append(memory)
    memory.check(traffic)
    return traffic


async def _in_the_middle(traffic: Traffic, disturb: Disturb) -> None:
    await traffic.moved()
    await disturb(traffic)
    await traffic.moved()


class Tabs:
    """Somebody with two tabs open: each reads the stream as a browser does, and claims what it is about to show."""

    def __init__(self, running: Service, user: str) -> None:
        self._running = running
        self._user = user
        self.shown: Counter[str] = Counter()
        self._tasks = [asyncio.create_task(self._tab()) for _ in range(2)]

    async def close(self) -> str | None:
        """What a tab has met that must not be."""
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if not isinstance(result, asyncio.CancelledError):
                return f"a tab of {self._user} ended: {result!r}"
        twice = {found: number for found, number in self.shown.items() if number > 1}
        return f"shown twice to {self._user}: {twice}" if twice else None

    async def _tab(self) -> None:
        query = {"writeKey": self._running.write_key, "userId": self._user}
        last: dict[str, str] = {}
        had: set[str] = set()
        async with httpx.AsyncClient(base_url=self._running.url, timeout=20) as client:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    async with client.stream("GET", "/v1/stream", params=query, headers=last) as reply:
                        async for line in reply.aiter_lines():
                            if line.startswith("id: "):
                                last["last-event-id"] = line.removeprefix("id: ")
                            elif line.startswith("data: "):
                                found = json.loads(line.removeprefix("data: "))["delivery_id"]
                                assert found not in had, f"{found} came twice on one stream"
                                had.add(found)
                                await self._claim(client, found)
                await asyncio.sleep(0.2)

    async def _claim(self, client: httpx.AsyncClient, identifier: str) -> None:
        """Asked once: a browser that got no answer does not show."""
        with contextlib.suppress(httpx.HTTPError):
            reply = await client.post(f"/v1/deliveries/{identifier}/claim?writeKey={self._running.write_key}")
            self.shown[identifier] += reply.status_code == 200 and reply.json()["claimed"]


def shard_keys(project: str = "default") -> list[ShardKeys]:
    return [ShardKeys(project, number) for number in range(SHARDS)]


def settle(running: Service, seconds: float = 40, project: str = "default") -> None:
    """Until all that is logged is decided, and all that was decided delivered."""

    def done() -> bool:
        try:
            with contextlib.closing(store(running)) as client:
                for shard in shard_keys(project):
                    newest = client.xrevrange(shard.log, count=1)
                    if client.xlen(shard.outbox) or (newest and client.get(shard.position) != newest[0][0]):
                        return False
        except STORE_ERRORS:
            return False
        return True

    until(done, seconds, f"all decided and delivered\n{running.log[-3_000:]}")


@dataclass
class Story:
    """What the log tells of a person, each messageId once, in order; and what was read of it more than once."""

    records: list[Logged]
    bodies: dict[str, dict[str, Any]]
    repeated: int = 0


def read_stories(client: Any, project: str = "default") -> dict[str, Story]:
    """Person → story, from the streams themselves."""
    found: dict[str, Story] = defaultdict(lambda: Story([], {}))
    for shard in shard_keys(project):
        for _, fields in client.xrange(shard.log):
            raw = json.loads(fields[b"e"])
            for record, plain in zip(decode_entry(fields[b"e"]), raw, strict=True):
                assert isinstance(record, Logged)
                story = found[record.p]
                if record.message_id in story.bodies:
                    story.repeated += 1
                    continue
                story.bodies[record.message_id] = plain["e"]
                story.records.append(record)
    return found


def oracle(story: Story, book: Rulebook) -> list[str]:
    """The deliveries that the pure engine makes of a story."""
    state, made = new_state(story.records[0].p), []
    for record in story.records:
        event = to_event(record)
        outcome = decide(state, event, event.timestamp, book)
        state = outcome.state
        made += [delivery.delivery_id for delivery in outcome.deliveries]
    return made


_known: dict[tuple[bytes, str], tuple[list[Logged], list[str]]] = {}


def once(story: Story, book: Rulebook, secret: bytes) -> list[str]:
    """The same, remembered: most of what a file's last test reads are the stories of those before."""
    key = (secret, story.records[0].p)
    if key not in _known or _known[key][0] != story.records:
        _known[key] = (story.records, oracle(story, book))
    return _known[key][1]


def brute_force(story: Story) -> int:
    """How many deliveries there must be, by looking at the whole story at each event."""
    history: list[Seen] = []
    made = now = 0
    for record in story.records:
        history.append(Seen(record.e.event or "", record.time))
        now = max(now, record.time)
        for rule in RULES.values():
            if rule["trigger"] != record.e.event:
                continue
            if rule["message"] == "third":
                made += sum(seen.name == "Ping" for seen in history) % 3 == 0
            else:
                made += holds(rule.get("condition", True), history, now)
    return made


def verify(running: Service, *all_traffic: Traffic, project: str = "default") -> dict[str, Story]:
    """Lost nothing, doubled nothing: the log, the decisions, the inboxes and the claims. Returns the stories."""
    settle(running, project=project)
    with contextlib.closing(store(running)) as client:
        stories = read_stories(client, project)
        secret = client.get(keys.delivery_secret(project))
        book = compile_rulebook(definitions(), secret=secret)
        made = {person: once(story, book, secret) for person, story in stories.items()}
        stats: Counter[str] = Counter()
        for shard in shard_keys(project):
            stats.update({name.decode(): int(value) for name, value in client.hgetall(shard.stats).items()})
        assert stats["events"] == sum(len(story.records) for story in stories.values())  # each once, however often sent
        assert stats["delivered"] == sum(map(len, made.values())), _differences(client, made, project)
        assert stats["events_failed"] == stats["failed"] == 0
        for traffic in all_traffic:
            _verify_people(traffic, client, stories, made, project)
    return stories


def _differences(client: Any, made: Mapping[str, list[str]], project: str) -> str:
    """Whose deliveries are not those of the oracle, for who reads a failure."""
    found: dict[str, set[str]] = defaultdict(set)
    for shard in shard_keys(project):
        for key in client.scan_iter(match=f"{shard.prefix}delivery:*", count=1_000):
            found[client.hget(key, "person").decode()].add(key.decode().rpartition(":")[2])
    told = []
    for person in sorted({*found, *made}):
        missing, extra = set(made.get(person, ())) - found[person], found[person] - set(made.get(person, ()))
        if missing or extra:
            where = [made[person].index(one) for one in missing]
            told.append(
                f"{person}: {len(missing)} missing (number {sorted(where)}), {len(extra)} that nobody asked for"
            )
    return "the deliveries are not the oracle's:\n" + "\n".join(told)


def _verify_people(
    traffic: Traffic, client: Any, stories: Mapping[str, Story], made: Mapping[str, list[str]], project: str
) -> None:
    assert traffic.sent
    for number, (user, sent) in enumerate(traffic.sent.items()):
        person = f"u:{user}"
        story = stories[person]
        acknowledged = [event["messageId"] for event in sent]
        assert set(acknowledged) <= set(story.bodies), f"acknowledged and not logged: {user}"
        assert set(story.bodies) <= traffic.attempted[user]
        for event in sent:
            assert {name: story.bodies[event["messageId"]][name] for name in event} == event
        if not traffic.messy:
            assert list(story.bodies) == acknowledged
        if number < BY_BRUTE_FORCE:
            assert len(made[person]) == brute_force(story)
        shard = keys.ShardKeys(project, keys.shard_of(person, SHARDS))
        states = [client.hget(shard.delivery(found), "state") for found in made[person]]
        assert None not in states, f"decided and not delivered: {user}"
        pending = [found for found, state in zip(made[person], states, strict=True) if state == b"pending"]
        inbox = [json.loads(fields[b"d"])["delivery_id"] for _, fields in client.xrange(shard.inbox(person))]
        assert inbox == pending[-INBOX:], (
            f"{user}: {len(pending)} pending, not in the inbox {set(pending[-INBOX:]) - set(inbox)}"
        )
        if number < BY_BRUTE_FORCE:
            _claim_at_once(traffic, inbox[:3])


def _claim_at_once(traffic: Traffic, deliveries: list[str]) -> None:
    with ThreadPoolExecutor(4) as pool, httpx.Client(base_url=traffic.running.url, timeout=20) as client:

        def claim(address: str) -> bool:
            reply = client.post(address)
            while reply.status_code == 429:  # all of the traffic came from this address
                time.sleep(int(reply.headers["retry-after"]))
                reply = client.post(address)
            assert reply.status_code == 200, reply.text
            return bool(reply.json()["claimed"])

        for identifier in deliveries:
            address = f"/v1/deliveries/{identifier}/claim?writeKey={traffic.write_key}"
            assert sorted(pool.map(claim, [address] * 4)) == [False, False, False, True]


@dataclass
class Recovery:
    """How long after a fault it took until an event was acknowledged, and until it was decided and in the inbox; seconds."""

    what: str
    acknowledged: float
    delivered: float


RECOVERIES: list[Recovery] = []


def recover(running: Service, what: str, since: float, seconds: float = 60, shard: int | None = None) -> Recovery:
    """Sends a probe (of a certain shard) and waits for what it leads to. `since`: when the fault began or ended, by
    `time.monotonic()`."""
    names = (f"probe-{time.monotonic_ns()}-{number}" for number in itertools.count())
    user = next(name for name in names if shard in (None, keys.shard_of(f"u:{name}", SHARDS)))
    event = {"event": "Probe", "userId": user, "messageId": user}
    query = {"writeKey": running.write_key, "userId": user}
    with running.client(timeout=6) as client:

        def answers(ask: Callable[[], httpx.Response]) -> httpx.Response | None:
            try:
                reply = ask()
            except httpx.TransportError:
                return None
            return reply if reply.status_code == 200 else None

        until(lambda: answers(partial(client.post, "/v1/track", json=event)), seconds, f"acknowledged after: {what}")
        acknowledged = time.monotonic() - since

        def arrived() -> bool:
            reply = answers(partial(client.get, "/v1/inbox", params=query))
            return reply is not None and len(reply.json()["deliveries"]) == 1

        until(arrived, seconds, f"delivered after: {what}\n{running.log[-3_000:]}")
    found = Recovery(what, acknowledged, time.monotonic() - since)
    print(f"{what}: acknowledged again after {found.acknowledged:.2f} s, delivered after {found.delivered:.2f} s")
    RECOVERIES.append(found)
    return found


PROCESS_BYTES = 250 * 2**20  # what one of the product's Python processes may hold
STORE_BYTES = 96 * 2**20  # what the log's store may grow by: most of it are the decisions it keeps, which are capped …
EVENT_BYTES = (
    4_096  # … and for each event that was sent: its log entry, its messageId, its deliveries, the people's states
)


class Memory:
    """Watches what the product's processes hold (resident) and its log's store (`used_memory`); the most of each."""

    def __init__(self, running: Service) -> None:
        self._running = running
        self._stop = threading.Event()
        self._watching = threading.Thread(target=self._watch)
        self._client = store(running)
        self.processes: dict[str, int] = {}
        self.store = 0
        self.first: int | None = None

    def __enter__(self) -> "Memory":
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watching.join()
        self._client.close()

    def _watch(self) -> None:
        while not self._stop.wait(0.3):
            with contextlib.suppress(psutil.Error):
                for name, pid in self._running.pids.items():
                    size = psutil.Process(pid).memory_info().rss
                    self.processes[name] = max(self.processes.get(name, 0), size)
            with contextlib.suppress(*STORE_ERRORS):
                used = self._client.info("memory")["used_memory"]
                self.first = used if self.first is None else self.first
                self.store = max(self.store, used)

    def check(self, traffic: Traffic) -> None:
        python = {name: size for name, size in self.processes.items() if not name.startswith("valkey")}
        assert max(python.values()) <= PROCESS_BYTES, python
        sent = sum(len(found) for found in traffic.attempted.values()) + traffic.again
        allowed = STORE_BYTES + EVENT_BYTES * sent
        grown = self.store - (self.first or 0)
        assert grown <= allowed, f"the store grew by {grown} bytes for {sent} events, it may by {allowed}"


MEMORIES: list[Memory] = []


def publish(running: Service, project: str, version: int) -> None:
    """Puts the harness's rules in force in another project."""
    with contextlib.closing(store(running)) as client:
        put_in_force(client, project, version, definitions())


def start_rewriting(product: Service) -> None:
    """One that takes as long as the test likes."""
    with contextlib.closing(store(product)) as client:
        client.config_set("rdb-key-save-delay", 100_000)  # µs for each key
        client.bgrewriteaof()
        until(lambda: client.info("persistence")["aof_rewrite_in_progress"], what="the files are being rewritten")
