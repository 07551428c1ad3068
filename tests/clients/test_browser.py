"""The clients for browsers, unmodified, in a real Chromium, on pages of another origin than the service's."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.clients.calls import PROPERTIES, THEN, TRAITS, check_given, check_understood, find, ms, people_of
from tests.clients.conftest import Product
from tests.clients.programs import HERE, Json, documented, filled
from tests.clients.site import Site, certificate
from tests.conftest import until

pytestmark = pytest.mark.browser
PACKAGES = HERE / "node_modules"
SEGMENT = PACKAGES / "@segment" / "analytics-next" / "dist" / "umd"
RUDDERSTACK = PACKAGES / "@rudderstack" / "analytics-js" / "dist" / "npm" / "modern" / "bundled" / "umd"
GLOBALS = {"@segment/analytics-next": "AnalyticsNext", "@rudderstack/analytics-js/bundled": "rudderanalytics"}
WAIT = 60_000  # ms; other tests may share the machine


class Visit:
    """A page that has loaded a client, and what the client has sent. `analytics` is there the name of it."""

    def __init__(self, product: Product, site: Site, context: BrowserContext) -> None:
        self.product = product
        self.site = site
        self.page: Page = context.new_page()
        self.page.set_default_timeout(WAIT)
        self.sent: list[tuple[str, Json, dict[str, str]]] = []
        self.elsewhere: list[str] = []
        self.preflights: list[str] = []
        self.console: list[str] = []
        self.statuses: list[int] = []
        self.page.on("request", self._hear)
        self.page.on("response", lambda reply: self.statuses.append(reply.status))
        self.page.on("console", lambda said: self.console.append(said.text))
        devtools = context.new_cdp_session(self.page)
        devtools.send("Network.enable")
        devtools.on("Network.requestWillBeSent", self._hear_preflight)

    def _hear(self, request) -> None:
        if not request.url.startswith((self.site.url, self.product.service.url)):
            self.elsewhere.append(request.url)
        elif request.method == "POST":
            self.sent.append((request.url, request.post_data_json, request.headers))

    def _hear_preflight(self, event: Json) -> None:
        if event["request"]["method"] == "OPTIONS":
            self.preflights.append(event["request"]["url"])

    def open_code(self, script: str, code: str) -> None:
        """A page with a client's own bundle, and the code of docs/migrating.md after it."""
        for package, name in GLOBALS.items():
            code = re.sub(rf'import (.+) from "{package}";', rf"const \1 = window.{name};", code)
        self.open(f'<script src="{script}"></script><script>{code}</script>')

    def open(self, head: str) -> None:
        self.site.pages["/"] = (
            '<!doctype html><html><head><meta charset="utf-8"><title>レポート</title>'
            f'<link rel="icon" href="data:,">{head}</head><body><a href="/next">Next</a></body></html>'
        )
        self.site.pages["/next"] = "<!doctype html><title>Next</title>"
        self.page.goto(self.site.url + "/?utm_source=news")

    def call(self, name: str, *given: object) -> None:
        self.page.evaluate("([name, given]) => { analytics[name](...given) }", [name, list(given)])

    @property
    def items(self) -> dict[str, tuple[Json, Json | None]]:
        """Of each messageId the event as it was last sent, and the batch where it came in one."""
        found: dict[str, tuple[Json, Json | None]] = {}
        for _, body, _ in self.sent:
            found |= {
                item["messageId"]: (item, body if "batch" in body else None) for item in body.get("batch", [body])
            }
        return found

    def wait_logged(self, number: int, *people: str) -> list[Json]:
        """Until the log holds so many records of people; the browser goes on meanwhile."""

        def enough() -> bool:
            self.page.wait_for_timeout(20)
            return len(self.product.logged(*people)) >= number

        until(enough, 90, what=f"{number} records of {people}; the console said {self.console}")
        self.page.evaluate("1")  # what the browser told before this is heard now
        return self.product.logged(*people)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    made.folders = {"/segment/": SEGMENT, "/rudderstack/": RUDDERSTACK}
    yield made
    made.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    fresh = browser.new_context(locale="ja-JP", ignore_https_errors=True)
    yield fresh
    fresh.close()


@pytest.fixture
def visit(product: Product, site: Site, context: BrowserContext) -> Visit:
    return Visit(product, site, context)


def code_of(heading: str, product: Product, box: int = 0) -> str:
    return filled(documented(heading)[box], product.service.write_key, product.service.url)


