"""Delivery: the RQ job behind the doorbell. It drains a shard's outbox, renders, and puts into inboxes.

Two drains of one shard may run at once: whoever removes the outbox entry delivers, in the same script.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import msgspec

from engage.commit import ENTRY_BYTES
from engage.inbox import DELIVER, PASS, PUT, TAKE, UPDATE, WITHDRAW, holder_sync
from engage.keys import ShardKeys, shard_of, shard_of_delivery
from engage.log import failure
from engage.logs import get_logger
from engage.rulebooks import read_definitions_sync
from engage.settings import Settings, load_settings
from engage.store import STORE_ERRORS, Script, connect
from engage.times import iso, now_ms
from rules import Delivery, Message
from rules.duration import parse_duration
from worker.doorbell import QUEUE, answered
from worker.queues import serve_queue
from worker.render import RenderError, render
from worker.transaction import FAILED_KEPT, SPREAD, TELL

AT_ONCE: Final = 200

# KEYS: log. ARGV: an entry.
APPEND = Script("return redis.call('XADD', KEYS[1], '*', 'e', ARGV[1])", when_full=True)

# KEYS: forward. ARGV: who the person turned out to be.
FORWARD = Script("return redis.call('SET', KEYS[1], ARGV[1])", when_full=True)

# KEYS: log, failed, outbox, stats. ARGV: an entry for the log or "", the delivery, the reason, its outbox entry.
FAIL = Script(
    f"""
if ARGV[1] ~= '' then redis.call('XADD', KEYS[1], '*', 'e', ARGV[1]) end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', {FAILED_KEPT}, '*', 'd', ARGV[2], 'reason', ARGV[3])
redis.call('XDEL', KEYS[3], ARGV[4])
return redis.call('HINCRBY', KEYS[4], 'failed', 1)
""",
    when_full=True,
)
log = get_logger("worker.delivery")
_decode_delivery = msgspec.json.Decoder(Delivery).decode


class _Owner(msgspec.Struct):
    p: str


class _Named(msgspec.Struct):
    delivery_id: str


_decode_owner = msgspec.json.Decoder(_Owner).decode
_decode_delivery_id = msgspec.json.Decoder(_Named).decode
_decode_ticked = msgspec.json.Decoder(tuple[str, list[str]]).decode
_decode_pair = msgspec.json.Decoder(tuple[str, str]).decode


def drain(prefix: str) -> int:
    """The job. `prefix` is the shard's key prefix, `{project.shard}:`; returns how many deliveries reached inboxes."""
    store, queue = _clients()
    project, _, shard = prefix.strip("{}:").rpartition(".")
    try:
        answered(queue, prefix)
        return Drain(store, ShardKeys(project, int(shard)), project, load_settings().shards).run()
    except STORE_ERRORS as error:
        log.warning("store away, the sweep rings again", shard=prefix, error=str(error))
        for client in _clients():
            client.close()  # the other lines may be dead as well: each would be waited for in turn
        return 0


def work(settings: Settings) -> None:
    """Runs an RQ worker until SIGTERM or SIGINT. It does not fork: a job is one pass over an outbox, and what it has
    read stays warm."""
    _warm()
    serve_queue(settings, QUEUE)


def _warm() -> None:
    """Opens what the first job would else wait for. A store that is away is met again by the job itself."""
    for client in _clients():
        try:
            client.ping()
        except STORE_ERRORS as error:
            log.warning("store away", error=str(error))


@cache
def _clients() -> tuple[Any, Any]:
    """Connections of this worker process, for the log's store and for RQ's."""
    settings = load_settings()
    return connect(settings.redis_url), connect(settings.queue_url)


