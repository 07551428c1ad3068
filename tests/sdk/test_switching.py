"""The code of docs/switching.md, as it is printed, in a page of its own; and what docs/upgrading.md says of pages that stay open."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.sdk.conftest import Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser

TEXT = (Path(__file__).parents[2] / "docs" / "switching.md").read_text()
BOXES = re.findall(r"^```js\n// Engage\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
BODY = """<main><button id="new-project">New project</button> <input id="search" aria-label="search">
<a id="upgrade" href="#upgrade">Upgrade</a> <button id="export">Export</button></main>"""


def of(box: int, service: FakeService) -> str:
    return BOXES[box].replace("wk_…", "wk").replace("https://engage.example.com", service.host)


def bare(service: FakeService, site: Site, script: str = "") -> Page:
    """A page with the snippet's file, in which nothing was called but `script`."""
    service.pages["/bare"] = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Bare</title>
<link rel="icon" href="data:,"></head><body>{BODY}<script>window.engage = []; const userHash = "hash";
{script}</script><script async src="{service.host}/sdk/engage.js"></script></body></html>"""
    return site.open("/bare")


def said(site: Site, *lines: str) -> None:
    assert site.complaints() == [f"log: {line}" for line in lines]


def test_each_box_is_tried_here() -> None:
    assert len(BOXES) == 4
    assert TEXT.count("```js\n") == len(BOXES) + 3  # and one of each of the others


def test_from_segment(service: FakeService, site: Site) -> None:
    page = bare(service, site, of(0, service))
    page.click("#upgrade")
    clicked = service.wait_event("Upgrade Clicked")
    assert service.names() == ["identify", "page", "Export Failed", "Upgrade Clicked"]
    assert all(event["userId"] == "user-42" for event in service.events)
    assert service.events[0]["traits"] == {"name": "Aiko", "plan": "trial"}
    assert service.events[2]["properties"] == {"format": "csv"}
    assert clicked["properties"] == {"plan": "pro"}
    said(site, f"visitor {clicked['anonymousId']}")


def test_the_visitor_that_segment_knew(service: FakeService, site: Site) -> None:
    page = site.open()
    page.evaluate(of(1, service))
    page.evaluate("localStorage.setItem('ajs_anonymous_id', JSON.stringify('of-segment'))")
    page.evaluate("{" + of(1, service) + "}")
    alias = service.wait_event("alias")
    assert (alias["userId"], alias["previousId"]) == ("user-42", "of-segment")
    assert service.names().count("alias") == 1
    said(site)


def test_from_intercom(service: FakeService, site: Site) -> None:
    service.articles["compare-plans"] = {"id": "compare-plans", "locale": "en", "title": "Plans", "body": "# Plans"}
    page = bare(service, site, of(2, service))
    expect(page.locator(".suggestion")).to_contain_text("Compare the plans")
    wanted = service.wait_event("Tour Wanted")
    assert service.names() == ["identify", "group", "page", "identify", "invited-teammate", "Tour Wanted"]
    assert {event["userHash"] for event in service.events} == {"hash"}
    assert service.events[1]["groupId"] == "acme"
    assert service.events[3]["traits"] == {"plan": "trial"}
    assert wanted["properties"] == {"tour": "first-tour"}
    form = {"label": "Your address", "name": "email", "type": "email", "required": True}
    service.deliver(delivery_id="m1", kind="modal", content={"title": "News?", "text": "Monthly.", "form": form})
    field = page.get_by_label("Your address")
    field.fill("ann@example.com")
    field.press("Enter")
    service.wait_event("Message Clicked")
    said(site, "an address ann@example.com")


def test_the_steps_of_driver_js(service: FakeService, site: Site) -> None:
    page = bare(service, site, of(0, service))
    page.evaluate(of(3, service))
    card = page.locator(".popover")
    for title, button in (("Create a project", "Next"), ("Find it again", "Next"), ("That is all", "Let’s go")):
        expect(card).to_contain_text(title)
        card.get_by_role("button", name=button, exact=True).click()
    expect(page.locator("[data-engage]")).to_have_count(0)
    site.console[:] = [line for line in site.console if "visitor" not in line]
    said(site, "tour next from 1", "tour next from 2", "tour completed")
    page.evaluate(BOXES[3].split('engage.push(["on"')[0])
    expect(card).to_contain_text("Create a project")
    page.keyboard.press("Escape")
    expect(card).to_have_count(0)
    assert site.complaints()[-1] == "log: tour left at 1"
    assert not {"Message Shown", "Tour Step Viewed"} & set(service.names())


def test_the_message_document_is_what_the_steps_show(service: FakeService) -> None:
    (document,) = re.findall(r"`messages/first-tour\.json`\n\n```json\n(.*?)```", TEXT, re.DOTALL)
    message: dict[str, Any] = json.loads(document)
    found = re.findall(r"title: (\"[^\"]+\").*?text: (\"[^\"]+\")", BOXES[3])
    assert [
        (json.dumps(step["title"]), json.dumps(step["text"])) for step in message["content"]["en"]["steps"]
    ] == found
    assert message["content"]["en"]["labels"] == {"done": "Let’s go"}


def test_a_page_that_was_open_before_the_upgrade_tells_of_gone_parts_and_claims_nothing(
    service: FakeService, site: Site
) -> None:
    page = site.open()
    page.evaluate("window.errors = []; engage.on('error', error => errors.push(String(error)))")
    gone = re.compile(r"/sdk/(?:chat|part)-[^/]+\.js$")
    page.route(gone, lambda route: route.fulfill(status=404))
    service.deliver(delivery_id="d1", kind="chat", content={"text": "Hello"})
    page.wait_for_function("errors.length > 0")
    assert service.calls == []
    page.evaluate("engage.track('Still Here')")
    service.wait_event("Still Here")
    page.unroute(gone)
    page.reload()
    expect(page.get_by_role("dialog", name="Assistant")).to_contain_text("Hello")
    assert service.calls == [("claim", "d1")]
