"""The back/forward cache: a page that comes back out of it as it was goes on, knowing what was done on other pages meanwhile."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import running_chromium
from tests.sdk.conftest import Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser

CHAT = {"kind": "chat", "content": {"text": "Well?", "replies": [{"label": "Yes", "text": "Good"}]}}
WITNESS = (
    """<script>window.restored = 0; addEventListener("pageshow", (event) => (restored += event.persisted))</script>"""
)
NOTHING_QUEUED = "!Object.keys(localStorage).some(key => key.includes('.queue.'))"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Playwright switches this cache off."""
    with running_chromium(whole=True, without=["--disable-back-forward-cache"]) as chromium:
        yield chromium


@pytest.fixture(params=["locks", "no locks"])
def pages(request: pytest.FixtureRequest, site: Site) -> None:
    if request.param == "no locks":  # as on pages without https
        site.context.add_init_script("Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })")
    for path in ("/", "/second"):
        site.add(path, ["page"], head=WITNESS)


def leave(service: FakeService, page: Page, path: str = "/second") -> None:
    count = service.names().count("page")
    page.evaluate(f"location.href = '{path}'; null")
    page.wait_for_url("**" + path)
    service.wait_event("page", count + 1)


def back(page: Page, path: str = "/") -> None:
    page.evaluate("setTimeout(() => history.back()); null")
    page.wait_for_function(
        "path => location.pathname === path && restored === 1", arg=path
    )  # there is no load to wait for


def card(page: Page, name: str) -> Any:
    return page.get_by_role("dialog", name=name, exact=True)


def button(page: Page, name: str) -> Any:
    return page.locator(".popover").get_by_role("button", name=name, exact=True)


def come(service: FakeService, site: Site) -> Page:
    page = site.open()
    service.wait_event("page")
    service.wait(lambda: service.stream_count() == 1)
    return page


@pytest.mark.usefixtures("pages")
def test_events_and_messages_go_on_and_none_is_doubled(service: FakeService, site: Site) -> None:
    page = come(service, site)
    page.evaluate("addEventListener('pagehide', () => engage.track('Leaving')); engage.track('First'); null")
    leave(service, page)
    page.wait_for_function(NOTHING_QUEUED)  # else it would wait there until another page finds it, after a minute
    back(page)
    service.wait(lambda: service.stream_count() == 1)
    page.evaluate("engage.track('Back')")
    service.wait_event("Back")
    assert sorted(service.names()) == ["Back", "First", "Leaving", "page", "page"]
    page.wait_for_function(NOTHING_QUEUED)
    service.deliver(delivery_id="c", **CHAT)
    page.get_by_role("button", name="Yes").click()
    service.wait_event("Message Completed")
    assert service.calls == [("claim", "c")]
    assert site.complaints() == []


@pytest.mark.usefixtures("pages")
def test_a_message_that_was_open_can_be_used(service: FakeService, site: Site) -> None:
    page = come(service, site)
    service.deliver(delivery_id="s", kind="survey", content={"questions": [{"type": "text", "text": "Why?"}]})
    page.locator(".survey textarea").fill("Half an ans")
    leave(service, page)
    expect(page.locator("[data-engage]")).to_have_count(0)
    back(page)
    field = page.locator(".survey textarea")
    expect(field).to_have_value("Half an ans")
    field.fill("Half an answer")
    page.locator(".survey .main").click()
    assert service.wait_event("Survey Answered")["properties"]["answer"] == "Half an answer"
    assert service.names().count("Message Shown") == 1
    assert site.complaints() == []


TOUR = [
    {"title": "One", "navigate": "/second", "path": "/"},
    {"title": "Two", "path": "/second"},
    {"title": "Three", "path": "/"},
]


@pytest.mark.usefixtures("pages")
def test_a_tour_is_where_it_is_now(service: FakeService, site: Site) -> None:
    page = come(service, site)
    service.deliver(delivery_id="t", kind="tour", content={"steps": TOUR})
    button(page, "Next").click()
    page.wait_for_url("**/second")
    expect(card(page, "Two")).to_be_visible()
    back(page)
    service.wait_event("Tour Step Viewed", 2)
    page.wait_for_timeout(300)
    expect(page.locator(".tour")).to_have_count(0)
    page.evaluate("history.forward(); null")
    page.wait_for_function("location.pathname === '/second'")  # the browser may have put it out for its lock
    button(page, "Next").click()
    expect(page.locator(".tour")).to_have_count(0)
    page.evaluate("setTimeout(() => history.back()); null")
    expect(card(page, "Three")).to_be_visible()
    assert page.evaluate("restored") == 2
    button(page, "Done").click()
    service.wait_event("Message Completed")
    assert service.calls == [("claim", "t")]
    assert service.names().count("Message Shown") == 1
    assert site.complaints() == []


