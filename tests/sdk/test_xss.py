"""Nothing that a message or a trait contains is ever run: a corpus of payloads through every field of every kind.

The page allows inline script, so that whatever got through would run. What is looked at is the page (did anything call
`alert`), every element of ours (tags, attributes, addresses), and what its buttons do.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route

from tests.sdk.conftest import Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser
PAYLOADS: list[str] = json.loads(Path(__file__).with_name("xss.json").read_text())

# X: words, several payloads at once, each a paragraph of its own. U: an address or a name, one of them.
ACTIONS = [{"label": "X", "url": "U"}, {"label": "X", "article": "U"}]
CONTENTS: dict[str, dict[str, Any]] = {
    "tour": {
        "steps": [{"title": "X", "text": "X", "placement": "U", "navigate": "U"}, {"title": "X", "text": "X"}],
        "labels": {"next": "X", "back": "X", "close": "X", "done": "X"},
    },
    "tour media": {
        "steps": [
            {"title": "X", "text": "X", "image": "U", "alt": "X", "buttons": [{"label": "X", "to": "U"}, {"label": "X"}]},
            {"title": "X", "text": "X", "video": "U", "alt": "X"},
        ],
    },
    "checklist": {
        "title": "X", "text": "X", "thanks": "X",
        "items": [{"id": "U", "label": "X", "text": "X", "url": "U"}, {"id": "b", "label": "X", "article": "U"}],
    },
    "chat": {"text": "X", "replies": [{"label": "X", "text": "X", "url": "U"}, {"label": "X", "article": "U"}]},
    "article": {"article": "U", "title": "X", "text": "X"},
    "banner": {"title": "X", "text": "X", "position": "U", "actions": ACTIONS},
    "modal": {
        "title": "X", "text": "X", "image": "U", "alt": "X", "actions": ACTIONS,
        "form": {"label": "X", "name": "U", "type": "U", "placeholder": "X", "thanks": "X", "required": False},
    },
    "modal video": {"title": "X", "text": "X", "video": "U", "alt": "X", "labels": {"close": "X", "send": "X"}},
    "tooltip": {"target": "#para", "title": "X", "text": "X", "placement": "U", "actions": ACTIONS},
    "hotspot": {"target": "#para", "title": "X", "text": "X", "hotspot": True},
    "survey": {
        "questions": [
            {"type": "choice", "text": "X", "id": "U", "options": ["X", "Y"], "optional": True},
            {"type": "nps", "text": "X", "low": "X", "high": "X"},
            {"type": "choices", "text": "X", "options": ["X", "Y"], "placeholder": "X"},
            {"type": "text", "text": "X", "placeholder": "X"},
        ],
        "thanks": "X", "labels": {"close": "X", "next": "X", "skip": "X", "send": "X"},
    },
}  # fmt: skip

DRIVER = """
window.ran = [];
for (const name of ["alert", "confirm", "prompt", "print"]) window[name] = () => void ran.push(name);
/** A chat thinks for 600 ms before it answers; here for one frame. */
const { setTimeout } = window;
window.setTimeout = (work, ms, ...more) => setTimeout(work, ms === 600 ? 16 : ms, ...more);
window.frames_ = (count) => new Promise((done) => {
  const next = () => (count-- ? requestAnimationFrame(next) : done());
  next();
});
const fill = (value, payload) =>
  value === "X" ? payload.join("\\n\\n") : value === "U" ? payload[0]
  : Array.isArray(value) ? value.map((one) => fill(one, payload))
  : value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([key, one]) => [key, fill(one, payload)]))
  : value;
