"""What the browser draws in front of all else: modal windows, popovers and what fills the screen. A card that points into one
is in front of it and can be used."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.sdk.conftest import BODY, Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser

OPENER = "<button id='open' onclick='own.showModal()'>Open</button>"
# Moved, clipped and faded by itself, as dialogs that are animated are: none of it is to concern us.
DIALOG = f"""{BODY}{OPENER}<style>dialog {{ transform: translate(40px, 20px); overflow: hidden; opacity: 0.9 }}</style>
<dialog id="own"><p>Really?</p><button id="yes" onclick="pressed = 1">Yes</button> <button id="no">No</button></dialog>"""
STEPS = [
    {"target": "#open", "title": "Open it", "advance": {"click": True}},
    {"target": "#yes", "title": "Say yes"},
    {"target": "#no", "title": "Or no"},
    {"title": "Nowhere"},
    {"target": "#create", "title": "Outside"},
]


def card(page: Page, name: str) -> Any:
    return page.get_by_role("dialog", name=name, exact=True)


def press(page: Page, name: str) -> None:
    page.locator(".popover").get_by_role("button", name=name, exact=True).click()


def start(service: FakeService, *steps: dict[str, Any]) -> None:
    service.deliver(delivery_id="t", kind="tour", content={"steps": list(steps)})


def lit(page: Page, target: str) -> None:
    """The light lies around the target, and is drawn at all."""
    page.locator(target).evaluate("target => window.target = target")
    page.wait_for_function(
        """() => { const all = (root) => [...root.querySelectorAll("*")].flatMap((one) => [one, ...(one.shadowRoot ? all(one.shadowRoot) : [])]);
        const light = all(document).find((one) => one.className === "light")?.getBoundingClientRect(), box = target.getBoundingClientRect();
        return light && Math.abs(light.x + 6 - box.x) < 1 && Math.abs(light.y + 6 - box.y) < 1 && Math.abs(light.width - 12 - box.width) < 1; }"""
    )


def in_front(page: Page, selector: str = ".popover") -> bool:
    """Whether its middle is what a click there would meet."""
    box = page.locator(selector).bounding_box()
    assert box
    middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    return bool(
        page.evaluate(
            """([x, y]) => { let at = document; for (let next; (next = at.elementFromPoint(x, y)?.shadowRoot) && next !== at; ) at = next;
            return at !== document && !!at.host.closest("[data-engage]") }""",
            middle,
        )
    )


def test_a_tour_goes_into_a_modal_window_and_out_again(service: FakeService, site: Site) -> None:
    site.add("/", ["page"], body=DIALOG)
    page = site.open()
    start(service, *STEPS)
    expect(card(page, "Open it")).to_be_visible()
    page.locator("#open").click()
    expect(card(page, "Say yes")).to_be_visible()
    assert in_front(page)
    lit(page, "#yes")
    page.locator("#yes").click()
    assert page.evaluate("pressed") == 1
    press(page, "Next")
    lit(page, "#no")
    press(page, "Next")
    expect(card(page, "Nowhere")).to_be_visible()
    assert in_front(page), "what points nowhere is in front of the window too"
    page.evaluate("own.close()")
    expect(card(page, "Nowhere")).to_be_visible()
    assert page.evaluate("document.querySelector('[data-engage]').parentElement === document.documentElement")
    press(page, "Next")
    lit(page, "#create")
    assert in_front(page)
    press(page, "Done")
    service.wait_event("Message Completed")
    assert page.evaluate("document.querySelectorAll('[data-engage]').length") == 0
    assert service.calls == [("claim", "t")]
    assert site.complaints() == []


def test_the_keyboard_works_in_a_modal_window_and_the_focus_stays(service: FakeService, site: Site) -> None:
    site.add("/", ["page"], body=DIALOG)
    page = site.open()
    page.locator("#open").click()
    start(service, *STEPS[1:3])
    expect(card(page, "Say yes")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator(".popover .main")).to_be_focused()
    page.keyboard.press("Enter")
    expect(card(page, "Or no")).to_be_visible()
    expect(page.locator(".popover .main")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("[data-engage]")).to_have_count(0)
    assert page.evaluate("own.open"), "it was the tour's"
    page.keyboard.press("Escape")
    page.wait_for_function("!own.open")


def test_a_window_that_closes_takes_its_step_with_it(service: FakeService, site: Site) -> None:
    site.add("/", ["page"], body=DIALOG)
    page = site.open()
    start(service, STEPS[1])
    page.locator("#open").click()
    expect(card(page, "Say yes")).to_be_visible()
    page.evaluate("own.close()")
    expect(page.locator(".tour")).to_have_count(0)
    page.evaluate("own.showModal()")
    expect(card(page, "Say yes")).to_be_visible()
    page.evaluate("window.kept = own; own.remove()")
    expect(page.locator(".tour")).to_have_count(0)
    page.evaluate("document.body.append(kept); kept.close(); kept.showModal()")
    expect(card(page, "Say yes")).to_be_visible()
    press(page, "Done")
    service.wait_event("Message Completed")
    assert service.names().count("Message Shown") == 1
    assert site.complaints() == []


def test_a_window_that_opens_over_a_step_is_left_alone(service: FakeService, site: Site) -> None:
    """The step waits behind it; its keys are the window's."""
    site.add("/", ["page"], body=DIALOG)
    page = site.open()
    start(service, {"target": "#create", "title": "One"}, {"title": "Two"})
    expect(card(page, "One")).to_be_visible()
    page.evaluate("own.showModal()")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    page.wait_for_function("!own.open")
    assert in_front(page)
    press(page, "Next")
    expect(card(page, "Two")).to_be_visible()


