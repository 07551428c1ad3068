"""Projects (tenants) and their keys."""

import secrets
from typing import Final, NoReturn

import msgspec
from sqlalchemy import Connection, Engine, insert, select, update

from engage.database import only_one, open_database
from engage.database import projects as table
from engage.errors import ConfigurationError
from engage.key_file import keep_here
from engage.secret_keys import ensure, forget_here
from engage.settings import Settings

FIRST: Final = "default"


class Project(msgspec.Struct, frozen=True):
    """A tenant. With an `identity_secret` a userId is proven by a userHash or a userToken, and `identity_enforce` says what
    one without proof is refused; without `allowed_origins` any page may call. The `hash_secret` keys the hashes of properties
    and of names. Its secret keys are in `engage.secret_keys`; only one that was made just now is here."""

    id: str
    name: str
    write_key: str
    identity_secret: str | None = None
    allowed_origins: tuple[str, ...] = ()
    identity_secret_old: str | None = None
    identity_enforce: str = "inbox"
    hash_secret: str = ""
    new_secret_key: str | None = None

    @property
    def identity_secrets(self) -> tuple[str, ...]:
        """Those that prove a userId now, the newest first."""
        return tuple(secret for secret in (self.identity_secret, self.identity_secret_old) if secret)


def load_projects(settings: Settings) -> list[Project]:
    """All projects; makes the first one, with the keys of the settings or new ones, where there is none."""
    engine = open_database(settings)
    try:
        with only_one(engine, settings):
            made = ensure_first(engine, settings)
            if made is not None:
                keep_here(settings.data_dir, made)
            elif settings.secret_key is not None:
                forget_here(engine, settings.data_dir)
        with engine.connect() as connection:
            found = [_with_settings(project, settings) for project in _read(connection)]
        return [msgspec.structs.replace(p, new_secret_key=made) if p.id == FIRST else p for p in found]
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


def ensure_first(engine: Engine, settings: Settings) -> str | None:
    """Keys that the settings name go before kept ones; write and secret key are made once when nobody names them, and a secret key that
    was is returned.

    The identity secret is never made up: setting it is what turns verification on.
    """
    with engine.begin() as connection:
        kept = {project.id: project for project in _read(connection)}.get(FIRST)
        first = kept or Project(FIRST, "First project", "wk_" + secrets.token_urlsafe(18))
        wanted = msgspec.structs.replace(
            first,
            write_key=settings.write_key or first.write_key,
            identity_secret=settings.identity_secret or first.identity_secret,
            allowed_origins=settings.allowed_origins or first.allowed_origins,
            hash_secret=first.hash_secret or secrets.token_hex(32),
        )
        if wanted != kept:
            stored = {name: value for name, value in msgspec.structs.asdict(wanted).items() if name in table.c}
            values = {**stored, "allowed_origins": " ".join(wanted.allowed_origins)}
            if kept is None:
                connection.execute(insert(table).values(**values))
            else:
                connection.execute(update(table).where(table.c.id == FIRST).values(**values))
        return ensure(connection, settings, FIRST)


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
            row.id,
            row.name,
            row.write_key,
            row.identity_secret,
            tuple(row.allowed_origins.split()),
            hash_secret=row.hash_secret,
        )
        for row in connection.execute(select(table).order_by(table.c.id))
    ]
