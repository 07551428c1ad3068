"""Several tabs of one browser: one stream, one display, one person."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.sdk.conftest import Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser

CHAT: dict[str, Any] = {"kind": "chat", "content": {"text": "Can I help?"}}


def chat(page: Page) -> Any:
    return page.locator(".chat")


@pytest.fixture(autouse=True)
def streams(site: Site) -> None:
    """`streams` of a page: all that it ever opened."""
    site.context.add_init_script("""window.streams = [];
    window.EventSource = class extends EventSource { constructor(url) { super(url); streams.push(this); } };""")


def look_at(page: Page) -> None:
    """What the browser tells a page whose window gets the focus; here every page believes it has it."""
    page.evaluate("dispatchEvent(new Event('focus'))")


def listens(page: Page, *others: Page) -> None:
    """Waits until the page has a stream, and the others none."""
    page.wait_for_function("streams.some(stream => stream.readyState === 1)")
    for other in others:
        other.wait_for_function("streams.every(stream => stream.readyState === 2)")


def two(site: Site) -> tuple[Page, Page]:
    """Two pages that can be seen; the second is looked at."""
    first, second = site.open(), site.open()
    look_at(second)
    listens(second, first)
    return first, second


def test_one_stream_and_one_display_in_the_tab_that_is_looked_at(service: FakeService, site: Site) -> None:
    first, second = two(site)
    service.deliver(delivery_id="d1", **CHAT)
    expect(chat(second)).to_be_visible()
    look_at(first)
    listens(first, second)
    service.deliver(delivery_id="d2", **CHAT)
    expect(chat(first)).to_be_visible()
    assert service.calls == [("claim", "d1"), ("claim", "d2")]
    assert service.names().count("Message Shown") == 2
    assert site.complaints() == []


def wants(page: Page) -> None:
    """Puts what a tour waits for into the page."""
    page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<button id=late>Late</button>')")


@pytest.mark.parametrize("ending", ["looked at", "closed"])
def test_of_two_windows_side_by_side_the_one_that_is_looked_at_has_what_waits(
    ending: str, service: FakeService, site: Site
) -> None:
    first, second = site.open(), site.open()
    look_at(first)
    listens(first, second)
    heard = "window.heard = []; engage.on('message', ({delivery_id}) => heard.push(delivery_id))"
    for page in (first, second):
        page.evaluate(heard)
    steps = [{"target": "#late", "text": "Here it is."}]
    service.deliver(delivery_id="t", kind="tour", content={"steps": steps})
    first.wait_for_function("heard.length === 1")
    look_at(second)
    second.wait_for_function("heard.length === 1")
    wants(first)
    service.deliver(delivery_id="d1", **CHAT)
    expect(chat(second)).to_be_visible()
    first.wait_for_timeout(300)
    expect(first.locator("[data-engage]")).to_have_count(0)  # it can be seen, and the person is elsewhere
    if ending == "looked at":
        look_at(first)
    else:
        second.close()
    expect(first.locator(".popover")).to_be_visible()
    assert service.calls == [("claim", "d1"), ("claim", "t")]
    assert site.complaints() == []


def test_another_takes_over_when_the_listening_tab_closes(service: FakeService, site: Site) -> None:
    first, second = two(site)
    second.close()
    listens(first)
    service.deliver(delivery_id="d1", **CHAT)
    expect(chat(first)).to_be_visible()


def test_another_takes_over_when_the_listening_tab_is_hidden_as_one_is_before_it_is_frozen(
    service: FakeService, site: Site
) -> None:
    first, second = two(site)
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true}); document.dispatchEvent(new Event('visibilitychange'))"
    second.evaluate(hide % "true")
    listens(first, second)
    service.deliver(delivery_id="d1", **CHAT)
    expect(chat(first)).to_be_visible()
    second.evaluate(hide % "false")
    look_at(second)
    listens(second, first)


def test_a_tab_that_hangs_keeps_nothing_from_the_one_that_is_looked_at(service: FakeService, site: Site) -> None:
    first, second = two(site)
    second.evaluate("setTimeout(() => { const end = Date.now() + 3000; while (Date.now() < end); })")
    look_at(first)
    listens(first)
    service.deliver(delivery_id="d1", **CHAT)
    expect(chat(first)).to_be_visible()


def test_who_signs_out_in_one_tab_is_gone_in_the_other(service: FakeService, site: Site) -> None:
    site.add("/", ["identify", "ann"], ["page"])
    first, second = two(site)
    service.deliver(delivery_id="d1", **CHAT)
    expect(chat(second)).to_be_visible()
    first.evaluate("engage.reset()")
    expect(chat(second)).to_have_count(0)
    second.wait_for_function("engage.userId === undefined")
    assert second.evaluate("engage.anonymousId") == first.evaluate("engage.anonymousId")
    first.evaluate("engage.identify('bob')")
    second.wait_for_function("engage.userId === 'bob'")
    second.evaluate("engage.track('Here')")
    assert service.wait_event("Here")["userId"] == "bob"
    service.wait(lambda: service.stream_queries[-1].get("userId") == "bob")


def test_who_objects_in_one_tab_is_left_alone_in_the_other(service: FakeService, site: Site) -> None:
    first, second = two(site)
    service.wait_event("page", 2)
    first.evaluate("engage.optOut()")
    second.wait_for_function("engage.anonymousId === undefined")
    second.evaluate("engage.track('Never')")
    second.wait_for_function("streams.every(stream => stream.readyState === 2)")
    assert list(second.evaluate("Object.values(localStorage)")) == ["1"]
    first.evaluate("engage.optIn(); engage.track('First')")
    second.wait_for_function("engage.anonymousId !== undefined")
    second.evaluate("engage.track('Second')")
    service.wait_event("First")
    service.wait_event("Second")
    assert "Never" not in service.names()


def test_a_prerendered_page_waits_until_it_is_looked_at(service: FakeService, site: Site) -> None:
    page = site.context.new_page()
    page.add_init_script("Object.defineProperty(document, 'prerendering', {value: true, configurable: true})")
    site.open("/", page)
    page.evaluate("engage.track('Before')")
    page.wait_for_timeout(150)
    assert service.events == []
    assert page.evaluate("Object.keys(localStorage)") == []
    page.evaluate("delete document.prerendering; document.dispatchEvent(new Event('prerenderingchange'))")
    service.wait_event("Before")
    assert service.names()[:2] == ["page", "Before"]


def test_a_window_that_is_about_to_show_a_message_keeps_it(service: FakeService, site: Site) -> None:
    """The other window is looked at, and hears of the message, while the claim of this one is under way."""
    first, second = two(site)
    second.evaluate("""window.held = new Promise((go) => { window.go = go; });
      const real = fetch; window.fetch = async (url, init) => { const reply = await real(url, init); if (/claim$/.test(url)) await held; return reply; };""")
    steps = [{"target": "#create", "text": "One."}, {"target": "#late", "text": "Two."}]
    delivery = service.deliver(delivery_id="t", kind="tour", content={"steps": steps})
    service.wait(lambda: service.calls == [("claim", "t")])
    service.inbox.append(delivery)  # as it was when the other window asked
    first.evaluate("window.heard = 0; engage.on('message', () => heard++)")
    look_at(first)
    first.wait_for_function("heard")
    service.inbox.clear()
    first.wait_for_timeout(100)
    second.evaluate("go()")
    second.get_by_role("button", name="Next").click()
    expect(second.locator(".popover")).to_have_count(0)
    second.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<button id=late>Late</button>')")
    expect(second.get_by_text("Two.")).to_be_visible()
    assert service.names().count("Message Shown") == 1
