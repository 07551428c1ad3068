"""The way in: a plain ASGI callable for the Segment HTTP Tracking API. It authenticates, decodes, validates and hands
over to the group commit; the 200 is sent after the fsync.
"""

import zlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from msgspec import Raw

from engage.access import basic_user, check_origin
from engage.anonymize import context_without_ip, holds_ip, without_ip
from engage.commit import GroupCommit
from engage.cors import cors_headers
from engage.errors import (
    EngageError,
    InvalidEvent,
    PayloadTooLarge,
    Unauthorized,
    error_body,
    error_response,
)
from engage.guard import ADDRESS, HSTS
from engage.keys import ShardKeys
from engage.limits import Limits
from engage.logs import get_logger
from engage.projects import Project
from engage.times import now_ms
from engage.wire import (
    MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS,
    MAX_DEPTH,
    MAX_EVENT_BYTES,
    MAX_KEYS,
    LogRecord,
    WireBatch,
    WireEvent,
    decode_batch,
    decode_context,
    decode_event,
    parse_time,
    repair,
    to_record,
    too_deep,
    too_many_keys,
)

log = get_logger("engage.ingest")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# Path → the kind of call it makes; None: the body is a batch.
ROUTES: Final[dict[str, str | None]] = {
    **{f"/v1/{kind}": kind for kind in ("track", "identify", "page", "screen", "group", "alias")},
    **{f"/v1/{kind[0]}": kind for kind in ("track", "identify", "page", "screen", "group", "alias")},
    "/v1/batch": None,
    "/v1/b": None,
    "/v1/m": None,  # analytics.js metrics: acknowledged below, never events
    "/v1/import": None,
}
MAX_CONTEXT_COPIES: Final = 4 * MAX_BATCH_BYTES  # each event of a batch is logged with the batch's context
MAX_KEPT_HEADER: Final = 512  # bytes of an Authorization header that is remembered
METRICS_PATH: Final = "/v1/m"
_OK: Final = b'{"success":true}'
_RESULT_OK: Final = b'{"status":200}'


class Ingest:
    """Counts are kept by `count(outcome, events)`; `project_of` finds a project by its write key."""

    def __init__(
        self,
        commit: GroupCommit,
        projects: Iterable[Project],
        shards: int,
        count: Callable[[str, int], None],
        limits: Limits,
        store_ip: bool,
    ) -> None:
        self._commit = commit
        self._count = count
        self._limits = limits
        self._store_ip = store_ip
        self._keys = {p.write_key: p for p in projects}
        self._logs = {p.id: [ShardKeys(p.id, shard).log for shard in range(shards)] for p in projects}
        self._basic: dict[bytes, Project] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = None
        try:
            length, encoding, authorization, origin = _headers(scope["headers"])
            self._limits.request(scope[ADDRESS])
            body = await _read(receive, length, encoding)
            status, reply = await self._accept(scope, ROUTES[scope["path"]], body, authorization, origin)
            headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(reply))]
        except EngageError as error:
            self._count(error.code, 1)
            status, headers, reply = error_response(error)
        except Exception:
            log.exception("ingest failed", path=scope["path"])
            self._count(EngageError.code, 1)
            status, headers, reply = error_response(EngageError("no failure of the service", hint="its log says more"))
        if origin is not None:
            headers += cors_headers(origin)
        if scope["scheme"] == "https":
            headers.append(HSTS)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": reply})

    async def _accept(
        self, scope: Scope, kind: str | None, body: bytes, authorization: bytes | None, origin: bytes | None
    ) -> tuple[int, bytes]:
        received_at = now_ms()
        body = repair(body)
        self._commit.check_room()
        if kind is not None:
            return await self._accept_event(scope, kind, body, authorization, origin, received_at)
        if scope["path"] == METRICS_PATH:
            return 200, _OK
        return await self._accept_batch(scope, body, authorization, origin, received_at)

    async def _accept_event(
        self, scope: Scope, kind: str, body: bytes, authorization: bytes | None, origin: bytes | None, received_at: int
    ) -> tuple[int, bytes]:
        event = _decode_one(body)
        project = self._project(scope, authorization, event.writeKey, origin)
        if holds_ip(event.context) and not self._store_ip:
            body = without_ip(body)
        records = (to_record(event, Raw(body), kind, None, received_at, None),)
        self._limits.events(project.id, scope[ADDRESS], records)
        self._commit.add(records, self._logs[project.id], len(body))
        await self._commit.flushed()
        self._count("accepted", 1)
        return 200, _OK

    async def _accept_batch(
        self, scope: Scope, body: bytes, authorization: bytes | None, origin: bytes | None, received_at: int
    ) -> tuple[int, bytes]:
        batch = _decode_envelope(body)
        project = self._project(scope, authorization, batch.writeKey, origin)
        sent_at = parse_time(batch.sentAt)
        context = batch.context if len(memoryview(batch.context)) else None
        if context is not None and holds_ip(decode_context(context)) and not self._store_ip:
            context = Raw(context_without_ip(bytes(context)))
        records: list[LogRecord] = []
        results = [_RESULT_OK] * len(batch.batch)
        for index, item in enumerate(batch.batch):
            try:
                event = _decode_one(bytes(item))
                if holds_ip(event.context) and not self._store_ip:
                    item = Raw(without_ip(bytes(item)))
                records.append(to_record(event, item, None, sent_at, received_at, context))
            except EngageError as error:
                results[index] = _failure(error, index)
        if records:
            self._limits.events(project.id, scope[ADDRESS], records)
            self._commit.add(records, self._logs[project.id], len(body) + len(memoryview(batch.context)) * len(records))
            await self._commit.flushed()
            self._count("accepted", len(records))
        if bad := len(results) - len(records):
            self._count("invalid_event", bad)
        # A batch of which nothing could be taken is the sender's mistake; one good event makes it a success.
        status, success = (400, b"false") if bad and not records else (200, b"true")
        return status, b'{"success":' + success + b',"results":[' + b",".join(results) + b"]}"

    def _project(self, scope: Scope, authorization: bytes | None, in_body: str | None, origin: bytes | None) -> Project:
        project = None
        if authorization is not None:
            project = self._basic.get(authorization)
            if project is None:
                project = self._keys.get(basic_user(authorization) or "")
                if project is not None and len(authorization) <= MAX_KEPT_HEADER and len(self._basic) < 1_000:
                    self._basic[authorization] = project
        if project is None and in_body is not None:
            project = self._keys.get(in_body)
        if project is None and scope["query_string"]:
            project = self._keys.get(parse_qs(scope["query_string"].decode("latin-1")).get("writeKey", [""])[0])
        if project is None:
            raise Unauthorized("a valid write key as Basic auth user name, as `writeKey` in the body, or in the query")
        check_origin(project, origin)
        return project


