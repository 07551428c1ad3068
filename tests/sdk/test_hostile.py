"""Nothing that a person or a trait can contain executes, and hostile pages do not break the snippet."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.sdk.conftest import BODY, Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser
CALL = "window.pwned=1"
PAYLOADS = [
    f"<script>{CALL}</script>",
    f"<img src=x onerror={CALL}>",
    f"<svg/onload={CALL}>",
    f"[x](javascript:{CALL})",
    f"[x](JaVaScRiPt:{CALL})",
    f"[x](  javascript:{CALL})",
    f"[x](java\tscript:{CALL})",
    f"[x](<javascript:{CALL}>)",
    f"[x](\\javascript:{CALL})",
    f"[x](\x01javascript:{CALL})",
    f"[x](vbscript:{CALL})",
    f"[x](data:text/html,<script>{CALL}</script>)",
    f"[x](blob:javascript:{CALL})",
    "[x](file:///etc/passwd)",
    f"![x](javascript:{CALL})",
    f"![x](data:image/svg+xml,<svg onload={CALL}>)",
    f'![x](https://example.invalid/"onerror="{CALL})',
    f"<javascript:{CALL}>",
    f"[x](https://example.invalid/'onclick={CALL})",
    f"`<b onclick={CALL}>`",
    f"```\n</code></pre><script>{CALL}</script>\n```",
    f"# <iframe srcdoc='<script>parent.pwned=1</script>'>\n> {CALL}",
    f"*a* __<a href=javascript:{CALL}>x</a>__",
    f"javascript:{CALL}",
    f" \x01\tjavascript:{CALL}",
    f"JavaScript:{CALL}",
    f"vbscript:{CALL}",
    f"data:text/html,<script>{CALL}</script>",
    "{{constructor.constructor('window.pwned=1')()}}",
    f"</style><script>{CALL}</script>",
    "&lt;script&gt;" + "[" * 300 + "*" * 300,
    "\\" * 50 + "[x](" + "(" * 50,
]


def fields(payload: str) -> list[dict[str, Any]]:
    address = (
        payload if re.match(r"[\x00-\x20]*[a-z]+:", payload, re.IGNORECASE) else "#"
    )  # a relative one is followed, rightly
    turn = {"label": payload, "placeholder": payload, "text": payload}
    reply = {**turn, "url": address, "article": payload, "replies": [turn], "input": turn}
    step = {
        "target": payload,
        "title": payload,
        "text": payload,
        "path": "*",
        "navigate": address,
        "placement": payload,
    }
    labels = {"next": payload, "close": payload, "__proto__": payload}
    return [
        {
            "kind": "chat",
            "content": {"text": payload, "replies": [reply], "input": turn, "labels": labels},
            "locale": payload,
        },
        {"kind": "article", "content": {"article": payload, "title": payload, "text": payload, "labels": labels}},
        {
            "kind": "tour",
            "content": {"steps": [{**step, "target": "#create"}, step], "labels": labels},
            "variant": payload,
        },
    ]


def unsafe(page: Page) -> Any:
    """Every element in the shadow root that could do something: scripts, frames, handlers, addresses of other schemes."""
    return page.evaluate("""() => [...document.querySelectorAll('[data-engage]')].flatMap(host =>
        [...host.shadowRoot.querySelectorAll('*')].filter(node =>
            /^(script|iframe|object|embed|base|meta|link)$/i.test(node.tagName)
            || [...node.attributes].some(({name, value}) => /^on|^style$|^srcdoc/.test(name) && !(name === 'style' && /^[a-z-]+: /.test(value))
                || /^(href|src|xlink:href|action)$/.test(name) && !/^(https?|mailto):/.test(value))
        ).map(node => node.outerHTML))""")


def test_payloads_in_every_field_of_every_kind_execute_nothing(service: FakeService, site: Site) -> None:
    page = site.open()
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog opened: {dialog.message}"))
    for number, payload in enumerate(PAYLOADS):
        service.articles[payload] = {"id": payload, "locale": payload, "title": payload, "body": payload}
        for delivery in fields(payload):
            page.evaluate("d => engage.show(d)", delivery)
        page.wait_for_function(
            "document.querySelector('[data-engage]')?.shadowRoot.querySelectorAll('.chat .theirs, .suggestion').length === 2"
        )
        page.evaluate("document.querySelector('[data-engage]').shadowRoot.querySelector('.suggestion .main').click()")
        page.wait_for_function(
            "document.querySelector('[data-engage]').shadowRoot.querySelector('.panel h1')?.textContent"
        )
        assert unsafe(page) == [], payload
        page.evaluate(
            "document.querySelector('[data-engage]').shadowRoot.querySelector('.chat .choices button').click()"
        )
        page.evaluate(
            "document.querySelectorAll('[data-engage]').forEach(host => host.shadowRoot.querySelectorAll('.close').forEach(node => node.click()))"
        )
        page.wait_for_function("document.querySelector('[data-engage]')?.shadowRoot.querySelector('.tour .main')")
        assert unsafe(page) == [], payload
        page.evaluate("document.querySelector('[data-engage]').shadowRoot.querySelector('.tour .main').click()")
        page.evaluate("engage.reset()")
        assert page.evaluate("window.pwned") is None, (number, payload)


def test_what_a_search_finds_executes_nothing(service: FakeService, site: Site) -> None:
    for payload in PAYLOADS:
        service.articles[payload] = {"id": payload, "locale": payload, "title": payload, "body": payload}
    page = site.open()
    page.evaluate("engage.show({kind: 'article', content: {open: true}})")
    expect(page.locator(".hit")).to_have_count(len(set(PAYLOADS)))
    assert unsafe(page) == []
    assert page.evaluate("window.pwned") is None


def test_traits_and_properties_are_only_data(service: FakeService, site: Site) -> None:
    page = site.open()
    for payload in PAYLOADS:
        page.evaluate("p => { engage.identify({name: p}); engage.track(p, {[p]: p}) }", payload)
    service.wait_event("identify", len(PAYLOADS))
    service.wait(lambda: len(service.events) == 1 + 2 * len(PAYLOADS))
    assert page.evaluate("window.pwned") is None


def test_it_works_under_a_strict_content_security_policy(service: FakeService, site: Site) -> None:
    service.headers = {
        "content-security-policy": f"default-src 'self'; script-src 'self' {service.host} 'nonce-n'; connect-src {service.host}; "
        "style-src 'self'; img-src data:; require-trusted-types-for 'script'"
    }
    service.articles["a"] = {"id": "a", "locale": "en", "title": "A", "body": "- *b*"}
    site.add("/", ["page"])
    service.pages["/"] = service.pages["/"].replace("<script>", "<script nonce='n'>")
    page = site.open()
    for delivery in (
        {"delivery_id": "c", "kind": "chat", "content": {"text": "- Hi"}},
        {"delivery_id": "a", "kind": "article", "content": {"article": "a"}},
    ):
        service.deliver(**delivery)
    expect(page.locator(".chat li")).to_have_text("Hi")
    page.get_by_role("button", name="Read").click()
    expect(page.get_by_role("dialog", name="A", exact=True).locator("em")).to_have_text("b")
    page.get_by_role("dialog", name="A", exact=True).get_by_role("button", name="Close").click()
    page.locator(".chat .close").click()
    service.deliver(delivery_id="t", kind="tour", content={"steps": [{"target": "#create", "title": "T"}]})
    expect(page.get_by_role("dialog", name="T")).to_be_visible()
    assert page.locator(".popover").evaluate("node => getComputedStyle(node).position") == "absolute"
    assert site.complaints() == []


@pytest.mark.parametrize(
    "head",
    [
        "<script>Array.prototype.shuffle = function () {}; Object.prototype.extra = 'x'</script>",
        "<script>Element.prototype.remove = function () { this.parentNode && this.parentNode.removeChild(this) }</script>",
        "<script>window.requestIdleCallback = undefined; delete AbortSignal.timeout; delete crypto.randomUUID</script>",
        "<script>Object.defineProperty(navigator, 'locks', {value: undefined}); navigator.sendBeacon = undefined</script>",
        "<style>* { display: none; color: red; font-size: 40px; all: unset } html { zoom: 1 }</style>",
    ],
)
def test_hostile_pages(service: FakeService, site: Site, head: str) -> None:
    site.add("/", ["track", "On a hostile page"], head=head, body=BODY)
    page = site.open()
    service.deliver(delivery_id="c", kind="chat", content={"text": "Hi", "replies": [{"label": "Yes", "text": "Good"}]})
    service.deliver(delivery_id="t", kind="tour", content={"steps": [{"title": "T"}]})
    page.wait_for_function("document.querySelector('[data-engage]')?.shadowRoot.querySelector('.chat .theirs')")
    page.evaluate("document.querySelector('[data-engage]').shadowRoot.querySelector('.close').click()")
    page.wait_for_function("document.querySelector('[data-engage]')?.shadowRoot.querySelector('.tour')")
    service.wait_event("Message Shown", 2)
    event = service.wait_event("On a hostile page")
    assert "extra" not in json.dumps(event)
    assert site.complaints() == []
