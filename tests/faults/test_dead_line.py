"""A line to the store that is dead in silence, as after a router has forgotten it: nobody hangs up, nobody answers."""

import asyncio
import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.conftest import StartService, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]
SECONDS = 150.0


class Proxy:
    """Between 127.0.0.1 and a Unix socket; `silence()` makes the lines that are open deaf and dumb, new ones are good."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path
        self._silent: list[asyncio.Event] = []
        self._lines: list[asyncio.Task | None] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)

    def silence(self) -> None:
        self._loop.call_soon_threadsafe(lambda: [silent.set() for silent in self._silent])

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._done = asyncio.Event()
        server = await asyncio.start_server(self._line, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._done.wait()
        server.close()
        for task in self._lines:
            task.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent = asyncio.Event()
        self._silent.append(silent)
        self._lines.append(asyncio.current_task())
        store_reader, store_writer = await asyncio.open_unix_connection(self._path)
        try:
            await asyncio.gather(_copy(reader, store_writer, silent), _copy(store_reader, writer, silent))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            store_writer.close()
            writer.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter, silent: asyncio.Event) -> None:
    while data := await source.read(65_536):
        if not silent.is_set():
            target.write(data)
            await target.drain()
    if not silent.is_set():
        target.close()


@pytest.fixture
def proxy(empty_store: str) -> Iterator[Proxy]:
    made = Proxy(empty_store.removeprefix("unix://"))
    yield made
    made.close()


def read_stream(url: str, query: dict[str, str], came: list[str], stop: threading.Event) -> None:
    """As a browser does it: when a stream ends, the next one goes on after the last event."""
    last: dict[str, str] = {}
    while not stop.is_set():
        try:
            with (
                httpx.Client(timeout=SECONDS) as client,
                client.stream("GET", f"{url}/v1/stream", params=query, headers=last) as reply,
            ):
                for line in reply.iter_lines():
                    if line.startswith("id: "):
                        last["last-event-id"] = line.removeprefix("id: ")
                    elif line.startswith("data: "):
                        came.append(line)
        except httpx.HTTPError:
            pass
        stop.wait(0.2)


def test_events_decisions_and_streams_go_on_over_new_lines(service: StartService, proxy: Proxy, tmp_path: Path) -> None:
    rule = {"id": "r", "trigger": "Go", "message": "m", "frequency": "always"}
    message = {"id": "m", "kind": "banner", "content": {"en": {"text": "hello"}}}
    for kind, document in (("rules", rule), ("messages", message)):
        (tmp_path / "definitions" / kind).mkdir(parents=True)
        (tmp_path / "definitions" / kind / f"{document['id']}.json").write_text(json.dumps(document))
    running = service(tmp_path / "definitions", {"ENGAGE_REDIS_URL": f"redis://127.0.0.1:{proxy.port}"})

    came: list[str] = []
    query = {"writeKey": running.write_key, "userId": "u"}
    stop = threading.Event()
    reading = threading.Thread(target=read_stream, args=(running.url, query, came, stop))
    reading.start()
    with running.client(timeout=20) as client:

        def acknowledged(number: int) -> bool:
            return client.post("/v1/track", json={"userId": "u", "event": "Go", "messageId": f"m{number}"}).is_success

        for number in (1, 2):
            until(partial(acknowledged, number), SECONDS, "the event is acknowledged")
            until(lambda number=number: len(came) == number, SECONDS, f"delivery {number} is on the stream")
            proxy.silence()
    stop.set()
    running.stop()
    reading.join(10)
