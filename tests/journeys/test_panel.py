"""The side panel: a person sees how the product thinks. And what must not be seen stays where it is."""

import json
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Demo, Visit, Visitor

pytestmark = pytest.mark.browser


def test_a_visitor_sees_each_event_and_a_member_what_became_of_their_message(visitor: Visitor) -> None:
    visitor.go("/")
    expect(visitor.event("page")).to_contain_text("Opened the start page")
    expect(visitor.panel.locator("footer")).to_contain_text("You are a visitor without a name")
    visitor.picture("panel-1-visitor")
    visitor.sign_up("Mei")
    expect(visitor.event("Signed Up")).to_be_visible()
    tour = visitor.decision("welcome-tour")
    expect(tour).to_contain_text("Show a new member around")
    expect(tour).to_contain_text("Yes: sends a product tour")
    expect(tour).to_contain_text("When: The first time a signed-in person opens the dashboard.")
    expect(tour.get_by_text("seen", exact=True)).to_be_visible()
    expect(tour.get_by_text("step 1")).to_be_visible()
    expect(visitor.panel.locator("li[data-rule=welcome-tour]")).to_have_class("done")
    visitor.next()
    expect(tour.get_by_text("step 2")).to_be_visible()
    expect(visitor.panel.locator("footer")).to_contain_text("You are Mei")
    visitor.page.keyboard.press("Escape")
    expect(tour.get_by_text("closed")).to_be_visible()
    visitor.go("/settings")
    expect(visitor.event("page", "Settings")).to_be_visible()
    expect(tour.get_by_text("closed")).to_be_visible()
    visitor.picture("panel-2-settings")


def test_it_folds_away_stays_so_and_comes_back(visitor: Visitor) -> None:
    visitor.go("/pricing")
    wide = visitor.page.locator("main").bounding_box()
    visitor.page.click("#panel-toggle")
    expect(visitor.page.locator("#panel-body")).to_be_hidden()
    visitor.go("/help")
    expect(visitor.page.locator("#panel-body")).to_be_hidden()
    folded = visitor.page.locator("main").bounding_box()
    assert wide
    assert folded
    assert folded["width"] >= wide["width"]
    visitor.picture("panel-folded")
    visitor.page.click("#panel-toggle")
    expect(visitor.page.locator("#panel-body")).to_be_visible()


def test_starting_over_makes_somebody_new(visitor: Visitor) -> None:
    visitor.sign_up_past_the_tour()
    visitor.page.click("#start-over")
    visitor.page.wait_for_url(f"{visitor.demo.url}/")
    expect(visitor.panel.locator("footer")).to_contain_text("visitor")
    expect(visitor.event("page")).to_have_count(1)
    expect(visitor.event("Signed Up")).to_have_count(0)


def test_no_browser_sees_a_secret_and_nobody_the_history_of_another(visit: Visit, demo: Demo) -> None:
    keys = json.loads((demo.data / "demo-keys.json").read_text())
    visitor = visit(demo)
    bodies: list[str] = []
    visitor.page.on(
        "response", lambda reply: "event-stream" in reply.headers.get("content-type", "") or bodies.append(reply.text())
    )
    visitor.sign_up()
    expect(visitor.tour).to_be_visible()
    for secret in ("secret_key", "identity_secret", "session_secret"):
        assert not any(keys[secret] in body for body in bodies)
    user_id = visitor.page.evaluate("engage.userId")
    for asked in (user_id, ""):
        with pytest.raises(HTTPError) as refused:
            urlopen(f"{demo.url}/backend/activity?visitor={asked}")
        assert refused.value.code == 400
        refused.value.close()
