"""What people set up for themselves, and what sites make of us: forced colours, zoom, spacing, print, calm, dark, themes."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.sdk.conftest import BODY, Site, stands
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser
LONG = " ".join(["Everything that is planned, written and measured lives in one place."] * 12)
SAMPLES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "tour": ("tour", ".popover", {"steps": [{"target": "#create", "title": "A title", "text": LONG}, {"title": "Two"}]}),
    "chat": ("chat", ".chat", {"text": LONG, "replies": [{"label": "Yes"}, {"label": "No, and here is why that is so"}]}),
    "article": ("article", ".suggestion", {"article": "a", "title": "A title", "text": LONG}),
    "banner": ("banner", ".banner", {"title": "A title", "text": LONG, "actions": [{"label": "Look"}, {"label": "Later"}]}),
    "inline": ("banner", ".banner", {"text": LONG, "into": "main", "actions": [{"label": "Look"}, {"label": "Later"}]}),
    "modal": ("modal", ".modal", {"title": "A title", "text": LONG, "actions": [{"label": "Look"}], "form": {"label": "Name"}}),
    "tooltip": ("tooltip", ".tooltip", {"target": "#create", "title": "T", "text": LONG, "actions": [{"label": "Look"}]}),
    "checklist": ("checklist", ".checklist", {"title": "A title", "text": LONG, "items": [{"id": "a", "label": LONG[:70], "url": "/"}, {"id": "b", "label": "B"}]}),
    "nps": ("survey", ".survey", {"questions": [{"type": "nps", "text": LONG, "optional": True}]}),
    "csat": ("survey", ".survey", {"questions": [{"type": "csat", "text": "How was it?"}]}),
    "choices": ("survey", ".survey", {"questions": [{"type": "choices", "text": "What?", "options": [LONG[:60], "B", "C"]}]}),
    "text": ("survey", ".survey", {"questions": [{"type": "text", "text": "What?", "optional": True}]}),
}  # fmt: skip

# Elements with words, and controls, that cannot be brought into the window: cut off, or only by scrolling both ways.
CUT_OFF = """(selector) => {
  const root = document.querySelector("[data-engage]").shadowRoot;
  const card = root.querySelector(selector), found = [];
  const words = [...card.querySelectorAll("p, h2, button, label, input, textarea, span:not(.hidden)")].filter((one) => one.checkVisibility());
  for (const one of [card, ...card.querySelectorAll("*")]) {
    if (one.scrollWidth > one.clientWidth + 1 && !/^(INPUT|TEXTAREA|SVG|PATH)$/i.test(one.tagName) && getComputedStyle(one).display !== "inline" && one.clientWidth > 1) found.push("scrolls sideways: " + (one.className || one.tagName));
  }
  for (const one of words) {
    for (const block of ["start", "end"]) {
      one.scrollIntoView({ block, inline: "nearest", behavior: "instant" });
      const { left, right, top, bottom } = one.getBoundingClientRect();
      if (left < -1 || right > innerWidth + 1) found.push("beside the window: " + one.outerHTML.slice(0, 60));
      // One edge of it can be seen, wherever it is scrolled to; and nothing of the card is outside of what scrolls.
      if (block === "start" ? top < -1 || top > innerHeight - 8 : bottom > innerHeight + 1 || bottom < 8) found.push(block + " outside: " + one.outerHTML.slice(0, 60));
    }
  }
  const page = document.scrollingElement;
  if (page.scrollWidth > innerWidth) found.push("the page scrolls sideways");
  return found;
}"""


def show(page: Page, name: str) -> Locator:
    kind, selector, content = SAMPLES[name]
    page.evaluate("(delivery) => engage.show(delivery)", {"kind": kind, "content": content})
    card = page.locator(selector)
    if name in ("choices", "text"):
        expect(card.locator("form")).to_be_visible()
    return stands(card)


def computed(of: Locator, what: str, pseudo: str | None = None) -> str:
    return str(of.evaluate(f"(node) => getComputedStyle(node, {pseudo!r}).{what}".replace("None", "null")))


@pytest.mark.parametrize("name", list(SAMPLES))
def test_nothing_is_cut_off_at_320_by_256(site: Site, name: str) -> None:
    """WCAG 1.4.10: a window of 1280 × 1024 at 400 %."""
    page = site.open()
    page.set_viewport_size({"width": 320, "height": 256})
    show(page, name)
    assert page.evaluate(CUT_OFF, SAMPLES[name][1]) == []


@pytest.mark.parametrize("name", list(SAMPLES))
def test_nothing_is_cut_off_with_more_room_between_the_words(site: Site, name: str) -> None:
    """WCAG 1.4.12, as a person's style sheet or bookmarklet does it; at a phone's width and 200 %."""
    page = site.open()
    page.set_viewport_size({"width": 360, "height": 500})
    card = show(page, name)
    page.evaluate(
        """() => { const sheet = new CSSStyleSheet();
        sheet.replaceSync("* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important } p { margin-bottom: 2em !important }");
        document.querySelector("[data-engage]").shadowRoot.adoptedStyleSheets.push(sheet) }"""
    )
    stands(card)
    assert page.evaluate(CUT_OFF, SAMPLES[name][1]) == []


def test_the_article_can_be_read_at_320_by_256(service: FakeService, site: Site) -> None:
    service.articles["a"] = {"id": "a", "locale": "en", "title": "A title", "body": f"# One\n\n{LONG}\n\n- {LONG}"}
    page = site.open()
    page.set_viewport_size({"width": 320, "height": 256})
    show(page, "article")
    page.get_by_role("button", name="Read").click()
    expect(page.locator(".panel li")).to_be_attached()
    assert page.evaluate(CUT_OFF, ".panel") == []


@pytest.mark.parametrize("name", list(SAMPLES)[::5])  # one style sheet says it for all
def test_nothing_of_ours_is_printed(site: Site, name: str) -> None:
    page = site.open()
    card = show(page, name)
    page.emulate_media(media="print")
    expect(card).to_be_hidden()
    expect(page.locator("h1")).to_be_visible()
    page.emulate_media(media="screen")
    expect(card).to_be_visible()


@pytest.mark.parametrize("name", list(SAMPLES)[::3])
def test_nothing_moves_for_who_wants_calm(site: Site, name: str) -> None:
    page = site.open()  # its browser asks for calm
    show(page, name)
    moving = page.evaluate(
        """() => document.querySelector("[data-engage]").shadowRoot.getAnimations().filter((one) => one.effect.getComputedTiming().duration > 20).map((one) => one.animationName ?? one.transitionProperty)"""
    )
    assert moving == []
    slow = page.evaluate(
        """() => [...document.querySelector("[data-engage]").shadowRoot.querySelectorAll("*")].filter((one) => {
        const { animationName, transitionDuration } = getComputedStyle(one);
        return animationName !== "none" || parseFloat(transitionDuration) > 0.011 }).map((one) => one.className)"""
    )
    assert slow == []


CANVAS, INK = "rgb(255, 255, 255)", "rgb(0, 0, 0)"


class TestForcedColours:
    """High contrast: the person's few colours, all of ours in them, and what is drawn as a shadow or a background is seen."""

    @pytest.fixture
    def page(self, site: Site) -> Page:
        page = site.open()
        page.emulate_media(forced_colors="active")
        return page

    def link(self, page: Page) -> str:
        return str(page.locator("#nav").evaluate("(node) => getComputedStyle(node).color"))

    def test_the_light_and_how_far_it_is(self, page: Page) -> None:
        card = show(page, "tour")
        link = self.link(page)
        light = page.locator(".light")
        assert computed(light, "forcedColorAdjust") == "none"
        assert computed(light, "boxShadow").count("px") >= 12
        assert computed(page.locator(".tour .bar i"), "backgroundColor") == link
        assert computed(card, "backgroundColor") == CANVAS
        assert computed(card, "boxShadow").startswith(INK)
        assert computed(card.locator(".main"), "backgroundColor") == link
        assert computed(card.locator(".main"), "color") == CANVAS

    @pytest.mark.parametrize("name", list(SAMPLES))
    def test_every_button_has_an_edge_and_a_focus(self, page: Page, name: str) -> None:
        card = show(page, name)
        link = self.link(page)
        page.keyboard.press("Tab")
        for button in card.get_by_role("button").all():
            assert computed(button, "borderTopWidth") == "1px"
            assert computed(button, "borderTopStyle") == "solid"
            button.focus()
            if button.is_enabled():
                expect(button).to_have_css("outline-style", "solid")
                expect(button).to_have_css("outline-color", link)
        cross = card.locator(".close svg")
        assert computed(cross, "stroke") == INK

    def test_a_hotspot(self, page: Page) -> None:
        content = {"target": "#para", "text": "Hi", "hotspot": True}
        page.evaluate("(content) => engage.show({kind: 'tooltip', content})", content)
        assert computed(page.locator(".dot"), "backgroundColor", "::before") == self.link(page)

    def test_the_colours_of_the_site_do_not_count(self, service: FakeService, site: Site) -> None:
        look = "--engage-accent: red; --engage-surface: yellow; --engage-shadow: none; --engage-text: yellow"
        site.add("/", ["page"], head=f"<style>:root {{ {look} }}</style>")
        page = site.open()
        page.emulate_media(forced_colors="active")
        card = show(page, "banner")
        assert computed(card, "backgroundColor") == CANVAS
        assert computed(card.locator("h2"), "color") == INK
        assert computed(card, "boxShadow") == f"{INK} 0px 0px 0px 1px"


