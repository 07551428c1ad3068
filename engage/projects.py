"""Projects (tenants) and their keys."""

import secrets
from typing import Final, NoReturn

import msgspec
from sqlalchemy import Connection, Engine, insert, select, update

from engage.database import only_one, open_database
from engage.database import projects as table
from engage.errors import ConfigurationError
from engage.settings import Settings

FIRST: Final = "default"


class Project(msgspec.Struct, frozen=True):
    """A tenant. With an `identity_secret` a userId is proven by a userHash or a userToken, and `identity_enforce` says what
    one without proof is refused; without `allowed_origins` any page may call."""

    id: str
    name: str
    write_key: str
    secret_key: str
    identity_secret: str | None = None
    allowed_origins: tuple[str, ...] = ()
    identity_secret_old: str | None = None
    identity_enforce: str = "inbox"

    @property
    def identity_secrets(self) -> tuple[str, ...]:
        """Those that prove a userId now, the newest first."""
        return tuple(secret for secret in (self.identity_secret, self.identity_secret_old) if secret)


def load_projects(settings: Settings) -> list[Project]:
    """All projects; makes the first one, with the keys of the settings or new ones, where there is none."""
    engine = open_database(settings)
    try:
        with only_one(engine, settings):
            ensure_first(engine, settings)
        with engine.connect() as connection:
            return [_with_settings(project, settings) for project in _read(connection)]
    finally:
        engine.dispose()


def kept_projects(settings: Settings) -> list[Project]:
    """The projects as they are; makes none."""
    engine = open_database(settings)
    try:
        with engine.connect() as connection:
            found = _read(connection)
        return [_with_settings(_named(project, settings), settings) for project in found]
    finally:
        engine.dispose()


def _named(project: Project, settings: Settings) -> Project:
    """With the identity secret that the settings name, kept or not yet."""
    if project.id != FIRST or not settings.identity_secret:
        return project
    return msgspec.structs.replace(project, identity_secret=settings.identity_secret)


def ensure_first(engine: Engine, settings: Settings) -> None:
    """Keys that the settings name go before kept ones; write and secret key are made once when nobody names them.

    The identity secret is never made up: setting it is what turns verification on.
    """
    with engine.begin() as connection:
        kept = {project.id: project for project in _read(connection)}.get(FIRST)
        made = kept or Project(
            FIRST, "First project", "wk_" + secrets.token_urlsafe(18), "sk_" + secrets.token_urlsafe(24)
        )
        wanted = msgspec.structs.replace(
            made,
            write_key=settings.write_key or made.write_key,
            secret_key=settings.secret_key or made.secret_key,
            identity_secret=settings.identity_secret or made.identity_secret,
            allowed_origins=settings.allowed_origins or made.allowed_origins,
        )
        if wanted == kept:
            return
        stored = {name: value for name, value in msgspec.structs.asdict(wanted).items() if name in table.c}
        values = {**stored, "allowed_origins": " ".join(wanted.allowed_origins)}
        if kept is None:
            connection.execute(insert(table).values(**values))
        else:
            connection.execute(update(table).where(table.c.id == FIRST).values(**values))


def _with_settings(project: Project, settings: Settings) -> Project:
    """What is not kept: the first project's identity secret before this one, and what its identity verification enforces.

    Raises ConfigurationError where these ask for an identity secret that nobody has set.
    """
    if project.id != FIRST:
        return project
    if project.identity_secret is None:
        if settings.identity_secret_old is not None:
            _no_secret("ENGAGE_IDENTITY_SECRET_OLD")
        if settings.identity_enforce == "all":
            _no_secret("ENGAGE_IDENTITY_ENFORCE=all")
    return msgspec.structs.replace(
        project, identity_secret_old=settings.identity_secret_old, identity_enforce=settings.identity_enforce
    )


def _no_secret(beside: str) -> NoReturn:
    raise ConfigurationError(
        f"an identity secret beside {beside}",
        "none",
        field="ENGAGE_IDENTITY_SECRET",
        hint="set it to a random text of at least 32 characters; docs/identity.md",
    )


def _read(connection: Connection) -> list[Project]:
    return [
        Project(
            row.id, row.name, row.write_key, row.secret_key, row.identity_secret, tuple(row.allowed_origins.split())
        )
        for row in connection.execute(select(table).order_by(table.c.id))
    ]
