"""The way in: the Segment HTTP Tracking API. A call is authenticated, decoded, validated and handed over to the group commit; it is
answered after the fsync.

Nothing here waits: a `Call` is taken in one go and answered from the flush that made it durable, so that a call costs no task of its
own. `engage.direct` speaks for it straight from the connection; `Ingest.__call__` is the same as an ASGI application.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from functools import lru_cache
from typing import Any, Final

from msgspec import Raw

from engage.anonymize import context_without_ip, holds_ip, without_ip
from engage.audit import KEY, Trail
from engage.body import check_length, inflate, read_batch, read_context, read_event, read_key, read_plain, too_large
from engage.commit import GroupCommit
from engage.cors import cors_headers
from engage.dead_letters import Letter
from engage.errors import (
    EngageError,
    InvalidEvent,
    PayloadTooLarge,
    StoreUnavailable,
    Unauthorized,
    error_body,
    error_response,
)
from engage.guard import ADDRESS, HSTS
from engage.identity import Request
from engage.limits import Limits
from engage.logs import get_logger
from engage.privacy import Policy
from engage.senders import Sender, Senders
from engage.store import STORE_ERRORS
from engage.times import now_ms
from engage.wire import (
    BROKEN,
    MAX_BATCH_BYTES,
    NOTHING,
    LogRecord,
    WireBatch,
    decode_context,
    parse_time,
    plain_records,
    repair,
    to_record,
)
from rules import SERVER

log = get_logger("engage.ingest")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

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
METRICS_PATH: Final = "/v1/m"
DO_NOT_TRACK: Final = "do_not_track"  # why an event was not kept: in its result, and in the metrics
NO_CONSENT: Final = "no_consent"
_OK: Final = b'{"success":true}'
_RESULT_OK: Final = b'{"status":200}'


class Call:
    """One call of the tracking API. Whoever speaks for it sets `scope` (as ASGI has it), gives it to `Ingest.open` when its head
    is there and to `Ingest.take` with its body, and is told the answer once."""

    scope: Scope
    encoding: bytes | None = None
    authorization: bytes | None = None
    origin: bytes | None = None
    ingest: "Ingest"
    rejected = False  # as a whole: what of its body is still to come is not looked at
    # What it comes to, once its events are on disk.
    status = 200
    body = _OK
    request: Request
    sender: Sender
    letters: Sequence[Letter] = ()
    accepted = 0

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Says the answer; `headers` are those beyond content type and length."""
        raise NotImplementedError

    def settled(self, failure: EngageError | None) -> None:
        """The flush that its events were in has ended."""
        self.ingest.settle(self, failure)


