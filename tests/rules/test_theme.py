"""The `theme` of a project's document: what `engage rules check` says of it, and the style sheet it becomes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from schema_validator import accepts

from rules import Project, document_schema, parse, style_sheet
from rules.theme import CONTRAST, OWN, luminance

BASE = Path(__file__).parents[2] / "sdk_js" / "src" / "ui" / "base.css"
SCHEMA = document_schema("project")


def read(theme: Any) -> tuple[Project | None, list[tuple[str, str, str]]]:
    document, found = parse("project", json.dumps({"id": "shop", "theme": theme}).encode(), "project/shop.json")
    assert document is None or isinstance(document, Project)
    return document, [(one.severity, one.path, one.message) for one in found]


def test_a_theme_is_a_style_sheet_of_custom_properties() -> None:
    theme = {
        "accent": "#0a7c66", "on_accent": "#FFF", "border": "rgb(0 0 0 / 11%)", "backdrop": "rgba(0, 0, 0, 0.5)", "sunken": "hsl(168deg 20% 96.5%)",
        "muted": "oklch(0.45 0.02 172)", "radius": "0.5rem", "font": ["Noto Sans JP", "ヒラギノ角ゴ ProN", "sans-serif"],
        "dark": {"accent": "#34d399", "on_accent": "#022c22", "muted": "oklch(80% 0.02 172 / 0.9)"},
    }  # fmt: skip
    document, found = read(theme)
    assert found == []
    assert document is not None
    assert document.theme is not None
    assert style_sheet(document.theme) == (
        ":where(:root) {\n"
        "  --engage-accent: light-dark(#0a7c66,#34d399);\n"
        "  --engage-on-accent: light-dark(#FFF,#022c22);\n"
        "  --engage-sunken: hsl(168deg 20% 96.5%);\n"
        "  --engage-muted: light-dark(oklch(0.45 0.02 172),oklch(80% 0.02 172 / 0.9));\n"
        "  --engage-border: rgb(0 0 0 / 11%);\n"
        "  --engage-backdrop: rgba(0, 0, 0, 0.5);\n"
        "  --engage-radius: 0.5rem;\n"
        '  --engage-font: "Noto Sans JP","ヒラギノ角ゴ ProN",sans-serif;\n'
        "}\n"
    )
    document, found = read({"font": "Inter", "scheme": "dark"})
    assert found == []
    assert document is not None
    assert document.theme is not None
    assert style_sheet(document.theme) == ':where(:root) {\n  --engage-font: "Inter";\n  --engage-scheme: dark;\n}\n'


NOT_OF_FORM = "beside `dark` too"  # that no schema says
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"acent": "#fff"}, "$.theme.acent", "Unknown field `acent`; did you mean `accent`?"),
    ({"accent": 3}, "$.theme.accent", "Expected a text, got the number 3"),
    ({"accent": "teal"}, "$.theme.accent", "Expected a colour such as `#0a7c66`"),
    ({"accent": "#12345"}, "$.theme.accent", "got `#12345`"),
    ({"accent": "rgb(256 0 0)"}, "$.theme.accent", "got `rgb(256 0 0)`"),
    ({"accent": "hsl(168 85 26)"}, "$.theme.accent", "got `hsl(168 85 26)`"),
    ({"accent": "oklch(0.5 0.1)"}, "$.theme.accent", "got `oklch(0.5 0.1)`"),
    ({"accent": "var(--x)"}, "$.theme.accent", "got `var(--x)`"),
    ({"accent": "#fff;} body{display:none"}, "$.theme.accent", "got `#fff;} body{display:none`"),
    ({"surface": "url(https://evil.example)"}, "$.theme.surface", "Expected a colour"),
    ({"radius": "8"}, "$.theme.radius", "Expected a length such as `8px` or `0.5rem`, got `8`"),
    ({"radius": "calc(1px + 1px)"}, "$.theme.radius", "Expected a length"),
    ({"radius": "-1px"}, "$.theme.radius", "Expected a length"),
    ({"font": "Inter, sans-serif"}, "$.theme.font", "got `Inter, sans-serif`; several are an array"),
    ({"font": ["Inter", 'a"b']}, "$.theme.font[1]", "without quotes"),
    ({"font": ["a\\62"]}, "$.theme.font[0]", "Expected the name of a font family"),
    ({"font": " "}, "$.theme.font", "Expected the name of a font family"),
    ({"font": "x" * 65}, "$.theme.font", "at most 64 characters"),
    ({"font": []}, "$.theme.font", "Expected 1 to 10 font families, got 0"),
    ({"font": ["a"] * 11}, "$.theme.font", "Expected 1 to 10 font families, got 11"),
    ({"scheme": "auto"}, "$.theme.scheme", "Expected `light`, `dark`, got `auto`"),
    ({"accent": "#0a7c66", "dark": {"accent": "mint"}}, "$.theme.dark.accent", "got `mint`"),
    ({"dark": {"radius": "3px"}}, "$.theme.dark.radius", "Unknown field `radius`"),
    ({"dark": {"accent": "#34d399"}}, "$.theme.dark.accent", "Expected `accent` beside `dark` too"),
]


@pytest.mark.parametrize(("theme", "path", "said"), WRONG)
def test_what_is_wrong_is_told_with_its_place(theme: Any, path: str, said: str) -> None:
    document, found = read(theme)
    [(severity, where, message)] = found
    assert document is None
    assert severity == "error"
    assert where == path
    assert said in message
    assert accepts(SCHEMA, {"id": "shop", "theme": theme}) == (NOT_OF_FORM in said)


@pytest.mark.parametrize("theme", [{"accent": "#ffffff\n"}, {"font": "a\n"}, {"radius": "1px\n"}])
def test_a_line_more_is_refused(theme: Any) -> None:
    assert [severity for severity, _, _ in read(theme)[1]] == ["error"]


@pytest.mark.parametrize(
    ("theme", "path", "said"),
    [
        ({"accent": "#34d399", "dark": {"accent": "#34d399"}, "scheme": "light", "on_accent": "#000"}, "$.theme.dark", "never seen"),
        ({"surface": "#fff", "text": "#888"}, "$.theme.text", "`text` #888 on `surface` #fff has a contrast of 3.5 in the light: people need 4.5 to read it"),
        ({"on_accent": "rgb(80, 80, 80)", "scheme": "light"}, "$.theme.on_accent", "has a contrast of"),
        ({"accent": "#fff", "on_accent": "#000", "scheme": "light"}, "$.theme.accent", "`accent` #fff on `surface` #fff has a contrast of 1.0"),
        ({"surface": "#fff", "dark": {"surface": "#17181c"}, "text": "#17181c"}, "$.theme.dark.surface", "in the dark"),
    ],
)  # fmt: skip
def test_what_can_hardly_be_read_is_doubted(theme: Any, path: str, said: str) -> None:
    document, found = read(theme)
    assert document is not None
    assert any((severity, where) == ("warning", path) and said in message for severity, where, message in found), found


def test_the_snippets_own_colours_are_those_of_its_style_sheet() -> None:
    css = BASE.read_text()
    told = dict(re.findall(r"var\(--engage-([\w-]+), light-dark\((#\w+, #\w+)\)\)", css))
    assert {name: told[name.replace("_", "-")] for name in OWN} == {name: ", ".join(pair) for name, pair in OWN.items()}


def test_the_snippets_own_colours_can_be_read() -> None:
    assert luminance("#fff") == pytest.approx(1)
    assert luminance("rgb(0 0 0)") == 0
    assert luminance("rgb(0 0 0 / 50%)") is None
    for side in (0, 1):
        _, found = read({name: pair[side] for name, pair in OWN.items()} | {"scheme": ("light", "dark")[side]})
        assert found == [], CONTRAST
