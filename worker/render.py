"""What a person is shown: the message's content in their language, with Liquid filled in.

What a template puts out is data. In Markdown fields it is escaped, so that no trait becomes markup or a link; links,
selectors and ids are never templates. Escaping follows CommonMark 0.31 section 2.4 (backslash escapes).
"""

import re
from functools import lru_cache
from typing import Any, Final, TextIO

from liquid import BoundTemplate, Environment, RenderContext
from liquid.builtin.output import Output, OutputNode
from liquid.exceptions import LiquidError
from liquid.stringify import to_liquid_string

from engage.locales import choose

MARKDOWN_FIELDS: Final = frozenset({"text", "body"})
LITERAL_FIELDS: Final = frozenset({"url", "article", "target", "selector", "path", "navigate", "placement", "image"})
MAX_CONTENT: Final = 256 * 1024

_INLINE: Final = re.compile(r"([\\`*_\[\]<>~&|])")
_LINE_START: Final = re.compile(r"^(\d+)?([#+\-=.)])")
_SPACE: Final = re.compile(r"\s+")
# Tags that put values out on their own would go past the escaping; the others decide and assign only.
_TAGS_REFUSED: Final = (
    "echo", "cycle", "tablerow", "increment", "decrement", "include", "render", "liquid", "doc",
)  # fmt: skip


class RenderError(Exception):
    """The message cannot be rendered for this person; another try would fail as well."""


def escape_markdown(text: str) -> str:
    """`text` so that Markdown reads it as nothing but text, on one line."""
    text = _INLINE.sub(r"\\\1", _SPACE.sub(" ", text))
    return _LINE_START.sub(lambda found: f"{found[1] or ''}\\{found[2]}", text)


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
def _template(source: str, markdown: bool) -> BoundTemplate:
    return _ENVIRONMENTS[markdown].from_string(source)


def render(content: dict[str, Any], locale: str | None, data: dict[str, Any]) -> Any:
    """The content in the best locale (`engage.locales.choose`), rendered with `data` (`user`, `event`, `page`, `group`).

    Raises RenderError, with the place in the content.
    """
    return _fill(content[choose(content, locale)], "text", data, "$")


def _fill(value: Any, field: str, data: dict[str, Any], path: str) -> Any:
    if isinstance(value, str):
        if field in LITERAL_FIELDS or ("{{" not in value and "{%" not in value):
            return value
        try:
            return _template(value, field in MARKDOWN_FIELDS).render(**data)
        except LiquidError as error:
            raise RenderError(f"{path}: {error}") from error
    if isinstance(value, dict):
        return {key: _fill(item, key, data, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, field, data, f"{path}[{index}]") for index, item in enumerate(value)]
    return value
