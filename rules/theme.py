"""How a project's messages look: its `theme`, checked, and as the style sheet that its pages link."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from rules.documents import COLOUR, FAMILY, LENGTH, Colours, Theme
from rules.limits import MAX_FAMILIES
from rules.problems import Path, Report

# What the snippet's own style sheet says, in the light and in the dark (sdk_js/src/ui/base.css).
OWN: Final = {
    "accent": ("#4f46e5", "#7c78ff"),
    "on_accent": ("#fff", "#0d0c22"),
    "surface": ("#fff", "#1d1e24"),
    "text": ("#17181c", "#f3f3f6"),
    "muted": ("#5d606b", "#a6a9b6"),
}
WRITTEN: Final = (("on_accent", "accent"), ("accent", "surface"), ("text", "surface"), ("muted", "surface"))
CONTRAST: Final = 4.5  # WCAG 2.2, 1.4.3
_NAMES: Final = tuple(field.name for field in msgspec.structs.fields(Colours))
_GENERIC: Final = frozenset(
    ("serif", "sans-serif", "monospace", "system-ui", "ui-serif", "ui-sans-serif", "ui-monospace", "ui-rounded")
)
_COLOUR: Final = re.compile(COLOUR)
_LENGTH: Final = re.compile(LENGTH)
_FAMILY: Final = re.compile(FAMILY)
_OPAQUE: Final = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})|rgb\((\d+),? ?(\d+),? ?(\d+)\)")


def read_theme(theme: Theme, path: Path, report: Report) -> None:
    """Reports what is no colour, no length and no name of a font; and doubts what can hardly be read."""
    sound = _colours(theme, path, report)
    if theme.dark is not None:
        sound &= _colours(theme.dark, (*path, "dark"), report)
        for name in _NAMES:
            if getattr(theme.dark, name) is not None and getattr(theme, name) is None:
                told = f"Expected `{name}` beside `dark` too: the colour in the light, to this one in the dark"
                report.add((*path, "dark", name), told)
        if theme.scheme == "light":
            report.add((*path, "dark"), "This is never seen: `scheme` is `light`", "warning")
    if theme.radius is not None and not _LENGTH.fullmatch(theme.radius):
        report.add((*path, "radius"), f"Expected a length such as `8px` or `0.5rem`, got `{theme.radius[:60]}`")
    _font(theme, (*path, "font"), report)
    if sound:
        for place, told in _faint(theme):
            report.add((*path, *place), told, "warning")


def _colours(colours: Colours, path: Path, report: Report) -> bool:
    """Whether all of them are."""
    wrong = [
        (name, value)
        for name in _NAMES
        if (value := getattr(colours, name)) is not None and not _COLOUR.fullmatch(value)
    ]
    for name, value in wrong:
        told = f"Expected a colour such as `#0a7c66`, `rgb(10 124 102 / 50%)`, `hsl(168 85% 26%)` or `oklch(0.52 0.1 172)`, got `{value[:60]}`"
        report.add((*path, name), told)
    return not wrong


def _font(theme: Theme, path: Path, report: Report) -> None:
    if isinstance(theme.font, list) and not 1 <= len(theme.font) <= MAX_FAMILIES:
        report.add(path, f"Expected 1 to {MAX_FAMILIES} font families, got {len(theme.font)}")
        return
    for index, family in enumerate(families(theme)):
        place = (*path, index) if isinstance(theme.font, list) else path
        if not _FAMILY.fullmatch(family):
            hint = "; several are an array" if "," in family else ""
            told = f"Expected the name of a font family such as `Inter` or `sans-serif` (at most 64 characters, without quotes), got `{family[:60]}`{hint}"
            report.add(place, told)


def _faint(theme: Theme) -> Iterator[tuple[Path, str]]:
    """Where words can hardly be told from what they are written on: of the colours that the theme names, as far as they are opaque and
    given in red, green and blue."""
    dark = theme.dark or Colours()
    for side, seen in enumerate(("light", "dark")):
        if theme.scheme not in (None, seen):
            continue
        for words, ground in WRITTEN:
            named: list[tuple[Path, str | None]] = []
            for name in (words, ground):
                named += [(("dark", name), getattr(dark, name))] if side else []
            named += [((name,), getattr(theme, name)) for name in (words, ground)]
            at = next((place for place, value in named if value is not None), None)
            of = {
                name: (getattr(dark, name) if side else None) or getattr(theme, name) or OWN[name][side]
                for name in (words, ground)
            }
            lights = [luminance(of[words]), luminance(of[ground])]
            if at is None or None in lights:
                continue
            low, high = sorted(light for light in lights if light is not None)
            contrast = (high + 0.05) / (low + 0.05)
            if contrast < CONTRAST:
                told = f"`{words}` {of[words]} on `{ground}` {of[ground]} has a contrast of {contrast:.1f} in the {seen}: people need {CONTRAST} to read it"
                yield at, told


def luminance(colour: str) -> float | None:
    """WCAG's relative luminance, 0 to 1; None for a colour that is not opaque or not given in red, green and blue."""
    found = _OPAQUE.fullmatch(colour)
    if found is None:
        return None
    if colour.startswith("#"):
        digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
        parts = [int(digits[at : at + 2], 16) for at in (0, 2, 4)]
    else:
        parts = [int(part) for part in found.groups()]
    red, green, blue = (_linear(part / 255) for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)


def families(theme: Theme) -> list[str]:
    """The font families, the preferred one first."""
    return theme.font if isinstance(theme.font, list) else [] if theme.font is None else [theme.font]


def style_sheet(theme: Theme) -> str:
    """The theme as CSS, custom properties of the page; whatever the page itself says of them outweighs these. For a theme that `read_theme`
    found no error in."""
    said = {}
    for name in _NAMES:
        value, other = getattr(theme, name), theme.dark and getattr(theme.dark, name)
        if value is not None:
            said[name] = f"light-dark({value},{other})" if other else value
    if theme.radius is not None:
        said["radius"] = theme.radius
    if theme.font is not None:
        said["font"] = ",".join(one if one in _GENERIC else f'"{one}"' for one in families(theme))
    if theme.scheme is not None:
        said["scheme"] = theme.scheme
    lines = "".join(f"  --engage-{name.replace('_', '-')}: {value};\n" for name, value in said.items())
    return f":where(:root) {{\n{lines}}}\n"
