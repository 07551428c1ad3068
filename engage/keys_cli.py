"""`engage keys`, `engage keys rotate`, `engage keys revoke`, and `engage audit`."""

import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from sqlalchemy import Engine

from engage.audit import Entry, Use, record
from engage.audit_api import Page
from engage.console import check_format, print_json, warn_of_unknown_settings
from engage.database import open_database
from engage.projects import FIRST, Project, load_projects
from engage.remote import find_service
from engage.secret_keys import FILE, SecretKey, keep_here, kept_here, listed, prefix_of, revoke, rotate
from engage.settings import Settings, load_settings
from engage.times import iso, now_ms
from rules import DurationError, parse_duration

T = TypeVar("T")
keys = typer.Typer(name="keys", help="The projects' keys.", invoke_without_command=True)
Data = Annotated[Path | None, typer.Option("--data", help="Data folder (ENGAGE_DATA_DIR).")]


class _Shown(msgspec.Struct):
    """A project as `engage keys --json` shows it."""

    id: str
    name: str
    write_key: str
    secret_keys: list[SecretKey]
    secret_key_file: str | None
    identity_secret: str | None
    identity_secret_old: str | None
    identity_enforce: str
    allowed_origins: tuple[str, ...]


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
    projects = load_projects(settings)
    found = {project.id: _in_database(settings, listed, project.id) for project in projects}
    if json:
        print_json([_shown(settings, project, found[project.id]) for project in projects])
        return
    for project in projects:
        for line in _lines(settings, project, found[project.id]):
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
    load_projects(settings)
    made, key = _in_database(settings, rotate, FIRST, ends)
    keep_here(settings.data_dir, key)
    _in_database(settings, record, _use("keys rotate", made))
    typer.echo(key)
    typer.echo(f"{made.id}: kept in {settings.data_dir / FILE}", err=True)
    now = iso(now_ms())
    for other in _in_database(settings, listed, FIRST):
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
    load_projects(settings)
    ended = _in_database(settings, revoke, FIRST, key)
    _in_database(settings, record, _use("keys revoke", ended))
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
    with closing(find_service(_settings(data))) as remote:
        page = remote.get("/api/audit", Page, **{name: value for name, value in asked.items() if value is not None})
    if format == "json":
        print_json(page)
        return
    for entry in page.entries:
        typer.echo(_line(entry))
    if page.next is not None:
        typer.echo(f"more with --before {page.next}", err=True)


def _line(entry: Entry) -> str:
    who = f"{entry.key} {entry.prefix}…" if entry.key else "no valid key"
    times = f"  ×{entry.count} until {entry.until}" if entry.count > 1 else ""
    return f"{entry.at}  {who:<22} {entry.address:<15} {entry.status} {entry.method} {entry.route}{times}"


def _lines(settings: Settings, project: Project, found: list[SecretKey]) -> Iterator[str]:
    yield f"project          {project.id} ({project.name})"
    yield f"write key        {project.write_key}    in pages and apps: public"
    if project.new_secret_key:
        yield f"secret key       {project.new_secret_key}    on servers only; shown this once"
    for key in found:
        yield f"secret key       {_told(key)}"
    if kept := kept_here(settings.data_dir):
        yield f"                 {prefix_of(kept)}… is kept in {settings.data_dir / FILE}, for commands on this machine"
    none = "not set: a userId is not verified; set ENGAGE_IDENTITY_SECRET to require userHash"
    yield f"identity secret  {project.identity_secret or none}"
    if project.identity_secret_old:
        yield f"the one before   {project.identity_secret_old}    valid too (ENGAGE_IDENTITY_SECRET_OLD)"
    yield f"allowed origins  {', '.join(project.allowed_origins) or 'any; set ENGAGE_ALLOWED_ORIGINS to restrict'}"


def _told(key: SecretKey) -> str:
    made = "named by ENGAGE_SECRET_KEY" if key.source == "setting" else "made"
    text = f"{key.prefix}…  {key.id}  {made} {key.created_at}, used {key.last_used_at or 'never'}"
    if key.revoked_at:
        return f"{text}, revoked {key.revoked_at}"
    if key.expires_at:
        return f"{text}, {'ended' if key.ended(iso(now_ms())) else 'ends'} {key.expires_at}"
    return text


def _shown(settings: Settings, project: Project, found: list[SecretKey]) -> _Shown:
    return _Shown(
        project.id,
        project.name,
        project.write_key,
        found,
        str(settings.data_dir / FILE) if kept_here(settings.data_dir) else None,
        project.identity_secret,
        project.identity_secret_old,
        project.identity_enforce,
        project.allowed_origins,
    )


def _use(what: str, key: SecretKey) -> Use:
    return Use(key.project, key.id, key.prefix, "-", "engage", f"{what} (by {_user()})"[:200], 0)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def _in_database(settings: Settings, work: Callable[..., T], *given: object) -> T:
    engine: Engine = open_database(settings)
    try:
        return work(engine, *given)
    finally:
        engine.dispose()


def _settings(data: Path | None) -> Settings:
    os.umask(0o077)
    warn_of_unknown_settings()
    return load_settings(data_dir=None if data is None else str(data))
