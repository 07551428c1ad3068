"""What goes out: calls, batches, retries, ids, storage."""

import re
import time

import pytest

from tests.sdk.conftest import Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser

BROKEN_STORAGE = """<script>
Object.defineProperty(window, "localStorage", {get() { throw new DOMException("denied", "SecurityError") }});
</script>"""


def test_early_calls_arrive_in_order_in_one_batch(service: FakeService, site: Site) -> None:
    site.add(
        "/", ["identify", "u1", {"plan": "free"}], ["page"], ["track", "Opened", {"n": 1}], ["group", "g1", {"size": 3}]
    )
    site.open()
    service.wait_event("group")
    assert service.names() == ["identify", "page", "Opened", "group"]
    assert len(service.batches) == 1
    assert service.batches[0]["writeKey"] == "wk"
    identify, page, track, group = service.events
    assert identify["userId"] == "u1"
    assert identify["traits"] == {"plan": "free"}
    assert track["properties"] == {"n": 1}
    assert group["groupId"] == "g1"
    assert group["traits"] == {"size": 3}
    assert page["context"]["page"] == {
        "path": "/",
        "url": service.site + "/",
        "title": "/",
        "referrer": "",
        "search": "",
    }
    assert page["context"]["library"]["name"] == "engage.js"
    assert page["context"]["locale"] == "en-US"
    assert {event["anonymousId"] for event in service.events} == {page["anonymousId"]}
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", page["messageId"])
    assert site.complaints() == []


def test_calls_before_init_wait_for_it(service: FakeService, site: Site) -> None:
    service.pages["/late"] = f"""<!doctype html><script>window.engage=[["track","Early"]]</script>
<script async src="{service.host}/sdk/engage.js"></script>"""
    page = site.open("/late")
    page.evaluate("engage.track('Middle')")
    page.evaluate("h => engage.push(['init', {writeKey: 'wk', host: h}], ['track', 'Late'])", service.host)
    service.wait_event("Late")
    assert service.names() == ["Early", "Middle", "Late"]


def test_methods_and_push_do_the_same_after_loading(service: FakeService, site: Site) -> None:
    page = site.open()
    page.evaluate("engage.push(['track', 'A']); engage.track('B'); engage.identify('u2'); engage.alias('u3')")
    service.wait_event("alias")
    assert service.names() == ["page", "A", "B", "identify", "alias"]
    assert service.events[-1]["previousId"] == "u2"
    assert service.events[-1]["userId"] == "u3"


BAD_CALLS = [
    ("engage.track()", "track: expected an event name, got undefined"),
    ("engage.track('A', 5)", "track: expected an object of properties, got number"),
    ("engage.identify('u', [])", "identify: expected an object of traits, got object"),
    ("engage.group()", "group: expected a groupId"),
    ("engage.push(['trak', 'A'])", "trak: expected one of identify,track,page"),
    ("engage.push('track')", "expected an array"),
    ("engage.on('shwon', () => {})", "on: expected one of ready,message,shown"),
    ("engage.show({kind: 'nothing', content: {}})", "show: expected {kind, content}"),
    ("engage.init({writeKey: 'wk', host: 'https://x'})", "init: already called"),
    ("engage.track('A', (() => { const a = {}; a.a = a; return a })())", "track: TypeError"),
    ("engage.track('A', {long: 'x'.repeat(40000)})", "track: expected at most 32 KB"),
]


def test_bad_arguments_give_one_warning_and_throw_nothing(site: Site) -> None:
    page = site.open()
    for number, (call, said) in enumerate(BAD_CALLS):
        page.evaluate(f"void ({call})")
        page.wait_for_function("0 === 0")
        assert len(site.complaints()) == number + 1, call
        assert site.complaints()[-1].startswith("warning: [engage] ")
        assert said in site.complaints()[-1]


def test_init_says_what_it_expects(service: FakeService, site: Site) -> None:
    site.add("/", options={"writeKey": "", "host": "nowhere"})
    site.open()
    assert "init: expected a writeKey" in site.complaints()[0]


