"""The audit trail: who used a secret key for what, and who tried without one.

A use is noted in memory and written to SQL every two seconds, so that no request waits for it: a process that is killed takes the last of
them along. Like uses within a minute are one row with their number. Whom a use was about is kept as a keyed hash: the trail answers "who
looked at Ann?" and still names nobody, so that it need not forget her.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engage.database import audit as table
from engage.guard import ADDRESS
from engage.logs import get_logger
from engage.secret_keys import SecretKey, note_used
from engage.times import iso, now_ms

KEY: Final = "engage.key"  # in the scope: the secret key that a request came with …
ENDED: Final = "engage.ended_key"  # … or tried to come with, though it opens nothing any more
WRITE_SECONDS: Final = 2.0
PRUNE_SECONDS: Final = 3_600.0
MAX_ROWS: Final = 5_000  # that wait in memory; with more, uses are told apart no longer by whom they were about …
MAX_FAILED: Final = 200  # … and failed attempts of a minute no longer by their address
MAX_KEPT: Final = 1_000_000
ANYWHERE: Final = "*"
_MINUTE: Final = 60_000
log = get_logger("engage.audit")


class Use(NamedTuple):
    """What makes two uses alike. Without a `key` it is an attempt that failed."""

    project: str | None
    key: str | None
    prefix: str | None
    address: str
    method: str
    route: str
    status: int
    subject: str | None = None


class Entry(msgspec.Struct, omit_defaults=True):
    """A row of the trail, as it is read: `count` like uses from `at` to `until`."""

    number: int
    at: str
    until: str
    count: int
    address: str
    method: str
    route: str
    status: int
    key: str | None = None
    prefix: str | None = None
    subject: str | None = None


class _Row:
    __slots__ = ("at", "count", "number", "until", "written")

    def __init__(self, at: int) -> None:
        self.at = self.until = at
        self.count = self.written = 0
        self.number: int | None = None


class Trail:
    """What one process notes and writes. `secrets`: project → what its names are hashed with."""

    def __init__(self, engine: Engine, secrets: Mapping[str, str], retention_ms: int) -> None:
        self._engine = engine
        self._secrets = secrets
        self._retention_ms = retention_ms
        self._rows: dict[tuple[int, Use], _Row] = {}
        self._failed = 0
        self._minute = 0
        self._used: dict[str, int] = {}

    def request(self, scope: Scope, route: str, status: int) -> None:
        """Notes a request that came with a secret key, or should have."""
        key: SecretKey | None = scope.get(KEY)
        client = scope.get("client")  # a trusted proxy's own address is not counted, yet it is told
        address = scope.get(ADDRESS) or (client[0] if client else "-")
        route = route.replace(":path}", "}")
        if key is None:
            ended: SecretKey | None = scope.get(ENDED)
            use = Use(None, None, None, address, scope["method"], route, status)
            if ended is not None:
                use = use._replace(project=ended.project, key=ended.id, prefix=ended.prefix)
            self.note(use)
            return
        subject = None
        if route.startswith(("/api/users/", "/api/groups/")):
            subject = subject_of(self._secrets[key.project], scope.get("path_params", {}).get("id", ""))
        self.note(Use(key.project, key.id, key.prefix, address, scope["method"], route, status, subject))

    def note(self, use: Use) -> None:
        now = now_ms()
        minute = now // _MINUTE
        if minute != self._minute:
            self._minute, self._failed = minute, 0
        row = self._rows.get((minute, use))
        if row is None:
            use = self._bounded(use)
            row = self._rows.setdefault((minute, use), _Row(now))
        row.count += 1
        row.until = now
        if use.key is not None and use.status != 401:
            self._used[use.key] = now

    def _bounded(self, use: Use) -> Use:
        if use.key is None or use.status == 401:
            self._failed += 1
            return use if self._failed <= MAX_FAILED else use._replace(address=ANYWHERE)
        return use if len(self._rows) < MAX_ROWS else use._replace(subject=None)

    async def follow(self) -> None:
        """Writes what was noted, and forgets what is too old, for ever."""
        pruned = -PRUNE_SECONDS
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self.write()
            if time.monotonic() - pruned > PRUNE_SECONDS:
                pruned = time.monotonic()
                await self._quietly(self._prune)

    async def write(self) -> None:
        """Puts into SQL what was noted since. What cannot be written now waits, as far as it is bounded."""
        news = [(use, row, row.count, row.until) for (_, use), row in self._rows.items() if row.count > row.written]
        if news:
            used, self._used = self._used, {}
            numbers = await self._quietly(self._write, news, used)
            if numbers is None:
                self._used = used | self._used
                return
            for (_, row, count, _), number in zip(news, numbers, strict=True):
                row.number, row.written = number, count
        now = now_ms() // _MINUTE
        for place in [p for p, row in self._rows.items() if p[0] < now and row.count == row.written]:
            del self._rows[place]

    async def _quietly(self, work: Any, *given: Any) -> Any:
        try:
            return await asyncio.to_thread(work, *given)
        except (SQLAlchemyError, OSError) as error:
            log.warning("audit trail not written, it waits", error=str(getattr(error, "orig", None) or error))
            return None

    def _write(self, news: Sequence[tuple[Use, _Row, int, int]], used: dict[str, int]) -> list[int]:
        with self._engine.begin() as connection:
            numbers = [_put(connection, use, row.number, row.at, until, count) for use, row, count, until in news]
            note_used(connection, {key: iso(at) for key, at in used.items()})
        return numbers

    def _prune(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(table).where(table.c.until < iso(now_ms() - self._retention_ms)))
            newest = connection.execute(select(func.max(table.c.number))).scalar() or 0
            connection.execute(delete(table).where(table.c.number <= newest - MAX_KEPT))


def _put(connection: Connection, use: Use, number: int | None, at: int, until: int, count: int) -> int:
    values = {"until": iso(until), "count": count}
    if number is not None:
        connection.execute(update(table).where(table.c.number == number).values(**values))
        return number
    done = connection.execute(insert(table).values(at=iso(at), **values, **use._asdict()))
    [number] = done.inserted_primary_key or (0,)
    return int(number)


def record(engine: Engine, use: Use) -> None:
    """Writes one use at once: what the command line does."""
    now = now_ms()
    with engine.begin() as connection:
        _put(connection, use, None, now, now, 1)


def subject_of(secret: str, name: str) -> str:
    """What stands for a name in the trail."""
    return hmac.new(secret.encode(), f"subject:{name}".encode(), hashlib.sha256).hexdigest()[:32]


def read(
    engine: Engine, project: str, before: int | None, limit: int, key: str | None = None, subject: str | None = None
) -> list[Entry]:
    """The newest first, of a project, and the attempts that failed, which are of none."""
    wanted = select(table).where(table.c.project.is_(None) | (table.c.project == project))
    for column, value in ((table.c.key, key), (table.c.subject, subject)):
        if value is not None:
            wanted = wanted.where(column == value)
    if before is not None:
        wanted = wanted.where(table.c.number < before)
    with engine.connect() as connection:
        return list(_entries(connection.execute(wanted.order_by(table.c.number.desc()).limit(limit))))


def _entries(rows: Iterable[Any]) -> Iterable[Entry]:
    for row in rows:
        found = {name: getattr(row, name) for name in Entry.__struct_fields__}
        yield Entry(**found)


class Audited:
    """Notes every request of the server API that came with a secret key, or was refused for want of one."""

    def __init__(self, app: ASGIApp, trail: Trail) -> None:
        self._app = app
        self._trail = trail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        noted = False

        def note(status: int) -> None:
            nonlocal noted
            noted = True
            if KEY in scope or (status in (401, 403) and scope["path"].startswith("/api/")):
                self._trail.request(scope, getattr(scope.get("route"), "path", "-"), status)

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                note(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            if not noted:
                note(500)
