"""A project's secret keys. SQL keeps their SHA-256 alone: whoever reads the database, or a backup of it, can use none of them.

A key is shown when it is made. The one that this machine made also lies in its data folder, in a file for this user alone, so that
commands here find it; it may be taken away.
"""

import hashlib
import secrets
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, Engine, delete, insert, or_, select, update

from engage.database import secret_keys as table
from engage.errors import ConfigurationError, Conflict, NotFound
from engage.key_file import FILE, kept_here
from engage.settings import Settings
from engage.times import iso, now_ms

PREFIX: Final = "sk_"
_SHOWN: Final = 7  # characters of a key that tell it apart; never more than a quarter of it
# `first`: made with the project; `made`: by `engage keys rotate`; `setting`: named by ENGAGE_SECRET_KEY.
Source = Literal["first", "made", "setting"]


class SecretKey(msgspec.Struct):
    """What is known of a key: never the key."""

    id: str
    project: str
    prefix: str
    source: str
    created_at: str
    last_used_at: str | None = None
    expires_at: str | None = None
    revoked_at: str | None = None

    def ended(self, now: str) -> str | None:
        """Since when it opens nothing any more; None while it does."""
        if self.revoked_at is not None:
            return self.revoked_at
        return self.expires_at if self.expires_at is not None and self.expires_at <= now else None


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def prefix_of(key: str) -> str:
    return key[: min(_SHOWN, len(key) // 4)]


def ensure(connection: Connection, settings: Settings, project: str) -> str | None:
    """Sees to it that the first project has a secret key: the one that the settings name, which takes the place of the one before, or one
    that is made, and returned.

    Raises ConfigurationError where the settings name one that was revoked or has run out.
    """
    kept = _keys(connection, project)
    if settings.secret_key is None:
        if kept:
            return None
        made = new_key()
        _insert(connection, project, made, "first")
        return made
    named = connection.execute(select(table).where(table.c.hash == digest(settings.secret_key))).first()
    if named is None:
        _replace(connection, project)
        _insert(connection, project, settings.secret_key, "setting")
    elif (since := _key(named).ended(iso(now_ms()))) is not None:
        raise ConfigurationError(
            "a secret key that is valid",
            f"{named.prefix}… ({named.id}), which is not since {since}",
            field="ENGAGE_SECRET_KEY",
            hint="set a new one, or none: `engage keys` lists those that are valid",
        )
    elif named.source == "setting":
        _replace(connection, project, named.id)
    return None


def _replace(connection: Connection, project: str, but: str = "") -> None:
    """A key that the settings name takes the place of the one before; what `engage keys rotate` made stays."""
    replaced = (table.c.project == project, table.c.source.in_(("first", "setting")), table.c.id != but)
    connection.execute(delete(table).where(*replaced))


def new_key() -> str:
    return PREFIX + secrets.token_urlsafe(24)


def listed(engine: Engine, project: str) -> list[SecretKey]:
    """All of them, the newest first."""
    with engine.connect() as connection:
        return _keys(connection, project)


def known(engine: Engine) -> list[tuple[bytes, SecretKey]]:
    """Every project's keys, those that have ended too, each with its SHA-256."""
    with engine.connect() as connection:
        return [(bytes.fromhex(row.hash), _key(row)) for row in connection.execute(select(table))]


def rotate(engine: Engine, project: str, grace_ms: int | None) -> tuple[SecretKey, str]:
    """A new key beside those that are valid. With `grace_ms` these end after it, else when they are revoked."""
    made = new_key()
    with engine.begin() as connection:
        if grace_ms is not None:
            ends = iso(now_ms() + grace_ms)
            sooner = or_(table.c.expires_at.is_(None), table.c.expires_at > ends)
            older = (table.c.project == project, table.c.revoked_at.is_(None), sooner)
            connection.execute(update(table).where(*older).values(expires_at=ends))
        identifier = _insert(connection, project, made, "made")
        row = connection.execute(select(table).where(table.c.id == identifier)).one()
    return _key(row), made


def revoke(engine: Engine, project: str, name: str) -> SecretKey:
    """Ends a key, named by its id or by what it begins with. Raises NotFound, and Conflict for the last one that is valid."""
    now = iso(now_ms())
    with engine.begin() as connection:
        keys = _keys(connection, project)
        found = [key for key in keys if key.id == name or (key.prefix and name.startswith(key.prefix))]
        if len(found) != 1:
            known = ", ".join(f"{key.id} ({key.prefix}…)" for key in keys)
            got = name if not found else f"{name[:_SHOWN]}, which several begin with"
            raise NotFound("the id of a secret key", got, field="key", hint=f"there are {known}")
        [key] = found
        if key.ended(now) is None and sum(other.ended(now) is None for other in keys) == 1:
            hint = "make another first: `engage keys rotate secret`"
            raise Conflict("another secret key that is valid", "none beside this one", field="key", hint=hint)
        key.revoked_at = key.revoked_at or now
        connection.execute(update(table).where(table.c.id == key.id).values(revoked_at=key.revoked_at))
    return key


def note_used(connection: Connection, used: dict[str, str]) -> None:
    """Key id → when it was used last."""
    for identifier, at in used.items():
        later = or_(table.c.last_used_at.is_(None), table.c.last_used_at < at)
        connection.execute(update(table).where(table.c.id == identifier, later).values(last_used_at=at))


def forget_here(engine: Engine, data_dir: Path) -> None:
    """Takes the file away where its key opens nothing any more: commands would only be refused with it."""
    key = kept_here(data_dir)
    if key is None:
        return
    now = iso(now_ms())
    if not any(kept.hex() == digest(key) and held.ended(now) is None for kept, held in known(engine)):
        (data_dir / FILE).unlink(missing_ok=True)


def _keys(connection: Connection, project: str) -> list[SecretKey]:
    wanted = select(table).where(table.c.project == project).order_by(table.c.created_at.desc(), table.c.id)
    return [_key(row) for row in connection.execute(wanted)]


def _key(row: Any) -> SecretKey:
    return SecretKey(
        row.id, row.project, row.prefix, row.source, row.created_at, row.last_used_at, row.expires_at, row.revoked_at
    )


def _insert(connection: Connection, project: str, key: str, source: Source) -> str:
    identifier = "key_" + secrets.token_hex(4)
    values = {
        "id": identifier,
        "project": project,
        "hash": digest(key),
        "prefix": prefix_of(key),
        "source": source,
        "created_at": iso(now_ms()),
    }
    connection.execute(insert(table).values(**values))
    return identifier
