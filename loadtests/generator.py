"""A load generator that is not the bottleneck: requests built once, written to kept-alive connections, replies counted.

    python -m loadtests.generator PORT PATH BODIES CONNECTIONS SECONDS    prints {"ok": …, "failed": …, "seconds": …}

BODIES is a file with a body on each line; each connection sends them in turn. It is a process of its own, on uvloop, and asks 127.0.0.1 only. A reply counts when it is a whole 200.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import uvloop


class Connection(asyncio.Protocol):
    """One request at a time; the next one goes out when the reply is whole."""

    def __init__(self, requests: Iterator[bytes], tally: "Tally") -> None:
        self._requests = requests
        self._tally = tally
        self._buffer = b""
        self._usual = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        # Nearly all replies are alike: one whole packet, as long as the last one.
        if len(data) != self._usual or self._buffer or data[:13] != b"HTTP/1.1 200 ":
            data = self._buffer + data
            length = whole_length(data)
            if length is None or len(data) < length:
                self._buffer = data
                return
            self._buffer, self._usual = data[length:], length
        self._tally.count(data[9:12] == b"200")
        if self._tally.running:
            self._transport.write(next(self._requests))
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._tally.closed(error)


def whole_length(data: bytes) -> int | None:
    """How long the reply at the start of `data` is, head and body; None while its head is not whole."""
    head_end = data.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    head = data[: head_end + 2].lower()
    start = head.index(b"content-length:") + 15
    return head_end + 4 + int(head[start : head.index(b"\r\n", start)])


class Tally:
    def __init__(self, connections: int, seconds: float) -> None:
        self.ok = self.failed = 0
        self.start = time.perf_counter()
        self.running = True
        asyncio.get_running_loop().call_later(seconds, self._stop)
        self._open = connections
        self.done = asyncio.get_running_loop().create_future()

    def _stop(self) -> None:
        self.running = False

    def count(self, good: bool) -> None:
        self.ok += good
        self.failed += not good

    def closed(self, error: Exception | None) -> None:
        self.failed += error is not None
        self._open -= 1
        if self._open == 0:
            self.done.set_result(time.perf_counter() - self.start)


async def generate(port: int, path: str, bodies: list[bytes], connections: int, seconds: float) -> dict[str, float]:
    """Requests for `seconds` over `connections`; returns how many were answered 200, how many were not, and the time."""
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\ncontent-length: "
    requests = [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]
    tally = Tally(connections, seconds)
    loop = asyncio.get_running_loop()
    for number in range(connections):
        turn = cycle(requests[number % len(requests) :] + requests[: number % len(requests)])
        await loop.create_connection(partial(Connection, turn, tally), "127.0.0.1", port)
    elapsed = await asyncio.wait_for(tally.done, seconds + 30)
    return {"ok": tally.ok, "failed": tally.failed, "seconds": elapsed}


if __name__ == "__main__":
    port, path, body, connections, seconds = sys.argv[1:]
    found = uvloop.run(
        generate(int(port), path, Path(body).read_bytes().splitlines(), int(connections), float(seconds))
    )
    print(json.dumps(found))