class Drain:
    """One pass over one shard's outbox."""

    def __init__(self, store: Any, keys: ShardKeys, project: str, shards: int) -> None:
        self._store = store
        self._keys = keys
        self._project = project
        self._shards = shards
        self._live = _live(store, project)

    def run(self) -> int:
        """What comes in meanwhile is rung for again: a busy shard does not keep the others waiting."""
        put = 0
        while entries := self._store.xrange(self._keys.outbox, count=AT_ONCE):
            put += self._take(entries)
            if len(entries) < AT_ONCE:
                break
        return put

    def _take(self, entries: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> int:
        put = 0
        group: list[tuple[bytes, Delivery, bytes]] = []
        told: list[tuple[bytes, bytes]] = []
        for entry, fields in entries:
            if fields[b"k"] == b"deliver":
                self._render(entry, fields[b"d"], group)
            elif fields[b"k"] == TELL.encode():
                told.append((entry, fields[b"d"]))  # for another log: in its own order, whatever stands between
            else:
                put += self._deliver(group)
                group = []
                if fields[b"k"] == b"withdraw":
                    self._withdraw(entry, fields[b"d"])
                elif fields[b"k"] == b"tick":
                    self._tick(entry, fields[b"d"])
                elif fields[b"k"] == SPREAD.encode():
                    self._spread(entry, fields[b"d"])
                else:
                    self._move(entry, fields[b"d"])
        put += self._deliver(group)
        self._tell(told)
        return put

    def _render(self, entry: bytes, payload: bytes, group: list[tuple[bytes, Delivery, bytes]]) -> None:
        try:
            delivery = _decode_delivery(payload)
            message = self._live.messages.get(delivery.message_id)
            if message is None:
                raise RenderError("there is no such message any more")
            content = self._content(message, delivery)
            group.append((entry, delivery, _wire(delivery, content, self._live.snoozes.get(delivery.rule_id))))
        except RenderError as error:
            self._fail(entry, payload, f"{delivery.message_id}: {error}")
        except Exception as error:  # a mistake of ours: one delivery must not stop the shard
            log.exception("delivery not rendered")
            self._fail(entry, payload, repr(error))

    def _content(self, message: Message, delivery: Delivery) -> Any:
        """Rendered; the items of a checklist bring the tours that they start."""
        content = render(message.content, delivery.locale, delivery.data)
        for item in content["items"] if message.kind == "checklist" else ():
            tour = self._live.messages.get(item.get("tour"))
            if tour is not None:
                item["content"] = render(tour.content, delivery.locale, delivery.data)
        return content

    def _tick(self, entry: bytes, payload: bytes) -> None:
        """Items of a checklist are done: what waits in the inbox says so from now on, and so hears whoever follows it."""
        delivery_id, done = _decode_ticked(payload)
        held = holder_sync(self._store, self._project, self._shards, delivery_id)
        if held is not None and held.state == "pending":
            name = held.keys.delivery(delivery_id)
            wire, waiting = self._store.hmget(name, "d", "entry")
            changed = msgspec.json.encode(msgspec.json.decode(wire) | {"done": done})
            UPDATE.run_sync(self._store, [name, held.keys.inbox(held.person)], [held.keys.live, waiting, changed])
        self._store.xdel(self._keys.outbox, entry)

    def _deliver(self, group: list[tuple[bytes, Delivery, bytes]]) -> int:
        if not group:
            return 0
        keys, args = [self._keys.outbox, self._keys.stats], [self._keys.live, now_ms()]
        for entry, delivery, wire in group:
            person = delivery.person
            keys += (self._keys.inbox(person), self._keys.delivery(delivery.delivery_id), self._keys.forward(person))
            args += (entry, delivery.delivery_id, delivery.person, wire, delivery.expires_at or "")
        return int(DELIVER.run_sync(self._store, keys, args))

    def _withdraw(self, entry: bytes, payload: bytes) -> None:
        person, delivery_id = _decode_pair(payload)
        held = holder_sync(self._store, self._project, self._shards, delivery_id)
        keys = self._keys if held is None else held.keys
        person = person if held is None else held.person
        if held is None and (shard := shard_of_delivery(delivery_id, self._shards)) is not None:
            keys = ShardKeys(self._project, shard)  # not rendered yet: it must not be
        here = keys.prefix == self._keys.prefix
        names = [keys.outbox, keys.stats, keys.inbox(person), keys.delivery(delivery_id)]
        WITHDRAW.run_sync(self._store, names, [entry if here else "0-0", person])
        if not here:
            self._store.xdel(self._keys.outbox, entry)

    def _tell(self, told: Sequence[tuple[bytes, bytes]]) -> None:
        """Records for other logs; there their messageIds make them count once, however often they are told."""
        logs: dict[str, list[bytes]] = {}
        for _, payload in told:
            person = _decode_owner(payload).p
            logs.setdefault(ShardKeys(self._project, shard_of(person, self._shards)).log, []).append(payload)
        for log, payloads in logs.items():
            for some in _entries(payloads):
                APPEND.run_sync(self._store, [log], [b"[" + b",".join(some) + b"]"])
        if told:
            self._store.xdel(self._keys.outbox, *(entry for entry, _ in told))

    def _spread(self, entry: bytes, payload: bytes) -> None:
        """A record for all logs; told again, it says nothing new."""
        for shard in range(self._shards):
            APPEND.run_sync(self._store, [ShardKeys(self._project, shard).log], [b"[" + payload + b"]"])
        self._store.xdel(self._keys.outbox, entry)

    def _move(self, entry: bytes, payload: bytes) -> None:
        """What waits for a person goes to whom they turned out to be. It is put there first: a claim asks the old place first."""
        person, into = _decode_pair(payload)
        source, target = self._keys, ShardKeys(self._project, shard_of(into, self._shards))
        if person == into:  # they live again
            self._store.delete(source.forward(person))
        else:
            FORWARD.run_sync(self._store, [source.forward(person)], [into])
            for _, fields in self._store.xrange(source.inbox(person)):
                self._move_one(source, person, target, into, fields)
        self._store.xdel(source.outbox, entry)

    def _move_one(
        self, source: ShardKeys, person: str, target: ShardKeys, into: str, fields: dict[bytes, bytes]
    ) -> None:
        delivery_id = _decode_delivery_id(fields[b"d"]).delivery_id
        there = target.delivery(delivery_id)
        if there == source.delivery(delivery_id):
            names = [source.outbox, source.inbox(person), there, target.forward(into), target.inbox(into)]
            PASS.run_sync(self._store, names, [target.live, into])
            return
        names = [target.outbox, target.inbox(into), there, target.forward(into)]
        PUT.run_sync(self._store, names, [target.live, now_ms(), into, fields[b"d"], fields[b"x"]])
        moved = TAKE.run_sync(self._store, [source.delivery(delivery_id), source.inbox(person)], [into])
        if not moved and self._store.hget(source.delivery(delivery_id), "state") != b"moved":  # claimed meanwhile
            if copy := self._store.hget(there, "entry"):
                self._store.xdel(target.inbox(into), copy)
            self._store.delete(there)

    def _fail(self, entry: bytes, payload: bytes, reason: str) -> None:
        """What can never be rendered is kept aside with its reason, so that its neighbours go on; an event in the log tells the decider."""
        log.error("delivery failed", reason=reason)
        told = b""
        try:
            delivery = _decode_delivery(payload)
            told = failure(delivery.person, delivery.delivery_id, reason, now_ms())
        except msgspec.MsgspecError:
            pass  # nobody knows whose it was
        keys = self._keys
        FAIL.run_sync(self._store, [keys.log, keys.failed, keys.outbox, keys.stats], [told, payload, reason, entry])


def _entries(payloads: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Records in groups of ENTRY_BYTES, as ingest makes log entries; one that is larger is alone."""
    some: list[bytes] = []
    for payload in payloads:
        if some and sum(map(len, some)) + len(payload) > ENTRY_BYTES:
            yield some
            some = []
        some.append(payload)
    yield some


class _Live(NamedTuple):
    """What of the rulebook in force a delivery needs: the messages by id, and for how many ms which rules offer to snooze."""

    version: int
    messages: dict[str, Message]
    snoozes: dict[str, int]


_rulebooks: WeakKeyDictionary[Any, dict[str, _Live]] = WeakKeyDictionary()  # of each store's client


def _live(store: Any, project: str) -> _Live:
    """Read again only when the pointer moved."""
    rulebooks = _rulebooks.setdefault(store, {})
    known = rulebooks.get(project, _Live(0, {}, {}))
    found = read_definitions_sync(store, project, known.version)
    if found is not None:
        version, definitions = found
        messages = {message.id: message for message in definitions.messages}
        snoozes = {rule.id: parse_duration(rule.snooze) for rule in definitions.rules if rule.snooze is not None}
        known = rulebooks[project] = _Live(version, messages, snoozes)
    return known


def _wire(delivery: Delivery, content: Any, snooze: int | None) -> bytes:
    """One delivery as clients get it."""
    expires = delivery.expires_at
    return msgspec.json.encode(
        ({} if snooze is None else {"snooze": snooze})
        | {
            "delivery_id": delivery.delivery_id,
            "rule_id": delivery.rule_id,
            "message_id": delivery.message_id,
            "kind": delivery.kind,
            "variant": delivery.variant,
            "priority": delivery.priority,
            "content": content,
            "show_on": delivery.show_on,
            "expires_at": None if expires is None else iso(expires),
        }
    )