@pytest.mark.parametrize(
    ("domain", "got"),
    [("example.com", 'string "example.com"'), (".localhost", 'string ".localhost"'), ("ocalhost", 'string "ocalhost"'), (7, 'number "7"')],
)  # fmt: skip
def test_a_cookie_domain_that_is_not_this_pages_is_refused(
    service: FakeService, site: Site, domain: object, got: str
) -> None:
    site.add("/wrong", options={"cookieDomain": domain})
    page = site.open("/wrong")
    assert f"init: expected a cookieDomain of this host, got {got}" in site.wait_complaint()[0]
    assert page.evaluate("[engage.anonymousId ?? null, document.cookie]") == [None, ""]


def test_ids_are_kept_over_pages_and_changed_by_reset(service: FakeService, site: Site) -> None:
    site.add("/", ["identify", "u1"])
    site.add("/second", ["page"])
    page = site.open()
    service.wait_event("identify")
    site.open("/second", page)
    first = service.wait_event("page")
    assert first["userId"] == "u1"
    assert first["anonymousId"] == service.events[0]["anonymousId"]
    page.evaluate("engage.reset(); engage.track('After')")
    after = service.wait_event("After")
    assert "userId" not in after
    assert after["anonymousId"] != first["anonymousId"]
    assert page.evaluate("engage.anonymousId") == after["anonymousId"]


def test_another_user_gets_another_anonymous_id(service: FakeService, site: Site) -> None:
    page = site.open()
    page.evaluate("engage.identify('a'); engage.identify('a'); engage.identify('b')")
    service.wait_event("identify", 3)
    before, first, again, other = service.events
    assert before["anonymousId"] == first["anonymousId"] == again["anonymousId"] != other["anonymousId"]


def test_events_carry_the_proof_of_who_is_signed_in_and_of_nobody_else(service: FakeService, site: Site) -> None:
    page = site.open()
    page.evaluate("engage.track('A'); engage.identify('u1', {}, {userHash: 'proof'}); engage.track('B')")
    page.evaluate("engage.identify('u2'); engage.track('C'); engage.reset(); engage.track('D')")
    service.wait_event("D")
    said = [
        (event.get("event"), event.get("userId"), event.get("userHash"))
        for event in service.events
        if event["type"] != "page"
    ]
    assert said == [
        ("A", None, None), (None, "u1", "proof"), ("B", "u1", "proof"), (None, "u2", None), ("C", "u2", None), ("D", None, None),
    ]  # fmt: skip


def test_events_survive_an_outage_and_a_reload_with_the_same_ids(service: FakeService, site: Site) -> None:
    service.down = True
    page = site.open()
    page.evaluate("engage.track('One'); engage.track('Two')")
    page.reload()
    page.wait_for_function("!Array.isArray(window.engage)")
    page.evaluate("engage.track('Three')")
    service.down = False
    service.wait_event("Three")
    assert service.names() == ["page", "One", "Two", "page", "Three"]
    assert len({event["messageId"] for event in service.received}) == 5
    page.wait_for_function("!Object.keys(localStorage).some(key => key.includes('queue.'))")
    assert site.complaints() == []


def test_an_unknown_outcome_is_sent_again_with_the_same_id(service: FakeService, site: Site) -> None:
    service.fail = [(500, {}), (502, {})]
    site.open()
    service.wait_event("page")
    assert service.fail == []


def test_retry_after_is_honoured(service: FakeService, site: Site) -> None:
    service.fail = [(429, {"retry-after": "1"})]
    start = time.monotonic()
    site.open()
    service.wait_event("page")
    assert time.monotonic() - start > 0.95


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_a_final_answer_drops_the_batch_and_says_why(service: FakeService, site: Site, status: int) -> None:
    service.fail = [(status, {})]
    page = site.open()
    page.wait_for_function("!Object.keys(localStorage).some(key => key.includes('queue.'))")
    page.evaluate("engage.track('Next')")
    service.wait_event("Next")
    assert service.names() == ["Next"]
    assert site.wait_complaint() == [f"warning: [engage] event refused ({status}): told to fail with {status}"]


