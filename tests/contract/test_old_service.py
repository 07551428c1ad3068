"""Today's snippet, and a service that answers as the first one did: the operator went back, or has not come as far yet."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import until
from tests.contract.conftest import Site
from tests.contract.old_service import IDS, OldService

pytestmark = pytest.mark.browser


@pytest.fixture
def old() -> Iterator[OldService]:
    service = OldService()
    yield service
    service.close()
    assert service.unknown == [], "it was asked for what it does not know"


@pytest.fixture
def site(old: OldService, make_site: Callable[[str, str], Site]) -> Site:
    site = make_site(old.url, "wk_first")
    site.add("/", "today", ["identify", "ann", {"name": "Ann"}, {"userHash": "f00d"}], ["page"])
    return site


def quiet(page: Page) -> bool:
    """Whether nothing waits to be sent."""
    return page.evaluate("Object.keys(localStorage).every(key => !key.includes('queue.'))")


def test_every_call_is_taken(old: OldService, site: Site) -> None:
    page = site.open()
    page.evaluate("""engage.track('Export Tried', {format: 'csv'}); engage.group('acme', {plan: 'team'});
    engage.alias('ann', 'before'); engage.page('Shop', 'Pricing', {tab: 'year'}); null""")
    old.wait("page", 2)
    assert old.names() == ["identify", "page", "Export Tried", "group", "alias", "page"]
    until(lambda: quiet(page), what="the queue is empty")
    assert set(old.batches) == {200}
    assert site.complaints() == []


def test_a_tour_is_shown_claimed_and_completed(old: OldService, site: Site) -> None:
    page = site.open()
    delivery = old.deliver("tour")
    expect(page.locator(".popover")).to_contain_text("Welcome, Ann")
    assert page.get_by_role("button", name="Remind me later").count() == 0
    page.get_by_role("button", name="Next").click()
    page.reload()
    expect(page.locator(".popover")).to_contain_text("That is all")
    page.get_by_role("button", name="Done").click()
    done = old.wait("Message Completed")
    assert done["properties"] | {"delivery_id": delivery, "rule_id": "tour", "step": 2} == done["properties"]
    assert old.calls == [("claim", delivery)]
    assert old.names().count("Message Shown") == 1
    assert site.complaints() == []


def test_a_chat_is_answered_and_its_article_is_read(old: OldService, site: Site) -> None:
    page = site.open()
    delivery = old.deliver("chat")
    page.get_by_role("button", name="Yes").click()
    expect(page.locator(".chat")).to_contain_text("Try CSV.")
    page.get_by_role("button", name="Read").click()
    expect(page.locator(".panel")).to_contain_text("The guide")
    expect(page.locator(".panel strong")).to_have_text("this")
    old.wait("Message Clicked", 2)
    assert old.wait("Message Completed")["properties"]["delivery_id"] == delivery
    assert site.complaints() == []


def test_an_article_is_suggested_read_and_dismissed(old: OldService, site: Site) -> None:
    page = site.open()
    old.deliver("article")
    page.locator(".suggestion .main").click()
    expect(page.locator(".panel")).to_contain_text("Read this.")
    page.keyboard.press("Escape")
    old.wait("Message Completed")
    old.deliver("chat")
    page.locator(".chat .close").click()
    old.wait("Message Dismissed")
    assert site.complaints() == []


def test_what_another_device_has_claimed_is_not_shown(old: OldService, site: Site) -> None:
    page = site.open()
    old.claimed.add(IDS["chat"])
    old.deliver("chat")
    old.deliver("article")
    expect(page.locator(".suggestion")).to_be_visible()
    old.wait("Message Shown")
    assert sorted(old.calls) == sorted(("claim", IDS[kind]) for kind in ("chat", "article"))
    assert page.locator(".chat").count() == 0
    assert old.names().count("Message Shown") == 1
    assert site.complaints() == []


def test_where_the_stream_cannot_be_had_the_inbox_is_asked(old: OldService, site: Site) -> None:
    old.busy.add("stream")
    old.inbox = "full"
    page = site.open()
    expect(page.locator(".popover")).to_contain_text("Welcome, Ann")
    expect(page.locator(".suggestion")).to_be_visible()
    old.inbox = "empty"
    old.busy.clear()
    page.keyboard.press("Escape")
    old.wait("Message Dismissed")
    assert site.complaints() == []


def test_while_it_has_no_store_events_are_kept_and_then_sent_once(old: OldService, site: Site) -> None:
    old.busy |= {"batch", "stream", "inbox"}
    page = site.open()
    until(lambda: 429 in old.batches, what="it was tried")
    page.evaluate("engage.track('Meanwhile')")
    assert old.events == []
    old.busy.clear()
    old.wait("Meanwhile")
    assert old.names() == ["identify", "page", "Meanwhile"]
    until(lambda: quiet(page), what="the queue is empty")
    assert site.complaints() == []


def test_what_it_refuses_is_told_and_keeps_no_neighbour_back(old: OldService, site: Site) -> None:
    """What today's snippet sends and this service does not take: here, an event that lost its name."""
    page = site.open()
    old.wait("page")
    page.evaluate("""const queue = Date.now() - 1e6 + '\\n' + JSON.stringify({type: 'track', messageId: 'bad'}) + '\\n'
    + JSON.stringify({type: 'track', messageId: 'good', event: 'Good'}); localStorage['engage.wk_first.queue.x'] = queue""")
    page.reload()
    old.wait("Good")
    until(lambda: quiet(page), what="the queue is empty")
    assert site.complaints() == [
        "warning: [engage] event refused (400): Expected the event's name, got None - at $.batch[0].event"
    ]


