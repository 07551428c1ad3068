"""HTTP/1.1 as uvicorn speaks it, made safe for the open internet: bounded heads, a time for each part of a request, and a
number of connections, whole and by address.

Nothing here is paid by a request that comes as it should: whoever is slow is found by a look at every connection once a second.
"""

import asyncio
import contextlib
import sys
from collections import Counter
from http import HTTPStatus
from typing import ClassVar, Final

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from engage.errors import (
    EngageError,
    Full,
    HeadersTooLarge,
    InvalidRequest,
    RateLimited,
    RequestTimeout,
    error_response,
)
from engage.logs import get_logger
from engage.proxies import Proxies, client_address

MAX_HEAD_BYTES: Final = 64 * 1024
# On every answer; uvicorn writes them from one list made at the start.
SECURITY_HEADERS: Final = [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")]
TELLING: Final = 256  # connections beyond the cap that are still told why; others are just closed
TELLING_SECONDS: Final = 2
PER_IP_RETRY_SECONDS: Final = 5
LOOK_SECONDS: Final = 1.0
SEND_BYTES: Final = 16 * 1024  # of what waits for a client, the least that it takes within the time for sending
LOOKS_AT_ONCE: Final = 500
log = get_logger("engage.protocol")


class Bounds(msgspec.Struct, frozen=True):
    """Connections of the process and of one address (0: any number), seconds for a head and for a body, and those in which a
    client takes SEND_BYTES of what waits for it."""

    connections: int
    per_ip: int
    head_seconds: float
    body_seconds: float
    send_seconds: float


class Connections:
    """All open connections of this process."""

    def __init__(self, bounds: Bounds, proxies: Proxies) -> None:
        self.bounds = bounds
        self._proxies = proxies
        self._open: set[GuardedHttp] = set()
        self._by_address: Counter[str] = Counter()
        self._refused = 0
        self.slow = 0  # clients that did not take what was sent to them, since the last line in the log

    def enter(self, connection: "GuardedHttp", address: str | None) -> EngageError | None:
        """Counts a new connection; the error to answer with where it is one too many."""
        self._open.add(connection)
        if address is not None:
            self._by_address[address] += 1
        if len(self._open) > self.bounds.connections + TELLING:
            connection.transport.abort()
        if len(self._open) > self.bounds.connections:
            self._refused += 1
            return Full(f"at most {self.bounds.connections} connections to this process, and all are taken")
        if address is not None and 0 < self.bounds.per_ip < self._by_address[address]:
            self._refused += 1
            return RateLimited(f"at most {self.bounds.per_ip} connections of one address", PER_IP_RETRY_SECONDS)
        return None

    def leave(self, connection: "GuardedHttp", address: str | None) -> None:
        if connection not in self._open:
            return
        self._open.discard(connection)
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    def address(self, peer: tuple[str, int] | None) -> str | None:
        """The name to count a peer by; None for what is not counted: a trusted proxy, or no address at all."""
        if peer is None or self._proxies.trusts(peer[0]):
            return None
        with contextlib.suppress(ValueError):
            return client_address(peer[0])
        return None

    async def watch(self) -> None:
        """Ends whoever is slow, for as long as the process serves."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for number, connection in enumerate(list(self._open)):
                connection.look()
                if number % LOOKS_AT_ONCE == LOOKS_AT_ONCE - 1:
                    await asyncio.sleep(0)  # others are served in between
            if self._refused:
                log.warning("connections refused", number=self._refused, open=len(self._open))
                self._refused = 0
            if self.slow:
                log.warning("slow readers hung up on", number=self.slow, open=len(self._open))
                self.slow = 0


class GuardedHttp(HttpToolsProtocol):
    """One connection. `guard` is set on a subclass by the server, which uvicorn makes connections of."""

    guard: ClassVar[Connections]

    _head = 0  # bytes of a head that is not whole yet
    _data = b""  # what came last …
    _moved = False  # … whether it held a part of a body or the end of a message …
    _ended = False  # … and whether such an end
    _refusal: EngageError | None = None
    _address: str | None = None
    _awaited: object = None  # whose part is waited for: the request, or this connection for its first one …
    _in_body = False
    _looks = 0  # … and how many looks have found it so
    _unsent = 0  # bytes that waited for the client when it last took some …
    _stuck = 0  # … and how many looks ago that was

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._address = self.guard.address(self.client)
        self._refusal = self.guard.enter(self, self._address)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.guard.leave(self, self._address)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            self._end(self._refusal)
            return
        self._ended = self._moved = False
        self._data = data
        super().data_received(data)
        # `scope` is made when a message begins, and is the cycle's once its head is whole. What then comes without being a
        # part of the body are trailers: more of a head.
        cycle = self.cycle
        in_message = cycle is not None and cycle.scope is self.scope
        if self.scope is None or (in_message and (self._moved or not cycle.more_body)):
            self._head = 0
            return
        # Where a head begins in what also held the end of a message, nobody tells: it is counted from the next data on.
        self._head = 0 if self._ended else self._head + len(data)
        if self._head > MAX_HEAD_BYTES:
            self._end(_too_large())

    def check_head(self) -> None:
        """Raises HeadersTooLarge; the parser stops there. What came is mostly too short to hold such a head."""
        if self._head + len(self._data) > MAX_HEAD_BYTES:
            size = len(self.url) + sum(len(name) + len(value) + len(b": \r\n") for name, value in self.headers)
            if size > MAX_HEAD_BYTES:
                self._head = size
                raise _too_large()

    def on_headers_complete(self) -> None:
        self.check_head()
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # it begins anew in `_unsupported_upgrade_warning`
        self._ended = self._moved = True
        super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """uvicorn's place for a request that asks for another protocol, as Java's client does for HTTP/2. It may be ignored; but the
        parser takes what follows for that protocol. So the same request is read once more, as one that does not ask."""
        error = sys.exc_info()[1]
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._end(InvalidRequest("another method", "CONNECT", field="method"))
            return
        rest = self._data[error.args[0] :] if error is not None else b""
        kept = [header for header in self.headers if header[0] not in (b"upgrade", b"connection", b"http2-settings")]
        lines = [b"%b %b HTTP/1.1" % (method, self.url), *(b"%b: %b" % header for header in kept)]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join([*lines, b"", b""]) + rest)

    def send_400_response(self, msg: str) -> None:
        too_large = self._head > MAX_HEAD_BYTES
        self._end(_too_large() if too_large else InvalidRequest("a request in HTTP/1.1", "something else"))

    def look(self) -> None:
        """Called once a second: ends the connection where a part of a request takes too long."""
        if self._refusal is not None:
            self._looks += 1
            if self._looks > TELLING_SECONDS:
                self.transport.abort()
            return
        if self._reads_too_slowly(self.transport.get_write_buffer_size()):
            self.guard.slow += 1
            self.transport.abort()
            return
        cycle = self.cycle
        in_body = cycle is not None and cycle.scope is self.scope
        if in_body and not cycle.more_body:
            self._awaited = None
            return
        awaited = self if cycle is None else self.scope
        if awaited is not self._awaited or in_body is not self._in_body:
            self._awaited, self._in_body, self._looks = awaited, in_body, 0
            return
        self._looks += 1
        bounds = self.guard.bounds
        seconds = bounds.body_seconds if in_body else bounds.head_seconds
        if self._looks * LOOK_SECONDS < seconds:
            return
        if self.transport.is_closing():
            self.transport.abort()  # it does not take what was to be the last it gets
        else:
            part = "body" if in_body else "head (its line and headers)"
            self._end(RequestTimeout(f"a request's whole {part} within {seconds:g} s", "a part of it"))

    def _reads_too_slowly(self, unsent: int) -> bool:
        """Of streams, of long answers, and of connections that were closed with something left to say."""
        if not unsent or not self._unsent or unsent <= self._unsent - SEND_BYTES:
            self._unsent, self._stuck = unsent, 0
            return False
        self._stuck += 1
        return self._stuck * LOOK_SECONDS >= self.guard.bounds.send_seconds

    def _end(self, error: EngageError) -> None:
        """Answers with the error, unless another answer has begun, and closes."""
        if self.transport.is_closing():
            return
        # With something in the pipeline an earlier request waits for its answer, and would take this for it.
        begun = bool(self.pipeline) or (
            self.cycle is not None
            and (
                not self.cycle.response_complete if self.cycle.scope is not self.scope else self.cycle.response_started
            )
        )
        if not begun:
            status, headers, body = error_response(error)
            lines = [b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode()), b"connection: close"]
            lines += [name + b": " + value for name, value in [*self.server_state.default_headers, *headers]]
            self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        if self.cycle is not None and self.cycle.scope is self.scope:
            self.cycle.disconnected = True  # what the application still says goes nowhere
        self.transport.close()


def _too_large() -> HeadersTooLarge:
    return HeadersTooLarge(f"a request line and headers of at most {MAX_HEAD_BYTES} bytes", "more")
