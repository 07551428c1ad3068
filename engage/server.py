"""uvicorn as Engage runs it: streams end before it stops, and connections are bounded (`engage.protocol`)."""

import asyncio
import contextlib
import resource
import socket
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from engage import collector
from engage.direct import direct
from engage.ingest import Ingest
from engage.logs import get_logger
from engage.protocol import SECURITY_HEADERS, Bounds, Connections
from engage.proxies import Proxies
from engage.settings import Settings
from engage.stream import Hub

GRACE_SECONDS: Final = 5
# Bytes that the system keeps ready for a client, beyond what is on its way: not the megabytes it would else let a client
# that does not read have. Linux and macOS know the option, and give it from a listening socket to its connections.
UNSENT_BYTES: Final = 16 * 1024
NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", None)
KEPT_FILES: Final = 512  # for what is no connection, and for those that are told to come back
log = get_logger("engage.server")


def connection_cap(wanted: int) -> int:
    """How many connections this process may hold. A connection is an open file, and 1,024, the usual soft limit, is soon
    reached: so what the system allows is taken, and some are left for the stores and the snippet's files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS refuses an unlimited one
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if soft == resource.RLIM_INFINITY:
        return wanted
    cap = min(wanted, max(soft // 2, soft - KEPT_FILES))
    if cap < wanted:
        log.info("connections capped by the limit on open files", cap=cap, wanted=wanted, files=soft)
    return cap


class _Server(uvicorn.Server):
    """Ends the streams first: uvicorn waits for open responses, and a stream never ends by itself."""

    def __init__(self, config: uvicorn.Config, hub: Hub, connections: Connections) -> None:
        super().__init__(config)
        self._hub = hub
        self._connections = connections
        self._watch: asyncio.Task[None] | None = None

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        for listening in self.servers:
            for one in listening.sockets:
                if NOTSENT_LOWAT is not None and one.family in (socket.AF_INET, socket.AF_INET6):
                    with socket.socket(fileno=socket.dup(one.fileno())) as same:  # uvloop's own refuses to set options
                        same.setsockopt(socket.IPPROTO_TCP, NOTSENT_LOWAT, UNSENT_BYTES)
        self._watch = asyncio.create_task(self._connections.watch())

    async def shutdown(self, sockets: Any = None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        await self._hub.close()
        await super().shutdown(sockets)


def serve(app: ASGIApp, ingest: Ingest, hub: Hub, proxies: Proxies, settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. `ingest` has its calls straight from the connections, `app` all else."""
    bounds = Bounds(
        connection_cap(settings.max_connections),
        settings.connections_per_ip,
        settings.head_timeout_ms / 1_000,
        settings.body_timeout_ms / 1_000,
        settings.send_timeout_ms / 1_000,
    )
    connections = Connections(bounds, proxies)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=direct(connections, ingest, proxies),
        headers=SECURITY_HEADERS,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=settings.keep_alive_ms // 1_000,
        backlog=4_096,
    )
    collector.spare()
    _Server(config, hub, connections).run()
