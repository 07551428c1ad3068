"""The SQL side: what people write and read. SQLite by default, PostgreSQL by ENGAGE_DATABASE_URL.

The hot path never comes here: rulebooks are published to Redis, projects are read when a process starts.
"""

import contextlib
import fcntl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError

from engage.errors import ConfigurationError
from engage.settings import Settings, environment_of

HEAD: Final = "0003"  # the newest of migrations/versions
_ADVISORY_LOCK: Final = 0x656E67616765  # "engage"

metadata: Final = MetaData()

projects: Final = Table(
    "projects",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("write_key", String(200), nullable=False, unique=True),
    Column("identity_secret", String(200)),
    Column("allowed_origins", Text, nullable=False, server_default=""),
    Column("hash_secret", String(64), nullable=False, server_default=""),
)

# `hash`: the key's SHA-256, hex. `source`: see `engage.secret_keys`.
secret_keys: Final = Table(
    "secret_keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("project", String(64), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("prefix", String(16), nullable=False),
    Column("source", String(16), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("last_used_at", String(32)),
    Column("expires_at", String(32)),
    Column("revoked_at", String(32)),
)

# Every version of every document. A removed one has a last version whose document is null. `files`: JSON, the name of each
# of its files → the text as somebody wrote it. `published`: the rulebook that brought it (0: before they were counted).
definitions: Final = Table(
    "definitions",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("project", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("id", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", Text),
    Column("author", String(200), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("files", Text),
    Column("published", Integer, nullable=False, server_default="0"),
    UniqueConstraint("project", "kind", "id", "version"),
)

# Every rulebook that was published. Its number is taken by inserting this row, first of all: of two that publish at once,
# one finds it taken.
publications: Final = Table(
    "publications",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("created_at", String(32), nullable=False),
    Column("author", String(200), nullable=False),
    Column("action", String(16), nullable=False),
    Column("restored", Integer),
)

# What was done with secret keys, and what was tried without: like uses of one minute are one row, `count` of them from `at` to
# `until`. `subject`: whom of, as a keyed hash; see `engage.audit`.
audit: Final = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("project", String(64)),
    Column("at", String(32), nullable=False),
    Column("until", String(32), nullable=False),
    Column("count", Integer, nullable=False),
    Column("key", String(16)),
    Column("prefix", String(16)),
    Column("address", String(64), nullable=False),
    Column("method", String(16), nullable=False),
    Column("route", String(200), nullable=False),
    Column("status", Integer, nullable=False),
    Column("subject", String(32)),
    Index("audit_at", "at"),
)

# Alembic's own, as it makes it.
_version: Final = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def open_database(settings: Settings) -> Engine:
    """The engine, its schema brought up to date. Safe when several processes start at once. Raises ConfigurationError."""
    engine = make_engine(settings)
    try:
        version = schema_version(engine)
        if version is None:
            version = _make(settings, engine)
        if version != HEAD:
            _migrate(settings, engine)
    except (SQLAlchemyError, OSError) as error:
        engine.dispose()
        raise _unusable(engine, str(getattr(error, "orig", None) or error)) from error
    return engine


def make_engine(settings: Settings) -> Engine:
    """The engine alone, whatever its schema."""
    url = settings.database_url
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    if url.startswith("sqlite:///"):
        path = Path(unquote(url.removeprefix("sqlite:///")))
        path.parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(URL.create("sqlite", database=str(path)))  # the text of a URL would end at a `?`
    else:
        engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
    return engine


def schema_version(engine: Engine) -> str | None:
    """The revision of the schema, None where there is none yet."""
    with engine.connect() as connection:
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_version.name):
        return None
    return connection.execute(select(_version.c.version_num)).scalar()


def _unusable(engine: Engine, said: str) -> ConfigurationError:
    return ConfigurationError(
        f"a database at {engine.url.render_as_string(hide_password=True)} that can be used",
        (said.strip().splitlines() or ["no reason"])[-1],
        field="ENGAGE_DATABASE_URL",
        hint="`engage doctor` looks at it; a schema newer than this version needs the newer Engage",
    )


def _set_pragmas(connection: object, _: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.close()


def _make(settings: Settings, engine: Engine) -> str | None:
    """Makes all tables at once, as the migrations would, where there are none yet; returns the revision that is there then."""
    with only_one(engine, settings), engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # of itself sqlite3 makes each table for good at once
        found = inspect(connection)
        if not found.has_table(_version.name) and not found.has_table(projects.name):
            metadata.create_all(connection)
            _version.create(connection)
            connection.execute(insert(_version).values(version_num=HEAD))
        return _revision(connection)


def _migrate(settings: Settings, engine: Engine) -> None:
    """In a process of its own: Alembic takes long to load, and is needed only where an older Engage made the tables."""
    command = [sys.executable, "-P", "-m", "engage.migrate"]
    done = subprocess.run(command, env=environment_of(settings), capture_output=True, text=True, check=False)
    if done.returncode:
        engine.dispose()
        raise _unusable(engine, done.stderr)


@contextlib.contextmanager
def only_one(engine: Engine, settings: Settings) -> Iterator[None]:
    """Holds back the other processes of this installation that do the same, while they start together."""
    if engine.dialect.name == "sqlite":
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with open(settings.data_dir / "migrate.lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    else:
        with engine.connect() as connection:
            _advise(connection, "pg_advisory_lock")
            try:
                yield
            finally:
                _advise(connection, "pg_advisory_unlock")


def _advise(connection: Connection, function: str) -> None:
    connection.execute(text(f"SELECT {function}({_ADVISORY_LOCK})"))
