"""The help center beside the page: an article and its rating, the search, and links that open it."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.axe import violations
from tests.conftest import until
from tests.sdk.conftest import Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser

BODIES = {
    "plans": ("Plans", "# Plans\n\nThere are three. See [billing](#engage-article=billing)."),
    "billing": ("Billing", "Invoices come by mail."),
    "export": ("Export data", "As *CSV*, or by mail."),
}


@pytest.fixture(autouse=True)
def _articles(service: FakeService) -> None:
    for name, (title, body) in BODIES.items():
        service.articles[name] = {"id": name, "locale": "en", "title": title, "body": body}


def panel(page: Page) -> Any:
    return page.locator(".panel")


def heading(page: Page) -> Any:
    return panel(page).locator("h1")


def field(page: Page) -> Any:
    return panel(page).get_by_role("searchbox", name="Search for help")


def open_suggested(service: FakeService, page: Page) -> None:
    content = {"article": "plans", "title": "Which plan?"}
    service.deliver(delivery_id="a", rule_id="r", message_id="m", kind="article", content=content)
    page.get_by_role("button", name="Read").click()
    expect(heading(page)).to_have_text("Plans")


@pytest.mark.parametrize("view", ["article", "results", "nothing"])
def test_axe_finds_nothing(service: FakeService, site: Site, view: str) -> None:
    page = site.open()
    page.emulate_media(reduced_motion="reduce")
    open_suggested(service, page)
    if view != "article":
        field(page).fill({"results": "mail", "nothing": "zebra"}[view])
        expect(panel(page).get_by_role("status")).to_have_count(1)
    assert violations(page) == []


class TestRating:
    @pytest.mark.parametrize(("answer", "helped", "said"), [("Yes", True, "Thank you"), ("No", False, "A search may")])
    def test_whether_it_helped_is_reported(
        self, service: FakeService, site: Site, answer: str, helped: bool, said: str
    ) -> None:
        page = site.open()
        open_suggested(service, page)
        panel(page).get_by_role("group", name="Did this help?").get_by_role("button", name=answer, exact=True).click()
        rated = service.wait_event("Article Rated")["properties"]
        assert rated == {
            "delivery_id": "a", "rule_id": "r", "message_id": "m", "kind": "article", "variant": None, "step": 1,
            "article": "plans", "locale": "en", "helped": helped}  # fmt: skip
        thanks = panel(page).locator(".rating")
        expect(thanks).to_contain_text(said)
        expect(thanks.locator("p")).to_be_focused()
        expect(thanks.get_by_role("button")).to_have_count(0)

    def test_it_is_asked_once_for_an_article(self, service: FakeService, site: Site) -> None:
        page = site.open()
        open_suggested(service, page)
        panel(page).get_by_role("button", name="Yes").click()
        panel(page).get_by_role("link", name="billing").click()
        expect(panel(page).locator(".rating")).to_be_visible()
        panel(page).get_by_role("button", name="Back").click()
        expect(heading(page)).to_have_text("Plans")
        expect(panel(page).locator(".rating")).to_have_count(0)


class TestSearch:
    def test_what_is_found_is_read_and_the_way_back(self, service: FakeService, site: Site) -> None:
        page = site.open()
        open_suggested(service, page)
        expect(panel(page).get_by_role("button", name="Back")).to_be_hidden()
        field(page).press_sequentially("mail")
        hits = panel(page).locator(".hit")
        expect(hits).to_have_text(["BillingInvoices come by mail.", "Export dataAs *CSV*, or by mail."])
        expect(panel(page).get_by_role("status")).to_have_text("Articles found: 2")
        hits.nth(1).click()
        expect(heading(page)).to_have_text("Export data")
        expect(field(page)).to_have_value("")
        back = panel(page).get_by_role("button", name="Back")
        back.click()
        expect(hits).to_have_count(2)
        expect(field(page)).to_have_value("mail")
        back.click()
        expect(heading(page)).to_have_text("Plans")
        expect(back).to_be_hidden()
        searched = service.wait_event("Articles Searched")["properties"]
        assert (searched["query"], searched["results"], searched["delivery_id"]) == ("mail", 2, "a")
        assert service.searches == ["mail"]

    def test_only_what_is_typed_to_its_end_is_reported(self, service: FakeService, site: Site) -> None:
        page = site.open()
        open_suggested(service, page)
        for word in ("ex", "exp", "export"):
            field(page).fill(word)
            expect(panel(page).locator(".hit")).to_have_count(1)
        field(page).press("Enter")
        service.wait_event("Articles Searched")
        field(page).press("Enter")
        page.keyboard.press("Escape")  # empties the field: the article is there again
        expect(heading(page)).to_have_text("Plans")
        page.keyboard.press("Escape")
        expect(panel(page)).to_have_count(0)
        service.wait_event("Message Completed")
        searched = [
            event["properties"]["query"] for event in service.events if event.get("event") == "Articles Searched"
        ]
        assert searched == ["export"]

    def test_by_keys_alone(self, service: FakeService, site: Site) -> None:
        page = site.open()
        open_suggested(service, page)
        field(page).focus()
        page.keyboard.type("mail")
        expect(panel(page).locator(".hit")).to_have_count(2)
        page.keyboard.press("ArrowDown")
        expect(panel(page).locator(".hit").nth(0)).to_be_focused()
        page.keyboard.press("ArrowUp")
        expect(field(page)).to_be_focused()
        page.keyboard.press("ArrowUp")
        expect(panel(page).locator(".hit").nth(1)).to_be_focused()
        page.keyboard.press("Enter")
        expect(heading(page)).to_have_text("Export data")
        page.keyboard.press("Escape")
        expect(panel(page)).to_have_count(0)

    def test_nothing_found_and_no_answer(self, service: FakeService, site: Site) -> None:
        page = site.open()
        open_suggested(service, page)
        field(page).fill("zebra")
        expect(panel(page).get_by_role("status")).to_have_text("Nothing found. Other words may help.")
        field(page).press("Enter")
        assert service.wait_event("Articles Searched")["properties"]["results"] == 0
        service.down = True
        field(page).fill("mail")
        expect(panel(page).get_by_role("alert")).to_be_visible()
        service.down = False
        panel(page).get_by_role("button", name="Try again").click()
        expect(panel(page).locator(".hit")).to_have_count(2)

    def test_the_newest_question_has_the_last_word(self, service: FakeService, site: Site) -> None:
        page = site.open()
        held: list[Any] = []
        page.route("**/v1/articles?*q=slow*", lambda route: held.append(route))
        open_suggested(service, page)
        field(page).fill("slow")
        until(lambda: (page.wait_for_timeout(10), held)[1], what="the first question is asked")
        field(page).fill("csv")
        expect(panel(page).locator(".hit")).to_have_text(["Export dataAs *CSV*, or by mail."])
        held[0].fulfill(json={"articles": [{"id": "late", "locale": "en", "title": "Late", "excerpt": ""}]})
        page.wait_for_timeout(100)
        expect(panel(page).locator(".hit")).to_have_text(["Export dataAs *CSV*, or by mail."])


class TestLinks:
    def test_a_link_of_the_page_opens_it_again_and_again(self, service: FakeService, site: Site) -> None:
        site.add("/", ["page"], body='<a href="#engage-article=export">Help</a>')
        page = site.open()
        for _ in range(2):
            page.get_by_role("link", name="Help").click()
            expect(heading(page)).to_have_text("Export data")
            panel(page).get_by_role("button", name="Close").click()
            expect(page.locator("[data-engage]")).to_have_count(0)
            assert page.url.endswith("/")

    def test_an_address_opens_it_on_arrival(self, service: FakeService, site: Site) -> None:
        page = site.open("/#engage-article=billing")
        expect(heading(page)).to_have_text("Billing")
        panel(page).get_by_role("button", name="No").click()
        rated = service.wait_event("Article Rated")["properties"]
        assert rated == {"article": "billing", "locale": "en", "helped": False}
        assert "Message Shown" not in service.names()

    def test_a_link_of_a_message_opens_it(self, service: FakeService, site: Site) -> None:
        page = site.open()
        service.deliver(delivery_id="b", kind="banner", content={"text": "Read [this](#engage-article=plans)."})
        page.get_by_role("link", name="this").click()
        expect(heading(page)).to_have_text("Plans")

    def test_one_that_is_not_there_says_so(self, service: FakeService, site: Site) -> None:
        page = site.open("/#engage-article=gone")
        expect(panel(page).get_by_role("alert")).to_have_text("This could not be loaded.")

    def test_the_page_opens_the_help_center(self, service: FakeService, site: Site) -> None:
        page = site.open()
        page.evaluate("engage.show({kind: 'article', content: {open: true}})")
        expect(heading(page)).to_have_text("Help center")
        expect(panel(page).locator(".hit")).to_have_count(3)
        page.evaluate("engage.show({kind: 'article', content: {article: 'plans', open: true}})")
        expect(heading(page)).to_have_text("Plans")
        expect(panel(page)).to_have_count(1)

    def test_in_japanese(self, service: FakeService, site: Site) -> None:
        site.add("/", ["page"], options={"locale": "ja"})
        page = site.open()
        page.evaluate("engage.show({kind: 'article', content: {open: true}})")
        expect(heading(page)).to_have_text("ヘルプセンター")
        expect(panel(page).get_by_role("searchbox", name="ヘルプを検索")).to_be_visible()
