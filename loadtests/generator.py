"""A load generator that is not the bottleneck: requests prepared beforehand, written to kept-alive connections, replies counted.

    python -m loadtests.generator PORT PATH BODIES CONNECTIONS SECONDS ACKNOWLEDGED   prints {"ok": …, "failed": …, "seconds": …}

BODIES is a file with a body on each line; each connection sends them in turn, with the number of the request where it says
`loadtests.realistic.NUMBER`. The numbers that were answered 200 go to the file ACKNOWLEDGED, eight bytes each. It is a process
of its own, on uvloop, and asks 127.0.0.1 only. A reply counts when it is a whole 200.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from functools import partial
from itertools import count, cycle
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from loadtests.realistic import NUMBER

CONNECTIONS: Final = 64


class Done(msgspec.Struct):
    """What came of a load: requests answered 200 in a second, their numbers, and how many were answered otherwise."""

    rate: float
    acknowledged: list[int]
    failed: int
    milliseconds: list[float] = []  # of each request, in the order of the replies, where that was asked for

    @property
    def problem(self) -> str:
        return f"{self.failed:,} requests failed" if self.failed else ""


def load(port: int, path: str, bodies: list[bytes], seconds: float, connections: int = CONNECTIONS) -> Done:
    """Runs the generator as a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        prepared, acknowledged = Path(name) / "bodies", Path(name) / "acknowledged"
        prepared.write_bytes(b"\n".join(bodies))
        command = [sys.executable, "-m", "loadtests.generator", str(port), path, str(prepared)]
        command += [str(connections), str(seconds), str(acknowledged)]
        found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        numbers = array("Q", acknowledged.read_bytes())
    return Done(found["ok"] / found["seconds"], numbers.tolist(), found["failed"])


class Connection(asyncio.Protocol):
    """One request at a time; the next one goes out when the reply is whole."""

    def __init__(self, requests: Iterator[tuple[bytes, bytes]], tally: "Tally") -> None:
        self._requests = requests
        self._tally = tally
        self._buffer = b""
        self._usual = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._send()

    def _send(self) -> None:
        self._number = next(self._tally.numbers)
        head, body = next(self._requests)
        self._transport.write(head + body.replace(_MARK, b"%012d" % self._number))

    def data_received(self, data: bytes) -> None:
        # Nearly all replies are alike: one whole packet, as long as the last one.
        if len(data) != self._usual or self._buffer or data[:13] != b"HTTP/1.1 200 ":
            data = self._buffer + data
            length = whole_length(data)
            if length is None or len(data) < length:
                self._buffer = data
                return
            self._buffer, self._usual = data[length:], length
        if data[9:12] == b"200":
            self._tally.acknowledged.append(self._number)
        else:
            self._tally.failed += 1
        if self._tally.running:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._tally.closed(error)


_MARK: Final = NUMBER.encode()


def whole_length(data: bytes) -> int | None:
    """How long the reply at the start of `data` is, head and body; None while its head is not whole."""
    head_end = data.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    head = data[: head_end + 2].lower()
    start = head.index(b"content-length:") + 15
    return head_end + 4 + int(head[start : head.index(b"\r\n", start)])


def request_head(port: int, path: str, body: bytes) -> bytes:
    """The head of a request with this body; the number that goes into it is as long as its mark."""
    lines = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
    return f"{lines}content-length: {len(body)}\r\n\r\n".encode()


class Tally:
    def __init__(self, connections: int, seconds: float) -> None:
        self.acknowledged: list[int] = []
        self.failed = 0
        self.numbers = count()
        self.start = time.perf_counter()
        self.running = True
        asyncio.get_running_loop().call_later(seconds, self._stop)
        self._open = connections
        self.done = asyncio.get_running_loop().create_future()

    def _stop(self) -> None:
        self.running = False

    def closed(self, error: Exception | None) -> None:
        self.failed += error is not None
        self._open -= 1
        if self._open == 0:
            self.done.set_result(time.perf_counter() - self.start)


async def generate(port: int, path: str, bodies: list[bytes], connections: int, seconds: float) -> tuple[Tally, float]:
    """Requests for `seconds` over `connections`; returns what was answered, and the time."""
    requests = [(request_head(port, path, body), body) for body in bodies]
    tally = Tally(connections, seconds)
    loop = asyncio.get_running_loop()
    for number in range(connections):
        turn = cycle(requests[number % len(requests) :] + requests[: number % len(requests)])
        await loop.create_connection(partial(Connection, turn, tally), "127.0.0.1", port)
    return tally, await asyncio.wait_for(tally.done, seconds + 30)


if __name__ == "__main__":
    port, path, prepared, connections, seconds, acknowledged = sys.argv[1:]
    lines = Path(prepared).read_bytes().splitlines()
    tally, elapsed = uvloop.run(generate(int(port), path, lines, int(connections), float(seconds)))
    Path(acknowledged).write_bytes(array("Q", tally.acknowledged).tobytes())
    print(json.dumps({"ok": len(tally.acknowledged), "failed": tally.failed, "seconds": elapsed}))