def _headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[int | None, bytes | None, bytes | None, bytes | None]:
    length = encoding = authorization = origin = None
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"content-encoding":
            encoding = value.strip().lower()
        elif name == b"authorization":
            authorization = value
        elif name == b"origin":
            origin = value
    return length, encoding, authorization, origin


async def _read(receive: Receive, length: int | None, encoding: bytes | None) -> bytes:
    if length is not None and length > MAX_BATCH_BYTES:
        raise PayloadTooLarge(f"a body of at most {MAX_BATCH_BYTES} bytes", str(length), field="$")
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        chunks, size = [body], len(body)
        while message.get("more_body"):  # a slow one is ended by engage.protocol
            message = await receive()
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > MAX_BATCH_BYTES:
                raise PayloadTooLarge(f"a body of at most {MAX_BATCH_BYTES} bytes", "more", field="$")
        body = b"".join(chunks)
    if message["type"] == "http.disconnect":
        raise InvalidEvent("a whole body", "a connection closed half-way", field="$")
    return body if encoding in (None, b"", b"identity") else inflate(body, encoding)


def inflate(body: bytes, encoding: bytes) -> bytes:
    if encoding not in (b"gzip", b"x-gzip", b"deflate"):
        raise InvalidEvent("gzip, deflate or none", encoding.decode("latin-1"), field="Content-Encoding")
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip or zlib, by its header
    try:
        inflated = inflater.decompress(body, MAX_BATCH_BYTES + 1)
    except zlib.error as error:
        raise InvalidEvent("a gzip body", str(error), field="$") from None
    if len(inflated) > MAX_BATCH_BYTES:
        raise PayloadTooLarge(f"a body that inflates to at most {MAX_BATCH_BYTES} bytes", "more", field="$")
    if not inflater.eof:
        raise InvalidEvent("a whole gzip body", "a truncated one", field="$")
    return inflated


def _decode_one(body: bytes) -> WireEvent:
    if len(body) > MAX_EVENT_BYTES:
        raise PayloadTooLarge(f"an event of at most {MAX_EVENT_BYTES} bytes", str(len(body)), field="$")
    if too_deep(body):
        raise InvalidEvent(f"JSON nested at most {MAX_DEPTH} deep", "deeper", field="$")
    if too_many_keys(body):
        raise InvalidEvent(f"at most {MAX_KEYS} keys in an event", "more", field="$")
    try:
        return decode_event(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidEvent.from_decoder(error) from None


def _decode_envelope(body: bytes) -> WireBatch:
    try:
        batch = decode_batch(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidEvent.from_decoder(error) from None
    if len(batch.batch) > MAX_BATCH_EVENTS:
        raise PayloadTooLarge(f"at most {MAX_BATCH_EVENTS} events in a batch", str(len(batch.batch)), field="$.batch")
    if context := bytes(batch.context):
        if len(context) > MAX_EVENT_BYTES or too_deep(context):
            raise InvalidEvent(f"at most {MAX_EVENT_BYTES} bytes, {MAX_DEPTH} levels", "more", field="$.context")
        if len(context) * len(batch.batch) > MAX_CONTEXT_COPIES:
            expected = f"a context of at most {MAX_CONTEXT_COPIES // len(batch.batch)} bytes for so many events"
            raise PayloadTooLarge(expected, str(len(context)), field="$.context")
        try:
            decode_context(context)
        except msgspec.MsgspecError as error:
            raise InvalidEvent.from_decoder(error).within("$.context") from None
    return batch


def _failure(error: EngageError, index: int) -> bytes:
    return b'{"status":%d,' % error.status + error_body(error.within(f"$.batch[{index}]"))[1:]
