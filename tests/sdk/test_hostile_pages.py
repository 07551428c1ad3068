"""Pages that were not made with us in mind: every kind of message is shown there and can be used, the page's globals stay
as they are, and nothing of ours is thrown into it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Frame, Page, expect

from tests.conftest import until
from tests.sdk.conftest import BODY, SDK, Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser
NODE_MODULES = SDK / "node_modules"

# Tells what has changed in the page's globals since `mark`: of the window, and of each global's own members and prototype.
WITNESS = """<script>(() => {
  const { ownKeys, getOwnPropertyDescriptor: own } = Reflect, { get, set, has, delete: drop } = Map.prototype;
  const theirs = /__zone_symbol__|[.]guid$/; // what libraries keep for themselves
  const put = (map, key, value) => theirs.test(key) || set.call(map, key, value), of = (map, key) => get.call(map, key);
  const each = (object, name, found) => {
    const keys = ownKeys(object);
    for (let i = 0; i < keys.length; i++) {
      const one = own(object, keys[i]);
      if (one) put(found, name + "." + String(keys[i]), "value" in one ? one.value : one.get);
    }
  };
  const look = () => {
    const found = new Map(), seen = new Map();
    each(window, "window", found);
    each(history, "history", found);
    each(document, "document", found);
    const keys = ownKeys(window);
    for (let i = 0; i < keys.length; i++) {
      const value = own(window, keys[i])?.value;
      if (typeof value !== "function" && !/^(JSON|Math|Reflect|Intl|CSS)$/.test(String(keys[i]))) continue;
      each(value, String(keys[i]), found);
      if (value.prototype) each(value.prototype, String(keys[i]) + ".prototype", found);
    }
    drop.call(found, "window.engage");
    return found;
  };
  let before;
  const forEach = Map.prototype.forEach;
  Object.defineProperty(window, "witness", { value: { mark() { before = look(); }, changed() {
    const after = look();
    let told = "";
    forEach.call(after, (value, name) => {
      if (!has.call(before, name) || !Object.is(of(before, name), value)) told += name + " ";
      drop.call(before, name);
    });
    forEach.call(before, (_, name) => (told += name + " "));
    return told;
  } } });
})()</script>"""


def page_of(service: FakeService, site: Site, head: str, later: str = "", body: str = BODY) -> None:
    """A page that is hostile from the start by `head`, and once the snippet is there by `later`."""
    mark = "witness.mark()"
    late = f"addEventListener('load', () => {{ {later}; {mark} }})"
    site.add("/", ["track", "Came"], head=f"{WITNESS}{head}<script>{mark}; {late}</script>", body=body)


def tour(service: FakeService, root: Page | Frame, target: str = "#create") -> None:
    steps = [{"target": target, "title": "First", "text": "One **word**."}, {"title": "Second", "text": "Two."}]
    service.deliver(delivery_id="tour", kind="tour", content={"steps": steps})
    dialog = root.get_by_role("dialog", name="First")
    expect(dialog).to_be_visible()
    lit(root, target)
    dialog.get_by_role("button", name="Next").click()
    root.get_by_role("dialog", name="Second").get_by_role("button", name="Done").click()


def lit(root: Page | Frame, target: str) -> None:
    """The light comes to be on the target."""

    def around() -> list[int]:
        light, box = root.locator(".light").bounding_box(), root.locator(target).bounding_box()
        return [round(light[side] - box[side]) for side in ("x", "y", "width", "height")] if light and box else []

    until(lambda: around() == [-6, -6, 12, 12], what=f"the light is on {target}")


def chat(service: FakeService, root: Page | Frame) -> None:
    replies = [{"label": "Yes", "text": "- Good"}]
    service.deliver(delivery_id="chat", kind="chat", content={"text": "Well?", "replies": replies})
    root.get_by_role("button", name="Yes").click()
    expect(root.locator(".chat li")).to_have_text("Good")
    root.locator(".chat .close").click()


def article(service: FakeService, root: Page | Frame) -> None:
    service.articles["a"] = {"id": "a", "locale": "en", "title": "An article", "body": "1. With *words*"}
    service.deliver(delivery_id="article", kind="article", content={"article": "a", "title": "Help"})
    root.get_by_role("button", name="Read").click()
    panel = root.get_by_role("dialog", name="An article")
    expect(panel.locator("li em")).to_have_text("words")
    panel.get_by_role("button", name="Close").click()


def banner(service: FakeService, root: Page | Frame) -> None:
    service.deliver(delivery_id="banner", kind="banner", content={"text": "News", "actions": [{"label": "Well"}]})
    box = root.locator(".banner.in").bounding_box()
    assert box
    assert box["y"] < 40
    root.get_by_role("button", name="Well", exact=True).click()


def modal(service: FakeService, root: Page | Frame) -> None:
    form = {"label": "Your name", "thanks": "Thank you"}
    service.deliver(delivery_id="modal", kind="modal", content={"title": "Large", "form": form})
    root.locator("dialog input").fill("Ann")
    root.get_by_role("button", name="Send").click()
    expect(root.get_by_role("dialog", name="Large")).to_contain_text("Thank you")
    root.locator("dialog .close").click()


def tooltip(service: FakeService, root: Page | Frame) -> None:
    service.deliver(delivery_id="tip", kind="tooltip", content={"target": "#create", "title": "Tip", "text": "Here"})
    tip, target = root.locator(".tooltip"), root.locator("#create")
    expect(tip).to_be_visible()
    box, beside = tip.bounding_box(), target.bounding_box()
    assert box
    assert beside
    assert abs(box["y"] - beside["y"] - beside["height"] - 14) < 3
    tip.get_by_role("button", name="Close").click()


def survey(service: FakeService, root: Page | Frame) -> None:
    questions = [{"type": "nps", "text": "Well?"}, {"type": "choices", "text": "What?", "options": ["Speed", "Help"]}]
    service.deliver(delivery_id="survey", kind="survey", content={"questions": questions})
    root.get_by_role("button", name="3 / 10").click()
    root.locator("label", has_text="Help").click()
    root.get_by_role("button", name="Next").click()
    expect(root.locator(".survey")).to_contain_text("Thank")
    root.locator(".survey .close").click()


KINDS: list[Callable[[FakeService, Page | Frame], None]] = [tour, chat, article, banner, modal, tooltip, survey]


def use_every_kind(service: FakeService, site: Site, root: Page | Frame, lists: Any = ("Help",)) -> None:
    use(KINDS, service, site, root)
    answers = [event["properties"]["answer"] for event in service.events if event.get("event") == "Survey Answered"]
    assert answers == [3, list(lists) if isinstance(lists, tuple) else lists]


def use(
    kinds: list[Callable[[FakeService, Page | Frame], None]], service: FakeService, site: Site, root: Page | Frame
) -> None:
    for number, kind in enumerate(kinds, 1):
        kind(service, root)
        service.wait(
            lambda number=number: (
                service.names().count("Message Completed") + service.names().count("Message Dismissed") >= number
            )
        )
        expect(root.locator("[data-engage]")).to_have_count(0)
    assert service.names().count("Message Shown") == len(kinds)
    assert root.evaluate("witness.changed()") == ""
    assert site.complaints() == []


ARRAYS = """
for (const name of ["each", "first", "last", "clone", "without", "size"]) Array.prototype[name] = function () { return this; };
Array.prototype.forEach = function (work, self) { for (let i = 0; i < this.length; i++) work.call(self, this[i], i, this); };
Array.prototype.map = function (work, self) { const out = []; for (let i = 0; i < this.length; i++) out.push(work.call(self, this[i], i, this)); return out; };
Array.prototype.filter = function (work, self) { const out = []; for (let i = 0; i < this.length; i++) if (work.call(self, this[i], i, this)) out.push(this[i]); return out; };
Array.prototype.find = function (work) { for (let i = 0; i < this.length; i++) if (work(this[i], i)) return this[i]; };
"""
# As Prototype 1.6 does it, which many an old site still has.
PROTOTYPE = (
    ARRAYS
    + """