LIGHT, DARK = "rgb(255, 255, 255)", "rgb(29, 30, 36)"


class TestDark:
    def test_it_follows_the_browser(self, site: Site) -> None:
        page = site.open()
        card = show(page, "banner")
        assert computed(card, "backgroundColor") == LIGHT
        page.emulate_media(color_scheme="dark")
        assert computed(card, "backgroundColor") == DARK
        assert computed(card.locator("h2"), "color") == "rgb(243, 243, 246)"

    @pytest.mark.parametrize(("browser_s", "own"), [("light", "dark"), ("dark", "light")])
    def test_it_follows_a_switch_of_the_site(self, site: Site, browser_s: Any, own: str) -> None:
        head = (
            "<style>[data-theme=dark] { --engage-scheme: dark } [data-theme=light] { --engage-scheme: light }</style>"
        )
        site.add("/", ["page"], head=head)
        page = site.open()
        page.emulate_media(color_scheme=browser_s)
        card = show(page, "banner")
        assert computed(card, "backgroundColor") == (DARK if browser_s == "dark" else LIGHT)
        page.evaluate("(theme) => (document.documentElement.dataset.theme = theme)", own)
        assert computed(card, "backgroundColor") == (DARK if own == "dark" else LIGHT)
        assert computed(page.locator("[data-engage]"), "colorScheme") == own

    def test_a_site_in_its_own_colours_says_both(self, site: Site) -> None:
        head = "<style>:root { --engage-surface: light-dark(rgb(1, 2, 3), rgb(4, 5, 6)) }</style>"
        site.add("/", ["page"], head=head)
        page = site.open()
        card = show(page, "banner")
        assert computed(card, "backgroundColor") == "rgb(1, 2, 3)"
        page.emulate_media(color_scheme="dark")
        assert computed(card, "backgroundColor") == "rgb(4, 5, 6)"


