"""A conversation: what may be said next, what is typed, what is kept, and the launcher it waits behind."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.axe import violations
from tests.sdk.conftest import Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser

TREE = [
    {
        "label": "Plans",
        "text": "For one, or for many?",
        "replies": [
            {"label": "For one", "text": "Then **Free** will do."},
            {
                "label": "For many",
                "text": "How many?",
                "replies": [{"label": "Ten"}, {"label": "More", "handoff": True}],
            },
        ],
    },
    {"label": "A person", "handoff": True},
]
ASK = {"text": "Thank you. We will look into it.", "placeholder": "Ask anything"}


def deliver(service: FakeService, **content: Any) -> None:
    content = {"text": "Shall I help?"} | content
    service.deliver(delivery_id="c", rule_id="r", message_id="m", kind="chat", content=content)


def card(page: Page) -> Any:
    return page.locator(".chat")


def lines(page: Page) -> Any:
    return page.locator(".chat .line:not(.dots)")


def launcher(page: Page) -> Any:
    return page.locator(".bubble")


def say(page: Page, label: str) -> None:
    card(page).get_by_role("button", name=label, exact=True).click()


def stays_away(page: Page) -> None:
    """Nothing of it comes with the next load."""
    page.reload()
    page.wait_for_timeout(300)
    expect(page.locator("[data-engage]")).to_have_count(0)


def told(service: FakeService, name: str) -> list[dict[str, Any]]:
    return [event["properties"] for event in service.events if event.get("event") == name]


def test_axe_finds_nothing(service: FakeService, site: Site) -> None:
    page = site.open()
    page.emulate_media(reduced_motion="reduce")
    deliver(service, replies=TREE, input=ASK)
    say(page, "Plans")
    expect(card(page).get_by_role("textbox")).to_be_visible()
    assert violations(page) == []
    say(page, "For one")
    say(page, "Close")  # while the answer is being typed
    expect(page.locator(".badge")).to_have_attribute("data-count", "1")
    assert violations(page) == []


class TestReplies:
    def test_a_reply_leads_to_further_replies(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, replies=TREE)
        choices = card(page).locator(".choices button")
        expect(choices).to_have_text(["Plans", "A person"])
        say(page, "Plans")
        expect(choices).to_have_text(["For one", "For many"])
        say(page, "For many")
        expect(choices).to_have_text(["Ten", "More"])
        say(page, "Ten")  # the question is answered: back to the beginning, without what was chosen there
        expect(choices).to_have_text(["A person"])
        expect(lines(page)).to_have_text(
            [
                "AssistantShall I help?",
                "YouPlans",
                "AssistantFor one, or for many?",
                "YouFor many",
                "AssistantHow many?",
                "YouTen",
            ]
        )
        service.wait_event("Message Clicked", 3)
        clicked = told(service, "Message Clicked")
        assert [(one["reply"], one["step"]) for one in clicked] == [("Plans", 1), ("For many", 2), ("Ten", 3)]

    def test_who_is_asked_for_gets_the_conversation(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, replies=TREE)
        say(page, "Plans")
        say(page, "For many")
        say(page, "More")
        asked = service.wait_event("Handoff Requested")["properties"]
        assert (asked["reply"], asked["step"], asked["delivery_id"]) == ("More", 3, "c")
        assert asked["transcript"] == [
            {"from": "assistant", "text": "Shall I help?"},
            {"from": "person", "text": "Plans"},
            {"from": "assistant", "text": "For one, or for many?"},
            {"from": "person", "text": "For many"},
            {"from": "assistant", "text": "How many?"},
            {"from": "person", "text": "More"},
        ]
        expect(lines(page).last).to_contain_text("Someone from our team")


class TestFreeText:
    def test_what_is_typed_is_sent_and_answered(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, input=ASK)
        field = card(page).get_by_role("textbox", name="Ask anything")
        field.fill("  Do you do <b>invoices</b>?  ")
        field.press("Enter")
        expect(lines(page)).to_have_text(
            ["AssistantShall I help?", "YouDo you do <b>invoices</b>?", "AssistantThank you. We will look into it."]
        )
        expect(field).to_have_value("")
        sent = service.wait_event("Live Chat Message Sent")["properties"]
        assert sent == {
            "delivery_id": "c", "rule_id": "r", "message_id": "m", "kind": "chat", "variant": None, "step": 1,
            "conversation_id": "c", "message_body": "Do you do <b>invoices</b>?"}  # fmt: skip
        assert service.wait_event("Message Completed")
        field.fill("And another")
        card(page).get_by_role("button", name="Send").click()
        expect(lines(page)).to_have_count(5)

    def test_the_help_center_is_asked_first(self, service: FakeService, site: Site) -> None:
        for name in ("One", "Two", "Three", "Four"):
            service.articles[name] = {"id": name, "locale": "en", "title": f"Article {name}", "body": "About invoices."}
        page = site.open()
        deliver(service, input={"search": True, "handoff": True})
        field = card(page).get_by_role("textbox")
        field.fill("invoices")
        field.press("Enter")
        expect(card(page).locator(".choices button")).to_have_text(
            ["Article One", "Article Two", "Article Three", "None of these"]
        )
        expect(lines(page).last).to_contain_text("This may help:")
        assert told(service, "Handoff Requested") == []
        say(page, "Article Two")
        expect(page.get_by_role("dialog", name="Article Two")).to_be_visible()
        page.keyboard.press("Escape")
        field.fill("invoices")
        field.press("Enter")
        say(page, "None of these")
        asked = service.wait_event("Handoff Requested")["properties"]
        assert [line["text"] for line in asked["transcript"]][-3:] == ["invoices", "This may help:", "None of these"]
        field.fill("zebra")
        field.press("Enter")
        assert service.wait_event("Handoff Requested", 2)["properties"]["message_body"] == "zebra"

    def test_nothing_is_not_sent(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, input=ASK)
        field = card(page).get_by_role("textbox")
        field.fill("   ")
        field.press("Enter")
        expect(lines(page)).to_have_count(1)

    def test_a_reply_may_ask_for_words(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, replies=[{"label": "Something else", "text": "Tell me.", "input": {"handoff": True}}])
        expect(card(page).get_by_role("textbox")).to_have_count(0)
        say(page, "Something else")
        field = card(page).get_by_role("textbox", name="Write a message")
        field.fill("It is broken")
        field.press("Enter")
        asked = service.wait_event("Handoff Requested")["properties"]
        assert asked["message_body"] == "It is broken"
        assert asked["transcript"][-1] == {"from": "person", "text": "It is broken"}

    def test_unanswered_it_is_dismissed_as_any_prompt(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, input=ASK)
        expect(card(page).get_by_role("textbox")).to_be_visible()
        say(page, "Close")
        service.wait_event("Message Dismissed")
        expect(page.locator("[data-engage]")).to_have_count(0)


class TestLauncher:
    def test_a_conversation_waits_behind_it_and_comes_back(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, replies=TREE)
        say(page, "Plans")
        expect(card(page).locator(".choices button")).to_have_count(2)
        page.keyboard.press("Escape")
        expect(card(page)).to_be_hidden()
        expect(launcher(page)).to_be_focused()
        page.keyboard.press("Enter")
        expect(card(page)).to_be_focused()
        expect(lines(page)).to_have_count(3)
        expect(launcher(page)).to_be_hidden()

    def test_the_screen_is_free_for_others(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, replies=TREE)
        say(page, "Plans")
        service.deliver(delivery_id="m", kind="modal", content={"title": "News", "text": "A dashboard."})
        say(page, "Close")
        expect(page.get_by_role("dialog", name="News")).to_be_visible()
        expect(launcher(page)).to_be_visible()

    def test_while_it_is_open_nothing_else_interrupts_on_the_next_page_either(
        self, service: FakeService, site: Site, tour_delivery: Callable[..., dict[str, Any]]
    ) -> None:
        page = site.open()
        deliver(service, replies=TREE)
        say(page, "Plans")
        expect(lines(page)).to_have_count(3)
        service.deliver(**tour_delivery(priority=5))
        held: list[Any] = []
        page.route("**/sdk/part-*.js", lambda route: held.append(route))  # all of it that is loaded late
        page.reload()
        service.wait(lambda: (page.wait_for_timeout(20), bool(held))[1])
        for route in held:
            route.continue_()
        page.unroute("**/sdk/part-*.js")
        expect(card(page)).to_be_visible()
        page.wait_for_timeout(300)
        expect(page.locator(".popover")).to_have_count(0)
        say(page, "Close")
        expect(page.locator(".popover")).to_be_visible()
        assert service.calls == [("claim", "c"), ("claim", "0001tour")]

    def test_who_opens_it_again_is_not_interrupted(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, replies=TREE)
        say(page, "Plans")
        expect(card(page).locator(".choices button")).to_have_count(2)
        say(page, "Close")
        launcher(page).click()
        expect(card(page)).to_be_visible()
        page.evaluate("engage.debug(); null")
        service.deliver(delivery_id="m", kind="modal", content={"title": "News", "text": "A dashboard."})
        site.wait_said("held back: modal message m: the conversation is open")
        expect(page.get_by_role("dialog", name="News")).to_have_count(0)
        service.deliver(delivery_id="d", kind="chat", content={"text": "Ann here."})  # is said in it, at once
        expect(lines(page).last).to_have_text("AssistantAnn here.")
        expect(page.get_by_role("dialog", name="News")).to_have_count(0)
        say(page, "Close")
        expect(page.get_by_role("dialog", name="News")).to_be_visible()
        assert service.calls == [("claim", "c"), ("claim", "d"), ("claim", "m")]

    def test_a_conversation_that_cannot_be_had_holds_nobody_up(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, replies=TREE)
        say(page, "Plans")
        expect(page.locator(".end")).to_be_visible()
        asked: list[Route] = []
        page.route("**/sdk/part-*.js", lambda route: asked.append(route))  # all of it that is loaded late
        page.reload()
        page.evaluate("engage.debug(); null")
        with page.expect_response("**/sdk/modal-*.js"):
            service.deliver(delivery_id="m", kind="modal", content={"title": "News", "text": "A dashboard."})
        site.wait_said("held back: modal message m: the conversation is open")
        page.wait_for_timeout(200)  # it could be shown now, and nothing has the stage look again
        for route in asked:
            route.abort()
        expect(page.get_by_role("dialog", name="News")).to_be_visible()
        expect(card(page)).to_have_count(0)

    def test_what_comes_meanwhile_is_unread(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, replies=TREE)
        say(page, "Plans")
        say(page, "Close")  # while the answer is being typed
        expect(launcher(page)).to_have_accessible_name("Open the chat (new: 1)")
        expect(page.locator(".badge")).to_have_attribute("data-count", "1")
        page.reload()
        expect(page.locator(".badge")).to_have_attribute("data-count", "1")
        launcher(page).click()
        expect(lines(page).last).to_contain_text("For one, or for many?")
        say(page, "Close")
        expect(launcher(page)).to_have_accessible_name("Open the chat")
        expect(page.locator(".badge")).to_be_hidden()

    def test_who_closes_it_before_all_of_it_is_loaded_finds_it_again(self, service: FakeService, site: Site) -> None:
        page = site.open()
        held: list[Any] = []
        deliver(service, replies=TREE)
        expect(card(page)).to_be_visible()
        page.route("**/sdk/part-*.js", lambda route: held.append(route))
        say(page, "Plans")
        say(page, "Close")
        service.wait(lambda: (page.wait_for_timeout(20), bool(held))[1])
        for route in held:
            route.continue_()
        page.unroute("**/sdk/part-*.js")
        expect(launcher(page)).to_be_visible()
        expect(card(page)).to_be_hidden()

    def test_one_that_does_not_interrupt_waits_with_a_badge(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, replies=TREE, open=False)
        expect(page.locator(".badge")).to_have_attribute("data-count", "1")
        expect(card(page)).to_be_hidden()
        service.wait_event("Message Shown")
        service.deliver(delivery_id="m", kind="modal", content={"title": "News", "text": "A dashboard."})
        expect(page.get_by_role("dialog", name="News")).to_be_visible()  # it holds nobody up
        page.get_by_role("dialog", name="News").get_by_role("button", name="Close").click()
        launcher(page).click()
        say(page, "Plans")
        assert service.wait_event("Message Completed")["properties"]["delivery_id"] == "c"

    def test_the_page_hides_it_and_opens_the_chat_itself(self, service: FakeService, site: Site) -> None:
        site.add("/", ["page"], head="<style>:root { --engage-launcher: none }</style>")
        page = site.open()
        deliver(service, replies=TREE)
        say(page, "Plans")
        expect(card(page).locator(".choices button")).to_have_count(2)
        say(page, "Close")
        expect(card(page)).to_be_hidden()
        expect(launcher(page)).to_be_hidden()
        page.evaluate("engage.show({kind: 'chat', content: {}})")
        expect(card(page)).to_be_visible()

    def test_a_message_may_do_without(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, replies=TREE, launcher=False)
        say(page, "Plans")
        expect(card(page).locator(".choices button")).to_have_count(2)
        say(page, "Close")
        expect(page.locator("[data-engage]")).to_have_count(0)
        stays_away(page)

    def test_nothing_left_to_say_leaves_no_launcher(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, replies=[{"label": "Yes", "text": "Here you are."}])
        say(page, "Yes")
        expect(lines(page)).to_have_count(3)
        say(page, "Close")
        expect(page.locator("[data-engage]")).to_have_count(0)

    def test_the_person_ends_it(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, replies=TREE)
        say(page, "Plans")
        say(page, "End chat")
        expect(page.locator("[data-engage]")).to_have_count(0)
        assert service.wait_event("Live Chat Conversation Ended")["properties"]["conversation_id"] == "c"
        stays_away(page)


class TestTranscript:
    def test_it_goes_on_on_the_next_page(self, service: FakeService, site: Site) -> None:
        site.add("/next", ["page"])
        page = site.open()
        deliver(service, replies=TREE, input=ASK)
        say(page, "Plans")
        expect(lines(page)).to_have_count(3)
        site.open("/next", page)
        expect(card(page)).to_be_visible()  # as it was left
        expect(lines(page)).to_have_text(["AssistantShall I help?", "YouPlans", "AssistantFor one, or for many?"])
        say(page, "For one")
        expect(lines(page).last).to_have_text("AssistantThen Free will do.")
        clicked = service.wait_event("Message Clicked", 2)["properties"]
        assert clicked == {
            "delivery_id": "c", "rule_id": "r", "message_id": "m", "kind": "chat", "variant": None, "step": 2, "reply": "For one"}  # fmt: skip
        assert len(told(service, "Message Completed")) == 1
        assert service.calls == [("claim", "c")]

    def test_what_was_being_typed_is_there_after_a_reload(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, replies=TREE)
        say(page, "Plans")
        expect(page.locator(".end")).to_be_visible()
        page.reload()
        expect(lines(page).last).to_have_text("AssistantFor one, or for many?")

    def test_a_further_message_is_added_to_it(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, replies=[{"label": "A person", "handoff": True}])
        say(page, "A person")
        expect(lines(page)).to_have_count(3)
        say(page, "Close")
        service.deliver(
            delivery_id="d",
            rule_id="agent",
            message_id="reply",
            kind="chat",
            content={"text": "Ann here.", "input": ASK},
        )
        expect(card(page)).to_be_visible()
        expect(lines(page)).to_have_count(4)
        expect(lines(page).last).to_have_text("AssistantAnn here.")
        say(page, "Close")  # the prompt is dismissed, the conversation stays
        assert service.wait_event("Message Dismissed")["properties"]["delivery_id"] == "d"
        expect(launcher(page)).to_be_visible()

    def test_another_tab_goes_along(self, service: FakeService, site: Site) -> None:
        first = site.open()
        deliver(service, replies=TREE, input=ASK)
        say(first, "Plans")
        expect(lines(first)).to_have_count(3)
        second = site.open()
        expect(lines(second)).to_have_count(3)
        say(second, "For one")
        expect(lines(first).last).to_have_text("AssistantThen Free will do.")
        say(second, "End chat")
        expect(first.locator("[data-engage]")).to_have_count(0)

    def test_another_person_sees_nothing_of_it(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, replies=TREE)
        say(page, "Plans")
        expect(lines(page)).to_have_count(3)
        page.evaluate("engage.reset()")
        expect(page.locator("[data-engage]")).to_have_count(0)
        stays_away(page)

    def test_a_page_that_draws_its_body_anew_keeps_it(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, replies=TREE)
        say(page, "Plans")
        expect(lines(page)).to_have_count(3)
        page.evaluate("document.querySelector('[data-engage]').remove()")
        expect(lines(page)).to_have_count(3)
        say(page, "For one")
        expect(lines(page)).to_have_count(5)

    def test_a_preview_leaves_no_trace(self, service: FakeService, site: Site) -> None:
        page = site.open()
        page.evaluate("tree => engage.show({kind: 'chat', content: {text: 'Preview', replies: tree}})", TREE)
        say(page, "Plans")
        expect(lines(page)).to_have_count(3)
        stays_away(page)
        assert told(service, "Message Clicked") == []

    def test_in_japanese(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, text="プランでお悩みですか?", replies=[{"label": "はい"}], input={"text": "承りました。"})
        expect(card(page).get_by_role("textbox", name="メッセージを入力")).to_be_visible()
        say(page, "はい")
        expect(card(page).get_by_role("button", name="チャットを終了")).to_be_visible()
