"""Journey 3: whose export fails twice is handed the article that helps, and it does help."""

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Demo, Visit, Visitor

pytestmark = pytest.mark.browser
RULE = "export-rescue"


def test_the_second_failure_brings_the_article_which_is_read_in_place(visitor: Visitor) -> None:
    visitor.sign_up_past_the_tour()
    visitor.fail_export()
    expect(visitor.decision(RULE, "not_matched")).to_be_visible()
    expect(visitor.suggestion).to_have_count(0)
    visitor.fail_export()
    expect(visitor.suggestion).to_contain_text("Is the export not working?")
    visitor.picture("export-1-suggestion")

    visitor.suggestion.get_by_role("button", name="Read").click()
    expect(visitor.article.get_by_role("heading", name="When an export fails")).to_be_visible()
    expect(visitor.article.locator("li").first).to_contain_text("choose 30 days instead of 12 months")
    visitor.picture("export-2-article")
    assert visitor.page.url.endswith("/dashboard")
    visitor.page.keyboard.press("Escape")
    expect(visitor.article).to_have_count(0)
    expect(visitor.decision(RULE)).to_contain_text("finished")

    visitor.page.get_by_role("button", name="30 days").click()
    with visitor.page.expect_download() as download:
        visitor.page.click("#export")
    assert download.value.suggested_filename == "kanso-30d.csv"
    expect(visitor.event("Report Exported")).to_be_visible()
    visitor.picture("export-3-works")


@pytest.mark.parametrize("locale", ["en-US", "ja-JP"])
def test_on_a_phone(visit: Visit, demo: Demo, locale: str) -> None:
    visitor = visit(demo, locale, (390, 844))
    visitor.sign_up()
    expect(visitor.tour).to_be_visible()
    visitor.page.keyboard.press("Escape")
    expect(visitor.tour).to_have_count(0)
    visitor.fail_export()
    visitor.fail_export()
    expect(visitor.suggestion).to_be_visible()
    visitor.picture(f"phone-{locale}-1-suggestion")
    card, panel = visitor.suggestion.bounding_box(), visitor.panel.bounding_box()
    assert card
    assert panel
    assert card["y"] >= panel["y"] + panel["height"]
    visitor.page.click("#panel-toggle")
    expect(visitor.page.locator("#panel-feed")).to_be_visible()
    visitor.picture(f"phone-{locale}-2-drawer")
    visitor.page.click("#panel-toggle")
    visitor.suggestion.locator("button.main").click()
    expect(visitor.article.locator("h1")).not_to_be_empty()
    visitor.picture(f"phone-{locale}-3-article")