class TestParts:
    """`[data-engage]::part(…)`: whatever of ours a site wants otherwise."""

    @pytest.mark.parametrize("name", list(SAMPLES))
    def test_card_button_and_close(self, site: Site, name: str) -> None:
        sheet = """[data-engage]::part(card) { border-radius: 3px } [data-engage]::part(button) { border-radius: 1px; text-transform: uppercase }
        [data-engage]::part(main) { background: rgb(1, 2, 3) } [data-engage]::part(close) { opacity: 0.5 } [data-engage]::part(h2) { font-size: 31px }
        [data-engage]::part(bar) { display: none }"""
        site.add("/", ["page"], head=f"<style>{sheet}</style>", body=BODY)
        page = site.open()
        card = show(page, name)
        assert computed(card, "borderTopLeftRadius") == "3px"
        for button in card.get_by_role("button").all():
            assert computed(button, "borderTopLeftRadius") == "1px"
            assert computed(button, "textTransform") == "uppercase"
        assert computed(card.locator(".close"), "opacity") == "0.5"
        if card.locator(".main").count():
            assert computed(card.locator(".main").first, "backgroundColor") == "rgb(1, 2, 3)"
        if card.locator("h2").count():
            assert computed(card.locator("h2"), "fontSize") == "31px"
        if card.locator(".bar").count():
            expect(card.locator(".bar")).to_be_hidden()

    def test_shadow_and_backdrop(self, site: Site) -> None:
        head = "<style>:root { --engage-shadow: 0 0 0 3px rgb(9, 9, 9); --engage-backdrop: rgb(7, 8, 9) }</style>"
        site.add("/", ["page"], head=head)
        page = site.open()
        card = show(page, "modal")
        assert computed(card, "boxShadow") == "rgb(9, 9, 9) 0px 0px 0px 3px"
        assert computed(card, "backgroundColor", "::backdrop") == "rgb(7, 8, 9)"
        card.locator(".close").click()
        show(page, "tour")
        assert re.search(r"rgb\(7, 8, 9\) 0px 0px 0px \d+px$", computed(page.locator(".light"), "boxShadow"))
