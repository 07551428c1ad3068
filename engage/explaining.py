"""`engage rules explain`, and the same for the API: one person's events from the log, replayed with the rule in force."""

from collections.abc import Iterator
from heapq import merge
from operator import itemgetter
from typing import Any, Final

import msgspec

from engage import keys
from engage.errors import InvalidRequest, NotFound
from engage.keys import ShardKeys, shard_of, shard_of_delivery
from engage.log import Logged, decode_entry, dedup_key, raw_records, to_event
from engage.times import now_ms
from engage.wire import parse_time
from rules import LANGUAGES, Definitions, Explanation, Language, Rule, State, decode_state, explain
from rules.groups import PREFIX
from rules.problems import nearest

_READ: Final = 200  # log entries at a time


class _Owner(msgspec.Struct):
    """A record of which only the person is read."""

    p: str


_decode_owners = msgspec.json.Decoder(list[_Owner]).decode


def moment_of(text: str | None) -> int | None:
    """`at`, as a person writes it, in ms. Raises InvalidRequest."""
    moment = parse_time(text)
    if text is not None and moment is None:
        raise InvalidRequest("a time such as 2026-12-01T09:00:00Z", text, field="at")
    return moment


def explain_user(
    client: Any,
    project: str,
    shards: int,
    definitions: Definitions,
    user: str,
    rule_id: str,
    at: int | None = None,
    language: str = "en",
) -> Explanation:
    """Why a user (userId or anonymousId) got the message of a live rule, or did not. Raises NotFound, InvalidRequest, and the store's errors."""
    if language not in LANGUAGES:
        raise InvalidRequest(" or ".join(LANGUAGES), language, field="lang")
    spoken: Language = "ja" if language == "ja" else "en"
    rule = _rule(definitions, rule_id)
    state = _state(client, project, shards, user)
    secret = bytes(client.get(keys.delivery_secret(project)) or b"")

    def was_made(delivery_id: str) -> bool:
        shard = shard_of_delivery(delivery_id, shards)
        return shard is not None and bool(client.exists(ShardKeys(project, shard).delivery(delivery_id)))

    names: dict[int, set[str]] = {}
    for person in (state.person, *state.merged):
        names.setdefault(shard_of(person, shards), set()).add(person)
    if state.group_id is not None:
        names[shard_of(state.person, shards)].add(PREFIX + state.group_id)
    logs = [_log_of(client, ShardKeys(project, shard).log, some) for shard, some in sorted(names.items())]
    log = ((to_event(record), record.r) for _, record in merge(*logs, key=itemgetter(0)))
    return explain(rule, definitions, user, log, now_ms(), at, spoken, was_made, secret)


def _rule(definitions: Definitions, wanted: str) -> Rule:
    for rule in definitions.rules:
        if rule.id == wanted:
            return rule
    known = [rule.id for rule in definitions.rules]
    raise NotFound(f"the id of a live rule{nearest(wanted, known)}", wanted, field="rule")


def _state(client: Any, project: str, shards: int, user: str) -> State:
    """The state of whom a userId or anonymousId names, whoever they turned out to be."""
    for person in (f"u:{user}", f"a:{user}"):
        followed: set[str] = set()
        while blob := client.get(ShardKeys(project, shard_of(person, shards)).state(person)):
            state = decode_state(blob)
            if state.merged_into is None or state.merged_into in followed:
                return state
            person = state.merged_into
            followed.add(person)
    raise NotFound("a userId or anonymousId that sent an event", user, field="user")


def _log_of(client: Any, log: str, names: set[str]) -> Iterator[tuple[tuple[int, int], Logged]]:
    """The events of some people in the order of their arrival, each messageId once, with their place in the log."""
    start = "-"
    seen: set[bytes] = set()
    while entries := client.xrange(log, start, "+", count=_READ):
        for entry, fields in entries:
            ms, sequence = map(int, entry.split(b"-"))
            payload = fields[b"e"]
            records = raw_records(payload)
            owners = _decode_owners(payload) if records else []
            mine = [raw for raw, owner in zip(records, owners, strict=True) if owner.p in names]
            for record in decode_entry(b"[" + b",".join(map(bytes, mine)) + b"]"):
                if isinstance(record, Logged) and (key := dedup_key(record)) not in seen:
                    seen.add(key)
                    yield (ms, sequence), record
        start = f"({entries[-1][0].decode()}"


def report(found: Explanation) -> Iterator[str]:
    """What people read."""
    yield found.sentence
    for clause in found.clauses:
        reads = f"   ({'; '.join(clause.reads)})" if clause.reads else ""
        yield f"  {clause.value:<5} {clause.text}{reads}"
    if found.limits is not None:
        times = f": {', '.join(found.limits.counted)}" if found.limits.counted else ""
        yield f"  frequency  {found.limits.used} of {found.limits.max}, per {found.limits.per}{times}"
    if found.arm is not None:
        yield f"  holdout    {100 * found.arm.holdout:g} % are left out; this person is {'one of them' if found.arm.left_out else 'not'}"
    if found.waits_until is not None:
        yield f"  waits      until {found.waits_until}"
    if found.delivery is not None:
        yield f"  delivery   {found.delivery.delivery_id}: {found.delivery.state} {found.delivery.shown_at or ''}".rstrip()
    if found.moments:
        yield "  before and at that moment:"
    for moment in found.moments:
        detail = f": {moment.detail}" if moment.detail else ""
        yield f"    {moment.at}  {moment.event or 'timer':<20} {moment.outcome}{detail}"