def make_every_call(visit: Visit, person: str, screens: bool = True) -> list[tuple[str, Json]]:
    """One of each kind, as a page makes them; what each is to look like in the log."""
    visitor = f"{person}-visitor"
    options = {"context": {"plan": {"step": 2}}, "integrations": {"All": True, "Engage": {"option": 1}}}
    visit.call("setAnonymousId", visitor)
    visit.call("track", "Landed", PROPERTIES)
    visit.call("identify", person, TRAITS)
    visit.call("track", "Export Failed", PROPERTIES, {**options, "timestamp": THEN, "originalTimestamp": THEN})
    visit.call("page", "Docs", "Pricing", {"path": "/pricing"})
    if screens:
        visit.call("screen", "Home", {"tab": 2})
    visit.call("group", f"{person}-acme", {"plan": "enterprise", "seats": 40})
    visit.call("alias", person, f"{person}-before")
    who = {"userId": person, "anonymousId": visitor}
    return [
        ("track", {"anonymousId": visitor, "event": "Landed", "properties": PROPERTIES}),
        ("identify", {**who, "traits": TRAITS}),
        ("track", {**who, "event": "Export Failed", "properties": PROPERTIES, **options}),
        ("page", {**who, "category": "Docs", "name": "Pricing", "properties": {"path": "/pricing"}}),
        *([("screen", {**who, "name": "Home", "properties": {"tab": 2}})] if screens else []),
        ("group", {**who, "groupId": f"{person}-acme", "traits": {"plan": "enterprise", "seats": 40}}),
        ("alias", {"userId": person, "previousId": f"{person}-before"}),
    ]


def check_logged(visit: Visit, person: str, calls: list[tuple[str, Json]]) -> None:
    records = visit.wait_logged(len(calls), *people_of(person))
    sent = visit.items
    assert len(records) == len(sent) == len(calls)
    for record in records:
        item, body = sent[record["e"]["messageId"]]
        assert record["e"] == item
        assert record.get("s") == (ms(body["sentAt"]) if body else None)
    events = [record["e"] for record in records]
    for kind, given in calls:
        check_given(find(events, kind, given), kind, given)
    for _, _, headers in visit.sent:
        assert headers["authorization"].startswith("Basic ")
    assert visit.preflights  # which the Authorization header takes
    assert visit.elsewhere == []


@pytest.mark.parametrize(("mode", "box"), [("standard", 0), ("batching", 1)], ids=["standard", "batching"])
def test_every_call_of_analytics_next_is_logged_field_by_field_and_understood(visit, product, person, mode, box):
    visit.open_code("/segment/index.js", code_of("Segment in the browser, from npm", product, box))
    calls = make_every_call(visit, person)
    check_logged(visit, person, calls)
    paths = {url.removeprefix(product.service.url) for url, _, _ in visit.sent}
    assert paths == ({"/v1/b"} if mode == "batching" else {"/v1/t", "/v1/i", "/v1/p", "/v1/s", "/v1/g", "/v1/a"})
    assert {headers["content-type"] for _, _, headers in visit.sent} == {"text/plain"}
    check_understood(product, person)
    [page] = [event for event in product.exported(person) if event["type"] == "page"]
    assert page["context"]["page"]["title"] == "レポート"
    assert page["context"]["campaign"] == {"source": "news"}


TRACKS = "person => { analytics.identify(person); for (let i = 0; i < 29; i++) analytics.track(`E${i}`) }"


def check_all_counted_once(visit: Visit, person: str) -> None:
    before = visit.product.exhaust(person)
    visit.page.evaluate(TRACKS, person)
    records = visit.wait_logged(before + 30, f"u:{person}")
    assert len(visit.items) == 30
    assert {record["e"].get("messageId") for record in records} == {None, *visit.items}
    assert visit.product.counted(person) == before + 30
    assert 429 in visit.statuses


@pytest.mark.parametrize("box", [0, 1], ids=["standard", "batching"])
def test_what_was_too_much_for_a_moment_analytics_next_sends_again_and_it_counts_once(visit, product, person, box):
    visit.open_code("/segment/index.js", code_of("Segment in the browser, from npm", product, box))
    check_all_counted_once(visit, person)
    assert any("x-retry-count" in headers for _, _, headers in visit.sent)


def test_without_its_settings_analytics_next_sends_nothing_and_says_why(visit, product, person):
    code = documented("Segment in the browser, from npm")[0]
    visit.open_code("/segment/index.js", filled(code, "wk_wrong", product.service.url))
    visit.call("track", "Landed")

    def told() -> bool:
        visit.page.wait_for_timeout(20)
        return any("Expected a write key, got wk_wrong" in said for said in visit.console)

    until(told, what="a complaint")
    assert visit.sent == []


def snippet(**options: object) -> str:
    """What Segment's own generator makes."""
    code = f"console.log(require('@segment/snippet').max({json.dumps(options)}))"
    node = shutil.which("node")
    assert node
    return subprocess.run([node, "-e", code], cwd=HERE, capture_output=True, text=True, check=True).stdout


