"""How every kind of message looks, compared with the pictures agreed on in `pictures/`.

Each state is pictured in every locale × light or dark × width, some also in the gallery's themes. The page is the gallery's,
with a font that it brings itself, so that a picture is the same on every machine. `ENGAGE_AGREE=1` agrees to what has changed,
with `-k chat` for one kind alone: look at it before it is committed.
"""

import functools
import io
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Page, expect

from tests.conftest import PATIENCE, running_chromium
from tests.sdk.conftest import SDK
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser
AGREED = Path(__file__).with_name("pictures")
AGREE = os.environ.get("ENGAGE_AGREE") == "1"
LOCALES = ("en", "ja")
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SIZES = ((1280, 800), (390, 844))
THEMES = ("Emerald", "Rose", "Midnight")  # besides the one that all are pictured in
ROOM = 24  # px of the page around what is pictured
# Another release of the browser draws some edges a little otherwise (Chromium 153 and 156: 0.0001); another word or line is more than that.
LEVELS = 20  # of 255, that a pixel may be off
SHARE = 0.0003  # of the pixels, that may be off by more
FONT = SDK / "node_modules" / "@fontsource-variable" / "noto-sans-jp"
# How letters are drawn is a setting of the machine; here it is ours.
LETTERS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
<dir>/usr/share/fonts</dir><cachedir>{cache}</cachedir><match target="font">
<edit name="antialias" mode="assign"><bool>true</bool></edit><edit name="hinting" mode="assign"><bool>false</bool></edit>
<edit name="hintstyle" mode="assign"><const>hintnone</const></edit><edit name="autohint" mode="assign"><bool>false</bool></edit>
<edit name="rgba" mode="assign"><const>none</const></edit></match></fontconfig>"""
HEAD = """<link rel="stylesheet" href="/fonts/index.css"><style>
:root { font-family: "Noto Sans JP Variable"; --engage-font: "Noto Sans JP Variable" }
[data-engage]::part(code), [data-engage]::part(pre) { font-family: "Noto Sans JP Variable" }
</style></head>"""
# The box around these, and some room, once the font is there for all that is written and the box was the same for a few frames.
STANDING = """async ([pictured, room]) => {
  const roots = [...[...document.querySelectorAll("[data-engage]")].map((host) => host.shadowRoot), document];
  const find = (one) => roots.map((root) => root.querySelector(one)).find(Boolean);
  // Markdown that is more than plain comes a moment after its card.
  while (roots.some((root) => root.querySelector(".md:empty"))) await new Promise(requestAnimationFrame);
  await document.fonts.load('16px "Noto Sans JP Variable"', document.body.textContent + roots.map((root) => root.textContent).join(""));
  for (let before, same = 0; ; ) {
    await new Promise(requestAnimationFrame);
    const boxes = pictured.map((one) => find(one).getBoundingClientRect());
    const x = Math.max(0, Math.min(...boxes.map((box) => box.left)) - room);
    const y = Math.max(0, Math.min(...boxes.map((box) => box.top)) - room);
    const width = Math.min(innerWidth, Math.max(...boxes.map((box) => box.right)) + room) - x;
    const height = Math.min(innerHeight, Math.max(...boxes.map((box) => box.bottom)) + room) - y;
    const now = { x, y, width, height };
    same = JSON.stringify(now) === JSON.stringify(before) ? same + 1 : 0;
    if (same === 3) return now;
    before = now;
  }
}"""
EN = """Most exports fail for one of **three** reasons.

## The file is too large

1. Choose a *shorter* time.
2. Leave out `raw_events`.

> Up to 50 MB can be exported at once.

## Nothing is there

- Look into the [other project](/other).

```
engage export --csv
```
"""
JA = """書き出しの失敗は、**三つ**のうちどれかが原因です。

## ファイルが大きすぎる

1. 期間を*短く*します。
2. `raw_events` を外します。

> 一度に書き出せるのは 50 MB までです。

## 何も入っていない

- [別のプロジェクト](/other)を確かめます。

