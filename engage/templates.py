"""Which texts of messages are Liquid templates, and what is wrong with them before they go live; `engage.rendering` is Liquid itself."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from engage.later import Later
from rules import Message, Problem
from rules.problems import nearest
from rules.source import read_document
from rules.variables import variable_problem

if TYPE_CHECKING:
    from engage import rendering
else:
    rendering = Later("engage.rendering")

MARKDOWN_FIELDS: Final = frozenset({"text", "body", "thanks"})
LITERAL_FIELDS: Final = frozenset({
    "url", "article", "target", "selector", "path", "navigate", "placement", "image", "video", "into", "position", "type",
    "id", "name", "question", "to", "then", "missing", "timeout", "event", "input", "tour",
})  # fmt: skip


def is_template(field: str, text: str) -> bool:
    """Whether the text of a content field is rendered at all."""
    return field not in LITERAL_FIELDS and ("{{" in text or "{%" in text)


def template_problems(message: Message, text: bytes, file: str) -> list[Problem]:
    """What Liquid cannot parse in a message, with its place in the file."""
    _, report = read_document(text, file)
    for path, field, source in _texts(message.content, ("content",), "text"):
        try:
            found = rendering.template(source, field in MARKDOWN_FIELDS)
        except rendering.LiquidError as error:
            report.add(path, f"Expected a Liquid template, got {source[:60]!r}: {str(error).splitlines()[0]}")
            continue
        analysis = found.analyze()
        for name in analysis.filters:
            if name not in found.env.filters:
                report.add(path, f"Unknown filter `{name[:60]}`{nearest(name, found.env.filters)}")
        for name in (str(".".join(map(str, one.segments))) for all_ in analysis.globals.values() for one in all_):
            if problem := variable_problem(name):
                report.add(path, problem)
    return report.problems


def _texts(value: Any, path: tuple[str | int, ...], field: str) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    if isinstance(value, str):
        if is_template(field, value):
            yield path, field, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key), key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index), field)
