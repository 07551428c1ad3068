"""What a person is shown: the message's content in their language, with Liquid filled in."""

from typing import Any

from engage.locales import choose
from engage.rendering import template
from engage.templates import MARKDOWN_FIELDS, is_template


class RenderError(Exception):
    """The message cannot be rendered for this person; another try would fail as well."""


def render(content: dict[str, Any], locale: str | None, data: dict[str, Any]) -> Any:
    """The content in the best locale (`engage.locales.choose`), rendered with `data` (`user`, `event`, `page`, `group`).

    Raises RenderError, with the place in the content.
    """
    return _fill(content[choose(content, locale)], "text", data, "$")


def _fill(value: Any, field: str, data: dict[str, Any], path: str) -> Any:
    if isinstance(value, str):
        if not is_template(field, value):
            return value
        try:
            return template(value, field in MARKDOWN_FIELDS).render(**data)
        except Exception as error:  # filters raise whatever their arithmetic does: `round` of "inf", `date` of 10^30
            raise RenderError(f"{path}: {error!r}") from error
    if isinstance(value, dict):
        return {key: _fill(item, key, data, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, field, data, f"{path}[{index}]") for index, item in enumerate(value)]
    return value
