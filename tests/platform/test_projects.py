"""The first project's keys: made once and kept, or the ones the settings name."""

import subprocess
import sys

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from msgspec.structs import replace
from sqlalchemy import inspect, text

from engage.database import HEAD, make_engine, metadata, open_database, schema_version
from engage.errors import ConfigurationError
from engage.migrate import MIGRATIONS, migrate
from engage.projects import load_projects
from engage.settings import environment_of, load_settings


@pytest.fixture
def settings(tmp_path):
    return load_settings({"ENGAGE_DATA_DIR": str(tmp_path / "data")})


def with_(settings, **variables):
    return load_settings({**environment_of(settings, {}), **variables})


def test_keys_are_made_once_and_kept(settings):
    [first] = load_projects(settings)
    assert first.id == "default"
    assert first.write_key.startswith("wk_")
    assert len(first.write_key) >= 24
    assert first.new_secret_key.startswith("sk_")
    assert len(first.new_secret_key) >= 32
    assert load_projects(settings) == [replace(first, new_secret_key=None)]


def test_the_identity_secret_is_never_made_up(settings):
    assert load_projects(settings)[0].identity_secret is None


def test_settings_go_before_kept_keys_and_are_kept(settings):
    made = load_projects(settings)[0]
    named = {
        "ENGAGE_WRITE_KEY": "wk",
        "ENGAGE_IDENTITY_SECRET": "hush" * 8,
        "ENGAGE_ALLOWED_ORIGINS": "https://a.example,https://b.example",
    }
    [project] = load_projects(with_(settings, **named))
    assert (project.write_key, project.hash_secret, project.identity_secret) == ("wk", made.hash_secret, "hush" * 8)
    assert project.allowed_origins == ("https://a.example", "https://b.example")
    assert load_projects(settings) == [project]


def test_processes_that_start_together_agree(settings):
    command = [sys.executable, "-m", "engage", "keys", "--json"]
    environment = environment_of(settings)
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(4)]
    printed = {process.communicate(timeout=60)[0] for process in running}
    assert [process.returncode for process in running] == [0] * 4
    assert len(printed) == 1


def described(engine):
    """What a schema is: of each table its columns, keys and indexes."""
    found = inspect(engine)
    return {
        name: (
            [{**column, "type": repr(column["type"])} for column in found.get_columns(name)],
            found.get_pk_constraint(name)["constrained_columns"],
            sorted(unique["column_names"] for unique in found.get_unique_constraints(name)),
            sorted((index["name"], index["column_names"], index["unique"]) for index in found.get_indexes(name)),
        )
        for name in found.get_table_names()
    }


def test_the_migrations_make_the_same_tables_as_a_new_database_has(settings, tmp_path):
    older = load_settings({"ENGAGE_DATA_DIR": str(tmp_path / "older")})
    new, migrated = open_database(settings), make_engine(older)
    migrate(older)
    assert described(new) == described(migrated)
    assert described(new).keys() == {*metadata.tables, "alembic_version"}
    assert schema_version(new) == schema_version(migrated) == HEAD
    new.dispose()
    migrated.dispose()


def test_tables_of_which_nobody_knows_the_revision_are_not_taken_for_ours(settings):
    engine = open_database(settings)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
    engine.dispose()
    with pytest.raises(ConfigurationError, match="table projects already exists"):
        open_database(settings)


def test_the_code_knows_the_newest_revision(settings):
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD
    engine = open_database(settings)
    assert schema_version(engine) == HEAD
    engine.dispose()


def test_a_schema_from_the_future_is_refused(settings):
    engine = open_database(settings)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'zzzz'"))
    engine.dispose()
    with pytest.raises(ConfigurationError, match="ENGAGE_DATABASE_URL") as raised:
        open_database(settings)
    assert "newer Engage" in raised.value.hint


def test_a_file_that_is_no_database_is_named(settings):
    settings.data_dir.mkdir()
    (settings.data_dir / "engage.db").write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigurationError, match="file is not a database"):
        load_projects(settings)


def test_a_password_is_not_repeated():
    settings = load_settings({"ENGAGE_DATABASE_URL": "postgresql://me:hush@127.0.0.1:1/db"})
    with pytest.raises(ConfigurationError) as raised:
        open_database(settings)
    assert "hush" not in str(raised.value)