def test_one_refused_event_harms_no_neighbour(service: FakeService, site: Site) -> None:
    service.refuse = lambda event: "expected a shorter name" if event.get("event") == "Bad" else None
    site.add("/", ["track", "Good"], ["track", "Bad"], ["track", "Better"])
    site.open()
    service.wait_event("Better")
    assert service.names() == ["Good", "Better"]
    site.context.pages[0].evaluate("engage.track('Later')")
    service.wait_event("Later")
    assert [event.get("event") for event in service.received].count("Bad") == 1
    assert site.wait_complaint() == ["warning: [engage] event refused (400): expected a shorter name"]


def test_a_thousand_events_go_out_in_order_in_batches_that_fit(service: FakeService, site: Site) -> None:
    page = site.open()
    page.evaluate("for (let n = 0; n < 400; n++) engage.track('N', {n, pad: 'あ'.repeat(60)})")
    service.wait_event("N", 400)
    assert [event["properties"]["n"] for event in service.events[1:]] == list(range(400))
    assert all(len(batch["batch"]) <= 100 for batch in service.batches)


def test_what_was_tracked_while_leaving_arrives(service: FakeService, site: Site) -> None:
    page = site.open()
    service.wait_event("page")
    page.evaluate("addEventListener('pagehide', () => engage.track('Left'))")
    page.goto("about:blank")
    service.wait_event("Left")


def test_a_tab_takes_over_what_a_closed_tab_left(service: FakeService, site: Site) -> None:
    service.down = True
    first = site.open()
    first.evaluate("engage.track('From the first')")
    first.close(run_before_unload=True)
    service.down = False
    site.open()
    service.wait_event("From the first")
    service.wait_event("page", 2)


@pytest.mark.parametrize("cookies", [True, False])
def test_pages_without_local_storage_work(service: FakeService, site: Site, cookies: bool) -> None:
    no_cookies = "<script>Object.defineProperty(document,'cookie',{get(){throw 1},set(){throw 1}})</script>"
    for path in ("/", "/second"):
        site.add(path, ["page"], head=BROKEN_STORAGE + ("" if cookies else no_cookies))
    page = site.open()
    first = service.wait_event("page")
    site.open("/second", page)
    second = service.wait_event("page", 2)
    assert (first["anonymousId"] == second["anonymousId"]) is cookies
    assert site.complaints() == []


def test_full_storage_loses_nothing_on_the_page(service: FakeService, site: Site) -> None:
    site.add(
        "/",
        ["page"],
        head="<script>Storage.prototype.setItem=()=>{throw new DOMException('full','QuotaExceededError')}</script>",
    )
    page = site.open()
    page.evaluate("engage.track('Kept in memory')")
    service.wait_event("Kept in memory")


def test_single_page_views_follow_the_address(service: FakeService, site: Site) -> None:
    page = site.open()
    service.wait_event("page")
    page.evaluate("history.pushState({}, '', '/a?x=1'); document.title = 'A'")
    assert service.wait_event("page", 2)["context"]["page"] == {
        "path": "/a",
        "url": service.site + "/a?x=1",
        "title": "A",
        "referrer": service.site + "/",
        "search": "?x=1",
    }
    page.evaluate("history.replaceState({}, '', '/a?x=1')")  # the same place
    page.evaluate("location.hash = 'section'")
    page.evaluate("location.hash = '#/route'")
    assert service.wait_event("page", 3)["context"]["page"]["url"].endswith("#/route")
    page.go_back()
    service.wait_event("page", 4)
    assert service.names() == ["page"] * 4


def test_history_is_wrapped_where_there_is_no_navigation_api(service: FakeService, site: Site) -> None:
    site.add("/", ["page"], head="<script>delete window.navigation; window.before = history.pushState</script>")
    page = site.open()
    assert page.evaluate("history.pushState({a: 1}, '', '/b'), history.state.a") == 1
    service.wait_event("page", 2)
    page.evaluate("engage.shutdown()")
    assert page.evaluate("history.pushState === before")


def test_automatic_page_views_can_be_switched_off(service: FakeService, site: Site) -> None:
    site.add("/", ["page"], options={"autoPage": False})
    page = site.open()
    page.evaluate("history.pushState({}, '', '/a')")
    page.evaluate("new Promise(done => setTimeout(() => { engage.track('End'); done() }, 50))")
    service.wait_event("End")
    assert service.names() == ["page", "End"]


