"""Secret keys: kept as hashes, several at a time, shown once; and what the command line does with them."""

import json
import stat

import alembic.command
import pytest
from alembic.config import Config
from sqlalchemy import text

from engage.database import make_engine, open_database
from engage.errors import ConfigurationError, Conflict, NotFound
from engage.key_file import FILE, kept_here
from engage.keyring import KeyRing
from engage.migrate import MIGRATIONS
from engage.projects import FIRST, load_projects
from engage.secret_keys import listed, revoke, rotate
from engage.settings import load_settings
from tests import commands


@pytest.fixture
def settings(tmp_path):
    return load_settings({"ENGAGE_DATA_DIR": str(tmp_path / "data")})


@pytest.fixture
def engine(settings):
    made = open_database(settings)
    yield made
    made.dispose()


def named(settings, key):
    return load_settings({"ENGAGE_DATA_DIR": str(settings.data_dir), "ENGAGE_SECRET_KEY": key})


def everything(folder, but=()):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name not in but)


def test_a_made_key_opens_and_lies_nowhere_but_in_a_file_for_this_user_alone(settings, engine):
    [project] = load_projects(settings)
    key = project.new_secret_key
    assert KeyRing(engine).find(key).project == FIRST
    assert KeyRing(engine).find(key + "x") is None
    assert KeyRing(engine).find("") is None
    assert kept_here(settings.data_dir) == key
    assert stat.S_IMODE((settings.data_dir / FILE).stat().st_mode) == 0o600
    assert key.encode() not in everything(settings.data_dir, but=(FILE,))
    [shown] = listed(engine, FIRST)
    assert key.startswith(shown.prefix)
    assert len(shown.prefix) == 7


def test_a_rotated_key_goes_beside_the_old_one_until_it_is_revoked(settings, engine):
    old = load_projects(settings)[0].new_secret_key
    made, new = rotate(engine, FIRST, None)
    ring = KeyRing(engine)
    assert (ring.find(new).id, ring.find(old).id) == (made.id, listed(engine, FIRST)[1].id)
    with pytest.raises(NotFound, match="several begin with") if made.prefix == old[:7] else pytest.raises(NotFound):
        revoke(engine, FIRST, "key_none")
    revoke(engine, FIRST, listed(engine, FIRST)[1].id)
    assert (KeyRing(engine).find(old), KeyRing(engine).find(new).id) == (None, made.id)
    with pytest.raises(Conflict) as raised:
        revoke(engine, FIRST, made.id)
    assert "engage keys rotate secret" in raised.value.hint


def test_with_a_grace_the_old_one_ends_by_itself(settings, engine):
    old = load_projects(settings)[0].new_secret_key
    _, new = rotate(engine, FIRST, 0)
    assert KeyRing(engine).find(old) is None
    assert KeyRing(engine).find(new) is not None
    rotate(engine, FIRST, 3_600_000)
    assert KeyRing(engine).find(new) is not None
    assert listed(engine, FIRST)[1].expires_at is not None


def test_a_key_that_the_settings_name_takes_the_place_of_the_one_before(settings, engine):
    first = load_projects(settings)[0].new_secret_key
    assert load_projects(named(settings, "sk_mine_of_some_length"))[0].new_secret_key is None
    ring = KeyRing(engine)
    assert (ring.find(first), ring.find("sk_mine_of_some_length").source) == (None, "setting")
    assert kept_here(settings.data_dir) is None  # commands would be refused with it
    _, rotated = rotate(engine, FIRST, None)
    load_projects(named(settings, "sk_another_of_some_length"))
    ring = KeyRing(engine)
    assert ring.find("sk_mine_of_some_length") is None
    assert ring.find("sk_another_of_some_length") is not None
    assert ring.find(rotated) is not None
    assert load_projects(settings)[0].new_secret_key is None  # there are some: none is made


def test_a_revoked_key_that_the_settings_still_name_stops_the_start(settings, engine):
    load_projects(named(settings, "sk_mine_of_some_length"))
    rotate(engine, FIRST, None)
    revoke(engine, FIRST, "sk_mine_of_some_length")
    with pytest.raises(ConfigurationError, match="which is not since") as raised:
        load_projects(named(settings, "sk_mine_of_some_length"))
    assert raised.value.field == "ENGAGE_SECRET_KEY"
    assert "some_length" not in raised.value.message


@pytest.mark.parametrize("name_it", [False, True], ids=["made", "named by the settings"])
def test_an_older_database_keeps_its_key_as_a_hash(settings, name_it):
    settings.data_dir.mkdir()
    key = "sk_of_an_older_database_0123456789"
    engine = make_engine(settings)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0002")
        connection.execute(
            text("INSERT INTO projects (id, name, write_key, secret_key) VALUES ('default', 'First', 'wk_old', :key)"),
            {"key": key},
        )
    engine.dispose()
    [project] = load_projects(named(settings, key) if name_it else settings)
    assert (project.write_key, project.new_secret_key, len(project.hash_secret)) == ("wk_old", None, 64)
    assert kept_here(settings.data_dir) == (None if name_it else key)
    assert key.encode() not in everything(settings.data_dir, but=(FILE,))
    engine = open_database(settings)
    assert KeyRing(engine).find(key).source == ("setting" if name_it else "first")
    engine.dispose()


def engage(settings, *arguments, run=commands.engage):
    return run(*arguments, env=commands.clean(ENGAGE_DATA_DIR=str(settings.data_dir)))


def test_the_command_line_makes_shows_once_and_ends_them(settings):
    rotated = engage(settings, "keys", "rotate", "secret", "--grace", "1h", run=commands.started)
    assert rotated.returncode == 0, rotated.stderr
    key = rotated.stdout.strip()
    assert key.startswith("sk_")
    assert kept_here(settings.data_dir) == key
    shown = engage(settings, "keys")
    assert key not in shown.stdout
    assert f"{key[:7]}… is kept in {settings.data_dir / FILE}" in shown.stdout
    [project] = json.loads(engage(settings, "keys", "--json").stdout)
    newest, first = project["secret_keys"]
    assert newest["prefix"] == key[:7]
    assert first["expires_at"] is not None
    ended = engage(settings, "keys", "revoke", first["id"], run=commands.started)
    assert f"{first['id']} ({first['prefix']}…) was revoked" in ended.stdout
    unknown = engage(settings, "keys", "revoke", "key_none")
    assert (unknown.returncode, f"there are {newest['id']}" in unknown.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"), [(["write"], "expected secret"), (["secret", "--grace", "soon"], "--grace")]
)
def test_what_cannot_be_rotated_is_told(settings, arguments, said):
    done = engage(settings, "keys", "rotate", *arguments)
    assert (done.returncode, said in done.stderr) == (2, True)
