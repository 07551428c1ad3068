"""Server-Sent Events: one Redis subscription per process, any number of clients.

A client's cursor names the last inbox entry it got of each of its persons (`<user entry>~<anonymous entry>`), so a
reconnect with `Last-Event-ID` goes on without a gap. The inbox is the truth: whenever live notices may have been missed
(a new subscription, a full buffer) it is read again from the cursor.

What a client that reads slowly can cost is bounded: a few notices here, a page of its inbox, and the connection's write
buffer; while that is full nothing more is read for it. One that stays behind is hung up on (`engage.protocol`) and comes
back with its cursor.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

import msgspec
import redis.exceptions

from engage.errors import Full, RateLimited
from engage.inbox import Notice, pending_from
from engage.keys import ShardKeys, shard_of
from engage.logs import get_logger
from engage.store import STORE_ERRORS
from engage.times import now_ms

HEARTBEAT_SECONDS: Final = 15.0
PING_SECONDS: Final = 5.0  # of silence, then the store is asked whether it is there
RESUBSCRIBE_SECONDS: Final = 0.25
RETRY_SECONDS: Final = 5  # told to a stream that is one too many
BUFFER: Final = 100  # notices a slow client may have waiting, and …
BUFFER_BYTES: Final = 64 * 1024  # … what they may hold; beyond it the client reads its inbox again
PAGE: Final = 10  # deliveries of an inbox that are read at a time
READS_AT_ONCE: Final = 200  # inboxes in one round trip
HEARTBEATS_AT_ONCE: Final = 100
_decode_notice = msgspec.json.Decoder(Notice).decode
log = get_logger("engage.stream")


class Client:
    """One open stream: what waits for it, and the cursor of each person it listens for."""

    __slots__ = ("closed", "cursors", "dirty", "held", "persons", "project", "waiting", "wake")

    def __init__(self, project: str, persons: tuple[str, ...], cursors: dict[str, str | None]) -> None:
        self.project = project
        self.persons = persons
        self.cursors = cursors
        self.waiting: list[tuple[str, str, bytes]] = []
        self.held = 0  # bytes of these
        self.dirty = True  # the inbox must be read
        self.closed = False
        self.wake = asyncio.Event()

    def offer(self, person: str, entry: str, delivery: bytes) -> None:
        if len(self.waiting) < BUFFER and self.held + len(delivery) <= BUFFER_BYTES:
            self.waiting.append((person, entry, delivery))
            self.held += len(delivery)
        else:
            self.dirty = True
            self.take()
        self.wake.set()

    def take(self) -> list[tuple[str, str, bytes]]:
        """What waits, which then waits no longer."""
        taken, self.waiting, self.held = self.waiting, [], 0
        return taken

    def advance(self, person: str, entry: str) -> bool:
        """Moves the cursor; False when the client has had this entry."""
        last = self.cursors[person]
        if last is not None and _order(entry) <= _order(last):
            return False
        self.cursors[person] = entry
        return True

    @property
    def cursor(self) -> str:
        return "~".join(self.cursors[person] or "" for person in self.persons)


class InboxReads:
    """Reads of inboxes, many in one round trip: when all clients come back at once, each would else need a connection."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._waiting: list[tuple[str, str, asyncio.Future[Any]]] = []
        self._running: asyncio.Task[None] | None = None

    async def page(self, inbox: str, after: str | None) -> list[tuple[bytes, dict[bytes, bytes]]]:
        """The first PAGE entries behind `after`. Raises a store error."""
        reply = asyncio.get_running_loop().create_future()
        self._waiting.append((inbox, "-" if after is None else f"({after}", reply))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        found: list[tuple[bytes, dict[bytes, bytes]]] = await reply
        return found

    async def _run(self) -> None:
        try:
            while self._waiting:
                some, self._waiting = self._waiting[:READS_AT_ONCE], self._waiting[READS_AT_ONCE:]
                pipeline = self._client.pipeline(transaction=False)
                for inbox, start, _ in some:
                    pipeline.xrange(inbox, start, "+", count=PAGE)
                try:
                    found = await pipeline.execute(raise_on_error=False)
                except Exception as error:
                    found = [error] * len(some)
                for (_, _, reply), entries in zip(some, found, strict=True):
                    if reply.done():
                        continue  # the client is gone
                    if isinstance(entries, Exception):
                        reply.set_exception(entries)
                    else:
                        reply.set_result(entries)
        finally:
            self._running = None