def test_segments_snippet_with_one_line_more(visit, product, person):
    visit.site.folders["/analytics.js/v1/"] = _as_script(visit.site, product)
    [line] = [filled(code, "", product.service.url) for code in documented("Segment in the browser, by the snippet")]
    made = snippet(host=visit.site.host, apiKey=product.service.write_key, page=False)
    made = made.replace("https://", "http://").replace("analytics.load(", line + "analytics.load(", 1)
    visit.open(f"<script>{made}</script>")
    calls = make_every_call(visit, person)
    check_logged(visit, person, calls)


def _as_script(site: Site, product: Product) -> Path:
    site.folders[f"/analytics.js/v1/{product.service.write_key}/analytics.min.js"] = SEGMENT / "standalone.js"
    return SEGMENT


def test_segments_snippet_behind_a_proxy_that_ends_tls(product, context, person, tmp_path):
    site = Site(certificate(tmp_path), product.service.url)
    try:
        visit = Visit(product, site, context)
        _as_script(site, product)
        site.folders["/analytics-next/bundles/"] = SEGMENT
        made = snippet(host=site.host, apiKey=product.service.write_key, page=False, useHostForBundles=True)
        visit.open(f"<script>{made}</script>")
        visit.page.wait_for_function("window.analytics.initialized === true")
        visit.call("identify", person, TRAITS)
        visit.page.evaluate("analytics.trackLink(document.querySelector('a'), 'Link Clicked')")
        until(
            lambda: (
                "auto-track" in str(visit.page.evaluate("performance.getEntriesByType('resource').map(e => e.name)"))
            )
        )
        visit.page.click("a")
        visit.page.wait_for_url("**/next")
        records = visit.wait_logged(2, f"u:{person}")
    finally:
        site.close()
    assert {record["e"].get("event") for record in records} == {None, "Link Clicked"}
    assert {url.partition("/v1/")[0] for url, _, _ in visit.sent} == {site.url}
    assert visit.elsewhere == []


def test_every_call_of_rudderstacks_browser_client_is_logged_field_by_field_and_understood(visit, product, person):
    visit.open_code("/rudderstack/index.js", code_of("RudderStack in the browser", product))
    calls = make_every_call(visit, person, screens=False)
    check_logged(visit, person, calls)
    check_understood(product, person)
    for _, _, headers in visit.sent:
        assert {"anonymousid", "sentat"} <= set(headers)


def test_what_was_too_much_for_a_moment_rudderstacks_client_sends_again_and_it_counts_once(visit, product, person):
    visit.open_code("/rudderstack/index.js", code_of("RudderStack in the browser", product))
    check_all_counted_once(visit, person)
    retried = [headers for _, _, headers in visit.sent if "rsa-retry-attempt" in headers]
    assert {"rsa-retry-reason", "rsa-since-first-attempt", "rsa-since-last-attempt"} <= set(retried[0])


def test_rudderstacks_beacons_arrive(visit, product, person):
    code = code_of("RudderStack in the browser", product)
    visit.open_code("/rudderstack/index.js", code.replace("getSourceConfig:", "useBeacon: true, getSourceConfig:"))
    visit.page.evaluate(
        "person => { for (let i = 0; i < 10; i++) analytics.track(`E${i}`, {}, { anonymousId: person }) }", person
    )
    assert len(visit.wait_logged(10, f"a:{person}")) == 10
    assert {url.partition("?")[0] for url, _, _ in visit.sent} == {f"{product.service.url}/beacon/v1/batch"}


def test_what_a_closed_page_could_not_send_the_next_one_sends_for_it(visit, product, context, person):
    """RudderStack's client marks it with a header of its own, and one that a preflight does not allow would block it."""
    code = code_of("RudderStack in the browser", product)
    visit.open_code("/rudderstack/index.js", code)
    context.route(f"{product.service.url}/**", lambda route: route.abort())
    visit.page.evaluate("person => { analytics.identify(person); analytics.track('Kept') }", person)
    until(lambda: (visit.page.wait_for_timeout(20), len(visit.items))[1] == 2, what="it has tried")
    visit.page.close()
    context.unroute_all()

    following = Visit(product, visit.site, context)
    following.page.clock.install()
    following.open_code("/rudderstack/index.js", code)
    following.page.clock.run_for(20_000)  # so long it waits for the first page to come back
    following.wait_logged(2, f"u:{person}")
    assert any(headers.get("rsa-recovered") == "true" for _, _, headers in following.sent)
    assert set(following.items) == set(visit.items)
    assert product.counted(person) == 2
