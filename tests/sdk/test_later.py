"""*Remind me later*, in every kind: it goes, and comes again when its time has come."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import until
from tests.sdk.conftest import Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser

KINDS: dict[str, Any] = {
    "tour": {"steps": [{"title": "One"}, {"title": "Two"}]},
    "chat": {"text": "Can I help?"},
    "article": {"article": "guide", "title": "A guide"},
    "banner": {"text": "News."},
    "modal": {"title": "News"},
    "tooltip": {"target": "#create", "text": "Here."},
    "survey": {"questions": [{"type": "nps", "text": "How likely?"}]},
}


def later(page: Page, name: str = "Remind me later") -> Any:
    return page.get_by_role("button", name=name, exact=True)


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_and_comes_again(service: FakeService, site: Site, kind: str) -> None:
    page = site.open()
    delivery = service.deliver(delivery_id="d1", kind=kind, content=KINDS[kind], snooze=60_000)
    later(page).click()
    expect(page.locator("[data-engage]")).to_have_count(0)
    service.wait(lambda: service.calls == [("claim", "d1"), ("release", "d1")])
    assert service.bodies[1] | {"snooze": True, "step": 0} == service.bodies[1]
    service.wait_event("Message Snoozed")
    assert {"Message Dismissed", "Message Completed"}.isdisjoint(service.names())
    until = datetime.now(UTC) + timedelta(seconds=1)
    service.deliver(**delivery | {"not_before": until.isoformat()})
    expect(later(page)).to_be_visible()
    assert datetime.now(UTC) >= until
    assert service.names().count("Message Snoozed") == 1
    assert site.complaints() == []


def test_it_is_offered_in_the_language_of_the_message_and_only_where_the_rule_says_so(
    service: FakeService, site: Site
) -> None:
    page = site.open()
    service.deliver(delivery_id="d1", kind="banner", content={"text": "お知らせです。"}, snooze=60_000)
    expect(later(page, "あとで通知")).to_be_visible()
    service.deliver(delivery_id="d2", kind="survey", content=KINDS["survey"])
    expect(page.locator(".survey")).to_be_visible()
    assert later(page).count() == 0


def test_what_is_completed_is_not_put_off_any_more(service: FakeService, site: Site) -> None:
    page = site.open()
    survey = {"questions": [{"type": "csat", "text": "How was it?"}], "thanks": "Thank you!"}
    service.deliver(delivery_id="s1", kind="survey", content=survey, snooze=60_000)
    expect(later(page)).to_be_visible()
    page.get_by_role("button", name="5 / 5").click()
    expect(page.get_by_text("Thank you!")).to_be_visible()
    assert later(page).count() == 0
    page.get_by_role("button", name="Close").click()
    chat = {"text": "Can I help?", "replies": [{"label": "Yes", "text": "With what?", "replies": [{"label": "All"}]}]}
    service.deliver(delivery_id="c1", kind="chat", content=chat, snooze=60_000)
    expect(later(page)).to_be_visible()
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_role("button", name="All")).to_be_visible()
    assert later(page).count() == 0
    service.wait(lambda: service.names().count("Message Completed") == 2)
    assert ("release", "s1") not in service.calls
    assert ("release", "c1") not in service.calls
    assert site.complaints() == []


def test_a_tour_goes_on_where_it_was(service: FakeService, site: Site) -> None:
    page = site.open()
    delivery = service.deliver(delivery_id="t", kind="tour", content=KINDS["tour"], snooze=60_000)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("dialog", name="Two")).to_be_visible()
    back, done, off = (page.get_by_role("button", name=name) for name in ("Back", "Done", "Remind me later"))
    rows = [button.bounding_box() for button in (back, done, off)]
    assert rows[0]["y"] == rows[1]["y"] < rows[2]["y"]  # below what leads on, however much stands beside that
    later(page).click()
    service.wait(lambda: ("release", "t") in service.calls)
    assert service.bodies[-1]["step"] == 1
    assert page.evaluate("Object.keys(localStorage).filter(key => key.includes('tour.'))") == []
    page.reload()
    service.deliver(**delivery | {"not_before": datetime.now(UTC).isoformat(), "step": 1})
    expect(page.get_by_role("dialog", name="Two")).to_be_visible()


def test_what_another_tab_put_off_is_put_off_here(service: FakeService, site: Site) -> None:
    site.add("/other", ["page"])
    first = site.open("/other")
    delivery = service.deliver(delivery_id="d1", kind="chat", content=KINDS["chat"], show_on={"path": "/"}, snooze=1)
    first.evaluate("engage.on('message', message => (window.came = message.delivery_id)); null")
    service.deliver(**delivery | {"not_before": (datetime.now(UTC) + timedelta(hours=1)).isoformat()})
    service.deliver(delivery_id="next", kind="chat", content=KINDS["chat"], show_on={"path": "/nowhere"})
    first.wait_for_function("window.came === 'next'")
    first.evaluate("history.pushState({}, '', '/')")
    service.deliver(delivery_id="a1", kind="article", content=KINDS["article"])
    expect(first.locator(".suggestion")).to_be_visible()
    assert service.calls == [("claim", "a1")]


def test_every_tab_learns_at_once_what_was_claimed_in_another(service: FakeService, site: Site) -> None:
    first, second = site.open(), site.open()
    told = "engage.on('message', message => (window.came = message.delivery_id)); null"
    first.evaluate(told)
    second.evaluate(told)
    first.evaluate("dispatchEvent(new Event('focus'))")
    service.wait(lambda: service.stream_count() == 1)
    service.deliver(delivery_id="d1", kind="chat", content=KINDS["chat"], show_on={"path": "/later"})
    until(lambda: first.evaluate("window.came") or second.evaluate("window.came"), what="one of them is told")
    page = first if first.evaluate("window.came") else second
    other = second if page is first else first
    other.evaluate("dispatchEvent(new Event('focus'))")
    other.wait_for_function("window.came === 'd1'")
    other.evaluate("history.pushState({}, '', '/later')")
    expect(other.locator(".chat")).to_be_visible()
    page.evaluate("history.pushState({}, '', '/later')")
    page.wait_for_timeout(300)
    assert service.calls == [("claim", "d1")]  # the other did not even ask


def test_debug_says_what_is_held_back_and_why(service: FakeService, site: Site) -> None:
    page = site.open()
    page.evaluate("engage.debug(); null")
    page.wait_for_function("true")
    site.wait_said("on; here is")
    service.deliver(delivery_id="d1", kind="chat", content=KINDS["chat"], show_on={"path": "/pricing"})
    site.wait_said("received: chat message d1")
    site.wait_said("held back: chat message d1: its page is /pricing, this is /")
    service.deliver(delivery_id="s1", kind="survey", content=KINDS["survey"])
    site.wait_said("shown: survey message s1")
    service.deliver(delivery_id="m1", kind="modal", content=KINDS["modal"])
    site.wait_said("held back: modal message m1: survey message s1 is on the screen")
    service.deliver(delivery_id="i1", kind="tooltip", content={"target": "#no", "text": "Here."})
    site.wait_said("held back: tooltip message i1: its target is not on the page")
    until = datetime.now(UTC) + timedelta(hours=1)
    service.deliver(delivery_id="b1", kind="banner", content=KINDS["banner"], not_before=until.isoformat())
    site.wait_said("held back: banner message b1: until " + until.isoformat()[:19])
    whole = {"path": "https://docs.shop.test/*"}
    service.deliver(delivery_id="b2", kind="banner", content=KINDS["banner"], show_on=whole)
    site.wait_said(f"held back: banner message b2: its page is https://docs.shop.test/*, this is {service.site}/")
    page.get_by_role("button", name="Close").click()
    site.wait_said("shown: modal message m1")
    page.get_by_role("button", name="Close").click()
    steps = [{"text": "Here.", "path": "/projects*"}]
    service.deliver(delivery_id="t1", kind="tour", content={"steps": steps})
    site.wait_said("held back: tour message t1: the page of its step 1 is /projects*, this is /")
    page.evaluate("engage.track('Opened', {id: 7})")
    site.wait_said("queued: track Opened")
    site.wait_said("sent: ", "track Opened")  # what was queued before it may leave with it
    page.evaluate("engage.debug(false); null")
    site.wait_said("off")
    count = len(site.console)
    page.evaluate("engage.track('Opened again')")
    service.wait_event("Opened again")
    assert len(site.console) == count, json.dumps(site.console[count:])


def test_debug_says_what_has_been_held_back_before_it_was_asked(service: FakeService, site: Site) -> None:
    page = site.open()
    service.deliver(delivery_id="b1", kind="banner", content=KINDS["banner"])
    page.get_by_role("button", name="Close").wait_for()
    service.deliver(delivery_id="d1", kind="chat", content=KINDS["chat"], show_on={"path": "/pricing"})
    page.evaluate("engage.on('message', () => window.came = true); null")
    service.deliver(delivery_id="b2", kind="banner", content=KINDS["banner"], show_on={"path": "/pricing"})
    page.wait_for_function("window.came")
    for _ in range(2):
        site.console.clear()
        page.evaluate("engage.debug(); null")
        site.wait_said("held back: chat message d1: its page is /pricing, this is /")
        site.wait_said("held back: banner message b2: its page is /pricing, this is /")
        page.evaluate("engage.debug(false); null")
        site.wait_said("off")


def test_debug_does_not_say_that_a_target_is_missing_while_its_part_is_loaded(service: FakeService, site: Site) -> None:
    page = site.open()
    page.evaluate("engage.debug(); null")
    site.wait_said("on; here is")
    service.deliver(delivery_id="t1", kind="tour", content=KINDS["tour"])
    site.wait_said("shown: tour message t1")
    assert not [line for line in site.console if "held back" in str(line)]
