"""Which help articles a search finds, in which order, and what it shows of them."""

from time import process_time

import pytest

from engage.article_search import EXCERPT, ArticleIndex, excerpt, plain
from rules import Article, ArticleContent


def article(identifier: str, **content: tuple[str, str]) -> Article:
    return Article(identifier, {locale: ArticleContent(*text) for locale, text in content.items()})


INDEX = ArticleIndex(
    [
        article(
            "export",
            en=("When an export fails", "Nearly every failed export is **too large**.\n\n## Export in parts\n\n1. Choose 30 days."),
            ja=("書き出しに失敗するとき", "書き出しの失敗は、**ほとんど**が大きすぎるためです。"),
        ),
        article(
            "plans",
            en=("Which plan is right for you?", "Team keeps five years. Exports of any size are shared."),
            ja=("どのプランが合いますか？", "チームは５年分を残します。サイズ無制限の書き出し。"),
        ),
        article("invite", en=("Invite your team", "Press *Invite*, and type an address: [more](/help).")),
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    ("query", "locale", "found"),
    [
        ("export", "en-GB", ["export", "plans"]),
        ("EXPORTING", "en", ["export", "plans"]),
        ("expo", "en", ["export", "plans"]),
        ("how do I share", "en", ["plans"]),
        ("how can I invite a team?", "en", ["invite"]),
        ("parts", "en", ["export"]),
        ("書き出し", "ja", ["export", "plans"]),
        ("書き出しが失敗する", "ja-JP", ["export"]),
        ("5年", "ja", ["plans"]),
        ("失", "ja", ["export"]),
        ("プラン", "ja", ["plans"]),
        ("ﾌﾟﾗﾝ", "ja", ["plans"]),
        ("invite", "ja", ["invite"]),  # not translated: in the language there is
        ("書き出し", "en", []),
        ("export", "ja", []),
        ("quetzal", "en", []),
        ("\x00 🙂 **", "en", ["export", "plans", "invite"]),  # no word at all
        ("", "fr", ["export", "plans", "invite"]),
    ],
)
def test_what_is_found_in_which_order(query: str, locale: str, found: list[str]) -> None:
    assert [hit.id for hit in INDEX.search(query, locale, 8)] == found


def test_of_what_is_found_the_best_come() -> None:
    assert [hit.id for hit in INDEX.search("export", "en", 1)] == ["export"]


def test_the_excerpt_is_plain_text_around_what_was_looked_for() -> None:
    hit = INDEX.search("address", None, 8)[0]
    assert (hit.locale, hit.title, hit.excerpt) == (
        "en", "Invite your team", "Press Invite, and type an address: more.")  # fmt: skip
    long = "Filler words stand here. " * 20 + "Then the needle comes, and it is sharp. " + "And more. " * 40
    found = excerpt(long, ["needle"])
    assert found.startswith("Then the needle comes, and it is sharp. And more.")
    assert found.endswith("…")
    assert len(found) <= EXCERPT + 1
    assert excerpt("あ" * 300 + "針" + "い" * 300, ["針"]).startswith("…あ")


def test_markdown_leaves_no_marks() -> None:
    body = "# T\n\n![a chart](x.png) See **the** `files` in [Settings](/s).\n\n```sh\nls\n```\n\n> - one_two _three_ \\*four"
    assert plain(body) == "See the files in Settings. ls one_two three *four"


@pytest.mark.parametrize(
    "text", ["[" * 50_000, "!" * 50_000, "*" * 50_000, "_ " * 50_000, "[a](" * 20_000, "`" * 50_000]
)
def test_no_text_takes_long(text: str) -> None:
    started = process_time()
    ArticleIndex([article("a", en=(text, text))]).search(text, "en", 8)
    assert process_time() - started < 5