def test_opt_out_erases_and_silences_until_it_is_taken_back(service: FakeService, site: Site) -> None:
    page = site.open()
    service.wait_event("page")
    service.wait(lambda: service.stream_count() == 1)
    page.evaluate("engage.optOut(); engage.track('No')")
    service.wait(lambda: service.stream_count() == 0)
    assert page.evaluate("Object.keys(localStorage)") == ["engage.wk.id.out"]
    page.reload()
    page.wait_for_function("!Array.isArray(window.engage)")
    page.evaluate("engage.track('Still no'); engage.optOut(false); engage.track('Yes')")
    service.wait_event("Yes")
    assert service.names() == ["page", "Yes"]
    assert service.events[0]["anonymousId"] != service.events[1]["anonymousId"]


def test_where_consent_is_required_nothing_is_stored_or_sent_before_it_is_given(
    service: FakeService, site: Site
) -> None:
    site.add("/", ["identify", "ann"], ["page"], options={"consent": "required"})
    page = site.open()
    page.evaluate("engage.track('Early')")
    assert page.evaluate("[localStorage.length, document.cookie, engage.anonymousId]") == [0, "", None]
    assert (service.events, service.stream_count()) == ([], 0)
    page.evaluate("engage.optIn(); engage.track('Late')")
    service.wait_event("Late")
    assert service.names() == ["identify", "page", "Early", "Late"]
    assert {event["userId"] for event in service.events} == {"ann"}
    service.wait(lambda: service.stream_count() == 1)
    page.reload()  # the wish is remembered
    service.wait_event("page", 2)


def test_who_refuses_consent_leaves_nothing_but_the_wish(service: FakeService, site: Site) -> None:
    site.add("/", ["page"], options={"consent": "required"})
    page = site.open()
    page.evaluate("engage.track('Early'); engage.optOut(); engage.track('No')")
    assert page.evaluate("Object.keys(localStorage)") == ["engage.wk.id.out"]
    page.reload()
    page.wait_for_function("!Array.isArray(window.engage)")
    page.evaluate("engage.track('Still no'); engage.optIn(); engage.track('Yes')")
    service.wait_event("Yes")
    assert service.names() == ["Yes"]


@pytest.mark.parametrize("signal", ["globalPrivacyControl: true", "doNotTrack: '1'"])
def test_a_browser_s_wish_not_to_be_tracked_counts_until_the_person_agrees(
    service: FakeService, site: Site, signal: str
) -> None:
    name, value = signal.split(": ")
    head = f"<script>Object.defineProperty(navigator, '{name}', {{value: {value}}})</script>"
    site.add("/", ["page"], head=head)
    site.add("/agreed", ["track", "Agreed"], head=head, options={"consent": False})
    page = site.open()
    assert page.evaluate("[localStorage.length, engage.anonymousId]") == [0, None]
    site.open("/agreed", page)
    service.wait_event("Agreed")
    assert service.names() == ["Agreed"]
    site.open("/", page)
    page.evaluate("engage.optIn()")
    service.wait_event("page")
    assert site.complaints() == []


def test_ready_is_told_early_and_late(site: Site) -> None:
    page = site.open()
    assert page.evaluate("new Promise(done => engage.on('ready', () => done('late')))") == "late"


def test_an_error_of_the_page_stays_the_page_s(service: FakeService, site: Site) -> None:
    page = site.open()
    page.evaluate(
        "engage.on('message', () => { throw new Error('theirs') }); engage.on('message', () => window.second = true)"
    )
    service.deliver(delivery_id="1", kind="chat", content={"text": "Hi"})
    page.wait_for_function("window.second")
    site.wait_complaint()
    assert site.console == ["uncaught: theirs"] or "theirs" in site.console[0]


def test_nothing_global_but_engage(service: FakeService, site: Site) -> None:
    service.pages["/bare"] = "<!doctype html>"
    page = site.context.new_page()
    page.goto(service.site + "/bare")
    before = set(page.evaluate("Object.getOwnPropertyNames(window)"))
    page = site.open("/", page)
    assert set(page.evaluate("Object.getOwnPropertyNames(window)")) - before == {"engage"}
