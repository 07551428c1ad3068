"""`engage hash`: what a project keeps instead of a value that its document hashes."""

import os
from pathlib import Path
from typing import Annotated

import typer

from engage.privacy import hashed
from engage.projects import FIRST, load_projects
from engage.settings import load_settings


def hash_(
    value: Annotated[str, typer.Argument(help="A text, letter by letter as clients send it.")],
    data: Annotated[Path | None, typer.Option("--data", help="Data folder (ENGAGE_DATA_DIR).")] = None,
) -> None:
    """Print what is kept instead of a text in a field that the project's `privacy.hash` names: for a condition that compares with it.

    The secret is in this installation's database.
    """
    os.umask(0o077)
    projects = load_projects(load_settings(data_dir=None if data is None else str(data)))
    [project] = [project for project in projects if project.id == FIRST]
    typer.echo(hashed(project.hash_secret, value))
