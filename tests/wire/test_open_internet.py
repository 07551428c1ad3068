"""Hostile traffic over real sockets, against a service with small limits."""

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import Service, StartService, until

# The tests come from 127.0.0.1 and say whom they speak for, as a proxy would.
LIMITS = {
    "ENGAGE_RATE_PER_KEY": "100000/100000",
    "ENGAGE_RATE_PER_IP": "2/20",
    "ENGAGE_RATE_PER_USER": "2/10",
    "ENGAGE_STREAMS_PER_USER": "3",
    "ENGAGE_MAX_STREAMS": "5",
    "ENGAGE_HEAD_TIMEOUT": "1s",
    "ENGAGE_BODY_TIMEOUT": "2s",
    "ENGAGE_ALLOWED_ORIGINS": "https://*.example.com",
}
SMALL = {
    "ENGAGE_MAX_CONNECTIONS": "60",
    "ENGAGE_CONNECTIONS_PER_IP": "20",
    "ENGAGE_TRUSTED_PROXIES": "192.0.2.1",
    "ENGAGE_RATE_PER_IP": "20/120",
    "ENGAGE_RATE_PER_KEY": "5/60",
    "ENGAGE_STORE_IP": "yes",
}
HEAD = b"POST /v1/track HTTP/1.1\r\nhost: x\r\n"


@pytest.fixture(scope="module")
def guarded(module_service: StartService) -> Service:
    return module_service(env=LIMITS)


@pytest.fixture(scope="module")
def small(module_service: StartService) -> Service:
    return module_service(env=SMALL)


def connect(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=20)


