"""What comes in: the stream, claiming, what is shown when, and what is reported."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.sdk.conftest import Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser
CHAT = {"kind": "chat", "content": {"text": "Shall I help?", "replies": [{"label": "Yes", "text": "Here you are."}]}}
ARTICLE = {"kind": "article", "content": {"article": "export", "title": "Exporting", "text": "Read me."}}


def chat(page: Page) -> Any:
    return page.locator(".chat")


def test_a_delivery_is_claimed_shown_and_reported(service: FakeService, site: Site) -> None:
    page = site.open()
    service.deliver(delivery_id="d1", rule_id="r", message_id="m", variant="b", **CHAT)
    expect(chat(page)).to_contain_text("Shall I help?")
    shown = service.wait_event("Message Shown")
    assert service.calls == [("claim", "d1")]
    assert shown["properties"] == {
        "delivery_id": "d1", "rule_id": "r", "message_id": "m", "kind": "chat", "variant": "b", "step": 1}  # fmt: skip
    query = service.stream_queries[0]
    assert query == {"writeKey": "wk", "anonymousId": shown["anonymousId"]}
    assert site.complaints() == []


def test_what_waits_in_the_inbox_is_shown_on_the_next_page(service: FakeService, site: Site) -> None:
    service.deliver(delivery_id="d1", **CHAT)
    expect(chat(site.open())).to_be_visible()


def test_what_another_device_has_claimed_is_not_shown(service: FakeService, site: Site) -> None:
    service.taken.add("d1")
    page = site.open()
    service.deliver(delivery_id="d1", **CHAT)
    service.deliver(delivery_id="d2", **CHAT)
    service.wait_event("Message Shown")
    assert service.calls == [("claim", "d1"), ("claim", "d2")]
    expect(chat(page)).to_have_count(1)


def test_the_same_delivery_twice_is_one(service: FakeService, site: Site) -> None:
    page = site.open()
    delivery = service.deliver(delivery_id="d1", **CHAT)
    expect(chat(page)).to_be_visible()
    service.deliver(**delivery)
    service.deliver(delivery_id="a1", **ARTICLE)
    expect(page.locator(".suggestion")).to_be_visible()
    assert service.calls == [("claim", "d1"), ("claim", "a1")]


@pytest.mark.parametrize("path", ["/pricing*", ["/no", "/pric*ing"]])
def test_it_waits_for_its_page(service: FakeService, site: Site, path: Any) -> None:
    page = site.open()
    service.deliver(delivery_id="d1", show_on={"path": path}, **CHAT)
    service.deliver(delivery_id="a1", **ARTICLE)
    expect(page.locator(".suggestion")).to_be_visible()
    assert service.calls == [("claim", "a1")]
    page.evaluate("history.pushState({}, '', '/pricing')")
    expect(chat(page)).to_be_visible()


def test_what_interrupts_comes_one_at_a_time_the_most_important_first(service: FakeService, site: Site) -> None:
    for name, priority in (("low", 1), ("high", 9), ("middle", 5)):
        service.deliver(delivery_id=name, priority=priority, kind="chat", content={"text": name})
    page = site.open()
    for name in ("high", "middle", "low"):
        expect(chat(page)).to_have_count(1)
        expect(chat(page)).to_contain_text(name)
        page.get_by_role("button", name="Close").click()
    service.wait_event("Message Dismissed", 3)
    assert service.calls == [("claim", "high"), ("claim", "middle"), ("claim", "low")]


def test_an_article_does_not_wait_for_what_interrupts(service: FakeService, site: Site) -> None:
    page = site.open()
    service.deliver(delivery_id="d1", **CHAT)
    service.deliver(delivery_id="a1", **ARTICLE)
    expect(chat(page)).to_be_visible()
    expect(page.locator(".suggestion")).to_be_visible()


def test_what_has_expired_and_what_is_unknown_is_left_unclaimed(service: FakeService, site: Site) -> None:
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    page = site.open()
    service.deliver(delivery_id="old", expires_at=past, **CHAT)
    service.deliver(delivery_id="new kind", kind="hologram", content={})
    service.deliver(delivery_id="d1", **CHAT)
    expect(chat(page)).to_be_visible()
    assert service.calls == [("claim", "d1")]
    assert site.complaints() == []


def test_content_of_the_wrong_shape_is_an_error_and_harms_nobody(service: FakeService, site: Site) -> None:
    page = site.open()
    page.evaluate("window.errors = []; engage.on('error', error => errors.push(error.message))")
    for number, content in enumerate([{}, {"text": 5}, {"text": ""}]):
        service.deliver(delivery_id=f"bad{number}", kind="chat", content=content)
    service.deliver(delivery_id="bad tour", kind="tour", content={"steps": []})
    service.deliver(delivery_id="bad steps", kind="tour", content={"steps": [None, 5]})
    service.deliver(delivery_id="d1", **CHAT)
    expect(chat(page)).to_be_visible()
    page.wait_for_function("errors.length === 5")
    assert page.evaluate("errors[0]") == "message message: expected content.text to be text"
    assert service.calls == [("claim", "d1")]


def test_it_is_not_claimed_before_its_element_is_there(service: FakeService, site: Site, tour_delivery: Any) -> None:
    site.add("/", ["page"], body="<main></main>")
    page = site.open()
    service.deliver(**tour_delivery())
    service.deliver(delivery_id="d1", **CHAT)
    expect(chat(page)).to_be_visible()  # it blocks nobody while it waits
    page.get_by_role("button", name="Close").click()
    assert service.calls == [("claim", "d1")]
    page.evaluate("document.querySelector('main').innerHTML = '<button id=create style=display:none>New</button>'")
    page.evaluate("new Promise(requestAnimationFrame)")
    assert service.calls == [("claim", "d1")]
    page.evaluate("document.querySelector('#create').style.display = 'block'")
    expect(page.get_by_role("dialog", name="Create a project")).to_be_visible()
    service.wait_event("Message Shown", 2)


def test_claimed_but_not_showable_any_more_is_given_back(service: FakeService, site: Site, tour_delivery: Any) -> None:
    page = site.open()
    page.evaluate("""() => { const real = window.fetch; window.fetch = async (...args) => {
        const reply = await real(...args);
        if (String(args[0]).includes('/claim')) document.querySelector('#create')?.remove();
        return reply } }""")
    service.deliver(**tour_delivery())
    service.wait(lambda: service.calls == [("claim", "0001tour"), ("release", "0001tour")])
    expect(page.locator(".tour")).to_have_count(0)
    page.evaluate(
        "document.querySelector('header').append(Object.assign(document.createElement('button'), {id: 'create', textContent: 'New'})); window.fetch = window.fetch"
    )
    service.wait(lambda: service.calls.count(("claim", "0001tour")) == 2)
    assert "Message Shown" not in service.names()


def test_a_claim_that_failed_is_tried_again(service: FakeService, site: Site) -> None:
    page = site.open()
    service.wait(lambda: service.stream_count() == 1)
    page.route(
        "**/claim", lambda route: route.fulfill(status=429, headers={"access-control-allow-origin": "*"}), times=1
    )
    service.deliver(delivery_id="d1", **CHAT)
    expect(chat(page)).to_be_visible()


def test_identify_moves_the_stream_to_the_user(service: FakeService, site: Site) -> None:
    page = site.open()
    service.wait(lambda: service.stream_count() == 1)  # two under way at once may arrive in either order
    page.evaluate("engage.identify('u1', {}, {userHash: 'proof'})")
    service.wait(lambda: len(service.stream_queries) == 2 and service.stream_count() == 1)
    assert service.stream_queries[1] == {**service.stream_queries[0], "userId": "u1", "userHash": "proof"}
    site.open("/", page)
    service.wait(lambda: len(service.stream_queries) == 3)
    assert service.stream_queries[2]["userHash"] == "proof"


def test_init_with_identify_opens_one_stream(service: FakeService, site: Site) -> None:
    site.add("/", ["identify", "u1"], ["page"], options={"userHash": "proof"})
    site.open()
    service.wait_event("page")
    service.wait(lambda: service.stream_count() == 1)
    assert [query["userId"] for query in service.stream_queries] == ["u1"]


def test_a_lost_stream_comes_back(service: FakeService, site: Site) -> None:
    page = site.open()
    service.wait(lambda: service.stream_count() == 1)
    service.drop_streams()
    service.wait(lambda: len(service.stream_queries) == 2)
    service.deliver(delivery_id="d1", **CHAT)
    expect(chat(page)).to_be_visible()


def test_without_a_stream_the_inbox_is_polled(service: FakeService, site: Site) -> None:
    service.stream_down = True
    page = site.open()
    service.deliver(delivery_id="d1", **CHAT)
    expect(chat(page)).to_be_visible()
    service.stream_down = False
    service.wait(lambda: service.stream_count() == 1)


def test_a_refused_stream_says_so_once(service: FakeService, site: Site) -> None:
    page = site.context.new_page()
    page.route("**/v1/stream*", lambda route: route.fulfill(status=403))
    page.route("**/v1/inbox*", lambda route: route.fulfill(status=403, headers={"access-control-allow-origin": "*"}))
    with page.expect_console_message(lambda said: said.type == "warning"):
        site.open("/", page)
    page.wait_for_timeout(300)
    refusals = [line for line in site.complaints() if "CORS" not in line]
    assert refusals == ["warning: [engage] no messages (403): check writeKey and userHash"]


def test_reset_takes_everything_from_the_screen(service: FakeService, site: Site) -> None:
    page = site.open()
    service.deliver(delivery_id="d1", **CHAT)
    expect(chat(page)).to_be_visible()
    page.evaluate("engage.reset()")
    expect(page.locator("[data-engage]")).to_have_count(0)


def test_show_previews_without_claiming_or_reporting(service: FakeService, site: Site) -> None:
    page = site.open()
    page.evaluate(
        "window.said = []; for (const name of ['shown', 'dismissed']) engage.on(name, it => said.push([name, it.kind]))"
    )
    page.evaluate("engage.show({kind: 'chat', content: {text: 'Preview'}, show_on: {path: '/elsewhere'}})")
    expect(chat(page)).to_contain_text("Preview")
    page.get_by_role("button", name="Close").click()
    assert page.evaluate("said") == [["shown", "chat"], ["dismissed", "chat"]]
    page.evaluate("engage.track('End')")
    service.wait_event("End")
    assert service.calls == []
    assert service.names() == ["page", "End"]


def test_the_stream_can_be_switched_off(service: FakeService, site: Site) -> None:
    site.add("/", ["page"], options={"stream": False})
    site.open()
    service.wait_event("page")
    assert service.stream_queries == []


def test_nothing_is_left_after_many_messages(service: FakeService, site: Site) -> None:
    page = site.open()
    for kind, content in (
        ("chat", CHAT["content"]),
        ("article", ARTICLE["content"]),
        ("tour", {"steps": [{"text": "x"}]}),
    ):
        page.evaluate("d => engage.show(d)", {"kind": kind, "content": content})
        page.locator("[data-engage] .close").click()
    left = page.evaluate("[document.querySelectorAll('[data-engage]').length, document.body.children.length]")
    assert left == [0, 2]
