"""What the commands have in common on standard output."""

from typing import Any

import msgspec
import typer


def check_format(format: str) -> None:
    """Raises BadParameter unless it is one of the two that every reporting command knows."""
    if format not in ("text", "json"):
        raise typer.BadParameter(f"expected text or json, got {format}", param_hint="--format")


def print_json(value: Any) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