class Ingest:
    """Counts are kept by `count(outcome, events)`; what could not be taken by `put_aside(project, letters)`. `trail` notes the use of
    secret keys."""

    def __init__(
        self,
        commit: GroupCommit,
        senders: Senders,
        count: Callable[[str, int], None],
        put_aside: Callable[[str, Sequence[Letter]], Awaitable[None]],
        limits: Limits,
        trail: Trail,
        store_ip: bool,
        respect_dnt: bool,
    ) -> None:
        self._commit = commit
        self._senders = senders
        self._count = count
        self._put_aside = put_aside
        self._limits = limits
        self._trail = trail
        self._store_ip = store_ip
        self._respect_dnt = respect_dnt
        self._ending: set[asyncio.Task[None]] = set()

    def open(self, call: Call) -> bool:
        """The head of a call is there. False: it was refused, and answered."""
        length = None
        for name, value in call.scope["headers"]:
            if name == b"content-length":
                length = int(value)
            elif name == b"content-encoding":
                call.encoding = value.strip().lower()
            elif name == b"authorization":
                call.authorization = value
            elif name == b"origin":
                call.origin = value
        call.ingest = self
        try:
            self._limits.request(call.scope[ADDRESS])
        except EngageError as error:
            self.refuse(call, error)
            return False
        try:
            check_length(length)
        except PayloadTooLarge as error:
            self.reject(call, error)
            return False
        return True

    def take(self, call: Call, body: bytes) -> None:
        """The whole body of a call is there. It is answered now, or once its events are on disk."""
        try:
            if call.encoding not in (None, b"", b"identity"):
                try:
                    body = inflate(body, call.encoding)
                except InvalidEvent as error:
                    self.reject(call, error)
                    return
            self._take(call, repair(body), now_ms())
        except EngageError as error:
            self.refuse(call, error)
        except Exception as error:
            self._failed(call, error)

    def settle(self, call: Call, failure: EngageError | None) -> None:
        """Answers a call whose flush has ended."""
        if failure is not None:
            self.refuse(call, failure)
            return
        call.request.logged()
        self._count("accepted", call.accepted)
        if call.letters:
            self._later(self._after_letters(call))
        else:
            self._answer(call, call.status, [], call.body)

    def reject(self, call: Call, error: InvalidEvent) -> None:
        """Refuses a body that nobody can read; what is kept is the reason."""
        call.rejected = True
        try:
            if not self._put_whole_aside(call, b"", now_ms(), error):
                self.refuse(call, error)
        except EngageError as other:
            self.refuse(call, other)

    def refuse(self, call: Call, error: EngageError) -> None:
        self._count(error.code, 1)
        status, headers, body = error_response(error, flat=True)
        if status == 401:
            self._trail.request(call.scope, call.scope["path"], status)
        self._answer(call, status, headers[2:], body)

    def _failed(self, call: Call, error: Exception) -> None:
        """A mistake of ours."""
        log.error("ingest failed", path=call.scope["path"], exc_info=error)
        self.refuse(call, EngageError("no failure of the service", hint="its log says more"))

    def _answer(self, call: Call, status: int, headers: Headers, body: bytes) -> None:
        if KEY in call.scope:
            self._trail.request(call.scope, call.scope["path"], status)
        if call.origin is not None:
            headers += cors_headers(call.origin)
        if call.scope["scheme"] == "https":
            headers.append(HSTS)
        call.answer(status, headers, body)

    def _take(self, call: Call, body: bytes, received_at: int) -> None:
        self._commit.check_room()
        path = call.scope["path"]
        if path == METRICS_PATH:
            self._answer(call, 200, [], _OK)
            return
        try:
            if (kind := ROUTES[path]) is None:
                self._take_batch(call, body, received_at)
            else:
                self._take_event(call, kind, body, received_at)
        except InvalidEvent as error:
            if not self._put_whole_aside(call, body, received_at, error):
                raise

    def _take_event(self, call: Call, kind: str, body: bytes, received_at: int) -> None:
        event = read_event(body)
        sender = self._senders.find(call.scope, call.authorization, event.writeKey, call.origin)
        request = Request(sender.trusted)
        if self._respect_dnt and not sender.trusted and asks_not_to_be_tracked(call.scope["headers"]):
            self._skip(call, DO_NOT_TRACK)
            return
        if event.context is not None and not self._store_ip and holds_ip(event.context):
            body = without_ip(body)
        if sender.privacy.active and (policy := sender.privacy.policy) is not None:
            request.policy = policy
            if policy.concerns(body):
                if not policy.consents(body):
                    self._skip(call, NO_CONSENT)
                    return
                body = policy.event(body)
        record = to_record(event, Raw(body), kind, None, received_at, None)
        refusal = sender.identity.admit(record, event, request)
        self._limits.events(sender.project.id, call.scope[ADDRESS], request.records or (record,))
        if refusal is not None:
            self._count("unverified", 1)
            self._later(self._refuse_after(call, sender, refusal, _unverified(record, refusal)))
            return
        self._wait(call, sender, request, len(body), 1)

    def _take_batch(self, call: Call, body: bytes, received_at: int) -> None:
        batch = read_batch(body)
        sender = self._senders.find(call.scope, call.authorization, batch.writeKey, call.origin)
        if self._respect_dnt and not sender.trusted and asks_not_to_be_tracked(call.scope["headers"]):
            self._count(DO_NOT_TRACK, len(batch.batch))
            self._answer(call, 200, [], _replied(True, [_skipped(DO_NOT_TRACK)] * len(batch.batch)))
            return
        admit = sender.identity.admit
        sent_at = parse_time(batch.sentAt)
        request = Request(sender.trusted, batch.userHash, batch.userToken)
        context = read_context(batch, request)
        if context is not None and holds_ip(decode_context(context)) and not self._store_ip:
            context = Raw(context_without_ip(bytes(context)))
        policy, consents = None, True
        if sender.privacy.active and (policy := sender.privacy.policy) is not None:
            request.policy = policy
            if not policy.concerns(body):
                policy = None
            elif context is not None:
                consents = policy.context_consents(bytes(context))
                context = Raw(policy.context(bytes(context)))
        if policy is None and sender.believed and (events := read_plain(body, batch.batch)) is not None:
            verified = SERVER if sender.trusted else None
            if records := plain_records(events, batch.batch, sent_at, received_at, context, verified):
                self._limits.events(sender.project.id, call.scope[ADDRESS], records)
                request.records = records
                call.body = _all_taken(len(records))
                self._wait(call, sender, request, _size(body, batch, records), len(records))
                return
        refused: list[LogRecord] = []
        letters: list[Letter] = []
        results = [_RESULT_OK] * len(batch.batch)
        skipped = 0
        for index, item in enumerate(batch.batch):
            raw = bytes(item)
            try:
                event = read_event(raw)
                own = event.context
                if own is not None and own.ip is not NOTHING and holds_ip(own) and not self._store_ip:
                    item = Raw(without_ip(raw))
                if policy is not None:
                    if concerned := policy.concerns(raw):
                        item = Raw(policy.event(bytes(item)))
                    if not (policy.consents(raw, consents) if concerned else consents):
                        results[index] = _skipped(NO_CONSENT)
                        skipped += 1
                        continue
                record = to_record(event, item, None, sent_at, received_at, context)
            except InvalidEvent as error:
                results[index] = _failure(error, index)
                letters.append(Letter("malformed", received_at, error, _as_kept(policy, raw, consents)))
            else:
                if (refusal := admit(record, event, request)) is not None:
                    results[index] = _failure(refusal, index)
                    letters.append(_unverified(record, refusal))
                    refused.append(record)
        bad = len(letters) - len(refused)
        if letters or request.records:
            counted = [*request.records, *refused] if refused else request.records
            self._limits.events(sender.project.id, call.scope[ADDRESS], counted, bad)
        for outcome, number in (("unverified", len(refused)), (InvalidEvent.code, bad), (NO_CONSENT, skipped)):
            if number:
                self._count(outcome, number)
        # A batch of which nothing could be read is the sender's mistake; one readable event makes it a success.
        success = not bad or bad < len(results)
        call.letters, call.status = letters, 200 if success else 400
        call.body = _replied(success, results) if letters or skipped else _all_taken(len(results))
        size = _size(body, batch, request.records)
        self._wait(call, sender, request, size, len(results) - len(letters) - skipped)

    def _wait(self, call: Call, sender: Sender, request: Request, size: int, accepted: int) -> None:
        """The records go in line; the call is settled once they are on disk, at once if there are none."""
        call.sender, call.request, call.accepted = sender, request, accepted
        if request.records:
            self._commit.add(request.records, sender.logs, size)
            self._commit.wait(call)
        else:
            self.settle(call, None)

    def _skip(self, call: Call, why: str) -> None:
        """An event that is not kept, as its sender wishes, is a success: it must not be sent again."""
        self._count(why, 1)
        self._answer(call, 200, [], b'{"success":true,"skipped":"%b"}' % why.encode())

    def _later(self, work: Awaitable[None]) -> None:
        """What little has to wait for the store beside the flush."""
        task = asyncio.ensure_future(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _after_letters(self, call: Call) -> None:
        try:
            await self._keep(call.sender, call.letters)
        except EngageError as error:
            self.refuse(call, error)
        else:
            self._answer(call, call.status, [], call.body)

    async def _refuse_after(self, call: Call, sender: Sender, refusal: EngageError, letter: Letter) -> None:
        try:
            await self._keep(sender, [letter])
        except EngageError as error:
            refusal = error
        self.refuse(call, refusal)

    async def _keep(self, sender: Sender, letters: Sequence[Letter]) -> None:
        """Puts what could not be taken where an operator finds it, before its sender is told."""
        try:
            await self._put_aside(sender.project.id, letters)
        except STORE_ERRORS as error:
            raise StoreUnavailable(f"the store did not confirm ({error})") from None
        except Exception as error:
            log.exception("dead letters not kept")
            raise EngageError("no failure of the service", hint="its log says more") from error

    def _put_whole_aside(self, call: Call, body: bytes, received_at: int, error: InvalidEvent) -> bool:
        """Puts a body aside of which nothing could be taken, if whoever sent it has a key."""
        try:
            sender = self._senders.find(call.scope, call.authorization, read_key(body), call.origin)
        except Unauthorized:
            return False
        self._limits.events(sender.project.id, call.scope[ADDRESS], (), 1)
        policy = sender.privacy.policy if sender.privacy.active else None
        if self._respect_dnt and not sender.trusted and asks_not_to_be_tracked(call.scope["headers"]):
            return False
        if policy is not None and ROUTES[call.scope["path"]] is None and policy.concerns(body):
            kept = b""  # what stands in its events is not looked for
        else:
            kept = _as_kept(policy, body, True)
        letter = Letter("malformed", received_at, error, kept)
        self._later(self._refuse_after(call, sender, error, letter))
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = _AsgiCall(scope)
        if self.open(call):
            try:
                self.take(call, await _read(receive))
            except InvalidEvent as error:
                self.reject(call, error)
        status, headers, body = await call.answered
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class _AsgiCall(Call):
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.answered: asyncio.Future[tuple[int, Headers, bytes]] = asyncio.get_running_loop().create_future()

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        if not self.answered.done():  # else it has hung up
            self.answered.set_result((status, headers, body))


async def _read(receive: Receive) -> bytes:
    chunks, size, more = [], 0, True
    while more:  # a slow one is ended by engage.protocol
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidEvent("a whole body", "a connection closed half-way", field="$")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BATCH_BYTES:
            raise too_large()
        more = message.get("more_body", False)
    return b"".join(chunks)


def asks_not_to_be_tracked(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a browser sends `DNT: 1` or `Sec-GPC: 1` (Global Privacy Control)."""
    return any(name in (b"dnt", b"sec-gpc") and value.strip() == b"1" for name, value in headers)


def _as_kept(policy: Policy | None, raw: bytes, consents: bool) -> bytes:
    """What may be kept of something malformed: nothing, where nobody can say in which place of it a denied field stands, and nothing
    without consent; `consents`: its batch's."""
    if policy is None or (consents and not policy.concerns(raw)):
        return raw
    try:
        return policy.event(raw) if policy.consents(raw, consents) else b""
    except BROKEN:
        return b""


def _size(body: bytes, batch: WireBatch, records: Sequence[LogRecord]) -> int:
    """About how many bytes its records take in the log."""
    return len(body) + len(memoryview(batch.context)) * len(records)


def _unverified(record: LogRecord, refusal: EngageError) -> Letter:
    return Letter("unverified", record.r, refusal, bytes(record.e), [record.p])


def _replied(success: bool, results: Iterable[bytes]) -> bytes:
    said = b"true" if success else b"false"
    return b'{"success":' + said + b',"results":[' + b",".join(results) + b"]}"


@lru_cache(100)
def _all_taken(number: int) -> bytes:
    return _replied(True, [_RESULT_OK] * number)


def _skipped(why: str) -> bytes:
    """The result of an event that is not kept, as its sender wishes: a success, for it must not be sent again."""
    return b'{"status":200,"skipped":"%b"}' % why.encode()


def _failure(error: EngageError, index: int) -> bytes:
    return b'{"status":%d,' % error.status + error_body(error.within(f"$.batch[{index}]"))[1:]
