"""The command line's `identity` commands."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engage.errors import ConfigurationError
from engage.key_file import kept_here
from engage.later import Later
from engage.settings import load_settings

if TYPE_CHECKING:
    from engage import doctor, identity_check, projects
else:
    doctor, identity_check = Later("engage.doctor"), Later("engage.identity_check")
    projects = Later("engage.projects")

identity = typer.Typer(name="identity", help="Identity verification.", no_args_is_help=True)


@identity.callback()
def about() -> None:
    """Identity verification: the proof that a page may speak for a userId."""


@identity.command("check")
def check(
    proof: Annotated[str, typer.Argument(help="A userHash or a userToken, as a page has it.")],
    user: Annotated[str | None, typer.Option("--user", help="The userId it should prove; a hash needs it.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Data folder (ENGAGE_DATA_DIR).")] = None,
) -> None:
    """Say what is wrong with a userHash or a userToken, and what it was made of instead. Exit status 1 when it proves nothing.

    The identity secrets are those of this machine's settings and data folder.
    """
    os.umask(0o077)
    settings = load_settings(data_dir=None if data is None else str(data))
    [project] = [project for project in projects.load_projects(settings) if project.id == projects.FIRST]
    if not project.identity_secrets:
        hint = "set it; until then every userId is believed"
        raise ConfigurationError("an identity secret", "none", field="ENGAGE_IDENTITY_SECRET", hint=hint)
    others = {"the write key": project.write_key}
    if secret := settings.secret_key or kept_here(settings.data_dir):
        others = {"the secret key": secret, **others}
    findings = identity_check.check_proof(project.identity_secrets, others, proof, user, time.time())
    for line in doctor.lines(findings):
        typer.echo(line)
    raise typer.Exit(doctor.status(findings))
