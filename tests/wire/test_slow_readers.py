"""Clients that hardly read, over real sockets: they are hung up on, lose nothing by it, and nobody else waits for them."""

import contextlib
import socket
import threading

import httpx
import pytest

from tests.conftest import Service, StartService, until

TEXT = "All work and no play. " * 370  # about 8 KB: a few fill what the system keeps for a connection
DOCUMENTS = {
    "rules": {"id": "long", "trigger": "Wake", "message": "long", "frequency": "always"},
    "messages": {"id": "long", "kind": "banner", "content": {"en": {"text": TEXT}}},
}
SLOW, DELIVERIES = 10, 60


@pytest.fixture(scope="module")
def impatient(module_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("slow") / "definitions"
    for kind, document in DOCUMENTS.items():
        (folder / kind).mkdir(parents=True)
        (folder / kind / f"{document['id']}.json").write_bytes(httpx.Request("POST", "http://x", json=document).content)
    return module_service(rules=folder, env={"ENGAGE_SEND_TIMEOUT": "2s"})


class SlowReader(threading.Thread):
    """Reads a few events as they come, then a byte now and then; once it was hung up on, what had reached it."""

    def __init__(self, service: Service, user: str, hung_up: threading.Event) -> None:
        super().__init__()
        self.user, self.got = user, b""
        self._hung_up = hung_up
        self._connection = socket.socket()
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        self._connection.settimeout(60)
        self._connection.connect(("127.0.0.1", service.port))
        query = f"/v1/stream?writeKey={service.write_key}&userId={user}"
        self._connection.sendall(f"GET {query} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        while b": connected" not in self.got:
            self.got += self._connection.recv(1_024)
        self.start()

    def run(self) -> None:
        with self._connection, contextlib.suppress(ConnectionError):
            while data := self._connection.recv(1 if self._is_slow else 4_096):
                self.got += data
                if self._is_slow:
                    self._hung_up.wait(0.05)

    @property
    def _is_slow(self) -> bool:
        return self.got.count(b"event: message") >= 3 and not self._hung_up.is_set()

    @property
    def ids(self) -> list[str]:
        """Of the events that came whole."""
        events = self.got.decode(errors="replace").split("event: message\n")[1:]
        return [event.split("\n")[0].removeprefix("id: ") for event in events if TEXT[-200:].strip() in event]


def follow(service: Service, user: str, last: str, number: int) -> list[tuple[str, str]]:
    """The next events of a stream that goes on behind `last`: their ids, and those of their deliveries."""
    found: list[tuple[str, str]] = []
    with (
        service.client(timeout=60) as client,
        client.stream("GET", "/v1/stream", params={"userId": user}, headers={"last-event-id": last}) as reply,
    ):
        entry = ""
        for line in reply.iter_lines():
            if line.startswith("id: "):
                entry = line[4:]
            elif line.startswith("data: "):
                found.append((entry, line.split('"delivery_id":"')[1][:32]))
                if len(found) == number:
                    break
    return found


def test_slow_readers_are_hung_up_on_and_go_on_without_a_gap(impatient):
    hung_up = threading.Event()
    readers = [SlowReader(impatient, f"slow-{number}", hung_up) for number in range(SLOW)]
    with impatient.client(timeout=60) as client:
        for reader in readers:
            batch = [{"type": "track", "event": "Wake", "userId": reader.user} for _ in range(DELIVERIES)]
            assert client.post("/v1/batch", json={"batch": batch}).status_code == 200
        quick = follow(impatient, "slow-0", "", DELIVERIES)  # beside them another tab of one of them gets all
        try:
            until(lambda: "engage_streams 0.0" in client.get("/metrics").text, what="all were hung up on")
        finally:
            hung_up.set()
        for reader in readers:
            reader.join(60)
        until(lambda: "slow readers hung up on" in impatient.log, what="the log says it")
        for reader in readers:
            before = reader.ids
            assert 1 <= len(before) < DELIVERIES
            inbox = client.get("/v1/inbox", params={"userId": reader.user}).json()["deliveries"]
            assert len(inbox) == DELIVERIES
            after = follow(impatient, reader.user, before[-1], DELIVERIES - len(before))
            wanted = [delivery["delivery_id"] for delivery in inbox]
            assert [delivery for _, delivery in after] == wanted[len(before) :]
            if reader.user == "slow-0":
                assert [entry for entry, _ in quick] == before + [entry for entry, _ in after]


def test_a_long_answer_that_nobody_takes_ends_too(impatient):
    with impatient.client() as client, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", impatient.port))
        batch = [{"type": "track", "event": "Wake", "userId": "long"} for _ in range(DELIVERIES)]
        assert client.post("/v1/batch", json={"batch": batch}).status_code == 200
        until(
            lambda: len(client.get("/v1/inbox", params={"userId": "long"}).json()["deliveries"]) == DELIVERIES,
            what="a long inbox",
        )
        before = impatient.log.count("slow readers hung up on")
        query = f"/v1/inbox?writeKey={impatient.write_key}&userId=long"
        connection.sendall(f"GET {query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        until(lambda: impatient.log.count("slow readers hung up on") > before, what="it is hung up on")
