"""`engage hash`: what a project keeps instead of a value that its document hashes."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engage.later import Later
from engage.settings import load_settings

if TYPE_CHECKING:
    from engage import privacy, projects
else:
    privacy, projects = Later("engage.privacy"), Later("engage.projects")


def hash_(
    value: Annotated[str, typer.Argument(help="A text, letter by letter as clients send it.")],
    data: Annotated[Path | None, typer.Option("--data", help="Data folder (ENGAGE_DATA_DIR).")] = None,
) -> None:
    """Print what is kept instead of a text in a field that the project's `privacy.hash` names: for a condition that compares with it.

    The secret is in this installation's database.
    """
    os.umask(0o077)
    settings = load_settings(data_dir=None if data is None else str(data))
    [project] = [project for project in projects.load_projects(settings) if project.id == projects.FIRST]
    typer.echo(privacy.hashed(project.hash_secret, value))
