"""The way in: a plain ASGI callable for the Segment HTTP Tracking API. It authenticates, decodes, validates and hands
over to the group commit; the 200 is sent after the fsync.
"""

import hmac
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from msgspec import Raw

from engage.access import basic_user, check_origin
from engage.anonymize import context_without_ip, holds_ip, without_ip
from engage.commit import GroupCommit
from engage.cors import cors_headers
from engage.dead_letters import Letter
from engage.errors import (
    EngageError,
    Forbidden,
    InvalidEvent,
    PayloadTooLarge,
    StoreUnavailable,
    Unauthorized,
    error_body,
    error_response,
)
from engage.guard import ADDRESS, HSTS
from engage.identity import Identity, Request
from engage.keys import ShardKeys
from engage.limits import Limits
from engage.logs import get_logger
from engage.projects import Project
from engage.store import STORE_ERRORS
from engage.times import now_ms
from engage.wire import (
    KEYS_ARE_COUNTED_FROM,
    MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS,
    MAX_DEPTH,
    MAX_EVENT_BYTES,
    MAX_KEYS,
    NOTHING,
    PROOFS,
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
    without,
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
    "/beacon/v1/batch": None,  # RudderStack's browser client, told to use beacons
}
MAX_CONTEXT_COPIES: Final = 4 * MAX_BATCH_BYTES  # each event of a batch is logged with the batch's context
MAX_KEPT_HEADER: Final = 512  # bytes of an Authorization header that is remembered
METRICS_PATH: Final = "/v1/m"
_OK: Final = b'{"success":true}'
_RESULT_OK: Final = b'{"status":200}'


class _Keyed(msgspec.Struct):
    writeKey: Any = None


_decode_key: Final = msgspec.json.Decoder(_Keyed).decode


class Sender(msgspec.Struct, frozen=True):
    """Who a key stands for: a project's pages, or, `trusted`, its servers."""

    project: Project
    identity: Identity
    logs: list[str]
    trusted: bool