def answer(connection: socket.socket) -> bytes:
    """All that comes until the service closes."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(65_536):
            got += data
    return got


def ahead(service: Service, sent: list[tuple[str, dict[str, str]]]) -> list[tuple[int, str]]:
    """Sends requests faster than a bucket fills, however slow the machine is: all at once, GET or (to /v1/track) POST, each with its
    headers. The statuses, and what came with each."""
    text = b""
    for number, (path, headers) in enumerate(sent):
        body = b'{"userId":"ahead-%d","event":"A","writeKey":"%b"}' % (number, service.write_key.encode())
        if path != "/v1/track":
            body = b""
        closing = {"connection": "close"} if number == len(sent) - 1 else {}
        lines = [f"{name}: {value}" for name, value in ({"host": "x", **headers, **closing}).items()]
        first = f"{'POST' if body else 'GET'} {path} HTTP/1.1"
        text += "\r\n".join([first, *lines, f"content-length: {len(body)}", "", ""]).encode() + body
    with connect(service) as connection:
        connection.sendall(text)
        replies = answer(connection).decode().split("HTTP/1.1 ")[1:]
    assert len(replies) == len(sent)
    return [(int(reply[:3]), reply.lower()) for reply in replies]


def track(client: httpx.Client, user: str, **headers: str) -> httpx.Response:
    return client.post("/v1/track", json={"userId": user, "event": "A"}, headers=headers)


def refused(reply: httpx.Response) -> int:
    """What a refusal for the rate says to wait."""
    assert (reply.status_code, reply.json()["error"]["code"]) == (429, "rate_limited"), reply.text
    return int(reply.headers["retry-after"])


def test_a_head_that_does_not_come_ends_with_408(guarded):
    with contextlib.ExitStack() as stack:
        waiting = []
        for sent in (b"", b"P", HEAD, HEAD + b"x: "):  # nothing, one byte, no end, half a header
            waiting.append(stack.enter_context(connect(guarded)))
            waiting[-1].sendall(sent)
        for connection in waiting:
            reply = answer(connection)
            assert reply.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert b'"request_timeout"' in reply
            assert b"x-content-type-options: nosniff" in reply


def test_a_head_or_a_body_that_trickles_ends_with_408(guarded):
    bodies = [
        b"POST " + path + b" HTTP/1.1\r\nhost: x\r\n" + length + b"\r\n\r\n"
        for path in (b"/v1/track", b"/v1/deliveries/x/claim", b"/nowhere")
        for length in (b"content-length: 100", b"transfer-encoding: chunked")
    ]
    with contextlib.ExitStack() as stack:
        slow = {stack.enter_context(connect(guarded)): sent for sent in [*bodies, HEAD + b"x: "]}
        for connection, sent in slow.items():
            connection.sendall(sent)
        stop = threading.Event()

        def trickle() -> None:
            while not stop.wait(0.2):
                for connection, sent in slow.items():
                    with contextlib.suppress(OSError):
                        connection.sendall(b"1\r\n{\r\n" if b"chunked" in sent else b"{")

        sender = threading.Thread(target=trickle)
        sender.start()
        try:
            replies = [answer(connection) for connection in slow]
        finally:
            stop.set()
            sender.join()
    assert [reply[9:12] for reply in replies] == [b"408", b"408", b"408", b"408", b"404", b"404", b"408"]


def test_a_slow_second_request_ends_and_the_first_was_answered(guarded):
    with connect(guarded) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /he")
        reply = answer(connection)
    assert reply.startswith(b"HTTP/1.1 200 ")
    assert reply.count(b"HTTP/1.1 408 ") == 1


def _until_the_end(connection: socket.socket) -> bytes:
    """The whole of a `/healthz` answer: its head and its body may come one after the other."""
    reply = b""
    while not reply.endswith(b'{"status":"ok"}') and (more := connection.recv(65_536)):
        reply += more
    return reply


def test_idle_connections_and_open_streams_are_not_slow(guarded):
    with guarded.client() as client, client.stream("GET", "/v1/stream", params={"userId": "patient"}) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry: ")
        with connect(guarded) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert _until_the_end(connection).startswith(b"HTTP/1.1 200 ")
            time.sleep(3.5)  # longer than a head or a body may take
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert _until_the_end(connection).startswith(b"HTTP/1.1 200 ")


def test_a_declared_length_is_refused_before_the_body_comes(guarded):
    with connect(guarded) as connection:
        connection.sendall(HEAD + b"expect: 100-continue\r\ncontent-length: 600000000\r\n\r\n")
        reply = connection.recv(65_536)
    assert reply.startswith(b"HTTP/1.1 413 ")


def test_an_endless_body_in_pieces_is_refused_at_the_cap(guarded):
    with connect(guarded) as connection:
        connection.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        for _ in range(9):
            connection.sendall(chunk)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")
        with contextlib.suppress(OSError):  # it goes on, and is hung up on
            for _ in range(100):
                connection.sendall(chunk)
                time.sleep(0.1)
            pytest.fail("an endless body was read for ten seconds")


@pytest.mark.parametrize("layers", [1, 2])
def test_bombs_do_not_inflate(guarded, layers):
    bomb = b"[" * 200_000_000
    for _ in range(layers):
        bomb = gzip.compress(bomb, 1)
    with guarded.client() as client:
        reply = client.post(
            "/v1/batch", content=bomb, headers={"content-encoding": "gzip", "x-forwarded-for": "198.51.100.2"}
        )
    assert reply.status_code in (400, 413)


def test_an_event_with_too_many_keys_is_refused_in_its_place(guarded):
    wide = {f"k{n}": n for n in range(1_001)}
    call = {"type": "track", "event": "A", "userId": "wide"}
    batch = [call, {**call, "properties": wide}, call]
    with guarded.client() as client:
        reply = client.post("/v1/batch", json={"batch": batch})
    assert [result["status"] for result in reply.json()["results"]] == [200, 400, 200]
    error = reply.json()["results"][1]["error"]
    assert (error["field"], error["expected"]) == ("$.batch[1]", "at most 1000 keys in an event")


def test_one_person_cannot_flood_and_the_next_is_not_held_up(guarded):
    with guarded.client() as client:
        replies = [track(client, "flood") for _ in range(30)]
        taken = [reply.status_code for reply in replies].count(200)
        assert 10 <= taken <= 15
        wait = refused(replies[-1])
        assert replies[-1].json()["error"]["field"] == "userId"
        assert track(client, "calm").status_code == 200
        time.sleep(wait)
        assert track(client, "flood").status_code == 200


def test_a_batch_over_the_limit_waits_whole_and_lands_whole(guarded):
    call = {"type": "track", "event": "A", "userId": "bulk"}
    batch = [{**call, "messageId": f"m{number}"} for number in range(12)]
    with guarded.client() as client:
        assert client.post("/v1/batch", json={"batch": batch}).status_code == 200
        again = [{**call, "messageId": f"n{number}"} for number in range(3)]
        wait = refused(client.post("/v1/batch", json={"batch": again}))
        time.sleep(wait)
        assert client.post("/v1/batch", json={"batch": again}).status_code == 200
        path, auth = "/api/users/bulk/export", (guarded.secret_key, "")
        until(lambda: client.get("/api/users/bulk", auth=auth).status_code == 200, what="bulk is known")
        sent = {event["messageId"] for event in batch + again}
        assert {event["messageId"] for event in client.get(path, auth=auth).json()["events"]} == sent


def test_one_address_cannot_flood_whatever_it_asks_for_and_a_page_can_read_why(guarded):
    origin = {"origin": "https://app.example.com"}
    flooder = {"x-forwarded-for": "198.51.100.7", **origin}
    paths = ["/v1/inbox?userId=a", "/api/rules", "/nowhere", "/healthz"] * 10
    replies = ahead(guarded, [(path, flooder) for path in [*paths, "/v1/track"]])
    assert 20 <= sum(status != 429 for status, _ in replies) <= 25
    for status, said in replies[-5:]:
        assert status == 429
        assert '"rate_limited"' in said
        assert int(said.partition("retry-after: ")[2].partition("\r")[0]) >= 1
    assert f"access-control-allow-origin: {origin['origin']}" in replies[-1][1]
    with guarded.client() as client:
        assert track(client, "by-address", **{**flooder, "x-forwarded-for": "198.51.100.8"}).status_code == 200


def test_what_a_client_writes_into_x_forwarded_for_itself_changes_nothing(guarded):
    # The proxy appends the true address to whatever came.
    sent = [("/v1/track", {"x-forwarded-for": f"192.0.2.{n}, 198.51.100.9"}) for n in range(60)]
    codes = [status for status, _ in ahead(guarded, sent)]
    assert 20 <= codes.count(200) <= 25
    assert codes.count(429) == 60 - codes.count(200)


def test_a_key_cannot_flood(small):
    with small.client() as client:
        codes = []
        for number in range(8):
            batch = [{"type": "track", "event": "A", "userId": f"key-{number}-{n}"} for n in range(15)]
            reply = client.post("/v1/batch", json={"batch": batch})
            codes.append(reply.status_code)
        assert 4 <= codes.count(200) <= 6
        assert refused(reply) >= 1
        assert reply.json()["error"]["field"] == "writeKey"


def test_headers_of_a_peer_that_is_no_trusted_proxy_are_not_believed(small):
    asked = b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 198.51.100.%d\r\n\r\n"
    with connect(small) as connection:  # sent ahead, so that they come faster than the bucket fills
        connection.sendall(b"".join(asked % number for number in range(200)))
        replies = b""
        while b"HTTP/1.1 429 " not in replies and replies.count(b"HTTP/1.1 200 ") < 200:
            replies += connection.recv(65_536)
    assert b"HTTP/1.1 429 " in replies
    with small.client() as client:
        reply = client.get("/healthz", headers={"x-forwarded-proto": "https"})
        assert "strict-transport-security" not in reply.headers


@pytest.fixture
def many(small) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connect(small)) for _ in range(1_000)]


def test_a_thousand_connections_of_one_address_are_bounded_and_the_service_goes_on(small, many):
    request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    found = {}
    for connection in many[:120]:
        with contextlib.suppress(OSError):
            connection.sendall(request)
            found[answer(connection).partition(b"\r\n")[0]] = 1
    assert b"HTTP/1.1 429 Too Many Requests" in found or b"HTTP/1.1 503 Service Unavailable" in found
    for connection in many:
        connection.close()
    until(lambda: small.is_ready(), what="it answers again")
    assert small.pids["serve"]


def test_a_connection_over_the_cap_is_told_when_to_come_back(small):
    until(lambda: small.is_ready(), what="it answers")
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(small)) for _ in range(20)]
        time.sleep(0.2)
        with connect(small) as one_more:
            one_more.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            reply = answer(one_more)
        assert reply.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after: 5" in reply
        held[0].sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert held[0].recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_streams_are_bounded_for_a_person_and_for_the_process(guarded):
    params = {"writeKey": guarded.write_key}
    with guarded.client(timeout=60) as client, contextlib.ExitStack() as stack:

        def open_stream(user: str) -> httpx.Response:
            return stack.enter_context(client.stream("GET", "/v1/stream", params={**params, "userId": user}))

        until(lambda: "engage_streams 0.0" in client.get("/metrics").text, what="no stream is open")
        assert [open_stream("tabs").status_code for _ in range(3)] == [200] * 3
        reply = open_stream("tabs")
        reply.read()
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "5")
        assert reply.json()["error"]["field"] == "userId"
        assert [open_stream(f"other-{n}").status_code for n in range(2)] == [200] * 2
        reply = open_stream("late")
        reply.read()
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
    with guarded.client() as client:
        until(lambda: "engage_streams 0.0" in client.get("/metrics").text, what="all streams have ended")


@pytest.mark.parametrize("origin", ["null", "https://evil.example", "https://example.com.evil.example", "*"])
@pytest.mark.parametrize("path", ["/v1/stream", "/v1/inbox", "/v1/track", "/v1/batch", "/v1/deliveries/x/claim"])
def test_hostile_origins_are_refused_wherever_a_key_is_used(guarded, origin, path):
    headers = {"origin": origin, "x-forwarded-for": f"203.0.113.{len(origin + path)}"}
    with guarded.client(headers=headers) as client:
        if path in ("/v1/stream", "/v1/inbox"):
            reply = client.get(path, params={"userId": "o"})
        else:
            event = {"type": "track", "event": "A", "userId": "o"}
            reply = client.post(path, json={"batch": [event]} if path == "/v1/batch" else event)
    assert (reply.status_code, reply.json()["error"]["field"]) == (403, "Origin")


def test_pages_below_an_allowed_domain_may_call(guarded):
    with guarded.client(headers={"origin": "https://a.b.example.com"}) as client:
        assert track(client, "below").status_code == 200
        assert client.get("/v1/inbox", params={"userId": "below"}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/v1/track", "/nowhere", "/api/rules", "/sdk/engage.js", "/metrics"])
def test_every_answer_has_the_security_headers(guarded, path):
    with guarded.client(headers={"x-forwarded-for": "203.0.113.251"}) as client:
        for proto in ("http", "https"):
            ask = client.post if path == "/v1/track" else client.get
            headers = ask(path, headers={"x-forwarded-proto": proto}).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert ("strict-transport-security" in headers) == (proto == "https")
            if path != "/v1/track":
                assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_the_log_holds_no_address(guarded):
    call = {"type": "track", "event": "A", "userId": "private", "context": {"ip": "198.51.100.77", "locale": "de"}}
    with guarded.client(headers={"x-forwarded-for": "198.51.100.77"}) as client:
        assert client.post("/v1/track", json=call).status_code == 200
        batch = {"batch": [call], "context": {"ip": "198.51.100.77", "timezone": "UTC"}}
        assert client.post("/v1/batch", json=batch).status_code == 200
        auth = (guarded.secret_key, "")
        until(lambda: client.get("/api/users/private", auth=auth).status_code == 200, what="the person is known")
        exported = client.get("/api/users/private/export", auth=auth)
    assert len(exported.json()["events"]) == 2
    assert "198.51.100.77" not in exported.text
    files = [*(guarded.data_dir / "valkey-log").rglob("*.aof"), *guarded.data_dir.glob("engage.db*")]
    assert files
    assert all(b"198.51.100.77" not in path.read_bytes() for path in files)
    assert b'"locale":' in b"".join(path.read_bytes() for path in files)


def test_an_address_is_kept_where_the_operator_says_so(small):
    call = {"event": "A", "userId": "kept", "context": {"ip": "198.51.100.77"}}
    with small.client() as client:
        until(lambda: client.post("/v1/track", json=call).status_code == 200, what="there is room")
        auth = (small.secret_key, "")
        path = "/api/users/kept/export"
        events = until(lambda: client.get(path, auth=auth).json().get("events"), what="the event is in the log")
    (event,) = events
    assert event["context"] == {"ip": "198.51.100.77"}
