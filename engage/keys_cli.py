"""`engage keys`, `engage keys rotate`, `engage keys revoke`, and `engage audit`."""

import getpass
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from engage import key_file
from engage.console import check_format, print_json, warn_of_unknown_settings
from engage.later import Later
from engage.settings import Settings, load_settings
from engage.times import iso, now_ms
from rules import DurationError, parse_duration

if TYPE_CHECKING:
    from engage import audit as trail
    from engage import audit_api, database, keys_shown, projects, remote, secret_keys
else:
    trail, audit_api, database = Later("engage.audit"), Later("engage.audit_api"), Later("engage.database")
    keys_shown, projects, remote = Later("engage.keys_shown"), Later("engage.projects"), Later("engage.remote")
    secret_keys = Later("engage.secret_keys")

T = TypeVar("T")
keys = typer.Typer(name="keys", help="The projects' keys.", invoke_without_command=True)
Data = Annotated[Path | None, typer.Option("--data", help="Data folder (ENGAGE_DATA_DIR).")]


@keys.callback()
def show(
    context: typer.Context,
    data: Data = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show the projects' keys, making the first project's when there are none. A secret key is shown once, when it is made."""
    if context.invoked_subcommand is not None:
        return
    settings = _settings(data)
    kept = projects.load_projects(settings)
    found = {project.id: _in_database(settings, secret_keys.listed, project.id) for project in kept}
    if json:
        print_json([keys_shown.document(settings, project, found[project.id]) for project in kept])
        return
    for project in kept:
        for line in keys_shown.lines(settings, project, found[project.id]):
            typer.echo(line)


@keys.command("rotate")
def rotate_(
    which: Annotated[str, typer.Argument(help="secret: the only kind that is rotated here.")],
    grace: Annotated[
        str | None, typer.Option("--grace", help="The others end after it, as 24h. Left out: when they are revoked.")
    ] = None,
    data: Data = None,
) -> None:
    """Make a new secret key, shown this once. Running services know it within two seconds."""
    if which != "secret":
        hint = "secret; the identity secret is rotated by ENGAGE_IDENTITY_SECRET_OLD: docs/identity.md"
        raise typer.BadParameter(f"expected {hint}", param_hint="WHICH")
    ends = None
    if grace is not None:
        try:
            ends = parse_duration(grace)
        except DurationError as error:
            raise typer.BadParameter(str(error), param_hint="--grace") from None
    settings = _settings(data)
    projects.load_projects(settings)
    made, key = _in_database(settings, secret_keys.rotate, projects.FIRST, ends)
    key_file.keep_here(settings.data_dir, key)
    _in_database(settings, trail.record, _use("keys rotate", made))
    typer.echo(key)
    typer.echo(f"{made.id}: kept in {settings.data_dir / key_file.FILE}", err=True)
    now = iso(now_ms())
    for other in _in_database(settings, secret_keys.listed, projects.FIRST):
        if other.id != made.id and other.ended(now) is None:
            until = other.expires_at or "it is revoked (`engage keys revoke`)"
            typer.echo(f"{other.id} ({other.prefix}…) is valid until {until}", err=True)


@keys.command("revoke")
def revoke_(
    key: Annotated[str, typer.Argument(help="A secret key's id, as `engage keys` shows it, or the key.")],
    data: Data = None,
) -> None:
    """End a secret key. Running services refuse it within two seconds."""
    settings = _settings(data)
    projects.load_projects(settings)
    ended = _in_database(settings, secret_keys.revoke, projects.FIRST, key)
    _in_database(settings, trail.record, _use("keys revoke", ended))
    typer.echo(f"{ended.id} ({ended.prefix}…) was revoked at {ended.revoked_at}")


def audit(
    user: Annotated[str | None, typer.Option("--user", help="What was done with this user.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="What was done with the secret key of this id.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="The newest so many.", min=1, max=500)] = 50,
    before: Annotated[int | None, typer.Option("--before", help="Those before that number.", min=1)] = None,
    format: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    data: Data = None,
) -> None:
    """Show what was done with secret keys, and what was tried without, the newest first.

    Needs ENGAGE_URL and ENGAGE_SECRET_KEY (on the service's machine its data folder is enough).
    """
    check_format(format)
    asked: dict[str, str | int | None] = {"user": user, "key": key, "limit": limit, "before": before}
    with closing(remote.find_service(_settings(data))) as service:
        page = service.get(
            "/api/audit", audit_api.Page, **{name: value for name, value in asked.items() if value is not None}
        )
    if format == "json":
        print_json(page)
        return
    for entry in page.entries:
        typer.echo(keys_shown.use(entry))
    if page.next is not None:
        typer.echo(f"more with --before {page.next}", err=True)


def _use(what: str, key: "secret_keys.SecretKey") -> "trail.Use":
    return trail.Use(key.project, key.id, key.prefix, "-", "engage", f"{what} (by {_user()})"[:200], 0)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def _in_database(settings: Settings, work: Callable[..., T], *given: object) -> T:
    engine = database.open_database(settings)
    try:
        return work(engine, *given)
    finally:
        engine.dispose()


def _settings(data: Path | None) -> Settings:
    os.umask(0o077)
    warn_of_unknown_settings()
    return load_settings(data_dir=None if data is None else str(data))
