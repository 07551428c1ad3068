"""What a step of a tour can do: where it points, what it does without its target, how the person goes on, branches, media."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.sdk.conftest import BODY, Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser

Step = dict[str, Any]
PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def card(page: Page, name: str) -> Any:
    return page.get_by_role("dialog", name=name)


def button(page: Page, name: str) -> Any:
    return page.locator(".popover").get_by_role("button", name=name, exact=True)


def start(service: FakeService, *steps: Step, **more: Any) -> None:
    service.deliver(delivery_id="t", kind="tour", content={"steps": list(steps)}, **more)


def lit(page: Page, box: dict[str, float] | None) -> None:
    """The light lies around the box, once it has glided there."""
    assert box
    page.wait_for_function(
        """([x, y, width]) => { const light = document.querySelector('[data-engage=""]').shadowRoot.querySelector('.light')
            .getBoundingClientRect(); return Math.abs(light.x + 6 - x) < 1.5 && Math.abs(light.y + 6 - y) < 1.5 && Math.abs(light.width - 12 - width) < 1.5; }""",
        arg=[box["x"], box["y"], box["width"]],
    )


SHADOW = """<my-app></my-app><script>
customElements.define('my-app', class extends HTMLElement { connectedCallback() {
  this.attachShadow({mode: 'open'}).innerHTML = '<div style="padding:40px"><button id="deep" data-engage="save">Save <b>all</b></button></div>'; } });
