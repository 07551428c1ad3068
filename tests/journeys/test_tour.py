"""Journey 1: whoever signs up is shown around."""

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Demo, Visit, Visitor

pytestmark = pytest.mark.browser


def test_the_tour_leads_over_two_pages_and_never_comes_twice(visitor: Visitor) -> None:
    visitor.sign_up("Aiko")
    visitor.step(1)
    expect(visitor.tour).to_contain_text("Welcome, Aiko!")
    visitor.picture("tour-1-welcome")
    visitor.next()
    visitor.step(2)
    visitor.picture("tour-2-figures")
    visitor.next()
    visitor.step(3)
    expect(visitor.page.locator("#invite-team")).to_be_visible()
    visitor.picture("tour-3-late-element")
    visitor.next()
    visitor.step(4)
    visitor.picture("tour-4-leads-on")
    visitor.next()
    visitor.page.wait_for_url("**/projects")
    visitor.step(5)
    visitor.picture("tour-5-second-page")
    visitor.next()
    expect(visitor.tour).to_have_count(0)
    expect(visitor.decision("welcome-tour").get_by_text("finished")).to_be_visible()

    visitor.go("/dashboard")
    expect(visitor.decision("welcome-tour", "capped")).to_be_visible()
    expect(visitor.tour).to_have_count(0)


def test_the_tour_waits_for_an_element_that_appears_late_and_remembers_its_step(visitor: Visitor) -> None:
    visitor.sign_up()
    visitor.next()
    visitor.next()
    visitor.step(3)

    visitor.page.reload()
    visitor.page.wait_for_selector("#late .skeleton")
    expect(visitor.tour).to_have_count(0)
    visitor.step(3)
    expect(visitor.page.locator("#invite-team")).to_be_visible()

    visitor.next()
    visitor.next()
    visitor.page.wait_for_url("**/projects")
    visitor.step(5)
    visitor.page.reload()
    visitor.step(5)


def test_back_and_close_work_from_the_keyboard(visitor: Visitor) -> None:
    visitor.sign_up()
    visitor.step(1)
    visitor.page.keyboard.press("ArrowRight")
    visitor.step(2)
    visitor.page.keyboard.press("ArrowLeft")
    visitor.step(1)
    visitor.page.keyboard.press("Escape")
    expect(visitor.tour).to_have_count(0)
    visitor.page.reload()
    expect(visitor.decision("welcome-tour", "capped")).to_be_visible()
    expect(visitor.tour).to_have_count(0)


@pytest.mark.parametrize(
    "size", [(1440, 900), (1181, 760), (1001, 700), (920, 700), (390, 844)], ids=lambda size: f"{size[0]}"
)
def test_the_tour_and_the_side_panel_do_not_cover_each_other(visit: Visit, demo: Demo, size: tuple[int, int]) -> None:
    visitor = visit(demo, size=size)
    visitor.sign_up()
    for number in range(1, 6):
        visitor.step(number)
        visitor.picture(f"tour-{size[0]}-{number}")
        panel, popover = visitor.panel.bounding_box(), visitor.tour.bounding_box()
        assert panel
        assert popover
        apart = popover["x"] >= panel["x"] + panel["width"] or popover["y"] >= panel["y"] + panel["height"]
        assert apart, (panel, popover)
        visitor.next()
