"""A line to the store that is dead in silence, as after a router has forgotten it: nobody hangs up, nobody answers."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.conftest import StartService, until
from tests.faults.proxy import Proxy

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]
SECONDS = 150.0


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
    running = service(tmp_path / "definitions", {"ENGAGE_REDIS_URL": proxy.url})

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
