"""What a snippet leaves in the browser is taken over by the other: today's after the upgrade, the first one after going back."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Request, expect

from tests.contract.conftest import Site, came, names
from tests.wire.conftest import Wire

pytestmark = pytest.mark.browser

BOTH_WAYS = pytest.mark.parametrize(("before", "after"), [("first", "today"), ("today", "first")])
CASES = [("first", "today", "local"), ("today", "first", "cookie")]
BOTH_STORES = pytest.mark.parametrize(("before", "after", "storage"), CASES)
EACH_STORE = pytest.mark.parametrize(("before", "after", "storage"), [*CASES, ("today", "first", "local")])


def open_with(site: Site, snippet: str, *calls: list[Any], page: Page | None = None, **options: Any) -> Page:
    """A page of the same site with this snippet, in the same tab where one is given."""
    site.add(f"/{snippet}-page", snippet, *calls, options=options)
    return site.open(f"/{snippet}-page", page)


@BOTH_WAYS
def test_what_could_not_be_sent_is_sent_by_the_other_once_and_in_order(
    wire: Wire, site: Site, person: str, free_port: int, before: str, after: str
) -> None:
    calls = [["identify", person, {"name": "Aiko"}], ["track", "One", {"名": "帳票\n2"}], ["track", "Two"]]
    page = open_with(site, before, *calls, host=f"http://127.0.0.1:{free_port}")  # nobody is there
    page.wait_for_function("Object.values(localStorage).some(kept => kept.includes('Two'))")
    page = open_with(site, after, ["track", "Three"], page=page)
    came(wire, person, "Three")
    events = wire.events(person)
    assert names(events) == ["identify", "One", "Two", "Three"]
    assert events[1]["properties"] == {"名": "帳票\n2"}
    assert len({event["anonymousId"] for event in events}) == 1
    page.wait_for_function("Object.keys(localStorage).every(key => !key.includes('queue.'))")
    assert wire.server(f"/api/users/{person}").json()["traits"] == {"name": "Aiko"}
    assert site.complaints() == []


@BOTH_STORES
def test_the_person_stays_who_they_are(
    wire: Wire, site: Site, person: str, before: str, after: str, storage: str
) -> None:
    page = open_with(site, before, ["identify", person, {"name": "Aiko"}, {"userHash": "f00d"}], storage=storage)
    came(wire, person, "identify")
    known = page.evaluate("[engage.anonymousId, engage.userId]")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_request("**/v1/stream?*"):
        open_with(site, after, ["track", "Here"], page=page, storage=storage)
    assert page.evaluate("[engage.anonymousId, engage.userId]") == known
    [here] = came(wire, person, "Here")
    assert [here["anonymousId"], here["userId"]] == known
    assert wire.server(f"/api/users/{person}").json()["traits"] == {"name": "Aiko"}
    [stream] = [parse_qs(urlsplit(url).query) for url in asked if "/v1/stream?" in url]
    assert [*stream["anonymousId"], *stream["userId"], *stream["userHash"]] == [*known, "f00d"]
    page.evaluate("engage.reset()")
    assert page.evaluate("engage.userId") is None
    open_with(site, before, ["track", "Gone"], page=page, storage=storage)
    assert page.evaluate("engage.anonymousId") != known[0]
    assert page.evaluate("engage.userId") is None
    assert site.complaints() == []


@BOTH_WAYS
def test_a_tour_goes_on_at_its_step(wire: Wire, site: Site, person: str, before: str, after: str) -> None:
    page = open_with(site, before, ["identify", person, {"name": "Aiko"}], ["track", "Signed Up"])
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".popover")).to_contain_text("Press it.")
    open_with(site, after, page=page)
    expect(page.locator(".popover")).to_contain_text("Press it.")
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Done").click()
    came(wire, person, "Message Completed")
    open_with(site, before, ["track", "Here"], page=page)  # and it does not come back
    came(wire, person, "Here")
    assert page.locator(".popover").count() == 0
    assert names(wire.events(person)).count("Message Shown") == 1
    assert site.complaints() == []


def test_a_branch_that_was_taken_is_gone_on_with_after_going_back(wire: Wire, site: Site, person: str) -> None:
    page = open_with(site, "today", ["identify", person], ["track", "Newer Tour"])
    page.get_by_role("button", name="Right").click()
    expect(page.locator(".popover")).to_contain_text("Press it.")
    open_with(site, "first", page=page)
    expect(page.locator(".popover")).to_contain_text("Press it.")
    page.get_by_role("button", name="Done").click()
    came(wire, person, "Message Completed")
    assert site.complaints() == []


@BOTH_STORES
def test_who_objected_stays_left_alone(site: Site, person: str, before: str, after: str, storage: str) -> None:
    page = open_with(site, before, ["identify", person], storage=storage)
    page.evaluate("engage.optOut()")
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if "/v1/" in request.url else None)
    open_with(site, after, ["track", "Never"], page=page, storage=storage)
    page.wait_for_timeout(150)
    assert page.evaluate("engage.anonymousId") is None
    assert sent == []
    assert site.complaints() == []


@EACH_STORE
def test_who_agreed_is_not_asked_again_and_goes_on(
    wire: Wire, site: Site, person: str, before: str, after: str, storage: str
) -> None:
    agree = ["optIn"] if before == "today" else ["optOut", False]
    page = open_with(
        site, before, agree, ["identify", person], storage=storage, consent=before == "today" and "required"
    )
    came(wire, person, "identify")
    open_with(site, after, ["track", "Here"], page=page, storage=storage)
    came(wire, person, "Here")
    if before == "today":  # forth again, where the page asks for consent
        open_with(site, before, ["track", "Forth"], page=page, storage=storage, consent="required")
        came(wire, person, "Forth")
    assert site.complaints() == []


def test_tabs_of_both_releases_side_by_side_send_and_show_everything_once(wire: Wire, site: Site, person: str) -> None:
    old = open_with(site, "first", ["identify", person, {"name": "Aiko"}])
    new = open_with(site, "today")
    assert new.evaluate("engage.userId") == person
    for number in range(3):
        old.evaluate(f"engage.track('Old {number}')")
        new.evaluate(f"engage.track('New {number}')")
    new.evaluate("engage.track('Signed Up')")
    came(wire, person, "Message Shown")
    old.wait_for_timeout(200)
    assert sum(page.locator(".popover").count() for page in (old, new)) == 1
    found = names(wire.events(person))
    assert sorted(name for name in found if name[:3] in {"Old", "New"}) == [
        f"{which} {number}" for which in ("New", "Old") for number in range(3)
    ]
    assert found.count("Message Shown") == 1
    assert site.complaints() == []
