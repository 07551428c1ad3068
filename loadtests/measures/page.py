"""What the snippet costs a page, in a real Chromium: main thread, layout, and how soon a message is painted."""

import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.request import Request, urlopen

from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Route, sync_playwright

from engage.bootstrap import find_browser
from loadtests import processes
from loadtests.measures.row import Row, percentile

CLIENTS: Final = Path(__file__).parents[2] / "tests" / "clients" / "node_modules"
SLOWED: Final = 4
WALL, CPU = CLOCKS = ("timeTicks", "threadTicks")
# Their own start-up, from the files they publish; all they ask for is answered by the service, or with nothing.
LIBRARIES: Final = {
    "analytics-next": "@segment/analytics-next/dist/umd/standalone.js",
    "posthog-js": "posthog-js/dist/array.js",
}
STARTS: Final = {
    "": "",
    "engage": """<script>window.engage=[];engage.push(["init",{writeKey:KEY,host:HOST}],["page"])</script>
<script async src="/sdk/engage.js"></script>""",
    "analytics-next": """<script>window.analytics=[["page"]];analytics._writeKey=KEY;analytics._cdn=HOST;analytics.initialize=false</script>
<script async data-global-segment-analytics-key="analytics" src="/library/analytics-next"></script>""",
    "posthog-js": """<script>window.posthog=[];posthog._i=[[KEY,{api_host:HOST+"/ph"},"posthog"]];posthog.__SV=1</script>
<script async src="/library/posthog-js"></script>""",
}
WORDS: Final = "<h1>Home</h1>" + "<p>Words that stand where they stand.</p>" * 30 + '<button id="new">New</button>'
CONTENTS: Final[dict[str, dict[str, Any]]] = {
    "tour": {"steps": [{"target": "#new", "text": "Here"}]},
    "chat": {"text": "Well?", "replies": [{"label": "Yes"}]},
    "article": {"article": "a", "title": "Help"},
    "banner": {"text": "News"},
    "modal": {"title": "News", "text": "More"},
    "tooltip": {"target": "#new", "text": "Here"},
    "survey": {"questions": [{"type": "nps", "text": "How likely?"}]},
    "checklist": {"title": "Start", "items": [{"id": "a", "label": "One"}]},
}
# When a delivery came over the stream, and when the first frame in which it can be seen had been made.
STOPWATCH: Final = """window.EventSource = class extends EventSource {
  constructor(url) { super(url); this.addEventListener("message", () => (window.came = performance.now())); }
};
window.painted = () => new Promise((done) => {
  const look = () => {
    const root = document.querySelector("[data-engage]")?.shadowRoot;
    if (!root?.querySelector(".in")) return void requestAnimationFrame(look);
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => done(performance.now() - came);
    port2.postMessage(0);
  };
  requestAnimationFrame(look);
});"""


def page(quick: bool) -> Iterator[Row]:
    """Loads pages of our own from the service's address, with nothing, the snippet, or another library on them."""
    rule = {"id": "show", "trigger": "Show", "message": "news", "frequency": "always"}
    message = {"id": "news", "kind": "banner", "content": {"en": {"text": "Reports can now be **scheduled**."}}}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for kind, document in (("rules", rule), ("messages", message)):
            path = folder / "definitions" / kind / f"{document['id']}.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(document))
        product = stack.enter_context(processes.product(folder / "data", folder / "definitions"))
        browser = stack.enter_context(_browser())
        site = f"http://127.0.0.1:{product.port}"
        yield from _main_thread(browser, site, 3 if quick else 15)
        yield from _layout(browser, site)
        yield from _paint(browser, site, 4 if quick else 40)


@contextlib.contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_browser(whole=True), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextlib.contextmanager
def _visit(browser: Browser, site: str, start: str, before: Callable[[Page], None] | None = None) -> Iterator[Page]:
    """A page of a browser that was never there before."""
    context = browser.new_context()
    _serve(context, site, start)
    page = context.new_page()
    if before:
        before(page)
    page.goto(f"{site}/bench.html", wait_until="load")
    yield page
    context.close()


def _serve(context: BrowserContext, site: str, start: str) -> None:
    html = f'<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Page</title>{WORDS}{start}'
    html = html.replace("KEY", json.dumps(processes.WRITE_KEY)).replace("HOST", json.dumps(site))

    def library(route: Route) -> None:
        route.fulfill(path=CLIENTS / LIBRARIES[route.request.url.rpartition("/")[2]], content_type="text/javascript")

    context.route("**/bench.html", lambda route: route.fulfill(body=html, content_type="text/html"))
    context.route("**/library/*", library)
    context.route("**/ph/**", lambda route: route.fulfill(body="{}", content_type="application/json"))
    context.route(lambda url: not url.startswith((site, "data:")), lambda route: route.abort())


