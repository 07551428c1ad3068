"""Two releases meet: the first snippet (`snippet-first`) and today's, on one customer's site, whichever service they talk to."""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.conftest import PATIENCE, Service, StartService, until
from tests.contract.record_wire import write_definitions
from tests.sdk.conftest import BODY, bundle
from tests.sdk.fake_service import DIST
from tests.wire.conftest import Wire

__all__ = ["bundle"]  # the fixture that builds today's snippet where it must

FIRST = Path(__file__).parent / "snippet-first"
SNIPPETS = {"first": FIRST, "today": DIST}
_numbers = itertools.count()


class Site:
    """A customer's site: one origin, which serves the snippet too, its parts beside it; so an upgrade of the snippet is another
    file under the same storage. `add` makes a page, `open` goes there in a tab of its own."""

    def __init__(self, host: str, write_key: str, context: BrowserContext) -> None:
        self.host, self.write_key, self.context = host, write_key, context
        self.pages: dict[str, bytes] = {}
        self.console: list[str] = []
        site = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                site._answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        context.on("console", lambda said: self.console.append(f"{said.type}: {said.text}"))
        context.on("weberror", lambda error: self.console.append(f"uncaught: {error.error}"))

    def add(
        self, path: str, snippet: str, *calls: list[Any], body: str = BODY, options: dict[str, Any] | None = None
    ) -> None:
        """A page with the `first` snippet or `today`'s. It listens for the snippet's errors, and keeps them in `window.errors`."""
        init = ["init", {"writeKey": self.write_key, "host": self.host, "autoPage": False, **(options or {})}]
        early = json.dumps([init, *calls]).replace("<", "\\u003c")[1:-1]
        self.pages[path] = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{path}</title>
<link rel="icon" href="data:,"><script>window.errors=[];window.engage=window.engage||[];
engage.push(["on","error",function(e){{errors.push(String(e))}}],{early})</script>
<script async src="/{snippet}/engage.js"></script></head><body>{body}</body></html>""".encode()

    def open(self, path: str = "/", page: Page | None = None) -> Page:
        page = page or self.context.new_page()
        page.goto(self.url + path)
        page.wait_for_function("!Array.isArray(window.engage)")
        return page

    def complaints(self) -> list[str]:
        """What the console said, and what the snippet told its listeners as an error; without the browser's own notes on requests."""
        said = [line for line in self.console if "Failed to load resource" not in line and "net::ERR" not in line]
        return said + [error for page in self.context.pages for error in page.evaluate("window.errors ?? []")]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: SimpleHTTPRequestHandler) -> None:
        path = urlsplit(request.path).path
        folder, _, name = path.lstrip("/").partition("/")
        body, kind = self.pages.get(path), "text/html; charset=utf-8"
        if folder in SNIPPETS and (SNIPPETS[folder] / name).is_file():
            body, kind = (SNIPPETS[folder] / name).read_bytes(), "text/javascript; charset=utf-8"
        request.send_response(404 if body is None else 200)
        request.send_header("content-type", kind)
        request.send_header("content-length", str(len(body or b"")))
        request.send_header("cache-control", "no-store")
        request.end_headers()
        request.wfile.write(body or b"")


@pytest.fixture
def context(bundle: Path, browser: Browser) -> Iterator[BrowserContext]:
    fresh = browser.new_context(viewport={"width": 1100, "height": 760}, locale="en-US", reduced_motion="reduce")
    fresh.set_default_timeout(PATIENCE)
    yield fresh
    fresh.close()


@pytest.fixture
def make_site(context: BrowserContext) -> Iterator[Callable[[str, str], Site]]:
    """`make_site(host, write_key)` → the customer's site."""
    sites: list[Site] = []

    def make(host: str, write_key: str) -> Site:
        sites.append(Site(host, write_key, context))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


@pytest.fixture
def person() -> str:
    return f"person-{next(_numbers)}"


