"""`/sdk/gallery`: every kind of message, in two languages and every theme, from a running service."""

import re
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from tests.axe import violations
from tests.journeys.conftest import Demo
from tests.sdk.conftest import stands

KINDS = {
    "Tour": ".popover", "Chat prompt": ".chat", "Conversation": ".chat form",
    "Conversation behind its launcher": ".bubble", "Help article": ".suggestion", "Banner": ".banner.top",
    "Banner within the page": ".banner.inline", "Modal": "dialog", "Modal with a form": "dialog form", "Tooltip": ".tooltip",
    "Hotspot": ".dot", "Checklist": ".checklist", "Survey: NPS, then why": ".survey .nps", "Survey: CSAT": ".survey .csat", "Survey: choices": ".survey .list",
}  # fmt: skip
JAPANESE = re.compile(r"[\u3041-\u30ff\u4e00-\u9fff]")


@pytest.mark.browser
@pytest.mark.parametrize(("locale", "scheme"), [("en-US", "light"), ("ja-JP", "dark")])
def test_every_kind_is_shown_in_every_theme(
    demo: Demo, browser: Browser, locale: str, scheme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(locale=locale, color_scheme=scheme, viewport={"width": 1400, "height": 3200})
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"http://127.0.0.1:{demo.engage_port}/sdk/gallery")
    for theme in ("Indigo", "Midnight"):
        page.get_by_label(theme).check()
        assert [figure.get_attribute("title") for figure in page.locator("iframe").all()] == list(KINDS)
        for title, selector in KINDS.items():
            message = page.frame_locator(f'iframe[title="{title}"]').locator(selector).first
            expect(message).to_be_visible()
            if selector not in (".dot", ".bubble", ".chat form", ".survey .nps"):
                assert bool(JAPANESE.search(message.inner_text() or "")) == (
                    locale == "ja-JP" and title != "Survey: CSAT"
                ), title
    page.get_by_label("Phone").check()
    expect(page.frame_locator('iframe[title="Modal"]').locator("dialog")).to_be_visible()
    assert said == []
    assert not [url for url in asked if "/v1/" in url], "a preview leaves the page alone"
    context.close()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("language", "scheme", "themes"), [("en", "light", ["Indigo", "Rose"]), ("ja", "dark", ["Emerald", "Midnight"])]
)
def test_axe_finds_nothing(
    demo: Demo, browser: Browser, language: str, scheme: Literal["light", "dark"], themes: list[str]
) -> None:
    """WCAG 2.2 AA and the best practices of axe-core, on every sample; what is told of the sample's own page is not ours."""
    context = browser.new_context(color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    page = context.new_page()
    found: list[str] = []
    for theme in themes:
        for show, (title, selector) in enumerate(KINDS.items()):
            query = f"show={show}&language={language}&theme={theme}"
            page.goto(f"http://127.0.0.1:{demo.engage_port}/sdk/gallery?{query}")
            stands(page.locator(selector).first)
            found += [f"{theme}, {title}: {wrong}" for wrong in violations(page)]
    context.close()
    assert found == []
