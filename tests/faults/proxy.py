"""Between the product and its store: a line that can be slow, deaf, cut, reset, or lose replies.

It runs on a thread of its own; every method may be called from any thread.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

CHUNK = 65_536


class Proxy:
    """Listens on 127.0.0.1 and speaks for the server on a unix socket. New lines obey what holds when bytes pass."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path
        self._lines: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.delay = 0.0  # seconds between a command and the server's getting it
        self.is_cut = False  # nobody is let in
        self.loses_replies = False  # what the server answers is dropped, and the line closed with it
        self.lost = 0  # replies
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def silence(self) -> None:
        """The lines that are open are deaf and dumb from now on, without being closed; new ones are good."""
        self._do(lambda: [line.deaf() for line in self._lines])

    def reset(self) -> None:
        """The lines that are open end with a RST, as when a machine between has forgotten them."""
        self._do(lambda: [line.reset() for line in list(self._lines)])

    def end(self) -> None:
        """The lines that are open end with a FIN, as when the store is stopped."""
        self._do(lambda: [line.close() for line in list(self._lines)])

    def cut(self) -> None:
        """No line any more, until `heal`."""
        self.is_cut = True
        self.reset()

    def heal(self) -> None:
        self.delay, self.is_cut, self.loses_replies = 0.0, False, False

    def close(self) -> None:
        self._do(self._done.set)
        self._thread.join()

    def _do(self, what: Callable[[], Any]) -> None:
        self._loop.call_soon_threadsafe(what)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._done = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._done.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        line = _Line(self, writer)
        self._lines.add(line)
        if self.is_cut:
            line.reset()
        try:
            store_reader, line.store = await asyncio.open_unix_connection(self._path)
            await asyncio.gather(line.commands(reader), line.replies(store_reader))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._lines.discard(line)
            self._tasks.discard(task)
            line.close()


class _Line:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = client
        self._silent = False
        self.store: Any = None

    async def commands(self, source: asyncio.StreamReader) -> None:
        """In order, each `delay` late, however many are under way."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sending = asyncio.create_task(self._send(waiting))
        try:
            while data := await source.read(CHUNK):
                waiting.put_nowait((asyncio.get_running_loop().time() + self._proxy.delay, data))
            waiting.put_nowait((0, b""))
            await sending
        finally:
            sending.cancel()

    async def _send(self, waiting: "asyncio.Queue[tuple[float, bytes]]") -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            if not self._silent:
                if not data:
                    self.store.close()
                    return
                self.store.write(data)
                await self.store.drain()

    async def replies(self, source: asyncio.StreamReader) -> None:
        while data := await source.read(CHUNK):
            if self._proxy.loses_replies:
                self._proxy.lost += 1
                self.reset()
            elif not self._silent:
                self._client.write(data)
                await self._client.drain()
        if not self._silent:
            self._client.close()

    def deaf(self) -> None:
        self._silent = True

    def reset(self) -> None:
        with contextlib.suppress(OSError):
            found: socket.socket = self._client.get_extra_info("socket")
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._client.transport.abort()
        if self.store is not None:
            self.store.close()

    def close(self) -> None:
        for writer in (self._client, self.store):
            if writer is not None:
                writer.close()
