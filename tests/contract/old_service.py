"""The first service, as far as a page meets it: it answers with what was recorded (`wire-first`), and with nothing else."""

import json
import queue
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

RECORDED = Path(__file__).parent / "wire-first"
ANSWERS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in RECORDED.glob("*.json")}
_HEAD, *_MESSAGES = ANSWERS["stream"]["open"]["frames"]
# Kind of a message → its frame of the stream. There is one of each.
FRAMES = {json.loads(frame.split("data: ")[1])["kind"]: frame for frame in _MESSAGES}
IDS = {kind: json.loads(frame.split("data: ")[1])["delivery_id"] for kind, frame in FRAMES.items()}


class OldService:
    """`events` are what it took; `calls` (what, delivery id) the claims and releases; `unknown` what it has no path for."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.batches: list[int] = []  # the status of each answer
        self.calls: list[tuple[str, str]] = []
        self.unknown: list[str] = []
        self.claimed: set[str] = set()
        self.pending: list[str] = []  # kinds: who comes to listen gets them too
        self.inbox = "empty"  # the answer to who polls
        self.busy: set[str] = set()  # paths that are answered as when the store was away
        self._streams: list[queue.Queue[str | None]] = []
        self._changed = threading.Condition()
        service = self

        class Handler(_Handler):
            old = service

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def deliver(self, kind: str) -> str:
        """Sends the recorded message of that kind to the pages that listen; returns its delivery id."""
        with self._changed:
            self.pending.append(kind)
            for stream in self._streams:
                stream.put(FRAMES[kind])
        return IDS[kind]

    def names(self) -> list[str]:
        return [event.get("event") or event["type"] for event in self.events]

    def wait(self, name: str, count: int = 1) -> dict[str, Any]:
        """The event of that name, once it has come so often."""
        with self._changed:
            enough = self._changed.wait_for(lambda: self.names().count(name) >= count, 10)
        assert enough, f"no {count} × {name}; came: {self.names()}, {self.calls}"
        return [event for event in self.events if (event.get("event") or event["type"]) == name][count - 1]

    def take(self, batch: list[dict[str, Any]]) -> dict[str, Any]:
        """The recorded answer, with a result for each event: an event without a name is refused, as it was."""
        taken = [event for event in batch if event["type"] != "track" or event.get("event")]
        name = "taken" if len(taken) == len(batch) else "partly" if taken else "refused"
        answer = ANSWERS["batch"][name]
        body = json.loads(answer["body"])
        by_status = {result["status"]: result for result in body["results"]}
        body["results"] = [by_status[200 if event in taken else 400] for event in batch]
        with self._changed:
            self.events += taken
            self._changed.notify_all()
        return answer | {"body": json.dumps(body)}

    def change(self, delivery: str, what: str) -> dict[str, Any]:
        answers = ANSWERS["deliveries"]
        with self._changed:
            self.calls.append((what, delivery))
            mine = delivery in self.claimed
            if what == "claim":
                self.claimed.add(delivery)
                self.pending = [kind for kind in self.pending if IDS[kind] != delivery]
                return answers["lost" if mine else "won"]
        if mine:
            self.claimed.discard(delivery)
            self.deliver(next(kind for kind, known in IDS.items() if known == delivery))
        return answers["released" if mine else "not_claimed"]

    def listen(self) -> "queue.Queue[str | None]":
        stream: queue.Queue[str | None] = queue.Queue()
        with self._changed:
            for kind in self.pending:
                stream.put(FRAMES[kind])
            self._streams.append(stream)
        return stream

    def leave(self, stream: "queue.Queue[str | None]") -> None:
        with self._changed:
            self._streams.remove(stream)

    def close(self) -> None:
        with self._changed:
            for stream in self._streams:
                stream.put(None)
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    old: OldService
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        part = path.removeprefix("/v1/")
        if part in self.old.busy:
            self._answer(ANSWERS[part]["busy"])
        elif part == "stream":
            self._stream()
        elif part == "inbox":
            self._answer(ANSWERS["inbox"][self.old.inbox])
        elif article := re.fullmatch(r"articles/([^/]+)", part):
            self._answer(ANSWERS["articles"]["found" if article[1] == "guide" else "missing"], ("none", article[1]))
        elif re.fullmatch(r"deliveries/[^/]+/(claim|release)", part):
            self._answer(ANSWERS["deliveries"]["wrong_method"])
        else:
            self._no_path(path)

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        body = json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}")
        if path == "/v1/batch":
            answer = ANSWERS["batch"]["busy"] if "batch" in self.old.busy else self.old.take(body["batch"])
            self.old.batches.append(answer["status"])
            self._answer(answer)
        elif delivery := re.fullmatch(r"/v1/deliveries/([^/]+)/(claim|release)", path):
            if delivery[1] in IDS.values():
                self._answer(self.old.change(delivery[1], delivery[2]))
            else:
                unknown = ANSWERS["deliveries"]["unknown"]
                self._answer(unknown, (unknown["asked"].split("/")[3], delivery[1]))
        else:
            self._no_path(path)

    def _no_path(self, path: str) -> None:
        self.old.unknown.append(f"{self.command} {path}")
        answer = ANSWERS["others"]["no_path" if self.command == "GET" else "no_path_to_post"]
        self._answer(answer, (answer["asked"].split()[1], path))

    def _answer(self, answer: dict[str, Any], instead: tuple[str, str] = ("", "")) -> None:
        """As recorded; what it repeats of the question is the page's own."""
        body = (answer["body"].replace(*instead) if instead[0] else answer["body"]).encode()
        self._head(answer, len(body))
        self.wfile.write(body)

    def _head(self, answer: dict[str, Any], length: int | None) -> None:
        self.send_response(answer["status"])
        for name, value in answer["headers"].items():
            if name != "content-length":
                self.send_header(name, value.replace("{origin}", self.headers.get("origin", "null")))
        self.send_header(*(("connection", "close") if length is None else ("content-length", str(length))))
        self.end_headers()

    def _stream(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        assert {"writeKey", "anonymousId"} <= set(asked), asked
        mine = self.old.listen()
        self._head(ANSWERS["stream"]["open"], None)
        self.close_connection = True
        frame: str | None = _HEAD
        try:
            while frame is not None:
                self.wfile.write(frame.encode())
                frame = mine.get()
        except OSError:
            pass  # the page went away
        finally:
            self.old.leave(mine)
