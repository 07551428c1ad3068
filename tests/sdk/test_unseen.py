"""Pages that nobody looks at: prerendered, hidden. Nothing is sent from the former, nothing shown in either."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from engage.bootstrap import find_browser
from tests.conftest import QUIET_BROWSER
from tests.sdk.conftest import Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser

RULES = """<script type="speculationrules">{"prerender": [{"source": "list", "urls": ["/second"], "eagerness": "immediate"}]}</script>"""
# Goes to the prerendered page a while after that is there and a message has come.
FIRST = """<script>
const there = setInterval(() => {
  if (localStorage.prerendering !== "true") return;
  clearInterval(there);
  engage.push(["track", "Prerendered"], ["on", "message", () => setTimeout(() => {
    engage.track("Leaving");
    setTimeout(() => { location.href = "/second" }, 200);
  }, 800)]);
}, 50);
</script>"""
SECOND = """<script>localStorage.prerendering = document.prerendering;
document.addEventListener("prerenderingchange", () => engage.push(["track", "Activated", { early: performance.getEntriesByType("navigation")[0].activationStart > 500 }]));
</script>"""


def test_a_page_that_the_browser_prerenders(service: FakeService, site: Site, tmp_path: Path) -> None:
    """In a Chromium that nobody drives: where one is driven by Playwright, nothing is prerendered."""
    site.add("/", ["page"], head=RULES + FIRST)
    site.add("/second", ["page"], head=SECOND)
    browser = find_browser(whole=True)
    assert browser
    command = [
        browser,
        *QUIET_BROWSER,
        "--headless",
        f"--user-data-dir={tmp_path}",
        "--remote-debugging-port=0",
        service.site + "/",
    ]
    chromium = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        service.wait(lambda: "Prerendered" in service.names())
        service.deliver(delivery_id="b", kind="banner", content={"text": "News"}, show_on={"path": "/second"})
        service.wait(lambda: "Message Shown" in service.names())
    finally:
        os.killpg(chromium.pid, signal.SIGKILL)
        chromium.wait()
    assert service.names()[:3] == ["page", "Prerendered", "Leaving"]
    assert sorted(service.names()[3:]) == ["Activated", "Message Shown", "page"]
    activated = service.wait_event("Activated")
    assert activated["properties"]["early"] is True
    assert activated["context"]["page"]["path"] == service.wait_event("page", 2)["context"]["page"]["path"] == "/second"
    assert len(service.stream_queries) == 2, "one of each page, of the second when it was looked at"


HIDE = """(hidden) => { for (const [name, value] of [["hidden", hidden], ["visibilityState", hidden ? "hidden" : "visible"]])
  Object.defineProperty(document, name, { value, configurable: true });
  document.dispatchEvent(new Event("visibilitychange")); }"""
KINDS: dict[str, Any] = {
    ".tour": {"kind": "tour", "content": {"steps": [{"title": "One"}]}},
    ".chat": {"kind": "chat", "content": {"text": "Well?"}},
    ".banner": {"kind": "banner", "content": {"text": "News"}},
    ".modal": {"kind": "modal", "content": {"title": "Large"}},
    ".tooltip": {"kind": "tooltip", "content": {"target": "#create", "text": "Here"}},
}


@pytest.mark.parametrize("card", list(KINDS))
def test_a_hidden_page_shows_and_claims_nothing(service: FakeService, site: Site, card: str) -> None:
    page = site.open()
    page.evaluate("window.came = 0; engage.on('message', () => came++)")
    service.deliver(delivery_id="d", show_on={"path": "/there"}, **KINDS[card])
    page.wait_for_function("came === 1")
    page.evaluate(HIDE, True)
    page.evaluate("history.pushState({}, '', '/there')")
    page.evaluate("delivery => engage.show(delivery)", KINDS[".banner"])
    service.wait_event("page", 2)
    page.wait_for_timeout(300)
    assert page.locator("[data-engage]").count() == 0
    assert service.calls == []
    page.evaluate(HIDE, False)
    expect(page.locator(card).first).to_be_visible()
    service.wait_event("Message Shown")
    assert site.complaints() == []


def test_what_is_claimed_while_the_page_goes_out_of_sight_is_given_back(service: FakeService, site: Site) -> None:
    page = site.open()
    page.evaluate("""hide => { const real = window.fetch; window.fetch = async (...given) => {
        const reply = await real(...given);
        if (String(given[0]).includes("/claim")) eval(hide)(true);
        return reply } }""", HIDE)  # fmt: skip
    service.deliver(delivery_id="d", **KINDS[".chat"])
    service.wait(lambda: service.calls == [("claim", "d"), ("release", "d")])
    assert page.locator("[data-engage]").count() == 0
    assert "Message Shown" not in service.names()
