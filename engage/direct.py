"""The tracking API straight from the connection: its calls are nearly all there is, and a task, an event loop's turn and an ASGI
conversation for each would cost more than the call itself.

A `_DirectCall` stands where uvicorn has its `RequestResponseCycle`, so that all else of a connection (time limits, the end of the
service, requests that are sent ahead) goes on as ever. Whatever is not the plain case goes the way of every other route.
"""

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar, Final

from engage.body import too_large
from engage.guard import ADDRESS
from engage.ingest import ROUTES, Call, Headers, Ingest
from engage.protocol import LOOK_SECONDS, Connections, GuardedHttp
from engage.proxies import Proxies
from engage.wire import MAX_BATCH_BYTES

_PATHS: Final = {path.encode(): path for path in ROUTES}
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class _Heads:
    """The start of an answer, as far as many have it alike: made anew when uvicorn's own headers are, once a second for the date."""

    def __init__(self) -> None:
        self._made: dict[int, bytes] = {}
        self._of: Headers = []

    def of(self, status: int, headers: Headers) -> bytes:
        if headers is not self._of:
            self._of, self._made = headers, {}
        if (head := self._made.get(status)) is None:
            lines = [b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode())]
            lines += [b"%b: %b" % header for header in (*headers, (b"content-type", b"application/json"))]
            head = self._made[status] = b"\r\n".join((*lines, b"content-length: "))
        return head


class _DirectCall(Call):
    """One call, from a connection that has no other under way."""

    # What uvicorn asks of the cycle in this place.
    message_event: ClassVar[asyncio.Event] = asyncio.Event()
    more_body = True
    response_started = response_complete = disconnected = False

    def __init__(self, connection: "DirectHttp", keep_alive: bool) -> None:
        self.scope = connection.scope  # type: ignore[assignment]
        self.keep_alive = keep_alive
        self.received: bytes | bytearray = b""
        self._connection = connection

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        if self.disconnected or self.response_complete:
            return
        self.response_started = self.response_complete = True
        self._connection.say(status, headers, body, self.keep_alive)


class DirectHttp(GuardedHttp):
    """One connection. `ingest` and `proxies` are set on a subclass by the server."""

    ingest: ClassVar[Ingest]
    proxies: ClassVar[Proxies]
    heads: ClassVar[_Heads] = _Heads()
    cycle: Any  # uvicorn's RequestResponseCycle, or a _DirectCall in its place

    _idle = 0  # looks that found no request, after a direct call

    def on_headers_complete(self) -> None:
        self.check_head()
        url, _, query = self.url.partition(b"?")
        path, before = _PATHS.get(url), self.cycle
        if (
            path is None
            or self.parser.get_method() != b"POST"
            or not (before is None or before.response_complete)
            or self.flow.write_paused  # a client that does not read is told to wait, and a direct call cannot
            or self.parser.should_upgrade()  # read once more, see there
        ):
            super().on_headers_complete()
            return
        version = self.parser.get_http_version()
        scope: Any = self.scope
        scope |= {"method": "POST", "path": path, "raw_path": url, "query_string": query, "http_version": version}
        scope[ADDRESS] = self.proxies.client(scope)
        call = _DirectCall(self, version != "1.0" and self.parser.should_keep_alive())
        self.cycle = call
        if self.ingest.open(call) and self.expect_100_continue:
            self.transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        call = self.cycle
        if type(call) is not _DirectCall:
            super().on_body(body)
            return
        self._moved = True
        if not (call.response_complete or call.rejected):
            if not call.received:
                call.received = body
                return
            if type(call.received) is bytes:
                call.received = bytearray(call.received)
            call.received += body
            if len(call.received) > MAX_BATCH_BYTES:
                self.ingest.reject(call, too_large())

    def on_message_complete(self) -> None:
        call = self.cycle
        if type(call) is not _DirectCall or self.parser.should_upgrade():
            super().on_message_complete()
            return
        self._ended = self._moved = True
        call.more_body = False
        if not (call.response_complete or call.rejected):
            self.ingest.take(call, bytes(call.received))

    def look(self) -> None:
        """Also ends a connection that was kept open for long enough: uvicorn sets a timer for it after each request, and most of
        them are for nothing."""
        super().look()
        call = self.cycle
        if type(call) is _DirectCall and call.response_complete and call.scope is self.scope:
            self._idle += 1
            if self._idle * LOOK_SECONDS >= self.timeout_keep_alive:
                self.timeout_keep_alive_handler()

    def say(self, status: int, headers: Headers, body: bytes, keep_alive: bool) -> None:
        """Writes an answer, and goes on with what was sent ahead."""
        if self.transport.is_closing():
            return
        more = b"".join([b"%b: %b\r\n" % header for header in headers]) if headers else b""
        if not keep_alive:
            more += b"connection: close\r\n"
        head = self.heads.of(status, self.server_state.default_headers)
        self.transport.write(b"%b%d\r\n%b\r\n%b" % (head, len(body), more, body))
        self.server_state.total_requests += 1
        self._idle = 0
        if not keep_alive:
            self.transport.close()
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)


def direct(guard: Connections, ingest: Ingest, proxies: Proxies) -> type[Any]:
    """The protocol class of a server."""
    return type("DirectHttp", (DirectHttp,), {"guard": guard, "ingest": ingest, "proxies": proxies})
