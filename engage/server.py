"""uvicorn as Engage runs it: streams end before it stops, and no request's head grows without bound."""

import gc
import resource
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from engage.errors import HeadersTooLarge, error_response
from engage.settings import Settings
from engage.stream import Hub

MAX_HEAD_BYTES: Final = 64 * 1024
GRACE_SECONDS: Final = 5


class BoundedHttp(HttpToolsProtocol):
    """Refuses a request whose head (first line and headers) is not whole after MAX_HEAD_BYTES: uvicorn's own would hold
    whatever comes."""

    _head = 0  # bytes of a head that is not whole yet

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # `scope` is made when a message begins, and is the cycle's once its head is whole.
        if self.scope is None or (self.cycle is not None and self.cycle.scope is self.scope):
            self._head = 0
            return
        self._head += len(data)
        if self._head > MAX_HEAD_BYTES and not self.transport.is_closing():
            _, headers, body = error_response(
                HeadersTooLarge(f"a request line and headers of at most {MAX_HEAD_BYTES} bytes", "more")
            )
            lines = [b"HTTP/1.1 431 Request Header Fields Too Large", b"connection: close"]
            lines += [name + b": " + value for name, value in headers]
            self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
            self.transport.close()


def _raise_file_limit() -> None:
    """A stream is an open file: 1,024, the usual soft limit, is soon reached. What the system allows is taken."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Server(uvicorn.Server):
    """Ends the streams first: uvicorn waits for open responses, and a stream never ends by itself."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    async def shutdown(self, sockets: Any = None) -> None:
        await self._hub.close()
        await super().shutdown(sockets)


def serve(app: ASGIApp, hub: Hub, settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=BoundedHttp,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=4_096,
    )
    _raise_file_limit()
    # What start-up made lives for ever: the collector need not look at it again, nor after every 700 new objects.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    _Server(config, hub).run()