window.$A = (iterable) => { if (!iterable) return []; if (iterable.toArray) return iterable.toArray();
  const found = []; for (let i = 0; i < iterable.length; i++) found[i] = iterable[i]; return found; };
Array.from = $A;
Array.prototype.toArray = Array.prototype.entries = function () { return [].concat(this); };
Array.prototype.reduce = function () { return this.length > 1 ? this : this[0]; };
String.prototype.toJSON = function () { return this.toString(); };
String.prototype.startsWith = function (start) { return this.indexOf(start) === 0; };
String.prototype.empty = function () { return this == ""; };
Element.prototype.remove = function () { this.parentNode.removeChild(this); return this; };
Element.prototype.select = Element.prototype.show = Element.prototype.hide = Element.prototype.update = function () { return this; };
Function.prototype.bind = function (self) { const run = this, given = $A(arguments).slice(1); return function () { return run.apply(self, given.concat($A(arguments))); }; };
window.Event = Object.assign(function () {}, Event, { observe() {}, stop() {} });
"""
)
# As MooTools does it.
MOOTOOLS = """
Function.prototype.overloadSetter = Function.prototype.extend = Function.prototype.implement = function () { return this; };
Array.prototype.each = function (work, self) { for (let i = 0; i < this.length; i++) work.call(self, this[i], i, this); };
Array.prototype.contains = Array.prototype.erase = Array.prototype.empty = function () { this.length = 0; return this; };
String.prototype.contains = function (part, by) { return (by + this + by).includes(part); };
Number.prototype.times = String.prototype.test = function () {};
Element.prototype.setStyle = Element.prototype.inject = Element.prototype.dispose = Element.prototype.destroy = function () { return this; };
Element.prototype.set = Element.prototype.get = Element.prototype.getElement = function () { return null; };
window.$ = window.$$ = (id) => document.getElementById(id);
window.Element = new Proxy(Element, {});
"""
# As json2.js does it: in JavaScript, and with eval.
JSON2 = """
const write = (value) => {
  if (typeof value?.toJSON === "function") value = value.toJSON();
  if (typeof value === "string") return '"' + value.replace(/[\\\\"\\x00-\\x1f]/g, (one) => "\\\\u" + ("000" + one.charCodeAt(0).toString(16)).slice(-4)) + '"';
  if (Array.isArray(value)) return "[" + value.map((one) => write(one) ?? "null").join() + "]";
  if (value && typeof value === "object") {
    const parts = [];
    for (const key of Object.keys(value)) { const part = write(value[key]); if (part !== undefined) parts.push(write(key) + ":" + part); }
    return "{" + parts.join() + "}";
  }
  return value === undefined || typeof value === "function" ? undefined : String(value);
};
JSON.stringify = write;
JSON.parse = (text) => eval("(" + text + ")");
"""
WRAPPERS = """
const Real = Date;
window.Date = class extends Real { constructor(...given) { given.length ? super(...given) : super(Date.now()); } static now() { return 1e12; } };
window.Promise = class Bluebird extends Promise { then(...given) { return super.then(...given); } };
const call = window.fetch;
window.fetch = function (...given) { return new Promise((done, fail) => call.apply(window, given).then(done, fail)); };
for (const name of ["setTimeout", "setInterval", "requestAnimationFrame", "queueMicrotask"]) {
  const real = window[name];
  window[name] = function (work, ...rest) { return real.call(window, function () { return work.apply(this, arguments); }, ...rest); };
}
const timer = window.setTimeout;
window.setTimeout = (...given) => ({ id: timer(...given), unref() {} });
const clear = window.clearTimeout;
window.clearTimeout = (one) => clear(one?.id ?? one);
const listen = EventTarget.prototype.addEventListener;
EventTarget.prototype.addEventListener = function (type, listener, options) { return listen.call(this, type, listener, options); };
"""
NO_STORAGE = """
const refuse = () => { throw new DOMException("The operation is insecure.", "SecurityError"); };
for (const name of ["localStorage", "sessionStorage", "indexedDB", "caches"]) Object.defineProperty(window, name, { get: refuse });
"""
FROZEN = """
for (const one of [Array, Object, Function, String, Promise, Map, Set, Element, Node, EventTarget, HTMLElement]) { Object.freeze(one); Object.freeze(one.prototype); }
Object.freeze(JSON); Object.freeze(Math); Object.freeze(Reflect); Object.freeze(history); Object.freeze(document);
for (const seal of [Object.preventExtensions, Object.freeze]) try { seal(window); } catch {}
"""
SCRIPTS = {
    "arrays with more, and others for their own": ARRAYS,
    "Prototype 1.6": PROTOTYPE,
    "MooTools": MOOTOOLS,
    "objects with more": "Object.prototype.each = function () {}; Object.prototype.extra = 'x'; Object.prototype.toQuery = () => '';",
    "wrapped globals": WRAPPERS,
    "no storage": NO_STORAGE,
    "no cookies": NO_STORAGE + 'Object.defineProperty(document, "cookie", { get: refuse, set: refuse });',
    "frozen": FROZEN,
    "no observers": "delete window.ResizeObserver; delete window.IntersectionObserver; delete window.BroadcastChannel;",
    "a console that is none": "window.console = undefined;",
}
LATER = {
    "JSON by an old library": JSON2,
    "fetch and promises that are others": WRAPPERS,
    "arrays": PROTOTYPE,
}
STYLES = {
    "all unset": "* { all: unset !important }",
    "all reverted, all of it": "*, *::before, *::after { all: revert !important }",
    "div gone": "div { display: none !important }",
    "div far away": "body > div, html > div { position: relative !important; transform: translate(300px, 200px) !important; opacity: 0.01 !important; "
    "visibility: hidden !important; pointer-events: none !important; overflow: hidden; filter: blur(9px); width: 10px; height: 10px }",
    "div last": "body > div:last-child, html > div:last-child { display: none; float: left; clip-path: circle(0) }",
    "large words": "* { font: 900 70px/3 serif !important; letter-spacing: 1em !important; text-transform: uppercase !important; color: red !important }",
    "body moved": "body { transform: translate(20px, 30px) scale(0.9); filter: saturate(0.9); will-change: transform; height: 2400px }",
    "body contained": "body { contain: layout paint; perspective: 200px; margin: 80px; overflow: hidden; height: 300px }",
    "body in columns": "html, body { display: flex; gap: 90px; height: 100%; justify-content: space-between }",
    "zoom of the body": "body { zoom: 1.5 }",
    "zoom": ":root { zoom: 1.5 }",
    "no selection": "* { user-select: none !important; -webkit-user-select: none !important; cursor: none }",
    "in front": "main::after { content: ''; position: fixed; inset: 0; z-index: 2147483647; background: #fffc }",
}  # fmt: skip


@pytest.mark.parametrize("name", list(SCRIPTS))
def test_scripts_that_change_the_language(service: FakeService, site: Site, name: str) -> None:
    page_of(service, site, f"<script>{{ {SCRIPTS[name]} }}</script>")
    if name in ("Prototype 1.6", "wrapped globals", "MooTools"):
        use_every_kind(service, site, site.open())
    else:
        use([tour, chat], service, site, site.open())


def test_arrays_that_write_themselves(service: FakeService, site: Site) -> None:
    """Of Prototype before 1.7. It hands us texts for lists, as it does to everything on such a page."""
    write = (
        "Array.prototype.toJSON = function () { return '[' + this.map((one) => JSON.stringify(one)).join(', ') + ']' }"
    )
    page_of(service, site, f"<script>{write}</script>")
    use_every_kind(service, site, site.open(), lists='["Help"]')


@pytest.mark.parametrize("name", list(LATER))
def test_scripts_that_do_so_once_it_runs(service: FakeService, site: Site, name: str) -> None:
    page_of(service, site, "", f"{{ {LATER[name]} }}")
    use_every_kind(service, site, site.open())


def test_json_that_throws(service: FakeService, site: Site) -> None:
    """Nothing can be claimed without it; but events arrive, and nothing is thrown."""
    page_of(service, site, "", "JSON.parse = JSON.stringify = () => { throw new TypeError('no'); }")
    page = site.open()
    service.deliver(delivery_id="chat", kind="chat", content={"text": "Well?"})
    page.evaluate("engage.track('Clicked', {where: ['here']})")
    assert service.wait_event("Clicked")["properties"] == {"where": ["here"]}
    page.wait_for_timeout(300)
    assert page.evaluate("witness.changed()") == ""
    assert site.complaints() == []


@pytest.mark.parametrize("name", list(STYLES))
def test_styles(service: FakeService, site: Site, name: str) -> None:
    page_of(service, site, f"<style>{STYLES[name]}</style>")
    use([tour, modal], service, site, site.open())  # one of each way to stand: the others stand as these do


def vendor(site: Site, file: str) -> str:
    """A library from npm, served by the page's own site."""
    site.context.route(
        f"**/{file}", lambda route: route.fulfill(path=NODE_MODULES / file, content_type="text/javascript")
    )
    return f"<script src='/{file}'></script>"


def test_zone_js(service: FakeService, site: Site) -> None:
    page_of(service, site, vendor(site, "zone.js/bundles/zone.umd.min.js"))
    page = site.open()
    assert page.evaluate("Zone.current.name") == "<root>"
    use_every_kind(service, site, page)


JQUERY = {
    "empties the body": "$('body').empty()",
    "writes the body": "$('body').html('<main><button id=create>Anew</button></main>')",
    "wraps the body": "$('body').wrapInner('<div id=all style=\"transform: scale(0.9)\"></div>')",
    "hides what is in the body": "$('body > *').hide()",
    "removes all that is not its own": "$('html > *').not('head, body').add('body > *').remove()",
    "takes the place of the body": "$('body').replaceWith('<body><button id=create>Anew</button></body>')",
}


@pytest.mark.parametrize("what", list(JQUERY))
def test_old_jquery_at_work(service: FakeService, site: Site, what: str) -> None:
    page_of(service, site, vendor(site, "jquery/dist/jquery.min.js"))
    page = site.open()
    assert page.evaluate("$.fn.jquery") == "1.12.4"
    service.deliver(delivery_id="tour", kind="tour", content={"steps": [{"title": "First"}, {"title": "Second"}]})
    expect(page.get_by_role("dialog", name="First")).to_be_visible()
    page.wait_for_timeout(350)
    page.evaluate(JQUERY[what])
    page.get_by_role("dialog", name="First").get_by_role("button", name="Next").click()
    expect(page.get_by_role("dialog", name="Second")).to_be_visible()
    page.evaluate(JQUERY[what])
    page.get_by_role("dialog", name="Second").get_by_role("button", name="Done").click()
    chat(service, page)
    service.wait_event("Message Completed", 2)
    assert service.calls == [("claim", "tour"), ("claim", "chat")]
    assert page.evaluate("witness.changed()") == ""
    assert site.complaints() == []


@pytest.mark.parametrize("mode", ["scripts", "same origin"])
def test_a_sandboxed_frame(service: FakeService, site: Site, mode: str) -> None:
    """Of an origin of its own: no storage, no cookies, no locks."""
    page_of(service, site, "")
    service.pages["/frame"] = service.pages["/"]
    allow = "allow-scripts" + (" allow-same-origin" if mode == "same origin" else "")
    service.pages["/"] = (
        f"<!doctype html><title>Around</title><iframe sandbox='{allow} allow-forms' src='/frame' width=1000 height=700></iframe>"
    )
    page = site.context.new_page()
    page.goto(service.site)
    frame = page.frames[1]
    frame.wait_for_function("!Array.isArray(window.engage)")
    assert frame.evaluate("self.origin") == ("null" if mode == "scripts" else service.site)
    site.console.clear()  # the browser warns of the page
    use_every_kind(service, site, frame)


def test_without_forms_a_sandboxed_frame_keeps_the_card(service: FakeService, site: Site) -> None:
    page_of(service, site, "")
    service.pages["/frame"] = service.pages["/"]
    service.pages["/"] = "<!doctype html><iframe sandbox='allow-scripts' src='/frame' width=1000 height=700></iframe>"
    page = site.context.new_page()
    page.goto(service.site)
    frame = page.frames[1]
    chat(service, frame)
    service.wait_event("Message Completed")


def test_a_base(service: FakeService, site: Site) -> None:
    """Addresses of messages are told from the page's own, not from where it sends its links."""
    page_of(service, site, "<base href='https://elsewhere.invalid/deep/' target='_blank'>")
    page = site.open()
    use_every_kind(service, site, page)
    service.deliver(delivery_id="link", kind="banner", content={"text": "See [this](/second) and ![x](/pixel.png)."})
    expect(page.get_by_role("link", name="this")).to_have_attribute("href", service.site + "/second")


def test_quirks_mode(service: FakeService, site: Site) -> None:
    page_of(service, site, "")
    service.pages["/"] = service.pages["/"].replace("<!doctype html>", "")
    page = site.open()
    assert page.evaluate("document.compatMode") == "BackCompat"
    use_every_kind(service, site, page)


def test_xhtml(service: FakeService, site: Site) -> None:
    """Elements have their names in small letters there, and nothing can be written into it."""
    page_of(service, site, "")
    source = service.pages["/"]
    source = re.sub(r"<script>(.*?)</script>", r"<script>//<![CDATA[\n\1\n//]]></script>", source, flags=re.DOTALL)
    source = re.sub(r"<(meta|link|input)\b([^>]*)>", r"<\1\2/>", source).replace("<script async ", "<script async='' ")
    source = source.replace('<!doctype html><html lang="en">', "<html xmlns='http://www.w3.org/1999/xhtml' lang='en'>")
    service.pages["/"], service.page_type = source, "application/xhtml+xml; charset=utf-8"
    page = site.open()
    assert page.evaluate("document.contentType + document.createElement('p').tagName") == "application/xhtml+xmlp"
    page.focus("#search")
    service.deliver(delivery_id="wait", kind="modal", content={"title": "Wait"})
    page.keyboard.type("qu")
    page.evaluate("engage.track('End')")
    service.wait_event("End")
    assert service.calls == [], "it waits while the person types"
    page.evaluate("document.activeElement.blur()")
    page.get_by_role("button", name="Close").click()
    service.wait_event("Message Dismissed")
    service.events.clear()
    use_every_kind(service, site, page)


def test_document_write_after_load(service: FakeService, site: Site) -> None:
    """It takes everything out of the document, and all listeners off it."""
    page_of(service, site, "")
    page = site.open()
    service.deliver(delivery_id="tour", kind="tour", content={"steps": [{"title": "First"}, {"title": "Second"}]})
    expect(page.get_by_role("dialog", name="First")).to_be_visible()
    page.wait_for_timeout(350)
    page.evaluate(
        "document.open(); document.write('<title>Anew</title><button id=create>New</button>'); document.close()"
    )
    page.get_by_role("dialog", name="First").get_by_role("button", name="Next").click()
    page.get_by_role("dialog", name="Second").get_by_role("button", name="Done").click()
    service.wait_event("Message Completed")
    chat(service, page)
    tooltip(service, page)
    service.wait_event("Message Dismissed")
    assert site.complaints() == []


def test_a_modal_window_of_the_page(service: FakeService, site: Site) -> None:
    """A page's own `<dialog>` makes all else inert: what is there can be used again once it has closed."""
    page_of(service, site, "", body=BODY + "<dialog id='own'><p>Really?</p><button id='no'>No</button></dialog>")
    page = site.open()
    service.deliver(delivery_id="b", kind="banner", content={"text": "News"})
    expect(page.locator(".banner.in")).to_be_visible()
    page.evaluate("own.showModal()")
    chat_replies = [{"label": "Yes", "text": "Good"}]
    service.deliver(delivery_id="chat", kind="chat", content={"text": "Well?", "replies": chat_replies})
    expect(page.locator(".chat .theirs")).to_be_visible()
    page.locator("#no").click()
    page.evaluate("own.close()")
    page.get_by_role("button", name="Yes").click()
    expect(page.locator(".chat")).to_contain_text("Good")
    page.locator(".banner .close").click()
    service.wait_event("Message Dismissed")
    assert site.complaints() == []
