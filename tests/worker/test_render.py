"""Rendering: whatever a person's traits contain stays text."""

import json
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from engage.locales import choose
from engage.rendering import escape_markdown
from engage.templates import template_problems
from rules import Message
from worker.render import RenderError, render

markup = st.text(st.sampled_from("[]()<>*_`~#-+.!|\\&:=123 \n\tab/\"'{}%"), max_size=30) | st.text(max_size=20)
PAYLOADS = (
    "[x](javascript:alert(1))", "<script>alert(1)</script>", "![x](https://evil/x.png)", "**bold**", "# big", "1. one",
    "- item", "> quote", "`code`", "~~~\ncode", "<https://evil>", "&lt;b&gt;", "a | b\n--|--", "{{ user.id }}", "{% raw %}",
    "line\n\n# big", "\\", "[x]: https://evil", "***", "===", "text\n===",
)  # fmt: skip


def inline_kinds(markdown: str) -> set[str]:
    """What a CommonMark parser sees in a text, beside paragraphs and text."""
    found: set[str] = set()
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        if token.type == "inline":
            found |= {child.type for child in token.children or ()}
        else:
            found.add(token.type)
    return found - {"paragraph_open", "paragraph_close", "text", "softbreak", "text_special"}


@given(markup)
def test_an_escaped_text_is_no_markup_wherever_it_stands(text):
    for around in ("{}", "Hi {}", "Hi {}!", "- {}", "a\n{}"):
        escaped = inline_kinds(around.format(escape_markdown(text)))
        assert escaped <= inline_kinds(around.format("x")), around


@given(markup)
def test_an_escaped_text_still_says_the_same(text):
    shown = unescape(MarkdownIt("commonmark").render("x " + escape_markdown(text) + " x"))
    assert "".join(shown.removeprefix("<p>").split()) == "".join(f"x{text}x</p>".replace("\0", "\ufffd").split())


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_trait_never_becomes_markup_or_a_template(payload):
    content = {"en": {"text": "Hi {{ user.traits.name }}, **welcome**"}}
    shown = render(content, "en", {"user": {"traits": {"name": payload}}})["text"]
    assert inline_kinds(shown) == {"strong_open", "strong_close"}


def test_plain_fields_are_not_escaped_and_links_are_not_rendered():
    content = {"en": {"title": "{{ user.id }}", "replies": [{"label": "{{ user.id }}", "url": "/x/{{ user.id }}"}]}}
    assert render(content, None, {"user": {"id": "a*b"}}) == {
        "title": "a*b",
        "replies": [{"label": "a*b", "url": "/x/{{ user.id }}"}],
    }


@pytest.mark.parametrize(
    "source",
    [
        "{% echo user.id %}",
        "{% cycle user.id %}",
        "{% include 'x' %}",
        "{% render 'x' %}",
        "{% increment n %}",
        "{{ user.id",
    ],
)
def test_tags_that_would_go_past_the_escaping_are_refused_before_anything_goes_live(source):
    text = json.dumps({"id": "m", "kind": "chat", "content": {"en": {"text": source}}}).encode()
    message = Message(id="m", kind="chat", content={"en": {"text": source}})
    [problem] = template_problems(message, text, "m.json")
    assert (problem.path, problem.severity, problem.line) == ("$.content.en.text", "error", 1)


def test_a_loop_without_end_is_stopped():
    content = {"en": {"text": "{% for a in (1..100000) %}{% for b in (1..100000) %}x{% endfor %}{% endfor %}"}}
    with pytest.raises(RenderError, match=r"^\$\.text: "):
        render(content, None, {})


def test_a_missing_trait_is_empty_and_has_a_default():
    content = {"en": {"text": "{{ user.traits.a }}|{{ user.traits.b | default: 'you' }}"}}
    assert render(content, None, {})["text"] == "|you"


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ("ja", "ja"),
        ("ja-JP", "ja"),
        ("JA_jp", "ja"),
        ("pt-BR", "pt-BR"),
        ("pt", "en"),
        ("fr", "en"),
        (None, "en"),
        ("", "en"),
    ],
)
def test_the_locale_falls_back_to_its_language_then_english(wanted, got):
    assert choose(["de", "ja", "en", "pt-BR"], wanted) == got


def test_without_english_the_first_locale_is_taken():
    assert choose(["ja", "de"], "fr") == "ja"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ event.properties.x | round }}", "inf"),
        ("{{ event.properties.x | ceil }}", "nan"),
        ("{{ event.properties.x | date: '%d %B' }}", "9" * 30),
        ("{{ event.properties.x | base64_decode }}", "////"),
    ],
)
def test_a_filter_that_cannot_take_a_value_fails_that_delivery_alone(text, value):
    with pytest.raises(RenderError, match=r"^\$\.text: "):
        render({"en": {"text": text}}, "en", {"event": {"properties": {"x": value}}})