class Ingest:
    """Counts are kept by `count(outcome, events)`; what could not be taken by `put_aside(project, letters)`."""

    def __init__(
        self,
        commit: GroupCommit,
        projects: Iterable[Project],
        identities: Mapping[str, Identity],
        shards: int,
        count: Callable[[str, int], None],
        put_aside: Callable[[str, Sequence[Letter]], Awaitable[None]],
        limits: Limits,
        store_ip: bool,
    ) -> None:
        self._commit = commit
        self._count = count
        self._put_aside = put_aside
        self._limits = limits
        self._store_ip = store_ip
        self._keys: dict[str, Sender] = {}
        self._servers: list[tuple[bytes, Sender]] = []
        for project in projects:
            logs = [ShardKeys(project.id, shard).log for shard in range(shards)]
            identity = identities[project.id]
            self._keys[project.write_key] = Sender(project, identity, logs, trusted=False)
            self._servers.append((project.secret_key.encode(), Sender(project, identity, logs, trusted=True)))
        self._basic: dict[bytes, Sender] = {}

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
            status, headers, reply = error_response(error, flat=True)
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
        if scope["path"] == METRICS_PATH:
            return 200, _OK
        try:
            if kind is not None:
                return await self._accept_event(scope, kind, body, authorization, origin, received_at)
            return await self._accept_batch(scope, body, authorization, origin, received_at)
        except InvalidEvent as error:
            await self._refuse_whole(scope, body, authorization, origin, received_at, error)
            raise

    async def _accept_event(
        self, scope: Scope, kind: str, body: bytes, authorization: bytes | None, origin: bytes | None, received_at: int
    ) -> tuple[int, bytes]:
        event = _decode_one(body)
        sender = self._sender(scope, authorization, event.writeKey, origin)
        if holds_ip(event.context) and not self._store_ip:
            body = without_ip(body)
        record = to_record(event, Raw(body), kind, None, received_at, None)
        request = Request(sender.trusted)
        refusal = sender.identity.admit(record, event, request)
        self._limits.events(sender.project.id, scope[ADDRESS], request.records or (record,))
        if refusal is not None:
            await self._refuse(sender, [_unverified(record, refusal)])
            self._count("unverified", 1)
            raise refusal
        self._commit.add(request.records, sender.logs, len(body))
        await self._commit.flushed()
        request.logged()
        self._count("accepted", 1)
        return 200, _OK

    async def _accept_batch(
        self, scope: Scope, body: bytes, authorization: bytes | None, origin: bytes | None, received_at: int
    ) -> tuple[int, bytes]:
        batch = _decode_envelope(body)
        sender = self._sender(scope, authorization, batch.writeKey, origin)
        admit = sender.identity.admit
        sent_at = parse_time(batch.sentAt)
        request = Request(sender.trusted, batch.userHash, batch.userToken)
        context = _common_context(batch, request)
        if context is not None and holds_ip(decode_context(context)) and not self._store_ip:
            context = Raw(context_without_ip(bytes(context)))
        refused: list[LogRecord] = []
        letters: list[Letter] = []
        results = [_RESULT_OK] * len(batch.batch)
        for index, item in enumerate(batch.batch):
            try:
                event = _decode_one(bytes(item))
                own = event.context
                if own is not None and own.ip is not NOTHING and holds_ip(own) and not self._store_ip:
                    item = Raw(without_ip(bytes(item)))
                record = to_record(event, item, None, sent_at, received_at, context)
            except InvalidEvent as error:
                results[index] = _failure(error, index)
                letters.append(Letter("malformed", received_at, error, bytes(item)))
            else:
                if (refusal := admit(record, event, request)) is not None:
                    results[index] = _failure(refusal, index)
                    letters.append(_unverified(record, refusal))
                    refused.append(record)
        bad = len(letters) - len(refused)
        if letters or request.records:
            counted = [*request.records, *refused] if refused else request.records
            self._limits.events(sender.project.id, scope[ADDRESS], counted, bad)
        if records := request.records:
            self._commit.add(records, sender.logs, len(body) + len(memoryview(batch.context)) * len(records))
            await self._commit.flushed()
            request.logged()
            self._count("accepted", len(results) - len(letters))
        if letters:
            await self._refuse(sender, letters)
            self._count("unverified", len(refused))
            self._count(InvalidEvent.code, bad)
        # A batch of which nothing could be read is the sender's mistake; one readable event makes it a success.
        status, success = (400, b"false") if bad and bad == len(results) else (200, b"true")
        return status, b'{"success":' + success + b',"results":[' + b",".join(results) + b"]}"

    async def _refuse(self, sender: Sender, letters: Sequence[Letter]) -> None:
        """Puts what could not be taken where an operator finds it."""
        try:
            await self._put_aside(sender.project.id, letters)
        except STORE_ERRORS as error:
            raise StoreUnavailable(f"the store did not confirm ({error})") from None

    async def _refuse_whole(
        self,
        scope: Scope,
        body: bytes,
        authorization: bytes | None,
        origin: bytes | None,
        received_at: int,
        error: InvalidEvent,
    ) -> None:
        """Puts a body aside of which nothing could be taken, if whoever sent it has a key."""
        try:
            sender = self._sender(scope, authorization, _write_key(body), origin)
        except Unauthorized:
            return
        self._limits.events(sender.project.id, scope[ADDRESS], (), 1)
        await self._refuse(sender, [Letter("malformed", received_at, error, body)])

    def _sender(self, scope: Scope, authorization: bytes | None, in_body: str | None, origin: bytes | None) -> Sender:
        sender = None
        if authorization is not None:
            sender = self._basic.get(authorization)
            if sender is None:
                sender = self._by_key(basic_user(authorization) or "")
                if sender is not None and len(authorization) <= MAX_KEPT_HEADER and len(self._basic) < 1_000:
                    self._basic[authorization] = sender
        if sender is None and in_body is not None:
            sender = self._keys.get(in_body)
        if sender is None and scope["query_string"]:
            sender = self._keys.get(parse_qs(scope["query_string"].decode("latin-1")).get("writeKey", [""])[0])
        if sender is None:
            raise Unauthorized("a valid write key as Basic auth user name, as `writeKey` in the body, or in the query")
        if origin is not None:
            if sender.trusted:
                hint = "a secret key belongs on servers only: take it out of the page, and use the write key"
                raise Forbidden("the write key from a page", "the secret key", field="Authorization", hint=hint)
            check_origin(sender.project, origin)
        return sender

    def _by_key(self, key: str) -> Sender | None:
        """A write key's pages; or a secret key's servers, compared in constant time."""
        found = self._keys.get(key)
        for secret, sender in self._servers:
            if hmac.compare_digest(secret, key.encode()):
                found = sender
        return found


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
    if len(body) > KEYS_ARE_COUNTED_FROM and too_many_keys(body):
        raise InvalidEvent(f"at most {MAX_KEYS} keys in an event", "more", field="$")
    try:
        return decode_event(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidEvent.from_decoder(error) from None


def _common_context(batch: WireBatch, request: Request) -> Raw | None:
    """The batch's context, checked, as the log gets it: a proof it carries is the request's. Raises InvalidEvent, PayloadTooLarge."""
    if not (context := bytes(batch.context)):
        return None
    if len(context) > MAX_EVENT_BYTES or too_deep(context):
        raise InvalidEvent(f"at most {MAX_EVENT_BYTES} bytes, {MAX_DEPTH} levels", "more", field="$.context")
    if len(context) * len(batch.batch) > MAX_CONTEXT_COPIES:
        expected = f"a context of at most {MAX_CONTEXT_COPIES // len(batch.batch)} bytes for so many events"
        raise PayloadTooLarge(expected, str(len(context)), field="$.context")
    try:
        found = decode_context(context)
    except msgspec.MsgspecError as error:
        raise InvalidEvent.from_decoder(error).within("$.context") from None
    if found is None or (found.userHash is None and found.userToken is None):
        return batch.context
    if request.given_hash is None:
        request.given_hash = found.userHash
    if request.given_token is None:
        request.given_token = found.userToken
    return Raw(without(context, PROOFS))


def _decode_envelope(body: bytes) -> WireBatch:
    try:
        batch = decode_batch(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidEvent.from_decoder(error) from None
    if len(batch.batch) > MAX_BATCH_EVENTS:
        raise PayloadTooLarge(f"at most {MAX_BATCH_EVENTS} events in a batch", str(len(batch.batch)), field="$.batch")
    return batch


def _write_key(body: bytes) -> str | None:
    """The write key in a body that something else is wrong with."""
    try:
        key = _decode_key(body).writeKey
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return key if isinstance(key, str) else None


def _unverified(record: LogRecord, refusal: EngageError) -> Letter:
    return Letter("unverified", record.r, refusal, bytes(record.e), [record.p])


def _failure(error: EngageError, index: int) -> bytes:
    return b'{"status":%d,' % error.status + error_body(error.within(f"$.batch[{index}]"))[1:]
