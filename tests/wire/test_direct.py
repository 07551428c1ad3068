"""The tracking API straight from the connection: HTTP as clients, and others, speak it, byte by byte."""

import contextlib
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from engage.protocol import MAX_HEAD_BYTES
from engage.settings import load_settings
from tests.conftest import Service, StartService, until
from tests.wire.conftest import Wire

MANY = 100_000_000
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


class Line:
    """A connection, spoken to in bytes."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.socket = socket.create_connection(("127.0.0.1", wire.product.port), timeout=60)
        self._read = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def post(self, path: str, body: Any, *lines: str, version: str = "1.1") -> bytes:
        """The bytes of a request."""
        content = body if isinstance(body, bytes) else json.dumps({"writeKey": self.wire.key, **body}).encode()
        head = [f"POST {path} HTTP/{version}", "host: x", f"content-length: {len(content)}", *lines]
        return "\r\n".join([*head, "", ""]).encode() + content

    def reply(self) -> tuple[int, dict[str, str], Any]:
        """The next answer: status, headers, body."""
        while b"\r\n\r\n" not in self._read:
            self._more()
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        if first.startswith("HTTP/1.1 100"):
            return 100, headers, None
        length = int(headers["content-length"])
        while len(self._read) < length:
            self._more()
        body, self._read = self._read[:length], self._read[length:]
        return int(first.split()[1]), headers, json.loads(body)

    def _more(self) -> None:
        data = self.socket.recv(65_536)
        assert data, f"the connection ended after {self._read!r}"
        self._read += data

    def ended(self) -> bool:
        """Waits until the other side has closed."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


@pytest.fixture
def line(wire: Wire) -> Iterator[Line]:
    made = Line(wire)
    yield made
    made.socket.close()


def track(user: str, **fields: object) -> dict[str, object]:
    return {"userId": user, "event": "Ok", **fields}


def test_one_connection_carries_many_calls(line: Line, person: str) -> None:
    for number in range(20):
        line.send(line.post("/v1/track", track(person, messageId=f"{person}-{number}")))
        status, headers, body = line.reply()
        assert (status, body) == (200, {"success": True})
        assert headers["content-type"] == "application/json"
        assert headers["x-content-type-options"] == "nosniff"
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", headers["date"])
        assert "connection" not in headers
    assert len(line.wire.events(person)) == 20


def test_what_is_sent_ahead_is_answered_in_order(line: Line, person: str) -> None:
    sent = [
        line.post("/v1/track", track(person)),
        line.post("/v1/track", {"userId": person}),
        HEALTH,
        line.post("/v1/batch", {"batch": [{"type": "track", **track(person)}, {}]}),
        HEALTH,
        line.post("/v1/track", track(person)),
        line.post("/v1/nothing", {}),
        line.post("/v1/identify", {"userId": person}),
    ]
    line.send(b"".join(sent))
    replies = [line.reply() for _ in sent]
    assert [status for status, _, _ in replies] == [200, 400, 200, 200, 200, 200, 404, 200]
    assert replies[1][2]["error"]["field"] == "$.event"
    assert replies[2][2] == {"status": "ok"}
    assert [result["status"] for result in replies[3][2]["results"]] == [200, 400]
    assert len(line.wire.events(person)) == 4


def test_much_that_is_sent_ahead_is_no_long_head(line: Line, person: str) -> None:
    """Its pieces end in the middle of heads."""
    size = {"properties": {"text": "x" * 20_000}}
    line.send(b"".join(line.post("/v1/track", track(person, **size)) for _ in range(100)))
    assert [line.reply()[0] for _ in range(100)] == [200] * 100


CASES: list[tuple[str, Any, list[str]]] = [
    ("/v1/track", track("alike"), []),
    ("/v1/track", track("alike"), ["origin: https://page.example"]),
    ("/v1/track", track("alike"), ["x-forwarded-proto: https"]),
    ("/v1/track?x=1", track("alike"), []),
    ("/v1/t", {"userId": "alike"}, []),
    ("/v1/batch", {"batch": [{"type": "page", "userId": "alike"}, {"type": "none"}]}, []),
    ("/v1/batch", {"batch": []}, []),
    ("/v1/batch", b"{", []),
    ("/v1/track", b"", []),
    ("/v1/track", track("alike", writeKey="wrong"), []),
    ("/v1/track", b"x" * 600_000, []),
    ("/v1/track", b"not gzip", ["content-encoding: gzip"]),
    ("/v1/track", b"{}", ["content-encoding: br"]),
    ("/v1/m", {"series": []}, []),
]