```
engage export --csv
```
"""
ARTICLES = {"en": ("Trouble with the export", EN), "ja": ("書き出しの問題", JA)}


class State(NamedTuple):
    """A sample of the gallery by its number, what of it is pictured, and what a person has clicked on and waited for."""

    show: int
    pictured: tuple[str, ...]
    clicked: str = ""
    wait: str = ""


STATES = {
    "tour": State(0, (".popover", ".light")),
    "chat": State(1, (".chat",)),
    "chat-answered": State(1, (".chat",), ".choices button >> nth=0", ".line >> nth=2"),
    "conversation": State(2, (".chat",), ".choices button >> nth=0", ".line >> nth=2"),
    "launcher": State(3, (".bubble", ".badge")),
    "article": State(4, (".suggestion",)),
    "article-panel": State(4, (".panel",), ".suggestion .main", ".panel pre"),
    "banner-top": State(5, (".banner",)),
    "banner-inline": State(6, (".banner",)),
    "modal": State(7, (".modal",)),
    "modal-form": State(8, (".modal",)),
    "tooltip": State(9, (".tooltip", "#new")),
    "hotspot": State(10, (".dot", "#new")),
    "hotspot-open": State(10, (".tooltip", "#new"), ".dot"),
    "checklist": State(11, (".checklist", ".launcher")),
    "checklist-closed": State(11, (".launcher",), ".checklist .close"),
    "survey-nps": State(12, (".survey",)),
    "survey-csat": State(13, (".survey",)),
    "survey-choices": State(14, (".survey",)),
}
THEMED = ("tour", "banner-inline", "checklist", "survey-nps")
PICTURES = {
    *(f"{state}/{locale}-{scheme}-{width}.png" for state in STATES for locale in LOCALES for scheme in SCHEMES for width, _ in SIZES),
    *(f"{state}/{theme}-{scheme}.png" for state in THEMED for theme in THEMES for scheme in SCHEMES),
}  # fmt: skip


class Gallery:
    """A page for all pictures; the gallery, an article and the font are served by `service`."""

    def __init__(self, page: Page, service: FakeService) -> None:
        self.page = page
        self.service = service

    def open(self, state: State, locale: str, size: tuple[int, int], theme: str = "Indigo") -> None:
        title, body = ARTICLES[locale]
        self.service.articles["export-troubles"] = {
            "id": "export-troubles",
            "locale": locale,
            "title": title,
            "body": body,
        }
        width, height = size
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.goto(f"{self.service.host}/sdk/gallery?show={state.show}&language={locale}&theme={theme}")
        if state.clicked:
            self.page.locator(state.clicked).click()
            self.page.mouse.move(1, 1)
        for awaited in (*state.pictured, *filter(None, [state.wait])):
            expect(self.page.locator(awaited)).to_be_visible()
        expect(self.page.locator(".dots")).to_have_count(0)

    def take(self, pictured: tuple[str, ...]) -> Image.Image:
        """What is pictured, with some room around, once it moves no more and its font is there."""
        clip = self.page.evaluate(STANDING, [pictured, ROOM])
        return Image.open(io.BytesIO(self.page.screenshot(clip=clip, animations="disabled"))).convert("RGB")


@pytest.fixture(scope="module")
def gallery(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    assert FONT.is_dir(), f"expected the font of the pictures in {FONT}\n  → cd sdk_js && npm ci"
    service = FakeService()
    service.pages["/sdk/gallery"] = (bundle / "gallery.html").read_text().replace("</head>", HEAD)
    service.folders["fonts"] = FONT
    letters = tmp_path_factory.mktemp("letters")
    (letters / "fonts.conf").write_text(LETTERS.format(cache=letters))
    with running_chromium(
        "--font-render-hinting=none", "--disable-lcd-text", env={"FONTCONFIG_FILE": str(letters / "fonts.conf")}
    ) as browser:
        page = browser.new_page(reduced_motion="reduce", device_scale_factor=1)
        page.set_default_timeout(PATIENCE)
        yield Gallery(page, service)
    service.close()


def compare(actual: Image.Image, name: str, folder: Path) -> Iterator[str]:
    """Says what is otherwise than agreed, with a picture of it in the folder; or agrees to it."""
    assert name in PICTURES
    path = AGREED / name
    agreed = Image.open(path).convert("RGB") if path.exists() else None
    share, off = differing(agreed, actual) if agreed else (1.0, Image.new("L", actual.size, 255))
    if share <= SHARE:
        return
    if AGREE:
        path.parent.mkdir(parents=True, exist_ok=True)
        return actual.save(path, optimize=True)
    seen = folder / name.replace("/", "-")
    side_by_side(*filter(None, [agreed, actual, off.convert("RGB")])).save(seen)
    yield f"{name}, {f'of which {share:.2%} differs' if agreed else 'which is not there'}: {seen}"


def expect_nothing(wrong: list[str], name: str) -> None:
    if wrong:
        pytest.fail(
            f"expected what is pictured in {AGREED}, got (in each file, from left to right: agreed, actual, where they differ)\n  "
            + "\n  ".join(wrong)
            + f"\n  → look at them; what is meant to be is agreed to by: ENGAGE_AGREE=1 python -m pytest -n 0 {__file__} -k {name}",
            pytrace=False,
        )


def differing(agreed: Image.Image, actual: Image.Image) -> tuple[float, Image.Image]:
    """The share of pixels that are off, and where (white on black). Of another size, all are."""
    if agreed.size != actual.size:
        return 1.0, Image.new("L", actual.size, 255)
    greatest = functools.reduce(ImageChops.lighter, ImageChops.difference(agreed, actual).split())
    off = greatest.point([255 * (level > LEVELS) for level in range(256)])
    return off.histogram()[255] / (off.width * off.height), off


def side_by_side(*pictures: Image.Image) -> Image.Image:
    lefts = itertools.accumulate((one.width + 8 for one in pictures), initial=0)
    sheet = Image.new("RGB", (sum(one.width + 8 for one in pictures), max(one.height for one in pictures)), "gray")
    for left, one in zip(lefts, pictures, strict=False):
        sheet.paste(one, (left, 0))
    return sheet


@pytest.mark.parametrize("name", STATES)
def test_it_looks_as_agreed(gallery: Gallery, tmp_path: Path, name: str) -> None:
    wrong: list[str] = []
    for locale, size in itertools.product(LOCALES, SIZES):
        gallery.open(STATES[name], locale, size)
        for scheme in SCHEMES:
            gallery.page.emulate_media(color_scheme=scheme)
            actual = gallery.take(STATES[name].pictured)
            wrong += compare(actual, f"{name}/{locale}-{scheme}-{size[0]}.png", tmp_path)
    expect_nothing(wrong, name)


@pytest.mark.parametrize("name", THEMED)
def test_it_looks_as_agreed_in_every_theme(gallery: Gallery, tmp_path: Path, name: str) -> None:
    wrong: list[str] = []
    for theme, scheme in itertools.product(THEMES, SCHEMES):
        gallery.page.emulate_media(color_scheme=scheme)
        gallery.open(STATES[name], "en", SIZES[1], theme)
        wrong += compare(gallery.take(STATES[name].pictured), f"{name}/{theme}-{scheme}.png", tmp_path)
    expect_nothing(wrong, name)


def test_nothing_else_is_agreed_on() -> None:
    left = {path.relative_to(AGREED).as_posix() for path in AGREED.rglob("*.png")} - PICTURES
    assert not left, f"nothing makes these pictures any more: {sorted(left)}\n  → git rm them"


def test_a_line_or_a_letter_more_is_seen() -> None:
    """What the tolerance is for, and what it is not."""
    agreed = Image.open(AGREED / "modal" / "en-light-1280.png").convert("RGB")
    noisy = agreed.point([min(255, level + LEVELS) for level in range(256)] * 3)
    assert differing(agreed, noisy)[0] <= SHARE
    ruled = agreed.copy()
    ruled.paste((229, 229, 232), (40, 60, 400, 61))
    assert differing(agreed, ruled)[0] > SHARE
    moved = ImageChops.offset(agreed, 1, 0)
    assert differing(agreed, moved)[0] > SHARE
    assert differing(agreed, agreed.crop((0, 0, agreed.width, agreed.height - 1)))[0] == 1