@pytest.mark.usefixtures("pages")
def test_a_tour_that_ended_elsewhere_has_ended(service: FakeService, site: Site) -> None:
    page = come(service, site)
    service.deliver(delivery_id="t", kind="tour", content={"steps": [{"title": "One"}, {"title": "Two"}]})
    expect(card(page, "One")).to_be_visible()
    leave(service, page)
    button(page, "Next").click()
    button(page, "Done").click()
    service.wait_event("Message Completed")
    back(page)
    page.evaluate("engage.track('Back')")
    service.wait_event("Back")
    expect(page.locator("[data-engage]")).to_have_count(0)
    assert service.names().count("Message Shown") == 1


@pytest.mark.usefixtures("pages")
def test_a_tour_that_nobody_touched_is_there_again(service: FakeService, site: Site) -> None:
    service.pages["/bare"] = "<title>Without the snippet</title>"
    page = come(service, site)
    service.deliver(delivery_id="t", kind="tour", content={"steps": [{"title": "One"}, {"title": "Two"}]})
    button(page, "Next").click()
    expect(card(page, "Two")).to_be_visible()
    page.evaluate("location.href = '/bare'; null")
    page.wait_for_url("**/bare")
    back(page)
    expect(card(page, "Two")).to_be_visible()
    button(page, "Done").click()
    service.wait_event("Message Completed")
    assert page.evaluate("Object.keys(localStorage).filter(key => key.includes('tour.'))") == []


@pytest.mark.usefixtures("pages")
def test_who_signed_out_elsewhere_is_gone_here(service: FakeService, site: Site) -> None:
    page = come(service, site)
    page.evaluate("engage.identify('ann')")
    service.wait(lambda: service.stream_queries[-1].get("userId") == "ann")
    service.deliver(delivery_id="c", **CHAT)
    expect(page.locator(".chat")).to_be_visible()
    leave(service, page)
    page.evaluate("engage.reset()")
    back(page)
    expect(page.locator(".chat")).to_have_count(0)
    page.evaluate("engage.track('Back')")
    assert "userId" not in service.wait_event("Back")
    service.wait(lambda: "userId" not in service.stream_queries[-1] and service.stream_count() == 1)


@pytest.mark.usefixtures("pages")
def test_who_objected_elsewhere_is_left_alone_here(service: FakeService, site: Site) -> None:
    page = come(service, site)
    service.deliver(delivery_id="c", **CHAT)
    expect(page.locator(".chat")).to_be_visible()
    leave(service, page)
    page.evaluate("engage.optOut()")
    back(page)
    expect(page.locator(".chat")).to_have_count(0)
    page.evaluate("engage.track('Never')")
    page.wait_for_timeout(200)
    service.wait(lambda: service.stream_count() == 0)
    assert "Never" not in service.names()
    assert list(page.evaluate("Object.values(localStorage)")) == ["1"]


@pytest.mark.usefixtures("pages")
def test_a_conversation_knows_what_was_said_on_another_page(service: FakeService, site: Site) -> None:
    page = come(service, site)
    replies = [{"label": "One", "text": "First."}, {"label": "Two", "text": "Second."}, {"label": "Three"}]
    service.deliver(delivery_id="c", kind="chat", content={"text": "Well?", "replies": replies})
    chat = page.locator(".chat")
    chat.get_by_role("button", name="One").click()
    expect(chat.locator(".line").last).to_contain_text("First.")
    leave(service, page)
    chat.get_by_role("button", name="Two").click()
    expect(chat.locator(".line").last).to_contain_text("Second.")
    back(page)
    expect(chat.locator(".line").last).to_contain_text("Second.")
    expect(chat.get_by_role("button", name="Two")).to_have_count(0)


def test_a_tour_over_several_hosts_is_given_back_to_whoever_comes_and_taken_again(
    service: FakeService, site: Site
) -> None:
    site.add("/", ["page"], head=WITNESS)
    site.add("/second", ["page"], head=WITNESS)
    page = site.open()
    here = {"text": "One", "title": "One", "path": f"{service.site}/"}
    service.deliver(delivery_id="t", kind="tour", content={"steps": [here, {"text": "Two", "title": "Two"}]})
    expect(card(page, "One")).to_be_visible()
    page.click("#nav")
    # The page that comes next makes sure that the service has heard it, and only then forgets it.
    service.wait(lambda: service.calls == [("claim", "t"), ("release", "t"), ("release", "t")])
    assert [(body["step"], body["turn"]) for body in service.bodies[1:]] == [(0, 0), (0, 0)]
    assert [found["shown"] for found in service.inbox] == [True]
    page.wait_for_function("!Object.keys(localStorage).some(key => key.includes('tour.'))")
    # A browser may not keep a page that was still telling the service so: it is loaded anew then.
    page.evaluate("setTimeout(() => history.back()); null")
    page.wait_for_url(service.site + "/", wait_until="commit")
    expect(card(page, "One")).to_be_visible()
    button(page, "Next").click()
    button(page, "Done").click()
    service.wait_event("Message Completed")
    assert service.names().count("Message Shown") == 1
    assert service.calls == [("claim", "t"), ("release", "t"), ("release", "t"), ("claim", "t")]
    assert site.complaints() == []
