"""The decider: one owner per shard reads its log in order, asks the engine, and commits what follows.

Event time drives it: a person's timers fire before an event that is later than they are. The clock of the machine only
fires timers for people of whom nothing more is to be read.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from engage.keys import ShardKeys
from engage.log import Logged, decode_entry, dedup_key, forwarded, group_changed, group_known, linked, merged, to_event
from engage.logs import get_logger
from engage.rulebooks import RulebookReader
from engage.store import STORE_ERRORS, Pipe, entry_order
from engage.times import now_ms
from rules import LINKED, MERGED, SERVICE, Outcome, Rulebook, State, decide, decode_state, encode_state, new_state
from rules.groups import CHANGED, KNOWN, PREFIX, join, learn, see
from rules.groups import change as change_group
from rules.limits import MAX_TARGETS
from rules.rulebook import suspending
from rules.tally import STOPPED, TARGET, suspended
from worker.doorbell import Doorbell
from worker.filling import Fill, Kept
from worker.lease import LEASE_MS, Lease
from worker.transaction import MOVE, SPREAD, Decision, Transaction

READ_ENTRIES: Final = 64  # log entries applied in one commit, as long as they hold at most …
READ_EVENTS: Final = 2_000
READ_BYTES: Final = 2 * 1024 * 1024
CACHED_STATES: Final = 20_000  # of a shard, and …
CACHED_BYTES: Final = 8 * 1024 * 1024  # … as they are stored; in memory they take several times as much
TIMERS_AT_ONCE: Final = 500
FILLED_AT_ONCE: Final = 500  # states
BRIEF_FIELDS: Final = 8
BRIEF_TEXT: Final = 80  # characters
IDLE_MS: Final = 500
SWEEP_SECONDS: Final = 1.0
TRIM_SECONDS: Final = 60.0
GENERATION_MS: Final = 12 * 3600 * 1000  # messageIds count once for at least so long …
GENERATION_SIZE: Final = 1_000_000  # … or for at least so many events of the shard
LAG_BUCKETS_MS: Final = (5, 10, 25, 50, 100, 250, 1_000, 5_000, 60_000)

log = get_logger("worker.decider")


class LeaseLost(Exception):
    """Another decider owns the shard now; what was not committed did not happen."""


class ShardDecider:
    """Owns one shard for as long as its lease lasts."""

    def __init__(
        self,
        client: Any,
        reader: Any,
        keys: ShardKeys,
        rulebooks: RulebookReader,
        doorbell: Doorbell,
        retention_ms: int,
        before: str = "",
    ) -> None:
        self._client = client
        self._reader = Pipe(reader)  # XREAD blocks its connection
        self._pipe = Pipe(client)
        self._keys = keys
        self._rulebooks = rulebooks
        self._doorbell = doorbell
        self._retention_ms = retention_ms
        self._lease = Lease(client, keys, before)
        self._states: dict[str, State] = {}
        self._sizes: dict[str, int] = {}  # bytes, of those that were stored …
        self._held = 0  # … and of all of them
        self._position = "0-0"
        self._generation = 1
        self._since = 0
        self._size = 0
        self._next_timer: float = 0  # unknown: look at once
        self._kept = Kept(client, keys)
        self._rulebook: Rulebook | None = None  # in force here; None: not yet
        self._followed: Rulebook | None = None  # the same as it was published, without what is suspended here
        self._stopped: Counter[str] = (
            Counter()
        )  # how often the budget stopped which condition, and which targets were missing; see rules/tally.py
        self._stopped_more = False
        self._fill: Fill | None = None
        self._next_sweep: float = 0
        self._next_trim: float = 0
        self.stopping = False
        self._ended = False

    @property
    def token(self) -> str:
        """Of its lease, for the next one of this process (`before`)."""
        return self._lease.token

    async def acquire(self) -> bool:
        return await self._lease.acquire()

    async def run(self) -> None:
        """Decides until stopped, or until the lease or the store is lost (then it raises)."""
        renewing = asyncio.create_task(self._renew())
        try:
            await self._load()
            while not self.stopping:
                if renewing.done():
                    raise LeaseLost
                await self._follow_rulebook()
                if self._rulebook is not None:
                    self._rulebook = self._suspend(self._rulebook)
                    await self._step(self._rulebook)
        finally:
            self._ended = True
            renewing.cancel()
            await self._pipe.aclose()
            await self._reader.aclose()
            try:
                await self._lease.release()
            except STORE_ERRORS:
                pass  # it runs out by itself

    async def _renew(self) -> None:
        """Ends when the lease is lost. A store that is away is not a lost lease: the commit decides. Asked at once and at even
        distances: with a store that takes two seconds to answer, the lease holds still. In the middle of a reply of the store it may
        not hear that it is cancelled, and must not hold for ever what nobody decides."""
        loop = asyncio.get_running_loop()
        following = loop.time()
        while not self._ended:
            await asyncio.sleep(following - loop.time())
            following = max(following, loop.time()) + LEASE_MS / 3_000
            try:
                if not await self._lease.renew():
                    return
            except STORE_ERRORS:
                continue

    async def _load(self) -> None:
        position = await self._client.get(self._keys.position)
        self._position = position.decode() if position else "0-0"
        found = await self._client.hgetall(self._keys.generation)
        self._generation = int(found.get(b"number", 1))
        self._since = int(found.get(b"since", now_ms()))
        self._size = await self._client.scard(self._keys.seen(self._generation))
        await self._kept.load()
        for what in (STOPPED, TARGET):
            async for name, count in self._client.hscan_iter(self._keys.matches, match=f"*:{what}*", count=1_000):
                self._stopped[name.decode()] = int(count)

    async def _follow_rulebook(self) -> None:
        """Puts the newest rulebook in force, between two batches, once the histories it asks for are filled from the log. Until then
        the one before decides; a shard that was just taken waits."""
        wanted = self._rulebooks.current
        if wanted is self._followed:
            return
        if self._fill is None or self._fill.rulebook is not wanted:
            self._fill = Fill(wanted, self._kept.missing(wanted, self._position))
            if self._fill.missing:
                log.info(
                    "filling histories from the log",
                    shard=self._keys.log,
                    version=wanted.version,
                    histories=len(self._fill.missing),
                )
        if not await self._fill.advance(self._client, self._keys.log, self._position):
            await asyncio.sleep(0)
            return
        await self._put_in_force(self._fill)

    async def _put_in_force(self, fill: Fill) -> None:
        persons = sorted(fill.persons)
        for start in range(0, len(persons), FILLED_AT_ONCE):
            some = persons[start : start + FILLED_AT_ONCE]
            await self._prepare(some, [])
            transaction = Transaction()
            for person in some:
                if (state := self._states[person]).merged_into is not None:
                    if (gift := fill.gift(state)) is not None:
                        transaction.tell(merged(gift, now_ms()))
                elif state.clock:  # else forgotten meanwhile
                    fill.complete(state, self._position)
                    transaction.states[person] = encode_state(state)
            await self._write(transaction)
        if not await self._kept.switch(self._lease.token, fill.rulebook, self._position):
            raise LeaseLost
        if fill.missing:
            log.info(
                "histories filled",
                shard=self._keys.log,
                version=fill.rulebook.version,
                events=fill.events,
                people=len(persons),
            )
        self._rulebook, self._fill = fill.rulebook, None
        self._followed, self._stopped_more = fill.rulebook, True

    def _suspend(self, rulebook: Rulebook) -> Rulebook:
        """Stops asking rules that the budget has stopped too often, or whose tour finds its target no more; said once."""
        if not self._stopped_more:
            return rulebook
        self._stopped_more = False
        digests = {name: live.digest for name, live in rulebook.rules.items()}
        tours = {name: {one.message.digest for one in live.variants} for name, live in rulebook.rules.items()}
        found = suspended(self._stopped, digests, tours)
        for rule in sorted(found.keys() - rulebook.suspended.keys()):
            log.error("rule suspended", rule=rule, reason=found[rule], shard=self._keys.log)
        return suspending(rulebook, found)

    async def _step(self, rulebook: Rulebook) -> None:
        wait = 1 if self._fill else int(max(1, min(IDLE_MS, self._next_timer - now_ms())))
        entries = await self._reader.read(self._keys.log, self._position, READ_ENTRIES, wait)
        if entries:
            await self._apply(entries, rulebook)
        if len(entries) < READ_ENTRIES and self._next_timer <= now_ms():
            await self._fire_timers(rulebook)
        await self._keep_house()

    async def _apply(self, entries: Sequence[tuple[bytes, bytes]], rulebook: Rulebook, careful: bool = False) -> None:
        """Decides and commits as many of the entries as fit. `careful`: each on a copy of the state, so that an event which
        cannot be decided is put aside and the person is as they were before it."""
        records: list[Logged] = []
        transaction, size = Transaction(position=self._position), 0
        for entry, payload in entries:
            if len(records) >= READ_EVENTS or size >= READ_BYTES:
                break
            for record in decode_entry(payload):
                if isinstance(record, Logged):
                    records.append(record)
                else:
                    self._put_aside(record.raw, record.reason, transaction)
            transaction.position = entry.decode()
            size += len(payload)
        hashes = [dedup_key(record) for record in records]
        known = await self._prepare({record.p for record in records}, hashes)
        groups = {PREFIX + name for record in records if (name := group_of(record, self._states[record.p]))}
        if groups:
            await self._prepare(groups, [])
        changed: dict[str, Outcome] = {}
        now = now_ms()
        for record, hashed in zip(records, hashes, strict=True):
            if hashed in known:
                transaction.stats["duplicates"] += 1
                continue
            known.add(hashed)
            transaction.seen.append(hashed)
            state = self._states[record.p]
            try:
                if record.p.startswith(PREFIX):
                    self._group(state, record, transaction, changed)
                    continue
                self._decide(_copy(state) if careful else state, record, rulebook, transaction, changed)
            except Exception as error:  # a mistake of ours: one event must not stop the shard
                if not careful:
                    for person in {record.p for record in records} | groups:  # half changed, some of them
                        self._states.pop(person, None)
                    await self._apply(entries, rulebook, careful=True)
                    return
                log.exception("event not decided", person=record.p, message_id=record.message_id)
                self._put_aside(msgspec.json.encode(record), repr(error), transaction)
            transaction.stats[_lag_bucket(now - record.r)] += 1
            transaction.stats["lag_ms"] += max(0, now - record.r)
        transaction.stats["events"] += len(transaction.seen)
        await self._commit(transaction, changed)

    def _put_aside(self, payload: bytes, reason: str, transaction: Transaction) -> None:
        log.error("event put aside", reason=reason)
        transaction.failed.append((payload, reason))
        transaction.stats["events_failed"] += 1

    def _decide(
        self, state: State, record: Logged, rulebook: Rulebook, transaction: Transaction, changed: dict[str, Outcome]
    ) -> None:
        event = to_event(record)
        if state.group_id is not None:
            see(state, self._states.get(PREFIX + state.group_id))
        if event.type == "group" and event.group_id is not None and state.merged_into is None:
            group = self._states[PREFIX + event.group_id]
            if (said := join(state, group, event)) is not None:
                transaction.tell(group_changed(event.group_id, said, event.message_id, now_ms()))
                changed[group.person] = Outcome(group, [], [], None, [])
        address = state.merged_into
        outcome = decide(state, event, event.timestamp, rulebook)
        if outcome.forgotten:
            self._states[record.p], changed[record.p], transaction.timers[record.p] = outcome.state, outcome, None
            transaction.matches.update(outcome.tally)
            return
        if outcome.forward_to is not None:
            transaction.tell(forwarded(record, outcome.forward_to))
            return
        if address is not None and outcome.state.merged_into is None:
            transaction.outbox.append((MOVE, msgspec.json.encode([record.p, record.p])))
        if event.type == SERVICE and event.name in (LINKED, MERGED):
            event.properties = {}  # a whole state
        shown = {
            "name": event.name,
            "type": event.type,
            "message_id": event.message_id,
            "timestamp": event.timestamp,
            "properties": _brief(event.properties),
        }
        if event.type == "page" and isinstance(page := event.context.get("page"), dict):
            shown["path"] = page.get("path")
        self._collect(record.p, event.timestamp, shown, outcome, transaction, changed)

    def _group(self, group: State, record: Logged, transaction: Transaction, changed: dict[str, Outcome]) -> None:
        """A group hears of itself: from a member, or from its own shard."""
        said = record.e.properties or {}
        if record.e.event == CHANGED and change_group(group, said.get("traits") or {}):
            group.given += 1
            told = group_known(record.p, group.traits, group.given, now_ms())
            transaction.outbox.append((SPREAD, msgspec.json.encode(told)))
        elif record.e.event == KNOWN:
            learn(group, said.get("traits"), said.get("number"))
        group.clock = max(group.clock, record.r)
        changed[record.p] = Outcome(group, [], [], None, [])

    def _collect(
        self,
        person: str,
        at: int,
        event: dict[str, Any] | None,
        outcome: Outcome,
        transaction: Transaction,
        changed: dict[str, Outcome],
    ) -> None:
        self._states[person] = outcome.state
        changed[person] = outcome
        transaction.timers[person] = outcome.next_timer
        transaction.outbox += [("deliver", msgspec.json.encode(delivery)) for delivery in outcome.deliveries]
        transaction.outbox += [("tick", msgspec.json.encode(ticked)) for ticked in outcome.ticked]
        transaction.outbox += [("withdraw", msgspec.json.encode([person, delivery])) for delivery in outcome.withdrawn]
        now = now_ms()
        if (gift := outcome.gift) is not None:
            transaction.outbox.append((MOVE, msgspec.json.encode([gift.person, gift.into])))
            transaction.tell(merged(gift, now))
        for link in outcome.links:
            transaction.tell(linked(link, str((event or {}).get("message_id")), now))
        for name, change in outcome.tally.items():
            # Who makes up releases is not listened to without end.
            if f":{TARGET}" not in name or name in self._stopped or len(self._stopped) < MAX_TARGETS:
                transaction.matches[name] += change
        for considered in outcome.considered:
            transaction.stats["considered_" + considered.outcome] += 1
        transaction.decisions.append(
            Decision(
                person,
                at,
                event,
                [{"rule_id": c.rule_id, "outcome": c.outcome, "detail": c.detail} for c in outcome.considered],
                [
                    {"delivery_id": d.delivery_id, "rule_id": d.rule_id, "message_id": d.message_id, "kind": d.kind}
                    for d in outcome.deliveries
                ],
            )
        )

    async def _prepare(self, persons: Iterable[str], hashes: list[bytes]) -> set[bytes]:
        """Loads the states that are not at hand; returns which of the messageIds were seen before."""
        missing = [person for person in persons if person not in self._states]
        asked: list[tuple[str | bytes, ...]] = [("GET", self._keys.state(person)) for person in missing]
        if hashes:
            asked += [("SMISMEMBER", self._keys.seen(self._generation - back), *hashes) for back in (0, 1)]
        replies = await self._pipe.run(asked) if asked else []
        for person, blob in zip(missing, replies, strict=False):
            self._states[person] = decode_state(blob) if blob else new_state(person)
            self._hold(person, len(blob or b""))
        if not hashes:
            return set()
        return {h for h, new, old in zip(hashes, replies[-2], replies[-1], strict=True) if new or old}

    async def _commit(self, transaction: Transaction, changed: dict[str, Outcome]) -> None:
        if self._size >= GENERATION_SIZE or now_ms() - self._since >= GENERATION_MS:
            self._generation, self._since, self._size = self._generation + 1, now_ms(), 0
        transaction.states = {
            person: b"" if outcome.forgotten else encode_state(outcome.state) for person, outcome in changed.items()
        }
        await self._write(transaction)

    async def _write(self, transaction: Transaction) -> None:
        try:
            done = await transaction.commit(self._pipe, self._keys, self._lease.token, self._generation, self._since)
        except BaseException:
            self._states.clear()
            self._sizes.clear()
            self._held = 0
            raise
        if not done:
            raise LeaseLost
        self._position = transaction.position or self._position
        for name, change in transaction.matches.items():
            if f":{STOPPED}" in name or f":{TARGET}" in name:
                self._stopped[name] += change
                self._stopped_more = self._stopped_more or not name.endswith(":found")
        self._size += len(transaction.seen)
        due = [at for at in transaction.timers.values() if at is not None]
        if due:
            self._next_timer = min(self._next_timer, *due)
        if transaction.outbox:
            self._doorbell.ring(self._keys)
        for person, blob in transaction.states.items():
            self._hold(person, len(blob))
        self._forget()

    def _hold(self, person: str, size: int) -> None:
        self._held += size - self._sizes.get(person, 0)
        self._sizes[person] = size

    def _forget(self) -> None:
        """Keeps no more states at hand than the bounds allow, those that were loaded last."""
        while self._states and (len(self._states) > CACHED_STATES or self._held > CACHED_BYTES):
            person = next(iter(self._states))
            del self._states[person]
            self._held -= self._sizes.pop(person, 0)

    async def _fire_timers(self, rulebook: Rulebook) -> None:
        now = now_ms()
        due = await self._client.zrangebyscore(self._keys.timers, "-inf", now, start=0, num=TIMERS_AT_ONCE)
        if due:
            persons = [person.decode() for person in due]
            await self._prepare(persons, [])
            transaction = Transaction()
            changed: dict[str, Outcome] = {}
            groups = {PREFIX + name for person in persons if (name := self._states[person].group_id)}
            if groups:
                await self._prepare(groups, [])
            for person in persons:
                if (name := self._states[person].group_id) is not None:
                    see(self._states[person], self._states.get(PREFIX + name))
                try:
                    outcome = decide(_copy(self._states[person]), None, now, rulebook)
                except Exception as error:  # as in _apply; the person's next event tries again
                    log.exception("timer not decided", person=person)
                    self._put_aside(msgspec.json.encode({"timer": person}), repr(error), transaction)
                    transaction.timers[person] = None
                else:
                    self._collect(person, now, None, outcome, transaction, changed)
            await self._commit(transaction, changed)
        following = await self._client.zrange(self._keys.timers, 0, 0, withscores=True)
        self._next_timer = following[0][1] if following else float("inf")

    async def _keep_house(self) -> None:
        now = time.monotonic()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_SECONDS
            if await self._client.xlen(self._keys.outbox):
                self._doorbell.ring(self._keys, sweeping=True)
        if now >= self._next_trim:
            self._next_trim = now + TRIM_SECONDS
            await self._trim()

    async def _trim(self) -> None:
        """Drops what is older than the retention, never what is not yet applied."""
        oldest = f"{max(0, now_ms() - self._retention_ms)}-0"
        if entry_order(self._position) > entry_order(oldest):
            await self._client.xtrim(self._keys.log, minid=oldest, approximate=True)


def group_of(record: Logged, state: State) -> str | None:
    """The group whose traits a call's rules may read."""
    if record.kind == "group":
        return to_event(record).group_id
    return state.group_id


def _copy(state: State) -> State:
    return decode_state(encode_state(state))


def _brief(properties: dict[str, Any]) -> dict[str, Any]:
    """A few plain properties, cut short: enough to recognise an event by."""
    brief: dict[str, Any] = {}
    for key, value in properties.items():
        if isinstance(value, str):
            brief[key[:BRIEF_TEXT]] = value[:BRIEF_TEXT]
        elif not isinstance(value, (dict, list)):
            brief[key[:BRIEF_TEXT]] = value
        if len(brief) == BRIEF_FIELDS:
            break
    return brief


def _lag_bucket(ms: int) -> str:
    for limit in LAG_BUCKETS_MS:
        if ms <= limit:
            return f"lag_le_{limit}"
    return "lag_le_inf"
