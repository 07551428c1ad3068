"""What the commands have in common when they speak to a person."""

from typing import Any

import msgspec
import typer

from engage.settings import unknown_variables


def check_format(format: str) -> None:
    """Raises BadParameter unless it is one of the two that every reporting command knows."""
    if format not in ("text", "json"):
        raise typer.BadParameter(f"expected text or json, got {format}", param_hint="--format")


def print_json(value: Any) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def warn_of_unknown_settings() -> None:
    for warning in unknown_variables():
        typer.echo(f"engage: warning: {warning}", err=True)
