"""Checklists: a launcher and a list on every page until the end; the service says what is done."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.sdk.conftest import Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser

ITEMS: list[dict[str, Any]] = [
    {"id": "create", "label": "Create a project", "text": "It holds **everything**."},
    {"id": "invite", "label": "Invite your team", "url": "/second"},
    {
        "id": "look",
        "label": "Look around",
        "tour": "around",
        "content": {"steps": [{"title": "Here"}, {"title": "There"}]},
    },
]
CONTENT: dict[str, Any] = {"title": "Get started", "items": ITEMS, "thanks": "You are **ready**."}


def start(service: FakeService, *done: str, **more: Any) -> None:
    more = {"content": CONTENT, **more, **({"done": list(done)} if done else {})}
    service.deliver(delivery_id="c1", kind="checklist", message_id="start", **more)


def listed(page: Page) -> Any:
    return page.get_by_role("region", name="Get started")


def launcher(page: Page) -> Any:
    return page.locator(".launcher")


def ticked(page: Page, count: int) -> None:
    expect(page.locator(".checklist li.done")).to_have_count(count)


def test_it_stands_on_every_page_until_all_is_done(service: FakeService, site: Site) -> None:
    site.add("/second", ["page"])
    page = site.open()
    start(service)
    expect(listed(page)).to_be_visible()
    expect(launcher(page)).to_contain_text("0 / 3")
    expect(listed(page)).to_contain_text("It holds everything.")
    service.inbox.clear()
    start(service, "create")
    ticked(page, 1)
    expect(launcher(page)).to_contain_text("1 / 3")
    listed(page).get_by_role("button", name="Invite your team: Start").click()
    page.wait_for_url("**/second")
    ticked(page, 1)
    service.inbox.clear()
    start(service, "create", "invite", "look")
    expect(listed(page).get_by_role("status")).to_have_text("You are ready.")
    service.wait(lambda: service.calls == [("claim", "c1")])
    page.keyboard.press("Tab")
    listed(page).get_by_role("button", name="Close").click()
    expect(page.locator("[data-engage]")).to_have_count(0)
    service.wait_event("Message Completed")
    assert [name for name in service.names() if name != "page"] == [
        "Message Shown",
        "Message Clicked",
        "Message Completed",
    ]
    page.reload()
    service.wait_event("page", 3)
    expect(page.locator("[data-engage]")).to_have_count(0)
    assert site.complaints() == []


def test_it_stays_closed_where_it_was_closed(service: FakeService, site: Site) -> None:
    page = site.open()
    start(service)
    listed(page).get_by_role("button", name="Close").click()
    expect(listed(page)).to_be_hidden()
    expect(launcher(page)).to_be_focused()
    page.reload()
    expect(launcher(page)).to_be_visible()
    expect(listed(page)).to_be_hidden()
    launcher(page).click()
    expect(listed(page)).to_be_focused()
    page.keyboard.press("Escape")
    expect(listed(page)).to_be_hidden()
    assert service.calls == []
    assert service.names().count("Message Shown") == 1


def test_the_person_ticks_off_what_only_they_know(service: FakeService, site: Site) -> None:
    page = site.open()
    start(service)
    listed(page).get_by_role("button", name="Create a project: Mark as done").click()
    ticked(page, 1)
    told = service.wait_event("Checklist Item Completed")["properties"]
    assert (told["item"], told["delivery_id"], told["message_id"]) == ("create", "c1", "start")
    expect(listed(page)).to_be_focused()


def test_an_item_starts_its_tour_as_often_as_one_likes(service: FakeService, site: Site) -> None:
    page = site.open()
    start(service)
    for count in (1, 2):
        listed(page).get_by_role("button", name="Look around: Start").click()
        expect(listed(page)).to_be_hidden()
        page.get_by_role("button", name="Next").click()
        page.reload()  # it goes on where it was, as any tour
        expect(page.get_by_role("dialog", name="There")).to_be_visible()
        page.get_by_role("button", name="Done", exact=True).click()
        service.wait_event("Message Completed", count)
        launcher(page).click()
    shown = service.wait_event("Message Shown", 3)["properties"]
    assert shown["message_id"] == "around"
    assert service.calls == []


def test_dismissed_in_one_tab_it_is_gone_in_all(service: FakeService, site: Site) -> None:
    first = site.open()
    start(service)
    expect(listed(first)).to_be_visible()
    second = site.open()
    second.evaluate("dispatchEvent(new Event('focus'))")
    expect(listed(second)).to_be_visible()
    listed(second).get_by_role("button", name="Don’t show this again").click()
    expect(second.locator("[data-engage]")).to_have_count(0)
    expect(first.locator("[data-engage]")).to_have_count(0)
    service.wait_event("Message Dismissed")
    assert service.calls == [("claim", "c1")]
    assert "Message Completed" not in service.names()


def test_it_keeps_to_its_pages_and_survives_being_taken_out(service: FakeService, site: Site) -> None:
    page = site.open()
    start(service, show_on={"path": "/"})
    expect(listed(page)).to_be_visible()
    page.evaluate("history.pushState({}, '', '/elsewhere')")
    expect(launcher(page)).to_be_hidden()
    page.evaluate("history.back()")
    expect(launcher(page)).to_be_visible()
    page.evaluate("window.before = document.querySelector('[data-engage]'); before.remove()")
    page.wait_for_function("before !== (document.querySelector('[data-engage]') ?? before)")
    expect(launcher(page)).to_be_visible()
    service.inbox.clear()
    page.evaluate("engage.reset()")
    expect(page.locator("[data-engage]")).to_have_count(0)


def test_it_speaks_japanese_and_says_what_is_wrong(service: FakeService, site: Site) -> None:
    page = site.open()
    start(service, content={"title": "はじめに", "items": [{"id": "a", "label": "作成する"}]})
    expect(page.get_by_role("button", name="今後は表示しない")).to_be_visible()
    page.evaluate("engage.on('error', error => (window.wrong = String(error))); null")
    page.evaluate("engage.show({kind: 'checklist', content: {title: 'x', items: [{label: 'no id'}]}})")
    page.wait_for_function("window.wrong === 'Error: message : expected content.title and content.items'")
