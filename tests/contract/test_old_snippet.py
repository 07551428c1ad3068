"""A page that still has the first snippet, and the service of this checkout."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import until
from tests.contract.conftest import Site, came, names
from tests.wire.conftest import Wire

pytestmark = pytest.mark.browser

NEWER_KINDS = {"banner", "modal", "tooltip", "survey", "checklist"}


def outcomes(wire: Wire, user: str, rule: str) -> list[str]:
    considered = [one for record in wire.decided(user, 1) for one in record["considered"]]
    return [one["outcome"] for one in considered if one["rule_id"] == rule]


def start(site: Site, person: str, *calls: list[Any], path: str = "/", **options: Any) -> Page:
    """A page of the person, who is signed in, and what they do there."""
    site.add(path, "first", ["identify", person, {"name": "Aiko"}], ["page"], *calls, **options)
    return site.open(path)


def test_every_call_lands_in_the_log_under_its_name_with_its_fields(wire: Wire, site: Site, person: str) -> None:
    page = start(
        site,
        person,
        ["track", "Export Tried", {"format": "csv", "size": 3, "名": "帳票"}],
        ["group", "acme", {"plan": "team"}],
        ["alias", person, f"{person}-before"],
        ["page", "Shop", "Pricing", {"tab": "year"}],
    )
    came(wire, person, "page", 2)
    events = wire.events(person)
    assert names(events) == ["identify", "page", "Export Tried", "group", "alias", "page"]
    identify, first, track, group, alias, second = events
    anonymous = page.evaluate("engage.anonymousId")
    assert all(event["anonymousId"] == anonymous for event in events)
    assert len({event["messageId"] for event in events}) == len(events)
    assert identify["userId"] == person
    assert identify["traits"] == {"name": "Aiko"}
    assert first["context"]["page"]["path"] == "/"
    assert first["context"]["library"] == {"name": "engage.js", "version": "0.1.0"}
    assert track["properties"] == {"format": "csv", "size": 3, "名": "帳票"}
    assert group["groupId"] == "acme"
    assert group["traits"] == {"plan": "team"}
    assert alias["previousId"] == f"{person}-before"
    assert (second["category"], second["name"], second["properties"]) == ("Shop", "Pricing", {"tab": "year"})
    assert wire.server(f"/api/users/{person}").json()["traits"] == {"name": "Aiko"}
    assert wire.server("/api/groups/acme").json()["traits"] == {"plan": "team"}
    assert site.complaints() == []


def test_a_tour_is_claimed_shown_and_completed_and_never_comes_twice(wire: Wire, site: Site, person: str) -> None:
    page = start(site, person, ["track", "Signed Up"])
    expect(page.locator(".popover")).to_contain_text("Welcome, Aiko")
    until(lambda: wire.inbox(person) == [], what="the tour is claimed")
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".popover")).to_contain_text("Press it.")
    page.reload()  # it goes on where it was
    expect(page.locator(".popover")).to_contain_text("Press it.")
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Done").click()
    expect(page.locator(".popover")).to_have_count(0)
    [done] = came(wire, person, "Message Completed")
    [shown] = came(wire, person, "Message Shown")
    assert shown["properties"] | {"rule_id": "welcome", "message_id": "welcome", "kind": "tour"} == shown["properties"]
    assert shown["properties"]["delivery_id"] == done["properties"]["delivery_id"]
    assert done["properties"]["step"] == 3
    until(
        lambda: wire.server(f"/api/users/{person}/export").json()["deliveries"][0]["shown_at"],
        what="it counts as shown",
    )
    page.evaluate("engage.track('Signed Up')")
    # The page had signed up again when it was loaded again.
    until(lambda: outcomes(wire, person, "welcome") == ["matched", "capped", "capped"], what="the others are capped")
    assert wire.inbox(person) == []
    expect(page.locator(".popover")).to_have_count(0)
    assert site.complaints() == []


def test_a_chat_is_answered_its_article_read_and_closing_it_counts(wire: Wire, site: Site, person: str) -> None:
    page = start(site, person, ["track", "Export Failed"])
    expect(page.locator(".chat")).to_contain_text("Can I help?")
    page.get_by_role("button", name="Yes").click()
    expect(page.locator(".chat")).to_contain_text("Try CSV.")
    page.get_by_role("button", name="Read").click()
    expect(page.locator(".panel")).to_contain_text("The guide")
    expect(page.locator(".panel strong")).to_have_text("this")
    clicked = came(wire, person, "Message Clicked", 2)
    assert [event["properties"]["reply"] for event in clicked] == ["Yes", "Read"]
    assert len(came(wire, person, "Message Completed")) == 1
    page.evaluate("engage.track('Export Failed')")
    until(lambda: outcomes(wire, person, "offer-help") == ["matched", "capped"], what="the second is capped")
    assert site.complaints() == []


def test_an_article_is_suggested_read_and_completed_and_another_dismissed(wire: Wire, site: Site, person: str) -> None:
    page = start(site, person, ["track", "Help Wanted"])
    expect(page.locator(".suggestion")).to_contain_text("A guide")
    page.locator(".suggestion .main").click()
    expect(page.locator(".panel")).to_contain_text("Read this.")
    page.keyboard.press("Escape")
    came(wire, person, "Message Completed")
    page.evaluate("engage.track('Export Failed')")
    page.locator(".chat .close").click()
    [dismissed] = came(wire, person, "Message Dismissed")
    assert dismissed["properties"]["rule_id"] == "offer-help"
    assert site.complaints() == []


def test_a_message_waits_for_its_page_and_of_two_tabs_one_shows_it(wire: Wire, site: Site, person: str) -> None:
    page = start(site, person, ["track", "Look Elsewhere"])
    other = site.open("/")
    wire.wait_inbox(person)
    expect(page.locator(".chat")).to_have_count(0)
    for tab in (page, other):
        tab.evaluate("history.pushState({}, '', '/elsewhere')")
    until(lambda: sum(tab.locator(".chat").count() for tab in (page, other)) == 1, what="one of them shows it")
    came(wire, person, "Message Shown")
    page.wait_for_timeout(200)
    assert names(wire.events(person)).count("Message Shown") == 1
    assert site.complaints() == []


def test_kinds_that_it_does_not_know_stay_unclaimed_and_break_nothing(wire: Wire, site: Site, person: str) -> None:
    page = start(site, person, ["track", "Newer Kinds"])
    wire.wait_inbox(person, len(NEWER_KINDS))
    page.evaluate("engage.track('Signed Up')")
    expect(page.locator(".popover")).to_contain_text("Welcome")
    page.keyboard.press("Escape")
    came(wire, person, "Message Dismissed")
    assert {delivery["kind"] for delivery in wire.inbox(person)} == NEWER_KINDS
    assert names(wire.events(person)).count("Message Shown") == 1
    assert site.complaints() == []
    site.add("/today", "today", ["page"])  # the page is loaded anew, and has today's
    site.open("/today", page)
    expect(page.locator(".banner")).to_contain_text("News.")


def test_a_newer_tour_is_shown_step_by_step_without_what_is_new(wire: Wire, site: Site, person: str) -> None:
    page = start(site, person, ["track", "Newer Tour"])
    popover = page.locator(".popover")
    expect(popover).to_contain_text("You choose.")
    assert popover.locator("img, video").count() == 0
    assert popover.get_by_role("button").all_inner_texts()[1:] == ["Next"]  # no branches, no *remind me later*
    page.get_by_role("button", name="Next").click()
    expect(popover).to_contain_text("One way.")
    page.get_by_role("button", name="Next").click()
    expect(popover).to_contain_text("Press it.")
    page.locator("#create").click()  # what would go on by doing goes on by its button
    expect(popover).to_contain_text("Press it.")
    page.get_by_role("button", name="Done").click()
    came(wire, person, "Message Completed")
    assert site.complaints() == []


def test_a_tour_whose_target_it_cannot_look_for_is_left_alone(wire: Wire, site: Site, person: str) -> None:
    page = start(site, person, ["track", "By Words"])
    wire.wait_inbox(person)
    page.evaluate("engage.track('Export Failed')")
    expect(page.locator(".chat")).to_be_visible()  # it holds up no other
    assert page.locator(".popover").count() == 0
    assert [delivery["message_id"] for delivery in wire.inbox(person)] == ["words"]
    site.add("/today", "today", ["page"])
    page.locator(".chat .close").click()
    site.open("/today", page)
    expect(page.locator(".popover")).to_contain_text("By words")
    assert site.complaints() == []


def test_a_step_that_should_be_skipped_waits_and_todays_snippet_skips_it(wire: Wire, site: Site, person: str) -> None:
    page = start(site, person, ["track", "Skip It"])
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".popover")).to_have_count(0)
    assert site.complaints() == []
    site.add("/today", "today", ["page"])
    site.open("/today", page)
    expect(page.locator(".popover")).to_contain_text("Third.")
    page.get_by_role("button", name="Done").click()
    came(wire, person, "Message Completed")
    assert len(came(wire, person, "Message Shown")) == 1


def test_what_was_put_off_elsewhere_is_not_shown_before_its_time(wire: Wire, site: Site, person: str) -> None:
    site.add("/today", "today", ["identify", person], ["track", "Put Off"])
    page = site.open("/today")
    page.get_by_role("button", name="Remind me later").click()
    came(wire, person, "Message Snoozed")
    [delivery] = wire.wait_inbox(person)
    assert delivery["not_before"]
    site.add("/", "first", ["track", "Help Wanted"])
    site.open("/", page)
    expect(page.locator(".suggestion")).to_be_visible()
    assert page.locator(".chat").count() == 0
    assert [waiting["message_id"] for waiting in wire.inbox(person)] == ["put-off"]
    assert site.complaints() == []


def test_who_objects_is_left_alone_and_who_comes_back_is_somebody_new(wire: Wire, site: Site, person: str) -> None:
    page = start(site, person)
    came(wire, person, "page")
    before = page.evaluate("engage.anonymousId")
    page.evaluate("engage.optOut(); engage.track('Never')")
    assert page.evaluate("Object.keys(localStorage)") == [f"engage.{site.write_key}.id.out"]
    page.reload()
    page.wait_for_function("!Array.isArray(window.engage)")
    assert page.evaluate("engage.anonymousId") is None
    page.evaluate("engage.optOut(false); engage.identify('%s-again'); engage.track('Back')" % person)  # noqa: UP031
    [back] = came(wire, f"{person}-again", "Back")
    assert back["anonymousId"] not in (before, None)
    assert "Never" not in names(wire.events(person))
    assert site.complaints() == []


def test_reset_is_another_person_with_an_empty_screen(wire: Wire, site: Site, person: str) -> None:
    page = start(site, person, ["track", "Signed Up"])
    expect(page.locator(".popover")).to_be_visible()
    before = page.evaluate("engage.anonymousId")
    page.evaluate("engage.reset(); engage.track('Looked')")
    expect(page.locator(".popover")).to_have_count(0)
    after = page.evaluate("engage.anonymousId")
    assert page.evaluate("engage.userId") is None
    assert after != before
    [looked] = came(wire, after, "Looked")
    assert "userId" not in looked
    page.evaluate(f"engage.identify('{person}-next'); engage.track('Export Failed')")
    expect(page.locator(".chat")).to_be_visible()  # the stream is the new person's
    assert site.complaints() == []


def test_it_knows_no_consent_and_bears_the_option(wire: Wire, site: Site, person: str) -> None:
    page = start(site, person, options={"consent": "required"})
    came(wire, person, "page")
    page.evaluate("engage.push(['track', 'After'])")
    came(wire, person, "After")
    assert site.complaints() == []
    page.evaluate("engage.push(['optIn'])")  # told of, not thrown
    until(lambda: site.complaints(), what="a word on the console")
    assert site.complaints() == [
        'warning: [engage] optIn: expected one of init,identify,track,page,group,alias,reset,show,on,off,optOut,shutdown, got string "optIn"'
    ]


def test_what_is_not_kept_as_the_person_wishes_is_not_sent_again(wire: Wire, site: Site, person: str) -> None:
    site.context.set_extra_http_headers({"sec-gpc": "1"})
    page = start(site, person)
    page.wait_for_function("Object.keys(localStorage).every(key => !key.includes('queue.'))")
    site.context.set_extra_http_headers({})
    page.evaluate("engage.track('Kept')")
    came(wire, person, "Kept")
    assert names(wire.events(person)) == ["Kept"]
    assert site.complaints() == []
