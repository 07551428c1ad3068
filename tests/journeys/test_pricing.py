"""Journey 2: whoever hesitates over the prices is offered help; whoever has bought is left alone."""

import time

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Demo, Visit, Visitor

pytestmark = pytest.mark.browser
RULE = "pricing-hesitation"


def test_the_second_visit_brings_a_chat_whose_replies_answer(visitor: Visitor) -> None:
    visitor.sign_up_past_the_tour()
    visitor.visit_pricing()
    expect(visitor.decision(RULE, "delayed")).to_contain_text("20 seconds")
    visitor.picture("pricing-1-waits")
    visitor.go("/help")
    expect(visitor.decision(RULE, "cancelled")).to_contain_text("went to another page")
    visitor.visit_pricing()
    expect(visitor.chat).to_contain_text("Hello Aiko!")
    visitor.picture("pricing-2-chat")

    visitor.chat.get_by_role("button", name="Which one is for us?").click()
    visitor.chat.get_by_role("button", name="A small team").click()
    expect(visitor.chat).to_contain_text("Then Team is the usual choice")
    visitor.chat.get_by_role("button", name="Talk to a person").click()
    expect(visitor.chat).to_contain_text("Someone from our team")
    visitor.picture("pricing-3-answers")
    visitor.chat.get_by_role("button", name="Compare the plans").click()
    expect(visitor.article.get_by_role("heading", name="Which plan is right for you?")).to_be_visible()
    expect(visitor.article).to_contain_text("Three questions that settle it")
    visitor.picture("pricing-4-article")
    expect(visitor.decision(RULE)).to_contain_text("“Compare the plans”")
    visitor.article.get_by_role("button", name="Yes").click()
    expect(visitor.event("Article Rated")).to_be_visible()
    visitor.article.get_by_role("button", name="Close").click()

    visitor.chat.get_by_role("textbox").fill("My export fails")
    visitor.chat.get_by_role("button", name="Send").click()
    visitor.chat.get_by_role("button", name="When an export fails").click()
    expect(visitor.article.get_by_role("heading", name="When an export fails", exact=True)).to_be_visible()
    visitor.picture("pricing-5-search")


@pytest.mark.slow
def test_twenty_seconds_of_hesitation_bring_it_on_the_first_visit(visitor: Visitor) -> None:
    visitor.visit_pricing()
    began = time.monotonic()
    expect(visitor.decision(RULE, "delayed")).to_be_visible()
    expect(visitor.chat).to_have_count(0)
    expect(visitor.chat).to_be_visible(timeout=40_000)
    assert time.monotonic() - began > 15
    expect(visitor.event("timer").locator(".verdict")).to_contain_text("sends a chat prompt")
    visitor.picture("pricing-hesitation")


def test_choosing_a_plan_calls_it_off(visitor: Visitor) -> None:
    visitor.sign_up_past_the_tour()
    visitor.visit_pricing()
    expect(visitor.decision(RULE, "delayed")).to_be_visible()
    visitor.page.get_by_role("button", name="Choose Team").click()
    expect(visitor.decision(RULE, "cancelled")).to_contain_text("chose a plan")
    visitor.picture("pricing-checkout")


def test_who_has_bought_never_sees_it(visitor: Visitor) -> None:
    visitor.sign_up_past_the_tour()
    visitor.visit_pricing()
    visitor.page.get_by_role("button", name="Choose Team").click()
    visitor.page.get_by_role("button", name="Buy now").click()
    expect(visitor.page.get_by_text("You are on Team now")).to_be_visible()
    expect(visitor.event("Plan Purchased")).to_be_visible()
    visitor.picture("pricing-bought")
    for visits in (1, 2):
        visitor.go("/help")
        visitor.visit_pricing()
        expect(visitor.decision(RULE, "not_matched")).to_have_count(visits)
        expect(visitor.chat).to_have_count(0)
    expect(visitor.decision(RULE)).to_have_count(0)


def test_two_visits_of_two_people_are_no_second_visit(visit: Visit, demo: Demo) -> None:
    for visitor in (visit(demo), visit(demo)):
        visitor.visit_pricing()
        expect(visitor.decision(RULE, "delayed")).to_have_count(1)
        expect(visitor.chat).to_have_count(0)
