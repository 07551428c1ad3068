"""Chat prompts and article suggestions."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.sdk.conftest import Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser
REPLIES = [
    {"label": "Compare plans", "article": "plans"},
    {"label": "What is Team?", "text": "It adds **sharing**."},
    {"label": "Talk to a person", "handoff": True},
    {"label": "See pricing", "url": "/pricing"},
]
PLANS = {"id": "plans", "locale": "en", "title": "Plans", "body": "# Plans\n\nThere are *three*.\n\n- Free\n- Team"}


def reply(page: Page, name: str) -> Any:
    return page.locator(".choices").get_by_role("button", name=name)


def open_chat(service: FakeService, site: Site) -> Page:
    service.articles["plans"] = PLANS
    page = site.open()
    service.deliver(
        delivery_id="c", rule_id="r", message_id="m", kind="chat", content={"text": "Shall I help?", "replies": REPLIES}
    )
    expect(page.locator(".chat")).to_contain_text("Shall I help?")
    return page


def test_a_reply_is_shown_answered_and_reported(service: FakeService, site: Site) -> None:
    page = open_chat(service, site)
    reply(page, "What is Team?").click()
    expect(page.locator(".mine")).to_contain_text("What is Team?")
    expect(page.locator(".theirs").last.locator("strong")).to_have_text("sharing")
    expect(reply(page, "What is Team?")).to_have_count(0)
    clicked = service.wait_event("Message Clicked")
    assert clicked["properties"] == {
        "delivery_id": "c", "rule_id": "r", "message_id": "m", "kind": "chat", "variant": None, "step": 1, "reply": "What is Team?"}  # fmt: skip
    service.wait_event("Message Completed")
    page.get_by_role("button", name="Close").click()
    page.evaluate("engage.track('End')")
    service.wait_event("End")
    assert "Message Dismissed" not in service.names()
    assert site.complaints() == []


def test_an_article_reply_opens_it_in_place(service: FakeService, site: Site) -> None:
    page = open_chat(service, site)
    reply(page, "Compare plans").click()
    panel = page.get_by_role("dialog", name="Plans")
    expect(panel.get_by_role("heading", name="Plans")).to_have_count(1)
    expect(panel.get_by_role("listitem")).to_have_text(["Free", "Team"])
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(page.locator(".chat")).to_be_visible()


def test_a_handoff_is_requested(service: FakeService, site: Site) -> None:
    page = open_chat(service, site)
    reply(page, "Talk to a person").click()
    expect(page.locator(".theirs").last).to_contain_text("Someone from our team")
    asked = service.wait_event("Handoff Requested")
    assert asked["properties"]["delivery_id"] == "c"
    assert asked["properties"]["reply"] == "Talk to a person"


def test_a_url_reply_goes_there_and_is_still_reported(service: FakeService, site: Site) -> None:
    site.add("/pricing")
    page = open_chat(service, site)
    reply(page, "See pricing").click()
    page.wait_for_url("**/pricing")
    service.wait_event("Message Clicked")


def test_a_prompt_takes_no_focus_and_can_be_dismissed(service: FakeService, site: Site) -> None:
    page = site.open()
    page.focus("#nav")
    service.deliver(delivery_id="c", kind="chat", content={"text": "Hi"})
    expect(page.locator(".chat")).to_be_visible()
    expect(page.locator("#nav")).to_be_focused()
    page.get_by_role("button", name="Close").click()
    dismissed = service.wait_event("Message Dismissed")
    assert dismissed["properties"]["delivery_id"] == "c"


def test_an_article_is_suggested_and_read_in_place(service: FakeService, site: Site) -> None:
    service.articles["plans"] = PLANS
    page = site.open()
    service.deliver(
        delivery_id="a",
        kind="article",
        content={"article": "plans", "title": "Which plan?", "text": "A *short* guide."},
    )
    card = page.locator(".suggestion")
    expect(card.locator("em")).to_have_text("short")
    page.get_by_role("button", name="Read").click()
    panel = page.get_by_role("dialog", name="Plans")
    expect(panel).to_contain_text("There are three.")
    expect(card).to_have_count(0)
    panel.get_by_role("button", name="Close").click()
    expect(page.locator("[data-engage]")).to_have_count(0)
    service.wait_event("Message Completed")
    assert [name for name in service.names() if name.startswith("Message")] == [
        "Message Shown", "Message Clicked", "Message Completed"]  # fmt: skip


def test_an_article_that_cannot_be_loaded_can_be_tried_again(service: FakeService, site: Site) -> None:
    page = site.open()
    service.deliver(delivery_id="a", kind="article", content={"article": "plans"})
    page.get_by_role("button", name="Read").click()
    expect(page.get_by_role("alert")).to_be_visible()
    service.articles["plans"] = PLANS
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("dialog", name="Plans")).to_contain_text("There are three.")


def test_dark_japanese_and_small(service: FakeService, site: Site) -> None:
    page = site.open()
    page.set_viewport_size({"width": 360, "height": 640})
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    service.deliver(delivery_id="a", kind="article", content={"article": "plans", "title": "書き出しでお困りですか?"})
    card = page.locator(".suggestion")
    expect(card.get_by_role("button", name="読む")).to_be_in_viewport()
    box = card.bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    assert card.evaluate("node => getComputedStyle(node).backgroundColor") == "rgb(29, 30, 36)"


def test_the_page_themes_it(service: FakeService, site: Site) -> None:
    site.add("/", ["page"], head="<style>:root{--engage-accent:rgb(1, 2, 3)} button{background:red!important}</style>")
    page = site.open()
    service.deliver(delivery_id="a", kind="article", content={"article": "plans"})
    read = page.get_by_role("button", name="Read")
    assert read.evaluate("node => getComputedStyle(node).backgroundColor") == "rgb(1, 2, 3)"
