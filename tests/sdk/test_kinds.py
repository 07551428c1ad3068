"""Banners, modals, tooltips and surveys, as people meet them."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.sdk.conftest import Site, stands
from tests.sdk.fake_service import FakeService, Json

pytestmark = pytest.mark.browser
PIXEL = "/pixel.svg"


def deliver(service: FakeService, kind: str, content: Json, **more: Any) -> Json:
    return service.deliver(delivery_id="d", kind=kind, content=content, **more)


def messages(service: FakeService) -> list[str]:
    return [name for name in service.names() if name.startswith(("Message", "Survey"))]


def close(page: Page) -> None:
    page.get_by_role("button", name="Close").click()


def gone(page: Page) -> None:
    expect(page.locator("[data-engage]")).to_have_count(0)


class TestBanner:
    def test_it_stands_at_the_edge_until_it_is_dismissed(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, "banner", {"text": "Now with **reports**.", "title": "New"})
        banner = page.get_by_role("region", name="New")
        expect(banner.locator("strong")).to_have_text("reports")
        box = page.locator(".banner.in").bounding_box()
        assert box
        assert 0 <= box["y"] < 30
        close(page)
        gone(page)
        service.wait_event("Message Dismissed")
        assert messages(service) == ["Message Shown", "Message Dismissed"]
        assert site.complaints() == []

    def test_at_the_bottom_it_stays_there(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, "banner", {"text": "Hi", "position": "bottom"})
        box = page.locator(".banner.in").bounding_box()
        assert box
        assert 730 <= box["y"] + box["height"] <= 760

    def test_its_action_completes_it_and_goes_there(self, service: FakeService, site: Site) -> None:
        site.add("/new", ["page"])
        page = site.open()
        deliver(service, "banner", {"text": "Hi", "dismissible": False, "actions": [{"label": "Look", "url": "/new"}]})
        expect(page.get_by_role("button", name="Close")).to_have_count(0)
        page.get_by_role("button", name="Look").click()
        page.wait_for_url("**/new")
        clicked = service.wait_event("Message Clicked")
        assert clicked["properties"]["button"] == "Look"
        service.wait_event("Message Completed")

    def test_an_action_opens_an_article_in_place(self, service: FakeService, site: Site) -> None:
        service.articles["plans"] = {"id": "plans", "locale": "en", "title": "Plans", "body": "Three."}
        page = site.open()
        deliver(service, "banner", {"text": "Hi", "actions": [{"label": "Read", "article": "plans"}]})
        page.get_by_role("button", name="Read").click()
        expect(page.get_by_role("dialog", name="Plans")).to_contain_text("Three.")
        expect(page.locator(".banner")).to_have_count(0)

    def test_within_an_element_it_moves_the_page_and_survives_a_render(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, "banner", {"text": "Hi", "into": "main"})
        expect(page.locator("main > [data-engage] .banner")).to_be_visible()
        page.evaluate("document.querySelector('main').outerHTML = '<main><h1>Anew</h1></main>'")
        expect(page.locator("main > [data-engage] .banner")).to_be_visible()
        page.evaluate("document.querySelector('main').remove()")
        expect(page.locator(".banner")).to_have_count(0)
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<main>Late</main>')")
        expect(page.locator(".banner")).to_be_visible()
        close(page)
        service.wait_event("Message Dismissed")
        assert messages(service) == ["Message Shown", "Message Dismissed"]
        assert service.calls == [("claim", "d")]

    def test_without_its_element_it_waits_unclaimed(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, "banner", {"text": "Hi", "into": "#late"})
        page.evaluate("engage.track('End')")
        service.wait_event("End")
        assert service.calls == []
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<div id=late>Late</div>')")
        expect(page.locator("#late .banner")).to_be_visible()


class TestModal:
    def test_the_focus_stays_in_it_and_goes_back(self, service: FakeService, site: Site) -> None:
        page = site.open()
        page.focus("#nav")
        deliver(service, "modal", {"title": "Meet it", "text": "All **new**.", "actions": [{"label": "Later"}]})
        dialog = page.get_by_role("dialog", name="Meet it")
        expect(dialog.locator("strong")).to_have_text("new")
        for _ in range(5):
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.matches('[data-engage], body')")
        page.keyboard.press("Escape")
        gone(page)
        expect(page.locator("#nav")).to_be_focused()
        service.wait_event("Message Dismissed")
        assert messages(service) == ["Message Shown", "Message Dismissed"]
        assert site.complaints() == []

    def test_a_click_beside_it_dismisses_it(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, "modal", {"text": "Hi"})
        expect(page.locator("dialog.in")).to_be_visible()
        page.locator("dialog").click(position={"x": 30, "y": 20})
        expect(page.locator("dialog")).to_be_visible()
        page.mouse.click(5, 5)
        gone(page)
        service.wait_event("Message Dismissed")

    def test_its_form_reports_the_answer_and_thanks(self, service: FakeService, site: Site) -> None:
        page = site.open()
        form = {"label": "Your address?", "name": "email", "type": "email", "thanks": "Done, **thanks**."}
        deliver(service, "modal", {"title": "Stay in touch", "form": form})
        field = page.get_by_label("Your address?")
        field.fill("nobody")
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("status")).to_have_count(0)
        field.fill("ann@example.com")
        field.press("Enter")
        expect(page.get_by_role("status").locator("strong")).to_have_text("thanks")
        clicked = service.wait_event("Message Clicked")
        assert clicked["properties"]["field"] == "email"
        assert clicked["properties"]["value"] == "ann@example.com"
        close(page)
        page.evaluate("engage.track('End')")
        service.wait_event("End")
        assert messages(service) == ["Message Shown", "Message Clicked", "Message Completed"]

    def test_it_shows_a_picture(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, "modal", {"image": PIXEL, "alt": "A chart", "text": "Hi"})
        expect(page.get_by_role("img", name="A chart")).to_have_attribute("src", service.site + PIXEL)

    def test_it_shows_a_video_with_controls(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, "modal", {"video": "/film.mp4", "alt": "A walk through", "text": "Hi"})
        video = page.locator("dialog video")
        expect(video).to_have_attribute("src", service.site + "/film.mp4")
        assert video.evaluate("node => node.controls") is True

    def test_it_does_not_come_between_a_person_and_what_they_type(self, service: FakeService, site: Site) -> None:
        page = site.open()
        page.focus("#search")
        deliver(service, "modal", {"text": "Hi"})
        page.keyboard.type("quarter")
        page.evaluate("engage.track('End')")
        service.wait_event("End")
        assert service.calls == []
        expect(page.locator("#search")).to_have_value("quarter")
        page.evaluate("document.activeElement.blur()")
        expect(page.locator("dialog")).to_be_visible()

    def test_a_page_that_draws_itself_anew_does_not_lose_it(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, "modal", {"text": "Hi"})
        expect(page.locator("dialog")).to_be_visible()
        page.wait_for_timeout(350)
        page.evaluate("document.body.replaceWith(document.body.cloneNode(true))")
        expect(page.locator("dialog.in")).to_be_visible()
        close(page)
        page.locator("#create").click()
        service.wait_event("Message Dismissed")
        assert messages(service) == ["Message Shown", "Message Dismissed"]
        assert service.calls == [("claim", "d")]

    def test_a_page_that_takes_it_away_again_and_again_has_its_way(self, service: FakeService, site: Site) -> None:
        page = site.open()
        page.evaluate(
            """new MutationObserver(() => document.querySelector("[data-engage]")?.remove())
               .observe(document.documentElement, {childList: true})"""
        )
        deliver(service, "modal", {"text": "Hi"})
        service.wait_event("Message Shown")
        service.deliver(delivery_id="next", kind="chat", content={"text": "And now?"})
        service.wait_event("Message Shown", 2)
        page.locator("#create").click()
        gone(page)


class TestTooltip:
    def test_it_stands_beside_its_target_which_stays_usable(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, "tooltip", {"target": "#create", "text": "Start **here**.", "title": "Tip"})
        tip = page.get_by_role("dialog", name="Tip")
        expect(tip.locator("strong")).to_have_text("here")
        box, target = stands(tip).bounding_box(), page.locator("#create").bounding_box()
        assert box
        assert target
        assert box["y"] >= target["y"] + target["height"] or box["x"] >= target["x"] + target["width"]
        page.locator("#create").click()
        gone(page)
        service.wait_event("Message Completed")
        assert messages(service) == ["Message Shown", "Message Completed"]
        assert site.complaints() == []

    def test_it_goes_with_its_target_and_comes_back_with_it(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, "tooltip", {"target": "#para", "text": "Hi"})
        expect(page.locator(".tooltip")).to_be_visible()
        page.evaluate("document.querySelector('#para').style.display = 'none'")
        expect(page.locator(".tooltip")).to_have_count(0)
        page.evaluate("document.querySelector('#para').style.display = ''")
        expect(page.locator(".tooltip")).to_be_visible()
        close(page)
        service.wait_event("Message Dismissed")
        assert messages(service) == ["Message Shown", "Message Dismissed"]
        assert service.calls == [("claim", "d")]

    def test_a_hotspot_opens_from_a_dot(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, "tooltip", {"target": "#para", "text": "Hi", "title": "News", "hotspot": True})
        dot = page.get_by_role("button", name="News")
        expect(dot).to_have_attribute("aria-expanded", "false")
        expect(page.locator(".tooltip")).to_be_hidden()
        dot.click()
        expect(page.get_by_role("dialog", name="News")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator(".tooltip")).to_be_hidden()
        expect(dot).to_be_focused()
        dot.click()
        close(page)
        gone(page)
        service.wait_event("Message Dismissed")

    @pytest.mark.parametrize("side", ["top", "right", "bottom", "left"])
    def test_the_edges_of_the_arrow_are_drawn_outside_of_its_card(
        self, side: str, service: FakeService, site: Site
    ) -> None:
        middle = "<button id=middle style='position: fixed; left: 500px; top: 350px'>Middle</button>"
        site.add("/", ["page"], body=middle)
        page = site.open()
        deliver(service, "tooltip", {"target": "#middle", "text": "Tip", "placement": side})
        expect(page.locator(".tooltip")).to_be_visible()
        corner = page.locator(".arrow").evaluate(
            """arrow => { const edge = new DOMMatrix(`rotate(${getComputedStyle(arrow).rotate})`).transformPoint({x: -1, y: -1});
            return [Math.round(edge.x), Math.round(edge.y)]; }"""
        )
        assert corner == {"top": [0, 1], "right": [-1, 0], "bottom": [0, -1], "left": [1, 0]}[side]

    def test_several_kinds_do_not_wait_for_one_another(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, "tooltip", {"target": "#para", "text": "Tip"})
        service.deliver(delivery_id="b", kind="banner", content={"text": "News"})
        service.deliver(delivery_id="s", kind="survey", content={"questions": [{"type": "nps", "text": "Well?"}]})
        service.deliver(delivery_id="c", kind="chat", content={"text": "Not yet"})
        for shown in (".tooltip", ".banner", ".survey"):
            expect(page.locator(shown)).to_be_visible()
        expect(page.locator(".chat")).to_have_count(0)


SURVEY = {
    "questions": [
        {"id": "score", "type": "nps", "text": "How likely are you to recommend us?"},
        {"type": "choice", "text": "What is missing?", "options": ["Price", "Speed"], "when": {"question": "score", "at_most": 6}},
        {"type": "choices", "text": "What do you like?", "options": ["Looks", "Help", "Sound"], "when": {"question": "score", "at_least": 9}},
        {"type": "text", "text": "Anything else?", "optional": True},
    ],
    "thanks": "That **helps**.",
}  # fmt: skip


def answers(service: FakeService) -> list[tuple[Any, Any, Any]]:
    found = [event["properties"] for event in service.events if event.get("event") == "Survey Answered"]
    return [(one["question"], one["type"], one["answer"]) for one in found]


class TestSurvey:
    @pytest.mark.parametrize("width", [320, 390])
    def test_the_scores_are_of_one_size_on_a_phone(self, width: int, service: FakeService, site: Site) -> None:
        page = site.open()
        page.set_viewport_size({"width": width, "height": 700})
        deliver(service, "survey", {"questions": [{"type": "nps", "text": "Well?"}]})
        scores = page.locator(".nps button")
        expect(scores).to_have_count(11)
        boxes = scores.evaluate_all(
            "all => all.map(one => one.getBoundingClientRect()).map(({top, width}) => [top, width])"
        )
        assert max(wide for _, wide in boxes) - min(wide for _, wide in boxes) < 0.1
        assert min(wide for _, wide in boxes) > 32
        assert [sum(top == row for top, _ in boxes) for row in sorted({top for top, _ in boxes})] == [6, 5]

    def test_a_low_score_is_asked_why(self, service: FakeService, site: Site) -> None:
        page = site.open()
        page.evaluate("window.heard = []; engage.on('answered', (given) => heard.push(given.answer))")
        deliver(service, "survey", SURVEY)
        survey = page.locator(".survey")
        expect(survey).to_contain_text("recommend")
        survey.get_by_role("button", name="3 / 10").click()
        expect(survey).to_contain_text("What is missing?")
        survey.get_by_role("button", name="Speed").click()
        expect(survey).to_contain_text("Anything else?")
        survey.get_by_role("button", name="Skip").click()
        expect(survey.locator("strong")).to_have_text("helps")
        service.wait_event("Message Completed")
        close(page)
        gone(page)
        page.evaluate("engage.track('End')")
        service.wait_event("End")
        assert answers(service) == [("score", "nps", 3), ("2", "choice", "Speed")]
        assert page.evaluate("heard") == [3, "Speed"]
        assert messages(service) == ["Message Shown", "Survey Answered", "Survey Answered", "Message Completed"]
        assert site.complaints() == []

    def test_a_high_score_is_asked_what_for(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, "survey", SURVEY)
        survey = page.locator(".survey")
        survey.get_by_role("button", name="10 / 10 Extremely likely").click()
        send = survey.get_by_role("button", name="Next")
        expect(send).to_be_disabled()
        survey.get_by_label("Help").check()
        survey.get_by_label("Sound").check()
        send.click()
        survey.get_by_role("textbox").fill("  You are great  ")
        survey.get_by_role("button", name="Send").click()
        service.wait_event("Message Completed")
        assert answers(service) == [
            ("score", "nps", 10), ("3", "choices", ["Help", "Sound"]), ("4", "text", "You are great")]  # fmt: skip

    def test_what_is_between_is_asked_neither(self, service: FakeService, site: Site) -> None:
        page = site.open()
        deliver(service, "survey", SURVEY)
        page.get_by_role("button", name="7 / 10").click()
        expect(page.locator(".survey")).to_contain_text("Anything else?")

    def test_the_keyboard_is_enough(self, service: FakeService, site: Site) -> None:
        page = site.open()
        page.focus("#nav")
        deliver(
            service,
            "survey",
            {"questions": [{"type": "csat", "text": "How was it?"}, {"type": "ces", "text": "Easy?"}]},
        )
        first = page.get_by_role("button", name="1 / 5 Very dissatisfied")
        expect(page.locator("#nav")).to_be_focused()
        first.focus()
        page.keyboard.press("ArrowLeft")
        expect(page.get_by_role("button", name="5 / 5 Very satisfied")).to_be_focused()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Enter")
        expect(page.locator(".survey")).to_contain_text("Easy?")
        assert service.wait_event("Survey Answered")["properties"]["answer"] == 4
        page.keyboard.press("Escape")
        gone(page)
        service.wait_event("Message Dismissed")

    def test_the_page_hears_nothing_of_what_is_typed(self, service: FakeService, site: Site) -> None:
        page = site.open()
        page.evaluate("window.keys = 0; document.addEventListener('keydown', () => keys++)")
        deliver(service, "survey", {"questions": [{"type": "text", "text": "Well?"}]})
        field = page.locator(".survey").get_by_role("textbox")
        field.fill("a")
        field.press("/")
        assert page.evaluate("keys") == 0

    def test_japanese_on_a_phone(self, service: FakeService, site: Site) -> None:
        page = site.open()
        page.set_viewport_size({"width": 360, "height": 640})
        deliver(
            service, "survey", {"questions": [{"type": "nps", "text": "同僚にすすめたいと思いますか?"}]}, locale="ja"
        )
        expect(page.locator(".ends")).to_contain_text("とてもそう思う")
        for button in page.locator(".scale button").all():
            box = button.bounding_box()
            assert box
            assert box["width"] >= 24
            assert box["height"] >= 24
            assert 0 <= box["x"] <= 360 - box["width"]


def test_content_of_a_wrong_shape_is_told_and_leaves_the_page_alone(service: FakeService, site: Site) -> None:
    page = site.open()
    page.evaluate("window.errors = []; engage.on('error', (error) => errors.push(String(error)))")
    for kind in ("banner", "modal", "tooltip", "survey"):
        service.deliver(delivery_id=kind, message_id=kind, kind=kind, content={"text": 3, "questions": [{"type": "x"}]})
    page.wait_for_function("errors.length === 4")
    assert sorted(page.evaluate("errors")) == [
        "Error: message banner: expected content.text to be text",
        "Error: message modal: expected content with a title, a text, an image or a video",
        "Error: message survey: expected content.questions to be a list of at least one question",
        "Error: message tooltip: expected content.target and content.text",
    ]
    gone(page)
    assert service.calls == []


def test_right_to_left(service: FakeService, site: Site) -> None:
    site.add("/", ["page"])
    page = site.open()
    page.evaluate("document.documentElement.dir = 'rtl'")
    service.deliver(delivery_id="s", kind="survey", content={"questions": [{"type": "csat", "text": "كيف كان؟"}]})
    card = page.locator(".survey").bounding_box()
    assert card
    assert card["x"] < 60
    first = page.locator(".scale button").first
    first.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".scale button").nth(1)).to_be_focused()
    close_box = page.get_by_role("button", name="Close").bounding_box()
    assert close_box
    assert close_box["x"] < card["x"] + 60


def test_nothing_stays_behind_after_many_shows(service: FakeService, site: Site) -> None:
    """After 1,000 shows and dismissals there are as many nodes and listeners as before them."""
    page = site.open()
    page.set_viewport_size({"width": 320, "height": 240})  # each show is drawn a few times
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def counts() -> dict[str, float]:
        session.send("HeapProfiler.collectGarbage")
        found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        return {name: found[name] for name in ("Nodes", "JSEventListeners")}

    def settled() -> dict[str, float]:
        """The counts once they stay as they are: what fades out needs a moment."""
        page.wait_for_timeout(2_200)  # a chat speaks so long
        found = counts()
        for _ in range(40):
            page.wait_for_timeout(250)
            found, last = counts(), found
            if found == last:
                break
        return found

    contents = {
        "banner": {"text": "a"}, "modal": {"text": "a"}, "tooltip": {"target": "#para", "text": "a"},
        "survey": {"questions": [{"type": "nps", "text": "a"}]}, "chat": {"text": "a"}, "article": {"article": "a"},
        "tour": {"steps": [{"target": "#para", "text": "a"}]},
        "checklist": {"title": "a", "items": [{"id": "a", "label": "a"}]},
    }  # fmt: skip
    show = """async ([contents, rounds]) => {
        for (let round = 0; round < rounds; round++) for (const [kind, content] of Object.entries(contents)) {
            engage.show({kind, content});
            let close;
            const find = (what) => document.querySelector("[data-engage]")?.shadowRoot.querySelector(what);
            while (!(close = find(".checklist > .quiet") ?? find("button.close"))) {
                await new Promise(requestAnimationFrame);
            }
            close.click();
            await new Promise(requestAnimationFrame);
        }
    }"""
    page.evaluate(show, [contents, 3])
    gone(page)
    before = settled()
    page.evaluate(show, [contents, 125])
    gone(page)
    assert settled() == before
