"""What a message may contain: the shape of each kind that the snippet shows, and links that are safe to follow."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

import msgspec

from rules.analysis import check_reference, duration_at
from rules.documents import Identifier, Message, told
from rules.problems import Path, Report
from rules.shape import check_shape

SCHEMES: Final = ("https", "http", "mailto")
LINK_FIELDS: Final = frozenset(("url", "href", "src", "image", "link", "navigate"))

_BLANK = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff\u200b-\u200f]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_MARKDOWN_LINK = re.compile(
    r"\]\(\s*<?([^)\s>]{0,200})|<([A-Za-z][A-Za-z0-9+.\-\s]{0,40}:[^>\s]{0,200})>|^\s*\[[^\]]{1,80}\]:\s*<?(\S{1,200})",
    re.MULTILINE,
)
LOCALE: Final = r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}"
_LOCALE = re.compile(LOCALE)


class Step(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One stop of a tour."""

    text: Annotated[str, told("Markdown, with Liquid.", "Invite the people who keep asking you for numbers.")]
    target: Annotated[
        str | None, told("The CSS selector of what it points at. Left out: in the middle.", "#new-project")
    ] = None
    title: Annotated[str | None, told("Its heading.")] = None
    path: Annotated[str | None, told("The page it lives on: a glob on the path.", "/dashboard*")] = None
    navigate: Annotated[str | None, told("Where *Next* goes.", "/projects")] = None
    placement: Annotated[
        Literal["auto", "top", "right", "bottom", "left"], told("On which side of its target it stands.")
    ] = "auto"


class Labels(msgspec.Struct, forbid_unknown_fields=True):
    """The words on a tour's buttons."""

    next: str | None = None
    back: str | None = None
    close: str | None = None
    done: str | None = None


class Tour(msgspec.Struct, forbid_unknown_fields=True):
    """Stops on one page or several, one after the other."""

    steps: Annotated[list[Step], told("Its stops.", [{"target": "#new-project", "text": "Start here."}], minItems=1)]
    labels: Annotated[Labels | None, told("The words on its buttons.", {"done": "Let’s go"})] = None


class Reply(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A button below a chat prompt, and what it does: `text`, `article`, `url` or `handoff`."""

    label: Annotated[str, told("The words on the button.", "Compare the plans")]
    text: Annotated[str | None, told("The answer, in Markdown.", "Most teams of up to ten take **Team**.")] = None
    article: Annotated[Identifier | None, told("The id of a help article to open.", "compare-plans")] = None
    url: Annotated[str | None, told("A page to open.", "https://www.example.com/plans")] = None
    handoff: Annotated[bool, told("Ask for a person.", True)] = False


class Chat(msgspec.Struct, forbid_unknown_fields=True):
    """A prompt with answers to choose from."""

    text: Annotated[str, told("Markdown, with Liquid.", "Shall I help you choose?")]
    replies: Annotated[list[Reply], told("Its buttons.", [{"label": "Not now"}])] = []


class ArticleTeaser(msgspec.Struct, forbid_unknown_fields=True):
    """A help article, suggested."""

    article: Annotated[Identifier, told("The id of the help article.", "export-troubles")]
    title: Annotated[str | None, told("Its heading. Left out: the article's own.")] = None
    text: Annotated[str | None, told("A teaser, in Markdown.")] = None


CONTENT: Final[dict[str, type[msgspec.Struct]]] = {"tour": Tour, "chat": Chat, "article": ArticleTeaser}


def check_message(message: Message, report: Report) -> None:
    """Everything about a message that its Struct does not say."""
    if message.expires is not None:
        duration_at(message.expires, ("expires",), report, 1)
    if message.show_on is not None:
        _check_paths(message.show_on.path, report)
    wanted = CONTENT.get(message.kind)
    for locale, content in message.content.items():
        path: Path = ("content", locale)
        if not _LOCALE.fullmatch(locale):
            report.add(("content",), f"Expected a locale like `en` or `pt-BR`, got `{locale[:40]}`", key=locale)
        if wanted is not None:
            check_shape(content, wanted, path, report)
        if message.kind == "tour" and content.get("steps") == []:
            report.add((*path, "steps"), "Expected at least one step, got none")
        for at, text in strings(content, path):
            _check_text(at, text, report)


def _check_paths(paths: str | list[str], report: Report) -> None:
    """A path begins with a slash: another glob would match no page."""
    for index, glob in enumerate([paths] if isinstance(paths, str) else paths):
        if not glob.startswith(("/", "*")):
            place: Path = ("show_on", "path") if isinstance(paths, str) else ("show_on", "path", index)
            report.add(place, f"Expected a path that begins with `/`, got `{glob[:60]}`; did you mean `/{glob[:60]}`?")


def strings(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every string in a JSON value, with its path. Does not recurse."""
    waiting: list[tuple[Path, Any]] = [(path, value)]
    while waiting:
        at, item = waiting.pop()
        if isinstance(item, str):
            yield at, item
        elif isinstance(item, dict):
            waiting += [((*at, key), inner) for key, inner in item.items()]
        elif isinstance(item, list):
            waiting += [((*at, index), inner) for index, inner in enumerate(item)]


def articles_in(content: Any, path: Path) -> list[tuple[Path, str]]:
    """Every article a content names, with its path."""
    return [(at, text) for at, text in strings(content, path) if at[-1] == "article"]


def unsafe_scheme(url: str) -> str | None:
    """The scheme of a link that must not be followed; None for https, http, mailto and relative links."""
    match = _SCHEME.match(_BLANK.sub("", url))
    if match is None or match[1].lower() in SCHEMES:
        return None
    return match[1].lower()


def _check_text(path: Path, text: str, report: Report) -> None:
    key = path[-1]
    if key == "article":
        check_reference(text, path, report)
    links = [text] if key in LINK_FIELDS else [one or two or three for one, two, three in _MARKDOWN_LINK.findall(text)]
    for link in links:
        scheme = unsafe_scheme(link)
        if scheme is not None:
            report.add(path, f"Expected a link with https:, http:, mailto: or none of these, got `{scheme[:40]}:`")