def _main_thread(browser: Browser, site: str, turns: int) -> Iterator[Row]:
    """ms that a page's main thread works more until it is quiet: tasks of all sorts, as the browser counts them (CDP
    `Performance.getMetrics`), less those of the same page without a script. In turns, medians.

    By two clocks, each on visits of its own. A task's wall time, slowed by the browser, is what the page has to wait for,
    and the value; but it also holds what the thread waited for others: for another process that answers (the first use of
    localStorage), for a core that other programs have, and the browser's slowing down makes four times as much of that.
    CPU time is what the thread itself worked, not slowed, times four: a busy machine changes it little. For all alike.

    The longest task is the longest of all visits; on a machine that does other things it is theirs, so the note has the
    page without it beside it, and of both the median of each visit's longest (0 where none is above 50 ms)."""
    spent: dict[tuple[str, str], list[float]] = {(name, clock): [] for name in STARTS for clock in CLOCKS}
    scripts: dict[str, list[float]] = {name: [] for name in STARTS}
    longest: dict[str, list[float]] = {name: [] for name in STARTS}
    for _ in range(turns):
        for name, clock in spent:
            sessions: list[CDPSession] = []
            with _visit(browser, site, STARTS[name], partial(_slow, sessions, clock)) as page:
                page.wait_for_timeout(1_500)
                sent = sessions[0].send("Performance.getMetrics")["metrics"]
                found = {one["name"]: one["value"] * 1000 for one in sent}
                spent[name, clock].append(found["TaskDuration"] * (SLOWED if clock == CPU else 1))
                if clock == WALL:
                    longest[name].append(max([*page.evaluate("tasks"), 0.0]))
                    scripts[name].append(found["ScriptDuration"])

    def more(name: str, clock: str) -> float:
        return median(spent[name, clock]) - median(spent["", clock])

    ours = more("engage", WALL)
    for name in LIBRARIES:
        note = f"of it scripts {median(scripts['engage']):.0f}, {median(scripts[name]):.0f}"
        note += f"; CPU {more('engage', CPU):.0f}, {more(name, CPU):.0f}"
        yield Row(
            f"main thread at load, CPU {SLOWED} × slowed, beside {name}",
            "ms",
            ours,
            more(name, WALL),
            ours,
            15,
            False,
            note,
        )
    most = max(longest["engage"])
    note = f"without it {max(longest['']):.0f}; medians {median(longest['engage']):.0f}, {median(longest['']):.0f}"
    yield Row("the longest task, where one is above 50 ms", "ms", most, None, most, 50, False, note)


def _slow(sessions: list[CDPSession], clock: str, page: Page) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWED if clock == WALL else 1})
    session.send("Performance.enable", {"timeDomain": clock})
    sessions.append(session)
    page.add_init_script(
        "window.tasks = []; new PerformanceObserver((list) => tasks.push(...list.getEntries().map((one) => one.duration)))"
        ".observe({type: 'longtask'})"
    )


def _layout(browser: Browser, site: str) -> Iterator[Row]:
    """The layout shift of a page on which the snippet is loaded and every kind is shown once, as the browser scores it."""
    with _visit(browser, site, STARTS["engage"]) as page:
        page.wait_for_function("!Array.isArray(engage)")
        for kind, content in CONTENTS.items():
            page.evaluate("([kind, content]) => engage.show({kind, content})", [kind, content])
            page.wait_for_function("document.querySelector('[data-engage]')?.shadowRoot.querySelector('.in')")
            page.wait_for_timeout(400)
            page.evaluate(_CLOSE)
            page.wait_for_function("!document.querySelector('[data-engage]')")
        score = page.evaluate(
            """() => new Promise((done) => { let score = 0;
            new PerformanceObserver((list) => list.getEntries().forEach((one) => (score += one.value))).observe({type: "layout-shift", buffered: true});
            setTimeout(() => done(score), 300); })"""
        )
    yield Row("layout shift, every kind", "score", score, None, score, 0, False)


_CLOSE: Final = """() => { const root = document.querySelector("[data-engage]").shadowRoot;
  (root.querySelector(".checklist > .quiet") ?? root.querySelector(".close")).click(); }"""


def _paint(browser: Browser, site: str, times: int) -> Iterator[Row]:
    """ms from a delivery on the stream to the first frame in which it can be seen."""
    first, again = [], []
    for index in range(times):
        with _visit(browser, site, STARTS["engage"], lambda page: page.add_init_script(STOPWATCH)) as page:
            page.wait_for_function("window.engage?.anonymousId")
            person = page.evaluate("engage.anonymousId")
            time.sleep(0.3)  # its stream is open
            first.append(_shown(page, site, person, f"{index}-a"))
            again.append(_shown(page, site, person, f"{index}-b"))
    for name, found, reach in (("first of its kind", first, 150), ("kind loaded before", again, 50)):
        high = percentile(found, 0.95)
        note = f"p50 {median(found):.0f}"
        yield Row(f"delivery on the stream → painted, p95, {name}", "ms", high, None, high, reach, False, note)


def _shown(page: Page, site: str, person: str, message_id: str) -> float:
    page.evaluate("window.took = painted(); null")
    body = {
        "event": "Show",
        "anonymousId": person,
        "messageId": f"{person}-{message_id}",
        "writeKey": processes.WRITE_KEY,
    }
    with urlopen(Request(f"{site}/v1/track", json.dumps(body).encode()), timeout=20) as reply:
        reply.read()
    took = float(page.evaluate("took"))
    page.evaluate(_CLOSE)
    page.wait_for_function("!document.querySelector('[data-engage]')")
    return took