@pytest.mark.parametrize(("path", "body", "lines"), CASES)
def test_a_call_is_answered_the_same_whichever_way_it_goes(line: Line, path: str, body: Any, lines: list[str]) -> None:
    """Alone it goes straight; behind another request it waits for its turn as all others do."""
    line.send(line.post(path, body, *lines))
    straight = line.reply()
    line.send(HEALTH + line.post(path, body, *lines))
    assert line.reply()[0] == 200
    waited = line.reply()
    assert straight[0] == waited[0]
    assert straight[2] == waited[2]
    assert {name: value for name, value in straight[1].items() if name != "date"} == {
        name: value for name, value in waited[1].items() if name != "date"
    }


def test_a_call_in_pieces_and_in_chunks_is_one_call(line: Line, person: str) -> None:
    for byte in line.post("/v1/track", track(person, messageId="pieces")):
        line.send(bytes([byte]))
    assert line.reply()[0] == 200
    body = json.dumps({"writeKey": line.wire.key, **track(person, messageId="chunks")}).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(body[n : n + 7]), body[n : n + 7]) for n in range(0, len(body), 7))
    line.send(b"POST /v1/track HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert line.reply()[0] == 200
    assert [event["messageId"] for event in line.wire.events(person)] == ["pieces", "chunks"]


def test_who_asks_before_sending_a_body_is_told_to_go_on_or_not_to(line: Line, person: str) -> None:
    request = line.post("/v1/track", track(person), "expect: 100-continue")
    head, _, body = request.partition(b"\r\n\r\n")
    line.send(head + b"\r\n\r\n")
    assert line.reply()[0] == 100
    line.send(body)
    assert line.reply()[0] == 200
    line.send(b"POST /v1/track HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\nexpect: 100-continue\r\n\r\n")
    assert line.reply()[0] == 413


@pytest.mark.parametrize(("version", "lines"), [("1.0", []), ("1.1", ["connection: close"])])
def test_a_connection_ends_where_the_client_wants_no_more(
    line: Line, person: str, version: str, lines: list[str]
) -> None:
    line.send(line.post("/v1/track", track(person), *lines, version=version))
    status, headers, _ = line.reply()
    assert (status, headers["connection"]) == (200, "close")
    assert line.ended()


def test_a_body_without_an_end_is_refused_at_the_cap_and_the_line_is_good_for_more(line: Line, person: str) -> None:
    line.send(b"POST /v1/track HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    piece = b"400\r\n" + b"x" * 1_024 + b"\r\n"
    for _ in range(600):
        line.send(piece)
    assert line.reply()[0] == 413
    line.send(b"0\r\n\r\n" + line.post("/v1/track", track(person)))
    assert line.reply()[0] == 200


def test_another_method_is_told_the_right_one(line: Line) -> None:
    line.send(b"PUT /v1/track HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
    status, headers, _ = line.reply()
    assert (status, headers["allow"]) == (405, "POST")


def test_a_path_with_escapes_is_the_same_path(line: Line, person: str) -> None:
    line.send(line.post("/v1/tr%61ck", track(person)))
    assert line.reply()[0] == 200


def test_who_hangs_up_before_the_answer_has_sent_all_the_same(wire: Wire, person: str) -> None:
    for number in range(10):
        line = Line(wire)
        line.send(line.post("/v1/track", track(person, messageId=f"{person}-{number}")))
        line.socket.close()
    wire.track(person, "Ok", messageId=f"{person}-last")
    until(lambda: len(wire.events(person)) == 11, what="all are in the log")


def test_who_never_reads_is_held_up_and_nobody_else(wire: Wire, person: str) -> None:
    line = Line(wire)
    line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    requests = line.post("/v1/m", b"{}") * 1_000  # each has an answer of several times its size
    line.socket.settimeout(3)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < MANY:
            sent += line.socket.send(requests[sent % len(requests) :])
    assert sent < MANY, "the service reads on and on for one who takes no answers"
    wire.track(person, "Ok")
    line.socket.close()


@pytest.fixture(scope="module")
def own(module_service: StartService) -> Service:
    """A product that may be stopped, and closes idle connections soon."""
    return module_service(env={"ENGAGE_KEEP_ALIVE": "3s"})


def test_an_idle_connection_is_closed_after_its_time_and_one_in_use_is_not(own: Service) -> None:
    wire = Wire(own)
    idle, used = Line(wire), Line(wire)
    for one in (idle, used):
        one.send(one.post("/v1/track", track("keeps")))
        assert one.reply()[0] == 200
    idle.socket.settimeout(0.5)
    for _ in range(60):
        used.send(used.post("/v1/track", track("keeps")))
        assert used.reply()[0] == 200
        try:
            assert idle.socket.recv(1) == b""
            break
        except TimeoutError:
            continue
    else:
        pytest.fail("the idle connection stayed open")
    used.send(used.post("/v1/track", track("keeps")))
    assert used.reply()[0] == 200
    for one in (idle, used):
        one.socket.close()
    wire.http.close()


def test_a_service_that_is_told_to_stop_answers_first(own: Service) -> None:
    """The store is held up meanwhile: the call is under way when the signal comes."""
    wire = Wire(own)
    line = Line(wire)
    line.send(line.post("/v1/track", track("before")))
    assert line.reply()[0] == 200
    serve = own.pids["serve"]
    with redis.Redis.from_url(load_settings(own.environment).redis_url) as store:
        store.execute_command("CLIENT", "PAUSE", "1500", "ALL")
        line.send(line.post("/v1/track", track("during")))
        line.socket.settimeout(30)
        assert wire.http.get("/healthz").status_code == 200  # what was sent before it has been read too
        os.kill(serve, signal.SIGTERM)
        status, headers, _ = line.reply()
        assert (status, headers["connection"]) == (200, "close")
    line.socket.close()
    wire.http.close()


def test_trailers_without_an_end_are_refused_as_a_long_head_is(line: Line) -> None:
    line.send(b"POST /v1/track HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 20_000_000:
            line.send(b"x: %b\r\n" % (b"a" * 1_000))
            sent += 1_000
    assert sent < 20_000_000


def test_who_asks_for_another_protocol_is_served_in_this_one(line: Line, person: str) -> None:
    """As Java's client does."""
    asking = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABkAARAAAAAAAIAAAAA")
    line.send(line.post("/v1/track", track(person), *asking) + line.post("/v1/track", track(person)))
    assert [line.reply()[0] for _ in range(2)] == [200, 200]
    request = line.post("/v1/track", track(person), *asking)
    line.send(request[:-10])
    line.send(request[-10:] + HEALTH)
    assert [line.reply()[0] for _ in range(2)] == [200, 200]
    assert len(line.wire.events(person)) == 3


def test_no_answer_is_taken_for_that_of_an_earlier_call(line: Line, person: str) -> None:
    broken = b"POST /v1/track HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nZZZ\r\n"
    line.send(line.post("/v1/track", track(person)) + broken)
    with contextlib.suppress(AssertionError, ConnectionError):  # it may just be closed
        assert line.reply()[0] == 200
    until(lambda: len(line.wire.events(person)) == 1, what="the first is in the log")


@pytest.mark.parametrize("route", ["POST /v1/track", "GET /healthz"])
@pytest.mark.parametrize("pieces", [1, 3])
def test_a_head_has_64_kb_and_not_a_byte_more(wire: Wire, route: str, pieces: int) -> None:
    body = json.dumps({"writeKey": wire.key, "userId": "u", "event": "E"}).encode()
    lines = [b"host: x", b"content-length: %d" % len(body), b"x: "]
    room = MAX_HEAD_BYTES - len(route.split()[1]) - sum(len(line) + 2 for line in lines)
    for more, expected in ((0, 200), (1, 431)):
        line = Line(wire)
        text = b"\r\n".join([f"{route} HTTP/1.1".encode(), *lines]) + b"y" * (room + more) + b"\r\n\r\n" + body
        step = -(-len(text) // pieces)
        for start in range(0, len(text), step):
            line.send(text[start : start + step])
            time.sleep(0.05 * (pieces > 1))
        status, _, answer = line.reply()
        assert (status, status == 200 or answer["error"]["code"]) == (expected, status == 200 or "headers_too_large")
        line.socket.close()
