"""Liquid in messages: one dialect for checking (before anything goes live) and for rendering (in the worker).

What a template puts out is data. In Markdown fields it is escaped, so that no trait becomes markup or a link; links,
selectors and ids are never templates. Escaping follows CommonMark 0.31 section 2.4 (backslash escapes).
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, TextIO

from liquid import BoundTemplate, Environment, RenderContext
from liquid.builtin.output import Output, OutputNode
from liquid.exceptions import LiquidError
from liquid.stringify import to_liquid_string

from rules import Message, Problem
from rules.problems import nearest
from rules.source import read_document
from rules.variables import variable_problem

MARKDOWN_FIELDS: Final = frozenset({"text", "body", "thanks"})
LITERAL_FIELDS: Final = frozenset({
    "url", "article", "target", "selector", "path", "navigate", "placement", "image", "video", "into", "position", "type",
    "id", "name", "question", "to", "then", "missing", "timeout", "event", "input", "tour",
})  # fmt: skip
MAX_CONTENT: Final = 256 * 1024

_INLINE: Final = re.compile(r"([\\`*_\[\]<>~&|])")
_LINE_START: Final = re.compile(r"^( ?\d*)([#+\-=.)])")
_SPACE: Final = re.compile(r"\s+")
# Tags that put values out on their own would go past the escaping; the others decide and assign only.
_TAGS_REFUSED: Final = (
    "echo", "cycle", "tablerow", "increment", "decrement", "include", "render", "liquid", "doc",
)  # fmt: skip


def escape_markdown(text: str) -> str:
    """`text` so that Markdown reads it as nothing but text, on one line."""
    text = _INLINE.sub(r"\\\1", _SPACE.sub(" ", text))
    return _LINE_START.sub(lambda found: f"{found[1]}\\{found[2]}", text)


class _EscapedNode(OutputNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(escape_markdown(to_liquid_string(self.expression.evaluate(context), autoescape=False)))


class _EscapedOutput(Output):
    node_class = _EscapedNode


class _Bounded(Environment):
    """Liquid without a file system, and with limits."""

    loop_iteration_limit = 10_000
    output_stream_limit = MAX_CONTENT
    local_namespace_limit = MAX_CONTENT


def _environment(markdown: bool) -> Environment:
    environment = _Bounded()
    for name in _TAGS_REFUSED:
        environment.tags.pop(name, None)
    if markdown:
        environment.add_tag(_EscapedOutput)
    return environment


_ENVIRONMENTS: Final = {markdown: _environment(markdown) for markdown in (True, False)}


@lru_cache(maxsize=4_096)
def template(source: str, markdown: bool) -> BoundTemplate:
    return _ENVIRONMENTS[markdown].from_string(source)


def is_template(field: str, text: str) -> bool:
    """Whether the text of a content field is rendered at all."""
    return field not in LITERAL_FIELDS and ("{{" in text or "{%" in text)


def template_problems(message: Message, text: bytes, file: str) -> list[Problem]:
    """What Liquid cannot parse in a message, with its place in the file."""
    _, report = read_document(text, file)
    for path, field, source in _texts(message.content, ("content",), "text"):
        try:
            found = template(source, field in MARKDOWN_FIELDS)
        except LiquidError as error:
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