const ADDRESS = /^(https?:|mailto:|$)/;
/** What is wrong with the elements of ours. */
window.scan = (root) => {
  const wrong = [];
  for (const node of root.querySelectorAll("*")) {
    if (/^(script|iframe|object|embed|base|meta|link|frame|form-associated|animate|set|use|foreignobject|math|template)$/i.test(node.localName)) wrong.push(node.localName);
    for (const { name, value } of node.attributes) {
      if (/^on/i.test(name) || name === "style" && /url|expression/i.test(value) || name === "srcdoc") wrong.push(name + "=" + value);
      if (/^(href|src|action|formaction|xlink:href|data|poster)$/i.test(name)) {
        let url = null;
        try { url = new URL(value, location.href); } catch {}
        if (!url || !ADDRESS.test(url.protocol)) wrong.push(name + "=" + value);
        if (name === "src" && url && url.protocol !== "https:" && url.origin !== location.origin) wrong.push(name + "=" + value);
      }
    }
  }
  return wrong;
};
/** Shows one message with the payload in every field, presses whatever it has, and tells what it saw. */
window.attempt = async (kind, content, payload, presses) => {
  const before = ran.length;
  engage.show({kind: kind.split(" ")[0].replace("hotspot", "tooltip"), content: fill(content, payload)});
  const wrong = new Set();
  let shown = false;
  for (let turn = 0; turn < presses + 1; turn++) {
    let root;
    for (let wait = 0; wait < (shown ? 6 : 60) && !(root = document.querySelector("[data-engage]")?.shadowRoot)?.querySelector(".card, .panel"); wait++) await frames_(1);
    if (!root?.querySelector(".card, .panel")) break;
    shown = true;
    for (let wait = 0; wait < 60 && root.querySelector(".md:empty"); wait++) await frames_(1); // Markdown comes a moment later
    await frames_(2);
    scan(root).forEach((one) => wrong.add(one));
    for (const box of root.querySelectorAll("input[type=checkbox]")) box.click();
    const words = root.querySelector("textarea, input:not([type=checkbox])");
    if (words) { words.value = payload.join(" "); words.dispatchEvent(new Event("input", {bubbles: true})); }
    for (const link of root.querySelectorAll("a")) link.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
    const buttons = [...root.querySelectorAll("button:not(.close, :disabled)")].filter((one) => one.offsetParent);
    const button = turn < presses && buttons[turn % Math.max(1, buttons.length)];
    if (!button) break;
    button.click();
    await frames_(2);
  }
  await frames_(1);
  const all = (selector) => [...document.querySelectorAll("[data-engage]")].flatMap((host) => [...host.shadowRoot.querySelectorAll(selector)]);
  for (let wait = 0; wait < 60 && all(".dots").length; wait++) await frames_(1);
  for (let wait = 0; wait < 40; wait++) {
    // A conversation would stay behind its launcher.
    const close = all(".end:not([hidden])")[0] ?? all(".panel .close, .card:not(.checklist) .close, .checklist > .quiet, .close:not(.checklist *)")[0];
    if (!close) break;
    scan(close.getRootNode()).forEach((one) => wrong.add(one));
    close.click();
    await frames_(1);
  }
  if (!shown) wrong.add("was not shown");
  if (all(".card, .panel").length) wrong.add("is still there");
  if (ran.length > before) wrong.add("RAN");
  return [...wrong];
};
null;
"""


def stay(route: Route) -> None:
    """Wherever a button leads, the page stays."""
    if route.request.is_navigation_request():
        route.fulfill(status=204)
    else:
        route.fallback()


@pytest.fixture
def page(service: FakeService, site: Site) -> Page:
    found = site.open()
    found.context.route("**/*", stay)
    found.set_viewport_size({"width": 480, "height": 320})  # it is drawn some thousand times
    found.evaluate(DRIVER)
    return found


def test_the_corpus_is_large_and_the_look_out_sees_what_runs(page: Page) -> None:
    assert len(set(PAYLOADS)) >= 100
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=alert(1)>')")
    page.wait_for_function("ran.length === 1")
    page.evaluate("location.assign('javascript:alert(1)')")
    page.wait_for_function("ran.length === 2")
    seen = page.evaluate(
        """() => { const box = document.createElement("div");
        box.innerHTML = '<img src=x onerror=alert(1)><a href="javascript:x">y</a><iframe></iframe><img src="data:x">';
        return scan(box) }"""
    )
    assert seen == ["onerror=alert(1)", "href=javascript:x", "iframe", "src=data:x", "src=data:x"]


@pytest.mark.parametrize("kind", list(CONTENTS))
def test_no_payload_in_any_field_is_run(kind: str, service: FakeService, site: Site, page: Page) -> None:
    service.articles.update({word: {"id": word, "locale": "en", "title": word, "body": word} for word in PAYLOADS})
    presses = {"survey": 5, "article": 1, "tour": 2, "tour media": 2, "checklist": 3}.get(kind, 1)
    found = page.evaluate(
        """async ([kind, content, payloads, presses]) => {
            const found = {};
            for (let at = 0; at < payloads.length; at += 12) {
                const wrong = await attempt(kind, content, payloads.slice(at, at + 12), presses);
                if (wrong.length) found[at] = wrong;
            }
            await new Promise((done) => setTimeout(done, 300));
            return ran.length ? ran : found;
        }""",
        [kind, CONTENTS[kind], PAYLOADS, presses],
    )
    assert found == {}


ADDRESSES = [word for word in PAYLOADS if ":" in word and word[0] not in "<[!`*"]


@pytest.mark.parametrize("kind", ["chat", "banner", "tour", "tour media", "checklist", "modal", "modal video"])
def test_no_address_is_run(kind: str, page: Page) -> None:
    """One by one, for an address is one payload as a whole; and the button that goes there is pressed."""
    found = page.evaluate(
        """async ([kind, content, payloads]) => {
            const found = {};
            for (const payload of payloads) {
                const wrong = await attempt(kind, content, [payload], kind.startsWith("modal") ? 0 : 1);
                if (wrong.length) found[payload] = wrong;
            }
            await new Promise((done) => setTimeout(done, 300));
            return ran.length ? ran : found;
        }""",
        [kind, CONTENTS[kind], ADDRESSES if kind in ("chat", "modal") else ADDRESSES[::3]],  # one check is behind all
    )
    assert found == {}


def test_no_payload_in_an_article_is_run(service: FakeService, site: Site, page: Page) -> None:
    body = "\n\n".join(PAYLOADS)
    service.articles["all"] = {"id": "all", "locale": "en", "title": PAYLOADS[0], "body": body}
    page.evaluate("engage.show({kind: 'article', content: {article: 'all', title: 'Read'}})")
    page.get_by_role("button", name="Read").click()
    page.wait_for_function(
        "document.querySelector('[data-engage]').shadowRoot.querySelector('.panel .md a, .panel .md p')"
    )
    assert page.evaluate("scan(document.querySelector('[data-engage]').shadowRoot)") == []
    page.wait_for_timeout(300)
    assert page.evaluate("ran") == []