def test_an_article_that_is_not_there_is_told_of_and_can_be_closed(old: OldService, site: Site) -> None:
    page = site.open()
    page.evaluate("engage.show({kind: 'article', content: {article: 'newer', title: 'Newer'}})")
    page.locator(".suggestion .main").click()
    expect(page.locator(".panel [role=alert]")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".panel")).to_have_count(0)
    assert site.complaints() == ["Error: articles/newer: expected 200, got 404"]


def test_a_delivery_of_the_newer_service_that_it_does_not_know_is_let_be(old: OldService, site: Site) -> None:
    """The person's tab has it from before the operator went back."""
    page = site.open()
    newer = {"delivery_id": "0001" + "e" * 28, "kind": "banner", "content": {"text": "News."}}
    page.evaluate(f"engage.show({json.dumps(newer)})")
    old.deliver("article")
    expect(page.locator(".suggestion")).to_be_visible()
    assert page.locator(".banner").count() == 0
    assert site.complaints() == []


def test_remind_me_later_gives_back_what_was_under_way_and_it_comes_at_once(old: OldService, site: Site) -> None:
    """A tour from before the operator went back: the first service knows *release*, and no *later*."""
    kept: dict[str, Any] = {
        "delivery": {
            "delivery_id": IDS["tour"],
            "rule_id": "tour",
            "kind": "tour",
            "content": {"steps": [{"title": "Newer", "text": "On its way."}]},
            "snooze": 60_000,
        },
        "step": 0,
        "shown": True,
    }
    old.claimed.add(IDS["tour"])
    page = site.open()
    page.evaluate(
        "kept => localStorage['engage.wk_first.tour.' + kept.delivery.delivery_id] = JSON.stringify({...kept, at: Date.now()})",
        kept,
    )
    page.reload()
    expect(page.locator(".popover")).to_contain_text("On its way.")
    page.get_by_role("button", name="Remind me later").click()
    old.wait("Message Snoozed")
    expect(page.locator(".popover")).to_contain_text("Welcome, Ann")
    assert old.calls == [("release", IDS["tour"]), ("claim", IDS["tour"])]
    assert page.get_by_role("button", name="Remind me later").count() == 0
    assert site.complaints() == []
