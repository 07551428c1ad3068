"""Tours: elements, pages, reloads, keyboard."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import until
from tests.sdk.conftest import BODY, Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser


def dialog(page: Page, name: str) -> Any:
    return page.get_by_role("dialog", name=name)


def button(page: Page, name: str) -> Any:
    return page.locator(".popover").get_by_role("button", name=name, exact=True)


def test_next_back_done(service: FakeService, site: Site, tour_delivery: Any) -> None:
    page = site.open()
    service.deliver(**tour_delivery())
    expect(dialog(page, "Create a project")).to_contain_text("Everything starts here.")
    expect(page.locator(".progress")).to_have_text("1 / 3")
    expect(button(page, "Back")).to_have_count(0)
    button(page, "Next").click()
    expect(dialog(page, "Find it again")).to_be_visible()
    button(page, "Back").click()
    expect(dialog(page, "Create a project")).to_be_visible()
    button(page, "Next").click()
    button(page, "Next").click()
    expect(dialog(page, "That is all")).to_be_visible()
    button(page, "Done").click()
    expect(page.locator("[data-engage]")).to_have_count(0)
    service.wait_event("Message Completed")
    viewed = [event["properties"]["step"] for event in service.events if event.get("event") == "Tour Step Viewed"]
    assert viewed == [1, 2, 1, 2, 3]
    assert service.names()[:3] == ["page", "Message Shown", "Tour Step Viewed"]
    assert service.names().count("Message Shown") == 1
    assert page.evaluate("Object.keys(localStorage).filter(key => key.includes('tour.'))") == []
    assert site.complaints() == []


def test_the_element_is_lit_and_stays_usable(service: FakeService, site: Site, tour_delivery: Any) -> None:
    page = site.open()
    service.deliver(**tour_delivery())
    expect(dialog(page, "Create a project")).to_be_visible()
    page.evaluate("window.clicks = 0; document.querySelector('#create').onclick = () => clicks++; 0")
    page.locator("#create").click()
    assert page.evaluate("clicks") == 1
    page.evaluate("document.querySelector('header').style.marginTop = '200px'")

    def around() -> list[float]:
        light, target = page.locator(".light").bounding_box(), page.locator("#create").bounding_box()
        assert light
        assert target
        return [light["x"] - target["x"], light["y"] - target["y"], light["height"] - target["height"]]

    until(lambda: around() == pytest.approx([-6, -6, 12], abs=1), what="the light follows the element")


def test_keyboard_and_focus(service: FakeService, site: Site, tour_delivery: Any) -> None:
    page = site.open()
    page.focus("#nav")
    service.deliver(**tour_delivery())
    expect(dialog(page, "Create a project")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(dialog(page, "Find it again")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(dialog(page, "Create a project")).to_be_visible()
    page.keyboard.press("Tab")
    expect(button(page, "Close")).to_be_focused()
    page.keyboard.press("Tab")
    expect(button(page, "Next")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#create")).to_be_focused()  # the element is one of the stops
    page.keyboard.press("Escape")
    expect(page.locator("[data-engage]")).to_have_count(0)
    expect(page.locator("#nav")).to_be_focused()
    service.wait_event("Message Dismissed")


def test_someone_who_types_is_not_interrupted(service: FakeService, site: Site, tour_delivery: Any) -> None:
    page = site.open()
    page.focus("#search")
    service.deliver(**tour_delivery())
    expect(dialog(page, "Create a project")).to_be_visible()
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("a")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Escape")
    expect(dialog(page, "Create a project")).to_be_visible()
    expect(page.locator("#search")).to_have_value("a")


def test_it_waits_for_the_next_element(service: FakeService, site: Site) -> None:
    page = site.open()
    steps = [{"target": "#create", "title": "One"}, {"target": ".late", "title": "Two"}]
    service.deliver(delivery_id="t", kind="tour", content={"steps": steps})
    button(page, "Next").click()
    expect(page.locator(".tour")).to_have_count(0)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p class=late>Here</p>')")
    expect(dialog(page, "Two")).to_be_visible()
    service.wait(lambda: service.names().count("Tour Step Viewed") == 2)
    assert service.names().count("Message Shown") == 1
    assert service.calls == [("claim", "t")]


def test_an_element_drawn_anew_is_found_again_and_a_lost_one_waited_for(
    service: FakeService, site: Site, tour_delivery: Any
) -> None:
    page = site.open()
    service.deliver(**tour_delivery())
    expect(dialog(page, "Create a project")).to_be_visible()
    page.evaluate("const old = document.querySelector('#create'); old.replaceWith(old.cloneNode(true))")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    expect(dialog(page, "Create a project")).to_be_visible()
    page.evaluate("window.gone = document.querySelector('#create'); gone.remove()")
    expect(page.locator(".tour")).to_have_count(0)
    page.evaluate("document.querySelector('header').append(gone)")
    expect(dialog(page, "Create a project")).to_be_visible()


def test_it_goes_on_after_a_reload_and_on_another_page(service: FakeService, site: Site) -> None:
    site.add("/second", ["page"], body=BODY + "<h2 id='there'>There</h2>")
    site.add("/third", ["page"])
    steps = [
        {"target": "#create", "title": "One", "path": "/"},
        {"target": "#search", "title": "Two", "path": "/", "navigate": "/second?from=tour"},
        {"target": "#there", "title": "Three", "path": "/sec*"},
    ]
    page = site.open()
    service.deliver(delivery_id="t", kind="tour", content={"steps": steps})
    button(page, "Next").click()
    expect(dialog(page, "Two")).to_be_visible()
    page.reload()
    expect(dialog(page, "Two")).to_be_visible()
    button(page, "Next").click()
    page.wait_for_url("**/second?from=tour")
    expect(dialog(page, "Three")).to_be_visible()
    site.open("/third", page)
    service.wait_event("page", 4)
    expect(page.locator(".tour")).to_have_count(0)
    site.open("/second", page)
    expect(dialog(page, "Three")).to_be_visible()
    button(page, "Done").click()
    service.wait_event("Message Completed")
    site.open("/", page)
    service.wait_event("page", 6)
    expect(page.locator(".tour")).to_have_count(0)
    assert service.calls == [("claim", "t")]
    assert service.names().count("Message Shown") == 1


def test_a_second_tab_does_not_take_a_running_tour(service: FakeService, site: Site, tour_delivery: Any) -> None:
    first = site.open()
    service.deliver(**tour_delivery())
    expect(dialog(first, "Create a project")).to_be_visible()
    second = site.open()
    service.wait_event("page", 2)
    second.wait_for_timeout(200)
    expect(second.locator(".tour")).to_have_count(0)
    first.close()
    expect(dialog(second, "Create a project")).to_be_visible()  # it goes on where someone is


def test_a_single_page_app_changes_pages_under_it(service: FakeService, site: Site, tour_delivery: Any) -> None:
    page = site.open()
    service.deliver(**tour_delivery())
    expect(dialog(page, "Create a project")).to_be_visible()
    page.evaluate("history.pushState({}, '', '/elsewhere')")
    expect(page.locator(".tour")).to_have_count(0)
    page.evaluate("history.back()")
    expect(dialog(page, "Create a project")).to_be_visible()


def test_it_comes_into_view(service: FakeService, site: Site) -> None:
    site.add(
        "/",
        ["page"],
        body="<div style='height:3000px'></div><button id='low'>Low</button><div style='height:900px'></div>",
    )
    page = site.open()
    service.deliver(delivery_id="t", kind="tour", content={"steps": [{"target": "#low", "title": "Down here"}]})
    expect(page.locator("#low")).to_be_in_viewport()
    expect(dialog(page, "Down here")).to_be_in_viewport()


@pytest.mark.parametrize(
    ("content", "label"),
    [
        ({"steps": [{"title": "こんにちは", "text": "はじめましょう。"}]}, "完了"),
        ({"steps": [{"title": "Hello"}]}, "Done"),
        ({"steps": [{"title": "Hello"}], "labels": {"done": "Got it", "other": 5}}, "Got it"),
    ],
)
def test_labels_are_in_the_language_of_the_message(site: Site, content: Any, label: str) -> None:
    page = site.open()
    page.evaluate("content => engage.show({kind: 'tour', content})", content)
    expect(button(page, label)).to_be_visible()


@pytest.mark.parametrize("target", ["a[", "", 5, None, "#nowhere"])
def test_a_target_that_is_no_selector_breaks_nothing(service: FakeService, site: Site, target: Any) -> None:
    page = site.open()
    service.deliver(delivery_id="t", kind="tour", content={"steps": [{"target": target, "title": "One"}]})
    service.deliver(delivery_id="c", kind="chat", content={"text": "Still here"})
    page.wait_for_function("document.querySelector('[data-engage]')")
    assert site.complaints() == []