</script>"""
FRAME = """<iframe src="/inner" style="margin:30px;border:5px solid;width:400px;height:200px"></iframe>"""


@pytest.mark.parametrize(
    "target",
    ["#create", "text=New project", "text=new  PROJECT", "data-engage=create", "header button"],
)
def test_a_target_is_a_selector_its_words_or_its_data_attribute(service: FakeService, site: Site, target: str) -> None:
    site.add("/", ["page"], body=BODY.replace('id="create"', 'id="create" data-engage="create"'))
    page = site.open()
    start(service, {"target": target, "title": "Here"})
    expect(card(page, "Here")).to_be_visible()
    lit(page, page.locator("#create").bounding_box())


@pytest.mark.parametrize("target", ["#deep", "text=Save all", "data-engage=save"])
def test_a_target_in_an_open_shadow_root(service: FakeService, site: Site, target: str) -> None:
    site.add("/", ["page"], body=SHADOW)
    page = site.open()
    start(service, {"target": target, "title": "Here", "advance": {"click": True}}, {"title": "Two"})
    expect(card(page, "Here")).to_be_visible()
    lit(page, page.locator("#deep").bounding_box())
    page.locator("#deep").click()
    expect(card(page, "Two")).to_be_visible()


@pytest.mark.parametrize("target", ["#inner", "text=Press me"])
def test_a_target_in_a_frame_of_the_same_site_that_comes_late(service: FakeService, site: Site, target: str) -> None:
    service.pages["/inner"] = (
        "<body style='margin:0;padding:50px'><script>setTimeout(() => document.body.insertAdjacentHTML('beforeend', '<button id=inner>Press <i>me</i></button>'), 300)</script>"
    )
    site.add("/", ["page"])
    page = site.open()
    start(service, {"target": target, "title": "Here", "advance": {"click": True}}, {"title": "Two"})
    page.wait_for_timeout(100)
    page.evaluate("html => document.querySelector('main').insertAdjacentHTML('beforeend', html)", FRAME)
    expect(card(page, "Here")).to_be_visible()
    inner = page.frame_locator("iframe").locator("#inner")
    lit(page, inner.bounding_box())
    inner.click()
    expect(card(page, "Two")).to_be_visible()
    assert site.complaints() == []


def test_a_card_points_into_a_shadow_root_too(service: FakeService, site: Site) -> None:
    site.add("/", ["page"], body=SHADOW)
    page = site.open()
    service.deliver(delivery_id="i", kind="tooltip", content={"target": "text=Save all", "text": "Saves."})
    expect(page.locator(".tooltip")).to_be_visible()
    service.deliver(delivery_id="b", kind="banner", content={"into": "data-engage=save", "text": "Within."})
    expect(page.locator(".banner.inline")).to_be_visible()


def test_a_target_that_does_not_come_is_told_and_waited_for(service: FakeService, site: Site) -> None:
    site.add("/", ["page"], head='<meta name="engage-release" content="2026.11.2">')
    page = site.open()
    start(service, {"title": "One"}, {"target": "#late", "title": "Two", "timeout": "200ms"})
    button(page, "Next").click()
    missing = service.wait_event("Tour Target Missing")["properties"]
    assert missing["target"] == "#late"
    assert (missing["step"], missing["missing"], missing["release"]) == (2, "wait", "2026.11.2")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p id=late>Here</p>')")
    expect(card(page, "Two")).to_be_visible()
    service.wait_event("Tour Step Viewed", 2)
    viewed = [event["properties"] for event in service.events if event.get("event") == "Tour Step Viewed"]
    assert [(one["step"], one.get("target"), one["release"]) for one in viewed] == [
        (1, None, "2026.11.2"),
        (2, "found", "2026.11.2"),
    ]
    assert service.names().count("Tour Target Missing") == 1


def test_a_step_without_its_target_is_left_out(service: FakeService, site: Site) -> None:
    page = site.open()
    start(
        service,
        {"title": "One"},
        {"target": "#no", "title": "Two", "missing": "skip", "timeout": 200},
        {"title": "Three"},
    )
    button(page, "Next").click()
    expect(card(page, "Three")).to_be_visible()
    service.wait_event("Tour Target Missing")
    button(page, "Back").click()
    expect(card(page, "Three")).to_be_visible()  # what was not there is tried again, and left out again


def test_a_step_without_its_target_stands_in_the_middle(service: FakeService, site: Site) -> None:
    page = site.open()
    start(
        service,
        {"target": "#no", "title": "One", "missing": "center", "timeout": "100ms", "path": "/"},
        {"title": "Two"},
    )
    expect(card(page, "One")).to_be_visible()
    box = page.locator(".popover").bounding_box()
    assert box
    assert abs(box["x"] + box["width"] / 2 - 550) < 2
    viewed = service.wait_event("Tour Step Viewed")["properties"]
    assert viewed["target"] == "missing"
    button(page, "Next").click()
    expect(card(page, "Two")).to_be_visible()


def test_a_tour_ends_without_its_target_but_is_not_spent_before_it_began(service: FakeService, site: Site) -> None:
    page = site.open()
    start(service, {"target": "#no", "title": "One", "missing": "end", "timeout": "50ms", "path": "/"})
    service.wait_event("Tour Target Missing")
    page.wait_for_timeout(100)
    assert service.calls == []
    service.deliver(
        delivery_id="u",
        kind="tour",
        content={
            "steps": [{"title": "First"}, {"target": "#never", "title": "Second", "missing": "end", "timeout": "50ms"}]
        },
    )
    button(page, "Next").click()
    service.wait_event("Tour Target Missing", 2)
    expect(page.locator("[data-engage='']")).to_have_count(0)
    assert page.evaluate("Object.keys(localStorage).filter(key => key.includes('tour.'))") == []
    assert "Message Dismissed" not in service.names()


def test_the_person_goes_on_by_pressing_the_target(service: FakeService, site: Site) -> None:
    page = site.open()
    start(service, {"target": "#create", "title": "Press it", "advance": {"click": True}}, {"title": "Well done"})
    expect(card(page, "Press it")).to_be_visible()
    expect(button(page, "Next")).to_have_count(0)
    page.locator("h1").click()
    expect(card(page, "Press it")).to_be_visible()
    page.locator("#create").click()
    expect(card(page, "Well done")).to_be_visible()
    assert service.wait_event("Message Clicked")["properties"]["advance"] == "click"
    button(page, "Back").click()
    expect(card(page, "Press it")).to_be_visible()


def test_pressing_a_link_goes_on_from_the_next_page(service: FakeService, site: Site) -> None:
    site.add("/second", ["page"])
    page = site.open()
    start(
        service,
        {"target": "#nav", "title": "Go there", "advance": {"click": True}},
        {"title": "Here you are", "path": "/second"},
    )
    expect(card(page, "Go there")).to_be_visible()
    page.locator("#nav").click()
    page.wait_for_url("**/second")
    expect(card(page, "Here you are")).to_be_visible()
    assert service.calls == [("claim", "t")]


def test_the_person_goes_on_by_typing_what_fits(service: FakeService, site: Site) -> None:
    page = site.open()
    start(service, {"target": "#search", "title": "Your address", "advance": {"input": ".+@.+"}}, {"title": "Thanks"})
    expect(card(page, "Your address")).to_be_visible()
    page.locator("#search").press_sequentially("ann")
    page.wait_for_timeout(900)
    expect(card(page, "Your address")).to_be_visible()
    page.locator("#search").press_sequentially("@example.com", delay=20)
    expect(card(page, "Thanks")).to_be_visible()
    expect(page.locator("#search")).to_be_focused()


def test_the_person_goes_on_by_what_the_page_tells_of(service: FakeService, site: Site) -> None:
    page = site.open()
    start(service, {"title": "Make one", "advance": {"event": "Project Created"}}, {"title": "Done it"})
    expect(card(page, "Make one")).to_be_visible()
    page.evaluate("engage.track('Something Else')")
    expect(card(page, "Make one")).to_be_visible()
    page.evaluate("engage.track('Project Created')")
    expect(card(page, "Done it")).to_be_visible()


@pytest.mark.parametrize("how", ["history.pushState({}, '', '/projects/7')", "location.href = '/projects/7'"])
def test_the_person_goes_on_by_arriving_at_a_page(service: FakeService, site: Site, how: str) -> None:
    site.add("/projects/7", ["page"])
    page = site.open()
    start(
        service,
        {"title": "Go to your project", "path": "/", "advance": {"path": "/projects/*"}},
        {"title": "Here it is"},
    )
    expect(card(page, "Go to your project")).to_be_visible()
    page.evaluate(how + "; null")
    expect(card(page, "Here it is")).to_be_visible()


def test_branches(service: FakeService, site: Site) -> None:
    page = site.open()
    start(
        service,
        {"title": "Have you data?", "buttons": [{"label": "No", "to": "empty"}, {"label": "Yes"}]},
        {"title": "Import it", "then": "last"},
        {"id": "empty", "title": "Start empty"},
        {
            "id": "last",
            "title": "Last",
            "buttons": [{"label": "Enough", "to": "end"}, {"label": "Again", "to": "empty"}],
        },
    )
    button(page, "Yes").click()
    expect(card(page, "Import it")).to_be_visible()
    button(page, "Next").click()
    expect(card(page, "Last")).to_be_visible()
    button(page, "Back").click()
    button(page, "Back").click()
    button(page, "No").click()
    expect(card(page, "Start empty")).to_be_visible()
    page.reload()
    expect(card(page, "Start empty")).to_be_visible()
    button(page, "Back").click()  # the way is not remembered, but there is one
    expect(card(page, "Have you data?")).to_be_visible()
    button(page, "No").click()
    button(page, "Next").click()
    button(page, "Enough").click()
    service.wait_event("Message Completed")
    pressed = [event["properties"]["button"] for event in service.events if event.get("event") == "Message Clicked"]
    assert pressed == ["Yes", "next", "No", "No", "next", "Enough"]


def test_a_step_with_a_picture_or_a_video(service: FakeService, site: Site) -> None:
    service.pages["/new.png"] = ""
    page = site.open()
    start(
        service,
        {"title": "Look", "image": service.site + "/new.png", "alt": "The new board"},
        {"title": "Watch", "video": service.site + "/new.mp4", "alt": "How it moves"},
        {"title": "Neither", "image": "javascript:alert(1)"},
    )
    expect(page.get_by_role("img", name="The new board")).to_have_attribute("src", service.site + "/new.png")
    button(page, "Next").click()
    expect(page.locator("video")).to_have_attribute("aria-label", "How it moves")
    button(page, "Next").click()
    expect(card(page, "Neither")).to_be_visible()
    expect(page.locator(".show > *")).to_have_count(0)


@pytest.mark.parametrize("width", [360, 1100])
def test_it_never_covers_what_it_asks_for(service: FakeService, site: Site, width: int) -> None:
    places = "".join(
        f"<button class=target style='position:absolute;top:{top}px;left:{left}px;width:90px;height:44px'>T</button>"
        for top in (0, 150, 330, 560, 900, 1400)
        for left in (0, (width - 90) // 2, width - 106)
    )
    site.add("/", ["page"], body=f"<main style='height:1700px'>{places}</main>")
    page = site.context.new_page()
    page.set_viewport_size({"width": width, "height": 640})
    site.open("/", page)
    words = "What it asks for stays in sight. " * 3
    steps = [{"target": f".target:nth-of-type({n})", "title": f"Step {n}", "text": words} for n in range(1, 19)]
    start(service, *steps)
    for n in range(1, 19):
        expect(card(page, f"Step {n}")).to_be_visible()
        target = page.locator(f".target:nth-of-type({n})")
        expect(target).to_be_in_viewport(ratio=1)
        lit(page, target.bounding_box())
        popover, box = page.locator(".popover").bounding_box(), target.bounding_box()
        assert popover
        assert box
        apart = (
            popover["x"] + popover["width"] <= box["x"]
            or box["x"] + box["width"] <= popover["x"]
            or popover["y"] + popover["height"] <= box["y"]
            or box["y"] + box["height"] <= popover["y"]
        )
        assert apart, (n, popover, box)
        button(page, "Done" if n == 18 else "Next").click()
    assert site.complaints() == []