class Hub:
    """Spreads the shards' live notices to the clients of this process."""

    def __init__(self, subscriber: Any, client: Any, projects: Iterable[str], shards: int) -> None:
        self._subscriber = subscriber
        self._reads = InboxReads(client)
        self._shards = shards
        self._keys = {project: [ShardKeys(project, n) for n in range(shards)] for project in projects}
        self._channels = {k.live.encode(): (p, n) for p, all_keys in self._keys.items() for n, k in enumerate(all_keys)}
        self._clients: dict[tuple[str, str], set[Client]] = defaultdict(set)
        self._news: dict[tuple[str, int], asyncio.Event] = defaultdict(asyncio.Event)
        self._tasks: list[asyncio.Task[None]] = []
        self._most = self._most_of_one = 0  # streams; 0: any number
        self.count = 0
        self.closing = False

    def bound(self, streams: int, of_one_person: int) -> None:
        """Sets how many streams may be open, in all and of one person; 0: any number."""
        self._most, self._most_of_one = streams, of_one_person

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._heartbeat())]

    async def close(self) -> None:
        """Ends every stream cleanly; clients connect again elsewhere."""
        self.closing = True
        for client in self._all():
            client.closed = True
            client.wake.set()
        for event in self._news.values():
            event.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def keys(self, project: str, person: str) -> ShardKeys:
        return self._keys[project][self.shard_number(person)]

    def shard_number(self, person: str) -> int:
        return shard_of(person, self._shards)

    def shard(self, project: str, number: int) -> ShardKeys:
        return self._keys[project][number]

    def open(self, client: Client) -> None:
        """Adds a stream. Raises Full or RateLimited where it is one too many; the client then polls, or comes back."""
        if 0 < self._most <= self.count:
            raise Full(f"at most {self._most} open streams of this process, and all are taken")
        for person in client.persons:
            if 0 < self._most_of_one <= len(self._clients.get((client.project, person), ())):
                field = "userId" if person.startswith("u:") else "anonymousId"
                raise RateLimited(f"at most {self._most_of_one} open streams of one person", RETRY_SECONDS, field=field)
        self.count += 1
        for person in client.persons:
            self._clients[client.project, person].add(client)

    def end(self, client: Client) -> None:
        self.count -= 1
        for person in client.persons:
            listeners = self._clients[client.project, person]
            listeners.discard(client)
            if not listeners:
                del self._clients[client.project, person]

    async def next(self, client: Client) -> list[tuple[str, bytes]] | None:
        """Waits for what the client has not had: (cursor, delivery JSON), in order; an empty list is a heartbeat, None
        the end. Raises a store error when the inbox cannot be read."""
        if not client.dirty and not client.waiting and not client.closed:
            client.wake.clear()
            await client.wake.wait()
        if client.closed:
            return None
        if client.dirty:
            client.dirty = False
            client.take()  # they are in the inbox
            try:
                return await self._unread(client)
            except STORE_ERRORS:
                client.dirty = True
                raise
        return [(client.cursor, d) for person, entry, d in client.take() if client.advance(person, entry)]

    def news(self, project: str, shard: int) -> asyncio.Event:
        """Set once the shard next commits decisions. Asked for before one reads: so nothing falls between."""
        return self._news[project, shard]

    async def _unread(self, client: Client) -> list[tuple[str, bytes]]:
        """A page of each inbox; where there is more, the client stays dirty."""
        now = now_ms()
        found = []
        for person in client.persons:
            inbox = self.keys(client.project, person).inbox(person)
            entries = await self._reads.page(inbox, client.cursors[person])
            for pending in pending_from(entries, now):
                if client.advance(person, pending.entry):
                    found.append((client.cursor, bytes(pending.delivery)))
            if len(entries) == PAGE:
                client.dirty = True
                client.advance(person, entries[-1][0].decode())  # those at the end may have expired
        return found

    def _all(self) -> set[Client]:
        return {client for listeners in self._clients.values() for client in listeners}

    async def _heartbeat(self) -> None:
        while True:
            # Spread over the time between two of them: ten thousand at once would hold up everything else.
            clients = list(self._all())
            parts = len(clients) // HEARTBEATS_AT_ONCE + 1
            for part in range(parts):
                for client in clients[part::parts]:
                    client.wake.set()
                await asyncio.sleep(HEARTBEAT_SECONDS / parts)

    async def _listen(self) -> None:
        lost = False
        while True:
            pubsub = self._subscriber.pubsub()
            try:
                await pubsub.subscribe(*self._channels)
                lost = False
                for client in self._all():  # what was published while nobody listened lies in the inboxes
                    client.dirty = True
                    client.wake.set()
                await self._hear(pubsub)
            except STORE_ERRORS as error:
                if not lost:
                    log.warning("live channel lost, trying again", error=str(error))
                lost = True
            except Exception:
                log.exception("live channel failed, trying again")
            finally:
                await pubsub.aclose()
            await asyncio.sleep(RESUBSCRIBE_SECONDS)

    async def _hear(self, pubsub: Any) -> None:
        """Spreads what is published. Raises a store error when a ping is not answered: a line can be dead in silence."""
        asked = False
        while True:
            message = await pubsub.get_message(timeout=PING_SECONDS)
            if message is None:
                if asked:
                    raise redis.exceptions.ConnectionError(f"no answer within {PING_SECONDS:g} s")
                await pubsub.ping()
            elif message["type"] == "message":
                self._spread(*self._channels[message["channel"]], message["data"])
            asked = message is None

    def _spread(self, project: str, shard: int, data: bytes) -> None:
        notice = _decode_notice(data)
        if notice.p is None or notice.i is None:
            if (event := self._news.pop((project, shard), None)) is not None:
                event.set()
            return
        delivery = None
        for client in self._clients.get((project, notice.p), ()):
            delivery = delivery or bytes(notice.d)
            client.offer(notice.p, notice.i, delivery)


def _order(entry: str) -> tuple[int, int]:
    ms, _, sequence = entry.partition("-")
    return int(ms), int(sequence or 0)


def parse_cursor(text: str | None, persons: tuple[str, ...]) -> dict[str, str | None]:
    """`Last-Event-ID` → the cursor of each person; what is not a cursor of ours starts from the beginning."""
    parts = (text or "").split("~")
    if len(parts) != len(persons):
        parts = [""] * len(persons)
    return {person: part if is_entry(part) else None for person, part in zip(persons, parts, strict=True)}


def is_entry(text: str) -> bool:
    ms, dash, sequence = text.partition("-")
    digits = ms + sequence
    return (
        bool(dash and ms and sequence) and digits.isascii() and digits.isdigit() and max(len(ms), len(sequence)) <= 15
    )
