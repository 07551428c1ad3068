"""English and Japanese: by the browser's language, and by the switch."""

import json
import re
from typing import get_args

import pytest
from playwright.sync_api import expect

from rules import FORGOTTEN, LINKED, MERGED, MESSAGE_FAILED
from rules.groups import CHANGED, KNOWN
from rules.outcome import Result
from tests.journeys.conftest import EXAMPLES, Demo, Visit, Visitor

SITE = EXAMPLES / "demo-app" / "site"
JAPANESE = re.compile(r"[\u3041-\u30ff]")


@pytest.mark.browser
def test_a_japanese_browser_gets_everything_in_japanese(visit: Visit, demo: Demo) -> None:
    visitor = visit(demo, "ja-JP")
    visitor.go("/")
    expect(visitor.page.locator("html")).to_have_attribute("lang", "ja")
    visitor.picture("ja-1-home")
    visitor.sign_up("愛子")
    expect(visitor.page.locator("h1")).to_have_text("愛子さん、こんにちは")
    expect(visitor.tour).to_contain_text("ようこそ、愛子さん")
    expect(visitor.decision("welcome-tour")).to_contain_text("新しいメンバーをご案内")
    visitor.picture("ja-2-tour")
    visitor.page.keyboard.press("Escape")
    visitor.fail_export()
    visitor.fail_export()
    expect(visitor.suggestion).to_contain_text("書き出しがうまくいきませんか")
    visitor.picture("ja-3-suggestion")
    visitor.suggestion.get_by_role("button", name="読む").click()
    expect(visitor.article.get_by_role("heading", name="書き出しに失敗するとき")).to_be_visible()
    visitor.picture("ja-4-article")
    for path in ("/projects", "/settings", "/help", "/pricing"):
        visitor.go(path)
        expect(visitor.event("page").first).to_be_visible()
        visitor.picture(f"ja-5{path.replace('/', '-')}")


@pytest.mark.browser
def test_the_switch_turns_app_panel_and_messages_and_is_remembered(visitor: Visitor) -> None:
    visitor.go("/help")
    visitor.page.get_by_role("button", name="日本語").click()
    expect(visitor.page.locator("html")).to_have_attribute("lang", "ja")
    expect(visitor.page.locator("h1")).to_have_text("お困りですか？")
    expect(visitor.page.get_by_role("button", name="日本語")).to_have_attribute("aria-pressed", "true")
    visitor.go("/pricing")
    expect(visitor.event("page").first).to_contain_text("「料金」を開いた")
    visitor.go("/help")
    visitor.go("/pricing")
    expect(visitor.chat).to_contain_text("プラン選びで迷っていませんか？")
    visitor.picture("ja-6-chat")
    visitor.chat.get_by_role("button", name="プランを比べる").click()
    expect(visitor.article.get_by_role("heading", name="どのプランが合いますか？")).to_be_visible()
    visitor.picture("ja-7-article")

    visitor.page.goto(f"{visitor.demo.url}/help")
    visitor.page.get_by_role("button", name="EN", exact=True).click()
    expect(visitor.page.locator("h1")).to_have_text("How can we help?")


def test_both_languages_say_the_same_things() -> None:
    texts = {language: json.loads((SITE / "texts" / f"{language}.json").read_text()) for language in ("en", "ja")}
    translated = {key for key in texts["ja"] if not key.startswith("rule:")}
    assert translated == set(texts["en"])
    for key, words in texts["en"].items():
        assert re.findall(r"\{\w+\}", words) or not re.search(r"\{\w+\}", texts["ja"][key]), key
        assert sorted(set(re.findall(r"\{\w+\}", words))) == sorted(set(re.findall(r"\{\w+\}", texts["ja"][key]))), key


def test_what_the_service_itself_says_of_a_person_has_words() -> None:
    texts = json.loads((SITE / "texts" / "en.json").read_text())
    for name in (MERGED, LINKED, FORGOTTEN, MESSAGE_FAILED, CHANGED, KNOWN):
        assert f"event.{name}" in texts


def test_whatever_becomes_of_a_rule_has_words() -> None:
    texts = json.loads((SITE / "texts" / "en.json").read_text())
    feed = (SITE / "static" / "panel_feed.js").read_text()
    told = re.findall(r"^  (\w+): \(", feed.split("const RESULTS = {")[1].split("};")[0], re.MULTILINE)
    assert sorted(told) == sorted(get_args(Result))
    for outcome in told:
        assert f"out.{outcome}" in texts


def test_every_rule_is_named_in_japanese() -> None:
    japanese = json.loads((SITE / "texts" / "ja.json").read_text())
    for file in (EXAMPLES / "rules").glob("*.json"):
        rule = json.loads(file.read_text())
        for words in (rule["name"], rule["description"]):
            assert JAPANESE.search(japanese[f"rule:{words}"])


def test_messages_and_articles_stand_in_both_languages() -> None:
    for file in (EXAMPLES / "messages").glob("*.json"):
        content = json.loads(file.read_text())["content"]
        assert set(content) == {"en", "ja"}
        shapes = [re.sub(r'"[^"]*"', '""', json.dumps(content[language], ensure_ascii=True)) for language in content]
        assert len(set(shapes)) == 1, file.name
    articles = {file.name.split(".", 1)[0] for file in (EXAMPLES / "articles").glob("*.md")}
    for article in articles:
        for language in ("en", "ja"):
            assert (EXAMPLES / "articles" / f"{article}.{language}.md").read_text().startswith("# ")
