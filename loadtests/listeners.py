"""Many open streams, in a process of their own.

    python -m loadtests.listeners PORT PREFIX NUMBER [--claim]

Opens a stream for each of the users PREFIX0, PREFIX1 …, says {"open": NUMBER}, and answers each line on its standard input
with what came so far: {"received": …, "last": monotonic time of the last one, "lost": streams that ended, "claimed": …}. With
--claim it does as the snippet: claims each delivery and reports it as shown.
"""

import argparse
import asyncio
import contextlib
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import msgspec
import uvloop

from loadtests.generator import whole_length
from loadtests.processes import WRITE_KEY

AT_ONCE: Final = 100
_EVENT: Final = b"event: message"
_IDS: Final = re.compile(rb'"delivery_id":"([0-9a-f]{32})","rule_id":"([^"]+)","message_id":"([^"]+)"')
_TAIL: Final = 1_024


class Report(msgspec.Struct):
    received: int
    last: float
    lost: int
    claimed: int
    open: int


class Listeners:
    """The process, seen from outside."""

    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self._child = child
        self.pid = child.pid

    def report(self) -> Report:
        assert self._child.stdin is not None
        print(file=self._child.stdin, flush=True)
        return self._read()

    def _read(self) -> Report:
        assert self._child.stdout is not None
        return msgspec.json.decode(self._child.stdout.readline(), type=Report)

    def wait_received(self, number: int, seconds: float) -> Report:
        """Once `number` deliveries came, or after `seconds`."""
        deadline = time.monotonic() + seconds
        while (found := self.report()).received < number and time.monotonic() < deadline:
            time.sleep(0.05)
        return found


@contextlib.contextmanager
def listening(port: int, prefix: str, number: int, claim: bool = False) -> Iterator[Listeners]:
    """Yields once all streams are open."""
    command = [sys.executable, "-m", "loadtests.listeners", str(port), prefix, str(number), *(["--claim"] * claim)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        found = Listeners(child)
        try:
            found._read()
            yield found
        finally:
            child.terminate()


class Tally:
    def __init__(self) -> None:
        self.received = self.lost = self.claimed = self.open = 0
        self.last = 0.0

    def report(self) -> None:
        print(json.dumps(vars(self)), flush=True)


class Stream(asyncio.Protocol):
    def __init__(self, request: bytes, tally: Tally, opened: "asyncio.Future[None]", found: Any) -> None:
        self._request, self._tally, self._opened, self._found = request, tally, opened, found
        self._kept = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._opened.done() and b": connected" in self._kept + data:
            self._tally.open += 1
            self._opened.set_result(None)
        # What may be the beginning of a mark, and is not one yet, is looked at again with what follows.
        data, keep = self._kept + data, _TAIL if self._found else len(_EVENT) - 1
        if self._found:
            last = 0
            for match in _IDS.finditer(data):
                self._found(*(part.decode() for part in match.groups()))
                last = match.end()
            number, self._kept = len(_IDS.findall(data)), data[max(last, len(data) - keep) :]
        else:
            number, self._kept = data.count(_EVENT), data[-keep:]
        if number:
            self._tally.received += number
            self._tally.last = time.monotonic()

    def connection_lost(self, error: Exception | None) -> None:
        self._tally.lost += 1
        if not self._opened.done():
            self._opened.set_exception(error or ConnectionError("a stream was refused"))


class Claimer:
    """Claims and reports over one connection, in the order of arrival."""

    def __init__(self, port: int, tally: Tally) -> None:
        self._port, self._tally = port, tally
        self._found: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def found(self, delivery: str, rule: str, message: str) -> None:
        self._found.put_nowait((delivery, rule, message))

    async def run(self, user: str) -> None:
        while True:
            delivery, rule, message = await self._found.get()
            claimed = await self._post(f"/v1/deliveries/{delivery}/claim", {"writeKey": WRITE_KEY})
            if b'"claimed":true' not in claimed:
                continue
            self._tally.claimed += 1
            about = {"delivery_id": delivery, "rule_id": rule, "message_id": message}
            event = {"event": "Message Shown", "userId": user, "properties": about, "writeKey": WRITE_KEY}
            await self._post("/v1/track", event)

    async def _post(self, path: str, body: Any) -> bytes:
        """Once more over a new connection where the service has closed the one that was idle for long."""
        content = msgspec.json.encode(body)
        request = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (path.encode(), len(content))
        while True:
            if self._line is None:
                self._line = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._line
            writer.write(request + content)
            try:
                head: bytes = await reader.readuntil(b"\r\n\r\n")
                return head + await reader.readexactly((whole_length(head) or 0) - len(head))
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
                self._line = None


async def listen(port: int, prefix: str, number: int, claim: bool) -> None:
    tally, loop = Tally(), asyncio.get_running_loop()
    tasks = []
    for start in range(0, number, AT_ONCE):
        opening = []
        for index in range(start, min(number, start + AT_ONCE)):
            opened: asyncio.Future[None] = loop.create_future()
            found = None
            if claim:
                claimer = Claimer(port, tally)
                tasks.append(asyncio.create_task(claimer.run(f"{prefix}{index}")))
                found = claimer.found
            query = f"/v1/stream?writeKey={WRITE_KEY}&userId={prefix}{index}"
            request = f"GET {query} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
            await loop.create_connection(partial(Stream, request, tally, opened, found), "127.0.0.1", port)
            opening.append(opened)
        await asyncio.gather(*opening)
    tally.report()
    while await loop.run_in_executor(None, sys.stdin.readline):
        tally.report()


def more_files() -> None:
    """As many open files as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Hold many streams open.")
    parser.add_argument("port", type=int)
    parser.add_argument("prefix")
    parser.add_argument("number", type=int)
    parser.add_argument("--claim", action="store_true")
    given = parser.parse_args()
    more_files()
    uvloop.run(listen(given.port, given.prefix, given.number, given.claim))
