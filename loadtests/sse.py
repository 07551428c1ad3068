"""A browser's EventSource and what the snippet does around it, for locust: reconnecting, resuming, backing off."""

import contextlib
import json
import random
import socket
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import gevent

RETRY_SECONDS: Final = 3.0  # until the service says another
TIMEOUT_SECONDS: Final = 60.0


class EventSource:
    """One stream after another, until it is closed. `received(delivery)` is called for each event, `changed(state)` with
    `open`, `lost` or `refused: <status>`; `person()` gives the query that says whose stream it is."""

    def __init__(
        self,
        host: str,
        person: Callable[[], dict[str, str]],
        received: Callable[[dict[str, Any]], None],
        changed: Callable[[str], None],
        headers: dict[str, str] | None = None,
    ) -> None:
        parts = urlsplit(host)
        self._make = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._address = parts.hostname or "", parts.port
        self._person, self._received, self._changed = person, received, changed
        self._headers = headers or {}
        self._connection: HTTPConnection | None = None
        self._greenlet = gevent.spawn(self._run)
        self.is_open = False
        self.last = ""

    def cut(self) -> None:
        """The line breaks; what follows is the browser's own doing."""
        if self._connection is not None and self._connection.sock is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._greenlet.kill()
        if self._connection is not None:
            self._connection.close()

    def _run(self) -> None:
        retry, failures = RETRY_SECONDS, 0
        while True:
            try:
                status = self._open()
                if status != 200:
                    # A browser gives up on a refusal; the snippet polls, and comes back after a while.
                    failures += 1
                    self._changed(f"refused: {status}")
                    gevent.sleep(backoff(failures))
                    continue
                failures, self.is_open = 0, True
                self._changed("open")
                for field, value in self._lines():
                    if field == "retry":
                        retry = int(value) / 1_000
                    elif field == "id":
                        self.last = value
                    elif field == "data":
                        self._received(json.loads(value))
            except (OSError, HTTPException, AttributeError):  # AttributeError: cut while it was being opened
                pass
            if self.is_open:
                self.is_open = False
                self._changed("lost")
            gevent.sleep(retry)

    def _open(self) -> int:
        self._connection = self._make(*self._address, timeout=TIMEOUT_SECONDS)
        headers = self._headers | ({"last-event-id": self.last} if self.last else {})
        self._connection.request("GET", f"/v1/stream?{urlencode(self._person())}", headers=headers)
        self._reply = self._connection.getresponse()
        return self._reply.status

    def _lines(self) -> Iterator[tuple[str, str]]:
        while line := self._reply.readline():
            field, _, value = line.decode().rstrip("\n").partition(": ")
            yield field, value


def backoff(failures: int) -> float:
    """As sdk_js/src/core/backoff.ts, in seconds."""
    return min(30.0, 0.5 * 2**failures) * (0.5 + random.random() / 2)