RULES: dict[str, Any] = {
    "welcome": {"trigger": "Signed Up", "message": "welcome"},
    "offer-help": {"trigger": "Export Failed", "message": "offer-help", "frequency": {"max": 1, "per": "7d"}},
    "read-this": {"trigger": "Help Wanted", "message": "read-this"},
    "elsewhere": {"trigger": "Look Elsewhere", "message": "elsewhere"},
    **{
        kind: {"trigger": "Newer Kinds", "message": kind}
        for kind in ("banner", "modal", "tooltip", "survey", "checklist")
    },
    "newer-tour": {"trigger": "Newer Tour", "message": "newer-tour", "snooze": "1h"},
    "words": {"trigger": "By Words", "message": "words"},
    "skips": {"trigger": "Skip It", "message": "skips"},
    "put-off": {"trigger": "Put Off", "message": "put-off", "snooze": "1h"},
}
MESSAGES: dict[str, Any] = {
    "welcome": (
        "tour",
        {
            "steps": [
                {"target": "#nav", "title": "Welcome, {{ user.traits.name }}", "text": "**Begin** here."},
                {"target": "#create", "title": "Create", "text": "Press it."},
                {"title": "That is all", "text": "Enjoy."},
            ]
        },
    ),
    "offer-help": (
        "chat",
        {
            "text": "Can I help?",
            "replies": [{"label": "Yes", "text": "Try **CSV**."}, {"label": "Read", "article": "guide"}],
        },
    ),
    "read-this": ("article", {"article": "guide", "title": "A guide", "text": "Two minutes."}),
    "elsewhere": ("chat", {"text": "You came."}),
    "banner": ("banner", {"text": "News."}),
    "modal": ("modal", {"title": "News", "text": "Look."}),
    "tooltip": ("tooltip", {"target": "#create", "text": "New."}),
    "survey": ("survey", {"questions": [{"type": "nps", "text": "How likely?"}]}),
    "checklist": ("checklist", {"title": "Get started", "items": [{"id": "create", "label": "Create"}]}),
    "newer-tour": (
        "tour",
        {
            "steps": [
                {
                    "id": "ask",
                    "target": "#nav",
                    "title": "Which?",
                    "text": "You choose.",
                    "image": "/none.png",
                    "alt": "A picture",
                    "buttons": [{"label": "Left", "to": "left"}, {"label": "Right", "to": "right"}],
                },
                {"id": "left", "title": "Left", "text": "One way.", "then": "end", "video": "/none.mp4"},
                {
                    "id": "right",
                    "target": "#create",
                    "title": "Right",
                    "text": "Press it.",
                    "advance": {"click": True},
                    "missing": "center",
                    "timeout": "1s",
                },
            ]
        },
    ),
    "words": ("tour", {"steps": [{"target": "text=New project", "title": "By words", "text": "Here."}]}),
    "skips": (
        "tour",
        {
            "steps": [
                {"title": "One", "text": "First."},
                {"target": "data-engage=none", "title": "Two", "text": "Second.", "missing": "skip", "timeout": "1s"},
                {"title": "Three", "text": "Third."},
            ]
        },
    ),
    "put-off": ("chat", {"text": "Now or later?"}),
}


@pytest.fixture(scope="session")
def product(start_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """The service of this checkout, really running."""
    folder = tmp_path_factory.mktemp("contract") / "definitions"
    write_definitions(folder)
    for name, rule in RULES.items():
        (folder / "rules" / f"{name}.json").write_text(json.dumps({"id": name, **rule}))
    for name, (kind, content) in MESSAGES.items():
        message = {"id": name, "kind": kind, "content": {"en": content}}
        message |= {"show_on": {"path": "/else*"}} if name == "elsewhere" else {}
        (folder / "messages" / f"{name}.json").write_text(json.dumps(message))
    return start_service(rules=folder, env={"ENGAGE_RESPECT_DNT": "yes"})


@pytest.fixture
def wire(product: Service) -> Iterator[Wire]:
    """What the service holds of a person, asked over its own API."""
    wire = Wire(product)
    yield wire
    wire.http.close()


@pytest.fixture
def site(product: Service, make_site: Callable[[str, str], Site]) -> Site:
    """A customer's site that talks to the running service of this checkout."""
    return make_site(product.url, product.write_key)


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event.get("event") or event["type"] for event in events]


def came(wire: Wire, user: str, name: str, count: int = 1) -> list[dict[str, Any]]:
    """The user's events of that name, once there are so many in the log. It is asked seldom: each answer reads the log."""

    def enough() -> list[dict[str, Any]] | None:
        time.sleep(0.05)
        found = [event for event in wire.events(user) if (event.get("event") or event["type"]) == name]
        return found if len(found) >= count else None

    return until(enough, what=f"{count} × {name} of {user}")
