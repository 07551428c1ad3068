"""A small stand-in for the service: it takes events, streams deliveries and lets them be claimed, all in memory.

It answers as the public wire of DESIGN section 8 does, so that the built bundle can be tested alone; and it can be told
to fail. Pages are served from the same port under another host name, so every call is cross-origin.
"""

import json
import queue
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

DIST = Path(__file__).parents[2] / "sdk_js" / "dist"
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".woff2": "font/woff2"}
Json = dict[str, Any]


class FakeService:
    """`events` are in order of arrival, once per messageId; `received` counts also what was sent again."""

    def __init__(self) -> None:
        self.events: list[Json] = []
        self.received: list[Json] = []
        self.batches: list[Json] = []
        self.calls: list[tuple[str, str]] = []  # (claim | release, delivery id)
        self.bodies: list[Json] = []  # of the same
        self.claimed: set[str] = set()
        self.taken: set[str] = set()  # ids that another device has claimed
        self.inbox: list[Json] = []
        self._held: dict[str, Json] = {}  # what was claimed once
        self.pages: dict[str, str] = {}
        self.folders: dict[str, Path] = {"sdk": DIST}  # the first word of a path → where the files under it lie
        self.articles: dict[str, Json] = {}
        self.searches: list[str] = []
        self.stream_queries: list[dict[str, str]] = []
        self.headers: dict[str, str] = {}  # sent with every page
        self.page_type = "text/html; charset=utf-8"
        self.fail: list[tuple[int, dict[str, str]]] = []  # answers to the next batches
        self.refuse: Callable[[Json], str | None] = lambda event: None
        self.down = False
        self.stream_down = False
        self._streams: list[queue.Queue[Json | None]] = []
        self._changed = threading.Condition()
        service = self

        class Handler(_Handler):
            fake = service

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.host = f"http://127.0.0.1:{self.port}"
        self.site = f"http://localhost:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def deliver(self, **delivery: Any) -> Json:
        whole = {
            "rule_id": "rule",
            "message_id": "message",
            "variant": None,
            "priority": 0,
            "show_on": None,
            "expires_at": None,
            **delivery,
        }
        with self._changed:
            self.inbox.append(whole)
            for stream in self._streams:
                stream.put(whole)
        return whole

    def accept(self, batch: Json) -> list[Json]:
        results: list[Json] = []
        with self._changed:
            self.batches.append(batch)
            known = {event["messageId"] for event in self.events}
            for event in batch["batch"]:
                reason = self.refuse(event)
                results.append({"status": 200} if reason is None else {"status": 400, "error": {"message": reason}})
                self.received.append(event)
                if reason is None and event["messageId"] not in known:
                    self.events.append(event)
            self._changed.notify_all()
        return results

    def claim(self, delivery_id: str, what: str, body: Json) -> Json:
        with self._changed:
            self._changed.notify_all()  # they go on when this is done
            self.calls.append((what, delivery_id))
            self.bodies.append(body)
            free = delivery_id not in self.claimed and delivery_id not in self.taken
            if what == "claim":
                self.claimed.add(delivery_id)
                self._held |= {d["delivery_id"]: d for d in self.inbox}
                self.inbox = [d for d in self.inbox if d["delivery_id"] != delivery_id]
                return {"claimed": free}
            held = self._held.get(delivery_id, {})
            turn = held.get("turn", 0)
            released = body.get("turn", turn) == turn and delivery_id in self.claimed
            if released:
                self.claimed.discard(delivery_id)
                if "step" in body and "snooze" not in body:
                    self.deliver(**held | {"step": body["step"], "shown": True, "turn": turn + 1})
            return {"released": released}

    def names(self) -> list[str]:
        return [event.get("event") or event["type"] for event in self.events]

    def wait(self, ready: Callable[[], Any], timeout: float = 30) -> Any:
        """Waits until `ready()` holds; something must arrive for it to be asked again."""
        with self._changed:
            assert self._changed.wait_for(ready, timeout), f"not within {timeout} s; came: {self.names()} {self.calls}"
            return ready()

    def wait_event(self, name: str, count: int = 1) -> Json:
        self.wait(lambda: self.names().count(name) >= count)
        return [event for event in self.events if (event.get("event") or event["type"]) == name][count - 1]

    def open_stream(self, query: dict[str, str]) -> "queue.Queue[Json | None]":
        mine: queue.Queue[Json | None] = queue.Queue()
        with self._changed:
            self.stream_queries.append(query)
            for delivery in self.inbox:
                mine.put(delivery)
            self._streams.append(mine)
            self._changed.notify_all()
        return mine

    def close_stream(self, stream: "queue.Queue[Json | None]") -> None:
        with self._changed:
            if stream in self._streams:
                self._streams.remove(stream)
            self._changed.notify_all()

    def search(self, query: str) -> list[Json]:
        """The articles in which all the words are; the real search is tested with the service."""
        self.searches.append(query)
        return [
            {"id": id, "locale": article["locale"], "title": article["title"], "excerpt": article["body"][:80]}
            for id, article in self.articles.items()
            if all(word in f"{article['title']} {article['body']}".lower() for word in query.lower().split())
        ]

    def stream_count(self) -> int:
        return len(self._streams)

    def drop_streams(self) -> None:
        with self._changed:
            for stream in self._streams:
                stream.put(None)

    def close(self) -> None:
        self.drop_streams()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeService
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/v1/stream":
            self._stream(query)
        elif url.path == "/v1/inbox":
            self._json(503 if self.fake.down else 200, {"deliveries": self.fake.inbox})
        elif url.path.startswith("/v1/articles/"):
            article = self.fake.articles.get(unquote(url.path.removeprefix("/v1/articles/")))
            self._json(200 if article else 404, article or {"error": {"message": "no such article"}})
        elif url.path == "/v1/articles":
            self._json(503 if self.fake.down else 200, {"articles": self.fake.search(query.get("q", ""))})
        elif url.path in self.fake.pages:
            self._send(200, self.fake.pages[url.path].encode(), self.fake.page_type, self.fake.headers)
        else:
            room, _, name = url.path.removeprefix("/").partition("/")
            if room in self.fake.folders:
                self._file(self.fake.folders[room] / name)
            else:
                self._send(404, b"", "text/plain", {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}")
        parts = self.path.split("/")
        if self.fake.down:
            self._json(503, {"error": {"message": "away"}})
        elif self.path == "/v1/batch":
            if self.fake.fail:
                status, headers = self.fake.fail.pop(0)
                self._json(status, {"error": {"message": f"told to fail with {status}"}}, headers)
            else:
                self._json(200, {"success": True, "results": self.fake.accept(body)})
        elif self.path.startswith("/v1/deliveries/"):
            self._json(200, self.fake.claim(unquote(parts[3]), parts[4], body))
        else:
            self._json(404, {})

    def _stream(self, query: dict[str, str]) -> None:
        if self.fake.down or self.fake.stream_down:
            return self._json(503, {})
        mine = self.fake.open_stream(query)
        self.send_response(200)
        self._cors()
        self.send_header("content-type", "text/event-stream")
        self.send_header("cache-control", "no-store")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            self.wfile.write(b"retry: 100\n\n")
            number = 0
            while True:
                try:
                    delivery = mine.get(timeout=0.5)
                except queue.Empty:
                    self.wfile.write(b": \n\n")
                    continue
                if delivery is None:
                    return None
                number += 1
                self.wfile.write(b"event: message\nid: %d\ndata: %s\n\n" % (number, json.dumps(delivery).encode()))
        except OSError:
            pass
        finally:
            self.fake.close_stream(mine)

    def _file(self, path: Path) -> None:
        if not path.is_file():
            return self._send(404, b"", "text/plain", {})
        kind = TYPES.get(path.suffix, "application/octet-stream")
        cache = {"access-control-allow-origin": "*", "cache-control": "no-store"}
        self._send(200, path.read_bytes(), kind, cache)
        return None

    def _json(self, status: int, value: Json, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self._cors()
        body = json.dumps(value).encode()
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def _send(self, status: int, body: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def _cors(self) -> None:
        origin = self.headers.get("origin")
        if origin:
            self.send_header("access-control-allow-origin", origin)
            self.send_header("access-control-allow-credentials", "true")
            self.send_header("access-control-expose-headers", "retry-after")
