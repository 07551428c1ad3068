"""Liquid in messages: one dialect for checking (before anything goes live) and for rendering (in the worker).

What a template puts out is data. In Markdown fields it is escaped, so that no trait becomes markup or a link; links,
selectors and ids are never templates. Escaping follows CommonMark 0.31 section 2.4 (backslash escapes).
"""

import re
from functools import lru_cache
from typing import Final, TextIO

from liquid import BoundTemplate, Environment, RenderContext
from liquid.builtin.output import Output, OutputNode
from liquid.exceptions import LiquidError as LiquidError
from liquid.stringify import to_liquid_string

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
