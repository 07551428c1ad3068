"""Back-tests that the API was asked for: what each is about, how far it is, and what came of it.

A run is a hash in the log's store. The API writes it and puts a job for it into RQ's queue; the worker that has the job writes progress and
result. A run whose worker died is taken up again by the next worker, from its beginning: it changes nothing, so it may run twice.
"""

import secrets
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from engage.backtesting import Plan
from engage.later import Later
from engage.store import Script
from engage.times import iso, now_ms

if TYPE_CHECKING:
    import rq
    import rq.serializers
else:
    rq = Later("rq")

QUEUE: Final = "backtests"
JOB: Final = "worker.backtests.run"
JOB_SECONDS: Final = 3_600
KEPT: Final = 100  # runs of a project, the newest, and …
KEPT_MS: Final = 7 * 86_400_000  # … for so long
STALE_MS: Final = 15_000  # without a sign of life a run is nobody's

Status = Literal["queued", "running", "finished", "failed", "cancelled"]
ENDED: Final = ("finished", "failed", "cancelled")


class Asked(msgspec.Struct):
    """What is to be run. `last`: the window, ms."""

    plan: Plan
    last: int
    every: bool


class Run(msgspec.Struct):
    """One run, as the API tells of it. `progress`: 0 to 1; `result`: as `engage rules backtest --format json` gives it."""

    id: str
    status: Status
    progress: float
    rules: int
    last_ms: int
    created_at: str
    ended_at: str | None = None
    result: Any = None
    error: str | None = None


# KEYS: run, list. ARGV: id, now, plan, rules, last, kept, kept ms. Returns nothing.
_CREATE: Final = Script("""
redis.call('HSET', KEYS[1], 'status', 'queued', 'progress', '0', 'asked', ARGV[3], 'rules', ARGV[4], 'last', ARGV[5],
  'created', ARGV[2], 'alive', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[7])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[6]))
redis.call('PEXPIRE', KEYS[2], ARGV[7])
return 1
""")

# KEYS: run. ARGV: token, now. Returns 1 where the run is now this worker's.
_TAKE: Final = Script("""
if redis.call('HGET', KEYS[1], 'status') ~= 'queued' then return 0 end
redis.call('HSET', KEYS[1], 'status', 'running', 'progress', '0', 'token', ARGV[1], 'alive', ARGV[2])
return 1
""")

# KEYS: run. ARGV: token, now, progress. Returns 1 while the run is this worker's and nobody has cancelled it.
_ADVANCE: Final = Script("""
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] or redis.call('HGET', KEYS[1], 'status') ~= 'running' then return 0 end
redis.call('HSET', KEYS[1], 'progress', ARGV[3], 'alive', ARGV[2])
return 1
""")

# KEYS: run. ARGV: token ('' of somebody who only cancels), now, status, field, value. Returns 1 where the run ended so.
_END: Final = Script("""
local status = redis.call('HGET', KEYS[1], 'status')
if status ~= 'running' and status ~= 'queued' then return 0 end
if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'status', ARGV[3], 'ended', ARGV[2])
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], ARGV[4], ARGV[5]) end
if ARGV[3] == 'finished' then redis.call('HSET', KEYS[1], 'progress', '1') end
return 1
""")


# KEYS: run. ARGV: now, stale ms. Returns 1 where nobody has the run any more: it waits again.
_ORPHANED: Final = Script("""
local found = redis.call('HMGET', KEYS[1], 'status', 'alive')
if (found[1] ~= 'queued' and found[1] ~= 'running') or tonumber(found[2]) + tonumber(ARGV[2]) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'status', 'queued', 'token', '', 'alive', ARGV[1])
return 1
""")


def run_key(project: str, identifier: str) -> str:
    return f"{{{project}}}:backtest:{identifier}"


def list_key(project: str) -> str:
    return f"{{{project}}}:backtests"


def create(client: Any, project: str, asked: Asked) -> str:
    """Writes a new run; returns its id. `enqueue` starts it."""
    identifier = secrets.token_hex(8)
    keys = [run_key(project, identifier), list_key(project)]
    text = msgspec.json.encode(asked)
    _CREATE.run_sync(client, keys, [identifier, now_ms(), text, len(asked.plan.tested), asked.last, KEPT, KEPT_MS])
    return identifier


def enqueue(queue: Any, project: str, identifier: str) -> None:
    """Puts a job for a run into RQ's queue, over a connection to RQ's Redis."""
    jobs = rq.Queue(QUEUE, connection=queue, serializer=rq.serializers.JSONSerializer)
    jobs.enqueue_call(JOB, args=(project, identifier), timeout=JOB_SECONDS, result_ttl=0, failure_ttl=3_600)


def orphaned(client: Any, project: str, identifier: str) -> bool:
    """Whether a run has had no worker for a while: its job was lost, or its worker died. It then waits again, for the caller to `enqueue`."""
    return bool(_ORPHANED.run_sync(client, [run_key(project, identifier)], [now_ms(), STALE_MS]))


def take(client: Any, project: str, identifier: str, token: str) -> Asked | None:
    """Makes a run that waits the caller's; None where it is somebody else's or has ended."""
    if not _TAKE.run_sync(client, [run_key(project, identifier)], [token, now_ms()]):
        return None
    return msgspec.json.decode(client.hget(run_key(project, identifier), "asked"), type=Asked)


def advance(client: Any, project: str, identifier: str, token: str, progress: float) -> bool:
    """Says how far it is; False where it was cancelled, or taken by another."""
    return bool(_ADVANCE.run_sync(client, [run_key(project, identifier)], [token, now_ms(), f"{progress:.4f}"]))


def end(
    client: Any, project: str, identifier: str, status: Status, token: str = "", field: str = "", value: Any = ""
) -> bool:
    """Ends a run that waits or runs; False where it had ended before."""
    return bool(_END.run_sync(client, [run_key(project, identifier)], [token, now_ms(), status, field, value]))


def read(client: Any, project: str, identifier: str, whole: bool = True) -> Run | None:
    """One run; None where there is none (any more)."""
    names = ["status", "progress", "rules", "last", "created", "ended", "error", *(["result"] if whole else [])]
    found = dict(zip(names, client.hmget(run_key(project, identifier), names), strict=True))
    if found["status"] is None:
        return None
    ended, error, result = found["ended"], found["error"], found.get("result")
    return Run(
        identifier,
        found["status"].decode(),
        float(found["progress"]),
        int(found["rules"]),
        int(found["last"]),
        iso(int(found["created"])),
        None if ended is None else iso(int(ended)),
        None if result is None else msgspec.Raw(result),
        None if error is None else error.decode(),
    )


def listed(client: Any, project: str) -> list[str]:
    """The ids of the runs that are kept, the newest first."""
    return [identifier.decode() for identifier in client.zrevrange(list_key(project), 0, KEPT - 1)]