def test_what_else_is_on_the_screen_stays_as_it_is(service: FakeService, site: Site) -> None:
    site.add("/", ["page"], body=DIALOG)
    page = site.open()
    service.deliver(delivery_id="s", kind="survey", content={"questions": [{"type": "text", "text": "Why?"}]})
    page.locator(".survey textarea").fill("Half an ans")
    page.locator("#open").click()
    service.deliver(delivery_id="i", kind="tooltip", content={"target": "#yes", "text": "Here."})
    expect(page.locator(".tooltip")).to_be_visible()
    page.locator(".tooltip .close").click()
    expect(page.locator(".tooltip")).to_have_count(0)
    page.evaluate("own.close()")
    expect(page.locator(".survey textarea")).to_have_value("Half an ans")


@pytest.mark.parametrize("hotspot", [False, True])
def test_a_tooltip_in_a_modal_window(service: FakeService, site: Site, hotspot: bool) -> None:
    site.add("/", ["page"], body=DIALOG)
    page = site.open()
    page.locator("#open").click()  # before: nothing of ours looked for it then
    service.deliver(delivery_id="i", kind="tooltip", content={"target": "#yes", "text": "Here.", "hotspot": hotspot})
    if hotspot:
        page.locator(".dot").click()
    expect(page.locator(".tooltip")).to_be_visible()
    page.wait_for_function("own.querySelector('[data-engage]')")
    assert in_front(page, ".tooltip")
    page.locator("#yes").click()
    service.wait_event("Message Completed")
    expect(page.locator("[data-engage]")).to_have_count(0)
    assert site.complaints() == []


def test_what_is_pressed_in_a_card_is_no_press_beside_the_window(service: FakeService, site: Site) -> None:
    """Many windows close when a click was not within their edges, or take keys for themselves."""
    beside = """<script>own.onclick = (event) => { const { left, right, top, bottom } = own.getBoundingClientRect();
        if (event.clientX < left || event.clientX > right || event.clientY < top || event.clientY > bottom) own.close() };
        own.onkeydown = (event) => event.key === "Enter" && own.close()</script>"""
    site.add("/", ["page"], body=DIALOG + beside)
    page = site.open()
    page.locator("#open").click()
    start(service, *STEPS[1:3])
    press(page, "Next")
    expect(card(page, "Or no")).to_be_visible()
    page.locator(".popover").get_by_role("button", name="Back").focus()
    page.keyboard.press("Enter")
    expect(card(page, "Say yes")).to_be_visible()
    assert page.evaluate("own.open")


