"""A tour over two hosts of one site, and a visitor who is one person on both: the real service, pages with https."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.conftest import PATIENCE, Service, StartService, running_chromium, until

pytestmark = pytest.mark.browser

APP, DOCS = "https://app.shop.test/", "https://docs.shop.test/start"
STEPS = [
    {"text": "Here you write.", "target": "#write", "path": f"{APP}*", "navigate": DOCS},
    {"text": "Here it is told.", "target": "#guide", "path": DOCS, "advance": {"path": f"{APP}*"}},
    {"text": "You are back.", "target": "#write"},
]
REPLIES = [{"label": "Yes", "text": "Then tell me."}]
DOCUMENTS = [
    ("messages", {"id": "way", "kind": "tour", "content": {"en": {"steps": STEPS}}}),
    ("rules", {"id": "way", "trigger": "Signed Up", "condition": True, "message": "way"}),
    ("messages", {"id": "round", "kind": "tour", "content": {"en": {"steps": [{"text": "A word."}]}}}),
    ("rules", {"id": "round", "trigger": "Looked Round", "condition": True, "message": "round"}),
    ("messages", {"id": "help", "kind": "chat", "content": {"en": {"text": "Can I help?", "replies": REPLIES}}}),
    ("rules", {"id": "help", "trigger": "Asked", "condition": True, "message": "help"}),
]
BODY = f"""<h1 id="guide">Guide</h1><textarea id="write" aria-label="Write"></textarea>
<a id="to-app" href="{APP}">App</a> <a id="to-docs" href="{DOCS}">Guide</a>"""

LOSES = """() => {
  const { fetch } = window;
  window.fetch = (url, ...more) => (String(url).endsWith("/release") ? Promise.reject(new TypeError("lost")) : fetch(url, ...more));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Pages of the internet may call this machine, also on their way out."""
    with running_chromium("--disable-features=LocalNetworkAccessChecks") as chromium:
        yield chromium


@pytest.fixture(scope="module")
def product(module_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("definitions")
    for kind, document in DOCUMENTS:
        (folder / kind).mkdir(exist_ok=True)
        (folder / kind / f"{document['id']}.json").write_text(json.dumps(document))
    return module_service(rules=folder)


class Person:
    """Somebody with a browser of their own, and the site's two hosts as it sees them."""

    def __init__(self, browser: Browser, product: Service, user: str | None, **options: Any) -> None:
        self.product = product
        self.context = browser.new_context(viewport={"width": 1000, "height": 700}, locale="en-US")
        self.context.set_default_timeout(PATIENCE)
        self.user = user
        self.said: list[str] = []
        self.context.on("console", lambda said: self.said.append(said.text))
        self.init(**options)
        self.context.route("https://*.shop.test/**", self._answer)
        self.page = self.context.new_page()

    def window(self, url: str) -> Page:
        """Another window of the same browser."""
        page = self.context.new_page()
        page.goto(url)
        page.wait_for_function("!Array.isArray(window.engage)")
        return page

    def init(self, **options: Any) -> None:
        """How the site's pages start the snippet from now on."""
        self._calls: list[Any] = [["init", {"writeKey": self.product.write_key, "host": self.product.url, **options}]]
        self._calls += [["identify", self.user]] if self.user else []

    def _answer(self, route: Route) -> None:
        page = f"""<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,">
<script>window.engage=window.engage||[];engage.push(...{json.dumps(self._calls)})</script>
<script async src="{self.product.url}/sdk/engage.js"></script><body>{BODY}</body></html>"""
        route.fulfill(body=page, content_type="text/html; charset=utf-8")

    def go(self, url: str) -> None:
        self.page.goto(url)
        self.page.wait_for_function("!Array.isArray(window.engage)")

    def click(self, link: str) -> None:
        self.page.click(link)
        self.page.wait_for_function("!Array.isArray(window.engage)")

    def step(self, words: str) -> Locator:
        found = self.page.get_by_role("dialog").filter(has_text=words)
        expect(found).to_be_visible()
        return found

    def ask(self, script: str) -> Any:
        return self.page.evaluate(script)

    def told(self) -> Counter[str]:
        """How often which event came of them."""
        person = self.ask("engage.userId || engage.anonymousId")
        with self.product.client(auth=(self.product.secret_key, "")) as client:
            answer = client.get(f"/api/users/{person}/export")
        return Counter(event["event"] for event in answer.json().get("events", []) if event.get("event"))


@pytest.fixture
def arrive(browser: Browser, product: Service) -> Iterator[Any]:
    """`arrive("ann", **options)`: somebody new, whom the site knows as Ann; a visitor where there is no name."""
    here: list[Person] = []

    def come(user: str | None = None, **options: Any) -> Person:
        here.append(Person(browser, product, user, **options))
        return here[-1]

    yield come
    for person in here:
        person.context.close()
        assert person.said == []


@pytest.mark.parametrize(
    ("user", "options"), [("ann", {}), (None, {"cookieDomain": "shop.test"})], ids=["a user", "a visitor"]
)
def test_a_tour_goes_over_two_hosts_and_back(arrive: Any, user: str | None, options: dict[str, str]) -> None:
    person = arrive(user, **options)
    person.go(APP)
    person.ask("engage.track('Signed Up'); null")
    person.step("Here you write.").get_by_role("button", name="Next").click()
    person.page.wait_for_url(DOCS)
    person.step("Here it is told.")
    person.page.reload()
    person.step("Here it is told.")
    person.click("#to-app")
    person.step("You are back.").get_by_role("button", name="Done").click()
    until(lambda: person.told()["Message Completed"], what="the tour is completed")
    told = person.told()
    assert (told["Message Shown"], told["Message Completed"]) == (1, 1)
    person.click("#to-docs")
    person.click("#to-app")
    person.page.wait_for_timeout(300)
    expect(person.page.get_by_role("dialog")).to_have_count(0)


def test_a_tour_whose_giving_back_is_lost_goes_on_once_its_host_is_seen_again(arrive: Any) -> None:
    person = arrive("eve")
    person.go(APP)
    person.ask("engage.track('Signed Up'); null")
    left = person.step("Here you write.")
    person.ask(LOSES)
    left.get_by_role("button", name="Next").click()
    person.page.wait_for_url(DOCS)
    person.page.wait_for_timeout(500)
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    with person.page.expect_response("**/release") as answer:
        person.go(APP)
    assert answer.value.json() == {"released": True}  # and to come here is what its second step waits for
    person.step("You are back.").get_by_role("button", name="Done").click()
    until(lambda: person.told()["Message Completed"], what="the tour is completed")
    assert person.told()["Message Shown"] == 1


def test_it_waits_for_the_page_of_its_step_and_goes_on_in_another_browser(arrive: Any) -> None:
    here = arrive("ben")
    here.go(APP)
    here.ask("engage.track('Signed Up'); null")
    here.step("Here you write.").get_by_role("button", name="Next").click()
    here.page.wait_for_url(DOCS)
    here.step("Here it is told.")
    here.page.goto("about:blank")
    there = arrive("ben")
    there.go(DOCS + "/elsewhere")
    there.page.wait_for_timeout(300)
    expect(there.page.get_by_role("dialog")).to_have_count(0)
    there.go(DOCS)
    there.step("Here it is told.").get_by_role("button", name="Close").click()
    until(lambda: there.told()["Message Dismissed"], what="it is dismissed")
    assert there.told()["Message Shown"] == 1


def test_a_page_that_comes_back_shows_what_was_left_there(arrive: Any) -> None:
    person = arrive("cleo")
    person.go(APP)
    person.ask("engage.track('Signed Up'); null")
    person.step("Here you write.")
    person.click("#to-docs")
    person.page.wait_for_timeout(300)
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    person.page.go_back()
    person.step("Here you write.")


def test_who_objects_on_one_host_has_objected_on_the_other(arrive: Any) -> None:
    person = arrive(None, cookieDomain="shop.test")
    person.go(APP)
    visitor = person.ask("engage.anonymousId")
    person.click("#to-docs")
    assert person.ask("engage.anonymousId") == visitor
    person.ask("engage.optOut(); null")
    person.click("#to-app")
    assert person.ask("engage.anonymousId") is None
    (left,) = person.ask("Object.keys(localStorage)")  # of the visitor as the first host knew them, nothing
    assert left.endswith(".id.out")
    (left,) = person.context.cookies(APP)
    assert (left["name"].endswith(".id.outshop.test"), left["value"], left["domain"]) == (True, "1", ".shop.test")


def test_without_a_domain_each_host_has_its_own_visitors(arrive: Any) -> None:
    person = arrive()
    person.go(APP)
    visitor = person.ask("engage.anonymousId")
    person.click("#to-docs")
    assert person.ask("engage.anonymousId") not in (None, visitor)
    assert person.context.cookies() == []


def test_the_visitor_of_the_host_that_comes_first_goes_on(arrive: Any) -> None:
    before = arrive()
    before.go(APP)
    visitor = before.ask("engage.anonymousId")
    before.go(DOCS)
    other = before.ask("engage.anonymousId")
    before.init(cookieDomain="shop.test")
    before.go(APP)
    assert before.ask("engage.anonymousId") == visitor
    before.go(DOCS)
    assert before.ask("engage.anonymousId") == visitor != other


def test_who_signs_out_on_one_host_has_signed_out_on_the_other(arrive: Any) -> None:
    person = arrive(None, cookieDomain="shop.test")
    person.go(APP)
    visitor = person.ask("engage.anonymousId")
    person.ask("engage.identify('dora'); null")
    person.click("#to-docs")
    assert person.ask("[engage.anonymousId, engage.userId]") == [visitor, "dora"]
    other = person.window(APP)
    other.evaluate("engage.reset(); null")
    other.close()
    assert person.ask("engage.userId") is None
    assert person.ask("engage.anonymousId") != visitor


def seen(page: Page) -> None:
    """What the browser tells a page that is looked at again; here every page believes it always is."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))")


@pytest.mark.parametrize("storage", ["local", "cookie"])
def test_an_objection_on_another_host_holds_for_a_page_that_was_there_before(arrive: Any, storage: str) -> None:
    person = arrive(None, cookieDomain="shop.test", storage=storage, consent=True)
    person.go(APP)
    person.ask("engage.optIn(); null")
    other = person.window(DOCS)
    other.evaluate("engage.optOut(); null")
    seen(person.page)
    assert person.ask("engage.anonymousId") is None
    assert [one["value"] for one in person.context.cookies(APP)] == ["1"]


@pytest.mark.parametrize("storage", ["local", "cookie"])
def test_who_signs_out_on_one_host_is_not_brought_back_by_a_page_of_the_other(arrive: Any, storage: str) -> None:
    person = arrive(None, cookieDomain="shop.test", storage=storage)
    person.go(APP)
    person.ask("engage.identify('finn'); null")
    other = person.window(DOCS)
    other.evaluate("engage.reset(); null")
    visitor = other.evaluate("engage.anonymousId")
    seen(person.page)
    assert person.ask("[engage.anonymousId, engage.userId]") == [visitor, None]


def test_the_user_whom_a_host_knows_stays_when_the_hosts_become_one(arrive: Any) -> None:
    before = arrive()
    before.go(APP)
    before.ask("engage.identify('gil'); null")
    before.init(cookieDomain="shop.test")
    before.go(APP)
    assert before.ask("engage.userId") == "gil"
    before.go(DOCS)
    assert before.ask("engage.userId") == "gil"


@pytest.mark.parametrize("event", ["Looked Round", "Asked"])
def test_what_is_under_way_on_a_host_is_its_persons_own(arrive: Any, event: str) -> None:
    """Somebody else signed in on the other host: the storage of this one still holds the tour, or the conversation."""
    person = arrive(None, cookieDomain="shop.test")
    person.go(DOCS)
    person.ask(f"engage.identify('hana'); engage.track('{event}'); null")
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    if event == "Asked":
        dialog.get_by_role("button", name="Yes").click()
        expect(dialog.get_by_text("Then tell me.")).to_be_visible()
    person.go(DOCS)
    expect(dialog).to_be_visible()
    person.go(APP)
    person.ask("engage.reset(); engage.identify('ivo'); null")
    person.go(DOCS)
    person.page.wait_for_timeout(600)
    expect(dialog).to_have_count(0)
    expect(person.page.locator(".chat, .bubble")).to_have_count(0)


def test_what_was_not_sent_from_a_page_is_sent_from_the_next(arrive: Any) -> None:
    person = arrive(None, cookieDomain="shop.test")
    person.go(APP)
    person.context.route("**/v1/batch", lambda route: route.abort())
    person.ask("navigator.sendBeacon = () => false; engage.track('Left Behind'); null")
    person.page.wait_for_timeout(100)
    person.context.unroute("**/v1/batch")
    person.go(APP)
    until(lambda: person.told()["Left Behind"], what="the event came")
    person.said.clear()  # the browser's own words on requests that failed


def test_a_tour_that_is_shown_for_a_look_is_not_given_back(arrive: Any) -> None:
    person = arrive()
    asked: list[str] = []
    person.context.on("request", lambda request: asked.append(request.url))
    person.go(APP)
    person.ask(f"engage.show({json.dumps({'kind': 'tour', 'content': {'steps': STEPS}})}); null")
    person.step("Here you write.")
    person.click("#to-docs")
    person.page.wait_for_timeout(200)
    assert [url for url in asked if "/deliveries/" in url] == []
