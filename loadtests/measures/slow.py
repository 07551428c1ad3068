"""A thousand clients that read a byte a second: what they cost, that they are hung up on, and that nothing is lost by it."""

import contextlib
import re
import selectors
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import msgspec
import psutil

from engage.keys import ShardKeys
from engage.publishing import put_in_force
from engage.store import connect
from loadtests import processes
from loadtests.listeners import more_files
from loadtests.measures.row import Row
from loadtests.outbox import fill
from rules import Definitions, Message
from worker.delivery import Drain

SHARDS: Final = 8
DELIVERIES: Final = 40  # of 4 KB each: more than the system and the service keep for a connection
TEXT: Final = "All work and no play. " * 190
SEND_TIMEOUT: Final = 10
WAIT_SECONDS: Final = 120.0
RESUMED_AT_ONCE: Final = 50
# An event that came whole: its id, and its delivery.
_EVENT: Final = re.compile(rb'event: message\nid: ([^\n]+)\ndata: \{"delivery_id":"([0-9a-f]{32})".*?\}\n\n', re.DOTALL)
_CHUNK: Final = re.compile(rb"\r\n[0-9a-f]+\r\n")


class Slow:
    """One client; `got` is what it has read."""

    def __init__(self, port: int, user: str, last: str = "") -> None:
        self.user, self.got = user, b""
        self.socket = socket.socket()
        if not last:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        self.socket.settimeout(60)
        self.socket.connect(("127.0.0.1", port))
        query = f"/v1/stream?writeKey={processes.WRITE_KEY}&userId={user}"
        resume = f"last-event-id: {last}\r\n" if last else ""
        self.socket.sendall(f"GET {query} HTTP/1.1\r\nhost: x\r\n{resume}\r\n".encode())

    def read(self, most: int) -> bool:
        """False when the service has hung up."""
        try:
            data = self.socket.recv(most)
        except (BlockingIOError, TimeoutError):
            return True
        except OSError:
            return False
        self.got += data
        return bool(data)

    def has(self, number: int) -> bool:
        """Whether so many events came whole."""
        return self.got.count(b"event: message") >= number and len(self.events()) >= number

    def events(self) -> list[tuple[str, str]]:
        """(cursor, delivery id) of what came whole."""
        return [(a.decode(), b.decode()) for a, b in _EVENT.findall(_CHUNK.sub(b"", self.got))]


def slow(quick: bool) -> Iterator[Row]:
    number = 50 if quick else 1_000
    more_files()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        url = stack.enter_context(processes.store(processes.settings_in(folder)))
        client: Any = connect(url)
        put_in_force(
            client, "default", 1, Definitions(messages=[Message(id="m", kind="banner", content={"en": {"text": TEXT}})])
        )
        port, pid = stack.enter_context(processes.api(folder, ENGAGE_SEND_TIMEOUT=f"{SEND_TIMEOUT}s"))
        server = psutil.Process(pid)
        readers = [Slow(port, f"u{index}") for index in range(number)]
        for reader in readers:
            while b": connected" not in reader.got:
                reader.read(1_024)
            reader.socket.setblocking(False)
        before = server.memory_info().rss
        fill(client, [f"u:{reader.user}" for reader in readers], "m", each=DELIVERIES)
        for shard in range(SHARDS):
            Drain(client, ShardKeys("default", shard), "default", SHARDS).run()
        most, seconds = _until_dropped(server, port, readers)
        behind = [_finish(reader) for reader in readers]
        gaps = _resume(port, behind)
    each = max(0, most - before) / number / 1024
    failed = gaps or ("" if seconds < WAIT_SECONDS else f"some of {number:,} were still held after {seconds:g} s")
    had = sum(len(events) for _, events in behind) / number
    note = f"more than idle, at most; all hung up on {seconds:.0f} s after the last delivery (time for sending: {SEND_TIMEOUT} s); each had {had:.0f} of {DELIVERIES} deliveries and got the rest by Last-Event-ID"
    yield Row(f"slow readers, a byte a second ({number:,})", "KB each", each, None, each, 128, False, note, failed)


def _until_dropped(server: psutil.Process, port: int, readers: Sequence[Slow]) -> tuple[int, float]:
    """The most memory meanwhile, and how long it took."""
    started, most = time.monotonic(), 0
    while (passed := time.monotonic() - started) < WAIT_SECONDS:
        most = max(most, server.memory_info().rss)
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
            if b"engage_streams 0.0" in reply.read():
                break
        for reader in readers:
            reader.read(1)
        time.sleep(1)
    return most, passed


def _finish(reader: Slow) -> tuple[str, list[tuple[str, str]]]:
    """What had reached it when it was hung up on."""
    reader.socket.settimeout(5)
    deadline = time.monotonic() + 60
    while reader.read(65_536) and time.monotonic() < deadline:
        pass
    reader.socket.close()
    return reader.user, reader.events()


def _resume(port: int, behind: Sequence[tuple[str, list[tuple[str, str]]]]) -> str:
    """Everybody comes back with the last cursor; what is wrong with what they then have, beside their inboxes."""
    for start in range(0, len(behind), RESUMED_AT_ONCE):
        some = behind[start : start + RESUMED_AT_ONCE]
        clients = [Slow(port, user, events[-1][0] if events else "0-0") for user, events in some]
        with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
            for back in clients:
                stack.enter_context(back.socket)
                selector.register(back.socket, selectors.EVENT_READ, back)
            deadline = time.monotonic() + WAIT_SECONDS
            wanted = {back.user: DELIVERIES - len(events) for back, (_, events) in zip(clients, some, strict=True)}
            while selector.get_map() and time.monotonic() < deadline:
                for key, _ in selector.select(1):
                    if not key.data.read(65_536) or key.data.has(wanted[key.data.user]):
                        selector.unregister(key.fileobj)
        for back, (user, events) in zip(clients, some, strict=True):
            with urlopen(
                f"http://127.0.0.1:{port}/v1/inbox?writeKey={processes.WRITE_KEY}&userId={user}", timeout=30
            ) as reply:
                inbox = [found["delivery_id"] for found in msgspec.json.decode(reply.read())["deliveries"]]
            if (have := [delivery for _, delivery in events + back.events()]) != inbox:
                return f"{user} had {len(events)}, came back, and has {len(have)} of {len(inbox)}: a gap, or one twice"
    return ""
