"""The built bundle in a real Chromium, against a small stand-in for the service (`fake_service`)."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.conftest import PATIENCE, until
from tests.sdk.fake_service import DIST, FakeService

SDK = Path(__file__).parents[2] / "sdk_js"
BODY = """<header id="top"><a id="nav" href="/second">Second</a> <input id="search" aria-label="search">
<button id="create">New project</button></header><main><h1>Home</h1><p id="para">Words.</p></main>"""


# Once a card has faded in, all that is written is there (Markdown comes a moment later), and it stays where it is for a few frames.
STANDING = """async (card) => {
  for (let before, same = 0; same < 3; ) {
    await new Promise(requestAnimationFrame);
    const { x, y, width, height } = card.getBoundingClientRect();
    const now = card.checkVisibility({ opacityProperty: true }) && !card.getRootNode().querySelector(".md:empty") && `${x} ${y} ${width} ${height}`;
    same = now && now === before ? same + 1 : 0;
    before = now;
  }
}"""


def stands(card: Locator) -> Locator:
    """The same, once it can be seen and moves no more."""
    expect(card).to_be_visible()
    card.evaluate(STANDING)
    return card


@pytest.fixture(scope="session")
def bundle() -> Path:
    """sdk_js/dist, built when it is missing or older than its sources."""
    sources = [*SDK.glob("src/**/*"), SDK / "build.mjs"]
    loader = DIST / "engage.js"
    if not loader.exists() or loader.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        npm = shutil.which("npm")
        assert npm, "npm (Node 20 or later) is needed to build sdk_js"
        if not (SDK / "node_modules").is_dir():
            subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=SDK, check=True)
        subprocess.run([npm, "run", "build"], cwd=SDK, check=True)
    return DIST


@pytest.fixture
def service() -> Iterator[FakeService]:
    fake = FakeService()
    yield fake
    fake.close()


@pytest.fixture
def context(bundle: Path, browser: Browser) -> Iterator[BrowserContext]:
    fresh = browser.new_context(viewport={"width": 1100, "height": 760}, locale="en-US", reduced_motion="reduce")
    fresh.set_default_timeout(PATIENCE)
    yield fresh
    fresh.close()


class Site:
    """A customer's site: pages with the snippet, and what their consoles said."""

    def __init__(self, service: FakeService, context: BrowserContext) -> None:
        self.service = service
        self.context = context
        self.console: list[str] = []
        context.on("console", lambda said: self.console.append(f"{said.type}: {said.text}"))
        context.on("weberror", lambda error: self.console.append(f"uncaught: {error.error}"))

    def add(
        self, path: str, *calls: list[Any], body: str = BODY, head: str = "", options: dict[str, Any] | None = None
    ) -> None:
        init = ["init", {"writeKey": "wk", "host": self.service.host, **(options or {})}]
        self.service.pages[path] = f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>{path}</title><meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">{head}
<script>window.engage=window.engage||[];engage.push({json.dumps([init, *calls]).replace("<", chr(92) + "u003c")[1:-1]})</script>
<script async src="{self.service.host}/sdk/engage.js"></script></head><body>{body}</body></html>"""

    def open(self, path: str = "/", page: Page | None = None) -> Page:
        page = page or self.context.new_page()
        page.goto(self.service.site + path)
        page.wait_for_function("!Array.isArray(window.engage)")
        return page

    def wait_said(self, *words: str) -> None:
        """Waits until the console has said all of this in one line."""
        page = self.context.pages[0]
        until(
            lambda: (page.wait_for_timeout(10), any(all(word in line for word in words) for line in self.console))[1],
            what=lambda: f"{words} on the console, which says {self.console}",
        )

    def complaints(self) -> list[str]:
        """What the console said, without the browser's own notes on failed requests."""
        return [line for line in self.console if "Failed to load resource" not in line and "net::ERR" not in line]

    def wait_complaint(self) -> list[str]:
        """What the console said, once it said anything."""
        page = self.context.pages[0]
        until(lambda: (page.wait_for_timeout(10), self.complaints())[1], what="a complaint on the console")
        return self.complaints()


@pytest.fixture
def site(service: FakeService, context: BrowserContext) -> Site:
    whole = Site(service, context)
    whole.add("/", ["page"])
    return whole


@pytest.fixture
def tour_delivery() -> Callable[..., dict[str, Any]]:
    def make(**more: Any) -> dict[str, Any]:
        steps = [
            {"target": "#create", "title": "Create a project", "text": "Everything **starts** here.", "path": "/"},
            {"target": "#search", "title": "Find it again", "text": "Search `anything`.", "path": "/"},
            {"title": "That is all", "text": "Enjoy."},
        ]
        return {"delivery_id": "0001tour", "kind": "tour", "content": {"steps": steps}, **more}

    return make
