"""Records what a service of another release answers, into a folder of JSON files:

    python -m tests.contract.record_wire CHECKOUT FOLDER

CHECKOUT is the release's source (`git archive dc15e23 | tar -x -C CHECKOUT`); it runs with this Python. The calls are made as
today's snippet makes them.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.conftest import CHILDREN, until, unused_port

KEY = "wk_first"
ORIGIN = "http://127.0.0.1:1"
VOLATILE = {"date", "connection", "transfer-encoding", "server"}
MESSAGES: dict[str, dict[str, Any]] = {
    "tour": {
        "steps": [
            {"target": "#nav", "title": "Welcome, {{ user.traits.name }}", "text": "**Begin** here."},
            {"title": "That is all", "text": "Enjoy."},
        ]
    },
    "chat": {
        "text": "Can I help?",
        "replies": [{"label": "Yes", "text": "Try **CSV**."}, {"label": "Read", "article": "guide"}],
    },
    "article": {"article": "guide", "title": "A guide", "text": "Two minutes."},
}
Answer = dict[str, Any]


class Recorder:
    """Asks the running service, and keeps its answers as they came."""

    def __init__(self, url: str, key: str = KEY) -> None:
        self.key = key
        self.http = httpx.Client(base_url=url, headers={"origin": ORIGIN}, timeout=30)

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None, **query: str) -> Answer:
        key = key or self.key
        asked = {"params": {"writeKey": key, **query}} if method == "GET" else {}
        if body is not None:
            asked = {
                "content": json.dumps({"writeKey": key, **body}),
                "headers": {"content-type": "text/plain;charset=UTF-8"},
            }
        reply = self.http.request(method, path, **asked)
        headers = {name: value for name, value in reply.headers.items() if name not in VOLATILE}
        return {"asked": f"{method} {path}", "status": reply.status_code, "headers": headers, "body": reply.text}

    def batch(self, *events: dict[str, Any], key: str | None = None) -> Answer:
        numbered = [{"messageId": f"m{time.monotonic_ns()}", "anonymousId": "ann-browser", **event} for event in events]
        return self.ask("POST", "/v1/batch", {"sentAt": "2026-11-23T12:00:00.000Z", "batch": numbered}, key)

    def want(self, *kinds: str) -> list[dict[str, Any]]:
        """Wakes messages of these kinds for Ann; returns her deliveries once they are there."""
        self.batch(*({"type": "track", "userId": "ann", "event": f"Want {kind}"} for kind in kinds))
        return until(lambda: len(found := self.deliveries()) >= len(kinds) and found, what="Ann's deliveries")

    def deliveries(self) -> list[dict[str, Any]]:
        return json.loads(self.ask("GET", "/v1/inbox", userId="ann", anonymousId="ann-browser")["body"])["deliveries"]

    def change(self, delivery: str, what: str, **more: Any) -> Answer:
        person = {"anonymousId": "ann-browser", "userId": "ann"}
        return self.ask("POST", f"/v1/deliveries/{delivery}/{what}", {**person, **more})

    def stream(self, messages: int) -> Answer:
        """The stream from its head to the last of so many messages; the frames as they came."""
        query = {"writeKey": self.key, "userId": "ann", "anonymousId": "ann-browser"}
        with self.http.stream("GET", "/v1/stream", params=query) as reply:
            text = ""
            for piece in reply.iter_text():
                text += piece
                frames = [f"{frame}\n\n" for frame in text.split("\n\n")[:-1]]
                if sum("event: message" in frame for frame in frames) >= messages:
                    break
        headers = {name: value for name, value in reply.headers.items() if name not in VOLATILE}
        return {"asked": "GET /v1/stream", "status": reply.status_code, "headers": headers, "frames": frames}


def record(here: Recorder) -> dict[str, dict[str, Answer]]:
    """Name of a file → name of an answer → the answer, of a service that nobody has talked to of Ann."""
    found: dict[str, dict[str, Answer]] = {}
    track = {"type": "track", "userId": "ann", "event": "Opened", "userHash": "f00d"}
    here.batch({"type": "identify", "userId": "ann", "userHash": "f00d", "traits": {"name": "Ann"}})
    found["batch"] = {
        "taken": here.batch(track),
        "partly": here.batch({"type": "track", "userId": "ann"}, track),
        "refused": here.batch({"type": "track", "userId": "ann"}),
        "unauthorized": here.batch(track, key="wk_wrong"),
        "too_large": here.batch(track | {"properties": {"long": "x" * 33_000}}),
    }
    found["inbox"] = {"empty": here.ask("GET", "/v1/inbox", userId="ann")}
    tour, chat, article = (one["delivery_id"] for one in here.want("tour", "chat", "article"))
    found["inbox"]["full"] = here.ask("GET", "/v1/inbox", userId="ann", anonymousId="ann-browser")
    found["inbox"]["unauthorized"] = here.ask("GET", "/v1/inbox", key="wk_wrong", userId="ann")
    found["stream"] = {
        "open": here.stream(3),
        "unauthorized": here.ask("GET", "/v1/stream", key="wk_wrong", userId="ann"),
    }
    found["deliveries"] = {
        "won": here.change(tour, "claim"),
        "lost": here.change(tour, "claim"),
        "snoozed": here.change(tour, "release", snooze=True, step=1),
        "not_claimed": here.change(chat, "release"),
        "unknown": here.change("0001" + "0" * 28, "claim"),
        "no_path": here.change(article, "snooze"),
        "wrong_method": here.ask("GET", f"/v1/deliveries/{article}/claim"),
    }
    here.change(tour, "claim")
    found["deliveries"]["released"] = here.change(tour, "release")
    found["articles"] = {
        "found": here.ask("GET", "/v1/articles/guide", locale="en-US"),
        "missing": here.ask("GET", "/v1/articles/none", locale="en-US"),
        "search": here.ask("GET", "/v1/articles", q="guide", locale="en-US"),
    }
    found["settings"] = {"found": here.ask("GET", f"/v1/projects/{here.key}/settings")}
    found["others"] = {
        "no_path": here.ask("GET", "/v1/of/a/later/release"),
        "no_path_to_post": here.ask("POST", "/v1/of/a/later/release", {}),
        "wrong_method": here.ask("GET", "/v1/batch"),
    }
    return found


def record_busy(here: Recorder, store: int, found: dict[str, dict[str, Answer]]) -> None:
    """Adds what is answered while `store`, the process that holds the log, does not."""
    os.kill(store, signal.SIGSTOP)
    try:
        found["batch"]["busy"] = here.batch({"type": "track", "userId": "ann", "event": "Opened"})
        found["stream"]["busy"] = here.ask("GET", "/v1/stream", userId="ann")
        found["inbox"]["busy"] = here.ask("GET", "/v1/inbox", userId="ann")
    finally:
        os.kill(store, signal.SIGCONT)


def write_definitions(folder: Path) -> None:
    """What `record` asks for."""
    for name in ("rules", "messages", "articles"):
        (folder / name).mkdir(parents=True)
    for kind, content in MESSAGES.items():
        rule = {"id": kind, "trigger": f"Want {kind}", "message": kind, "frequency": "always"}
        (folder / "rules" / f"{kind}.json").write_text(json.dumps(rule))
        message = {"id": kind, "kind": kind, "content": {"en": content}}
        (folder / "messages" / f"{kind}.json").write_text(json.dumps(message))
    (folder / "articles" / "guide.en.md").write_text("# The guide\n\nRead **this**.\n")


def main(checkout: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as made:
        work = Path(made)
        write_definitions(work / "definitions")
        port = unused_port()
        command = [sys.executable, "-m", "engage", "up", "--port", str(port)]
        command += ["--rules", str(work / "definitions"), "--data", str(work / "data")]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        service = subprocess.Popen(
            command, cwd=checkout, env=environment | {"ENGAGE_WRITE_KEY": KEY}, stdout=subprocess.PIPE, text=True
        )
        assert service.stdout is not None
        try:
            assert any("Ctrl-C ends it" in line for line in service.stdout), f"ended with {service.poll()}"
            lines = {child.pid: " ".join(child.cmdline()) for child in psutil.Process(service.pid).children()}
            [store] = [pid for pid, line in lines.items() if any(part in line for part in CHILDREN["valkey-log"])]
            here = Recorder(f"http://127.0.0.1:{port}")
            with here.http:
                found = record(here)
                record_busy(here, store, found)
        finally:
            service.terminate()
            service.wait(40)
            service.stdout.close()
    folder.mkdir(exist_ok=True)
    for name, answers in found.items():
        text = json.dumps(answers, indent=1, ensure_ascii=False).replace(ORIGIN, "{origin}")
        (folder / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
