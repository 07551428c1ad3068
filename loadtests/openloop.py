"""An open loop: requests go out when they are due, whether those before were answered or not, and each is timed from then.

A closed loop asks nothing while the service dawdles, and so measures nothing of what it does to people meanwhile
(coordinated omission). One thread with `select`, for its microseconds: the timers of asyncio and uvloop know milliseconds.
"""

import contextlib
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

from loadtests.generator import Done, request_head, whole_length
from loadtests.realistic import NUMBER

CONNECTIONS: Final = 64
GRACE_SECONDS: Final = 20.0  # for what is still under way at the end
_MARK: Final = NUMBER.encode()


def pace(port: int, path: str, bodies: Sequence[bytes], rate: float, seconds: float) -> Done:
    """`rate` requests a second with these bodies in turn."""
    heads = [request_head(port, path, body) for body in bodies]

    def prepared(number: int) -> bytes:
        turn = number % len(bodies)
        return heads[turn] + bodies[turn].replace(_MARK, b"%012d" % number)

    with contextlib.closing(OpenLoop(port, prepared)) as loop:
        return loop.run(rate, seconds)


class OpenLoop:
    """`request(number)` makes a request's bytes. A request that finds no idle connection waits, and its time runs."""

    def __init__(self, port: int, request: Callable[[int], bytes], connections: int = CONNECTIONS) -> None:
        self._request = request
        self._port = port
        self._idle = [self._connect() for _ in range(connections)]
        self._busy: dict[socket.socket, tuple[int, float, bytes]] = {}  # number, when it was due, what came so far
        self._late: deque[tuple[int, float]] = deque()
        self._numbers = count()  # over all runs: no messageId is used twice
        self.done = Done(0.0, [], 0)

    def run(self, rate: float, seconds: float) -> Done:
        """Blocks for `seconds`, and until all is answered."""
        self.done = Done(0.0, [], 0)
        start, sent, total = time.perf_counter(), 0, max(1, int(rate * seconds))
        deadline = start + seconds + GRACE_SECONDS
        while (sent < total or self._busy or self._late) and (now := time.perf_counter()) < deadline:
            while sent < total and start + sent / rate <= now:
                self._late.append((next(self._numbers), start + sent / rate))
                sent += 1
            while self._late and self._idle:
                self._send(self._idle.pop(), *self._late.popleft())
            wait = start + sent / rate - time.perf_counter() if sent < total else 0.5
            ready, _, _ = select.select(list(self._busy), [], [], max(0.0, wait))
            for one in ready:
                self._receive(one)
        self.done.failed += len(self._busy) + len(self._late)
        self.done.rate = len(self.done.acknowledged) / (time.perf_counter() - start)
        return self.done

    def _connect(self) -> socket.socket:
        one = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return one

    def _send(self, one: socket.socket, number: int, due: float) -> None:
        if select.select([one], [], [], 0)[0]:  # idle for longer than the service keeps a connection: it was closed
            one.close()
            one = self._connect()
        self._busy[one] = number, due, b""
        one.sendall(self._request(number))

    def _receive(self, one: socket.socket) -> None:
        number, due, before = self._busy[one]
        data = one.recv(65_536)
        if not data:
            raise ConnectionError("the service closed a connection")
        data = before + data
        length = whole_length(data)
        if length is None or len(data) < length:
            self._busy[one] = number, due, data
            return
        del self._busy[one]
        self._idle.append(one)
        self.done.milliseconds.append((time.perf_counter() - due) * 1_000)
        if data[9:12] == b"200":
            self.done.acknowledged.append(number)
        else:
            self.done.failed += 1

    def close(self) -> None:
        for one in (*self._idle, *self._busy):
            one.close()