WIDGETS = """<script>for (const [tag, inside] of [["my-slot", "<dialog><slot></slot></dialog>"], ["my-shadow", "<dialog><button id=deep>Deep</button></dialog>"]])
  customElements.define(tag, class extends HTMLElement { connectedCallback() { this.attachShadow({ mode: "open" }).innerHTML = inside } show() { this.shadowRoot.querySelector("dialog").showModal() } });
</script>"""
WIDGET_OF = {
    "#slotted": "<my-slot><button id='slotted'>Slotted</button></my-slot>",
    "#deep": "<my-shadow></my-shadow>",
    "#within": "<dialog><my-shadow></my-shadow><div><button id='within'>Within</button></div></dialog>",
}


@pytest.mark.parametrize("target", list(WIDGET_OF))
def test_windows_of_web_components(service: FakeService, site: Site, target: str) -> None:
    site.add("/", ["page"], body=BODY + WIDGETS + WIDGET_OF[target])
    page = site.open()
    start(service, {"target": target, "title": "Here"}, {"title": "Two"})
    service.wait_event("page")
    page.evaluate(
        "document.querySelector('my-slot, dialog, my-shadow')[document.querySelector('dialog') ? 'showModal' : 'show']()"
    )
    expect(card(page, "Here")).to_be_visible()
    lit(page, target)
    assert in_front(page)
    press(page, "Next")
    expect(card(page, "Two")).to_be_visible()
    assert site.complaints() == []


def test_a_popover_opens_under_the_card_and_stays_when_that_is_used(service: FakeService, site: Site) -> None:
    menu = "<button id='menu' popovertarget='list'>Menu</button><div popover id='list'><button id='item'>Item</button></div>"
    site.add("/", ["page"], body=BODY + menu)
    page = site.open()
    start(
        service,
        {"target": "#item", "title": "Take it"},
        {"target": "#list", "title": "A list"},
        {"target": "#menu", "title": "Gone"},
    )
    service.wait_event("page")
    page.wait_for_timeout(300)
    page.locator("#menu").click()
    expect(card(page, "Take it")).to_be_visible()
    assert in_front(page)
    lit(page, "#item")
    press(page, "Next")
    expect(card(page, "A list")).to_be_visible()
    assert page.evaluate("list.matches(':popover-open')"), "a click on ours is none beside it"
    page.locator(".popover .main").focus()
    page.keyboard.press("Enter")
    expect(card(page, "Gone")).to_be_visible()
    expect(page.locator(".popover .main")).to_be_focused()
    press(page, "Done")
    service.wait_event("Message Completed")
    assert site.complaints() == []


def test_what_fills_the_screen(service: FakeService, site: Site) -> None:
    board = "<div id='board' style='background:#fff'><button id='full' onclick='board.requestFullscreen()'>Full</button></div>"
    site.add("/", ["page"], body=BODY + board)
    page = site.open()
    start(service, {"target": "#full", "title": "Here"}, {"title": "Two"})
    expect(card(page, "Here")).to_be_visible()
    page.locator("#full").click()
    page.wait_for_function("document.fullscreenElement === board && board.querySelector('[data-engage]')")
    lit(page, "#full")
    assert in_front(page)
    press(page, "Next")
    expect(card(page, "Two")).to_be_visible()
    assert in_front(page)
    page.evaluate("document.exitFullscreen()")
    page.wait_for_function("!board.querySelector('[data-engage]')")
    press(page, "Done")
    service.wait_event("Message Completed")
    assert site.complaints() == []


def test_a_page_that_is_zoomed_within_its_body(service: FakeService, site: Site) -> None:
    site.add("/", ["page"], head="<style>body { zoom: 1.5 }</style>", body=DIALOG)
    page = site.open()
    page.locator("#open").click()
    start(service, STEPS[1])
    expect(card(page, "Say yes")).to_be_visible()
    lit(page, "#yes")


def test_it_is_not_printed_from_there(service: FakeService, site: Site) -> None:
    site.add("/", ["page"], body=DIALOG)
    page = site.open()
    page.locator("#open").click()
    start(service, STEPS[1])
    expect(card(page, "Say yes")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.locator(".popover")).to_be_hidden()
    expect(page.locator(".light")).to_be_hidden()
    expect(page.locator("#yes")).to_be_visible()
    page.emulate_media(media="screen")
    expect(card(page, "Say yes")).to_be_visible()
