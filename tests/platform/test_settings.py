"""One settings table: every wrong value is named at once, and every setting is documented."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from engage.errors import ConfigurationError
from engage.settings import TABLE, Settings, environment_of, load_settings, socket_path, unknown_variables

ROOT = Path(__file__).parents[2]


def test_without_any_variable_everything_is_embedded():
    settings = load_settings({})
    assert (settings.host, settings.port, settings.shards) == ("127.0.0.1", 8700, 8)
    assert settings.data_dir == Path.cwd() / ".engage"
    assert settings.embedded_log
    assert settings.embedded_queue
    assert settings.database_url == f"sqlite:///{settings.data_dir / 'engage.db'}"
    assert settings.log_retention_ms == 7 * 86_400_000


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("ENGAGE_PORT", "0", "expected a port from 1 to 65535, got '0'"),
        ("ENGAGE_PORT", "70000", "got '70000'"),
        ("ENGAGE_PORT", "eighty", "got 'eighty'"),
        ("ENGAGE_PORT", "-1", "got '-1'"),
        ("ENGAGE_SHARDS", "2000", "expected a number from 1 to 1024, got '2000'"),
        ("ENGAGE_REDIS_URL", "localhost:6379", "expected a redis:, rediss:, unix: or redis+cluster: URL"),
        ("ENGAGE_REDIS_URL", "redis://", "got 'redis://'"),
        ("ENGAGE_REDIS_URL", "redis://host:many", "got 'redis://host:many'"),
        ("ENGAGE_QUEUE_URL", "redis+cluster://host:6379", "expected a redis:, rediss: or unix: URL"),
        ("ENGAGE_DATABASE_URL", "mysql://host/db", "expected a sqlite: or postgresql: URL"),
        ("ENGAGE_ALLOWED_ORIGINS", "https://a.example, b.example", "expected origins such as https://app.example.com"),
        ("ENGAGE_ALLOWED_ORIGINS", "https://a.example/path", "got 'https://a.example/path'"),
        ("ENGAGE_LOG_RETENTION", "7", "expected a duration from a minute to ten years, such as 7d or 12h, got '7'"),
        ("ENGAGE_LOG_RETENTION", "0d", "got '0d'"),
        ("ENGAGE_LOG_RETENTION", "36500d", "got '36500d'"),
        ("ENGAGE_LOG_LEVEL", "loud", "expected debug, info, warning or error, got 'loud'"),
        ("ENGAGE_LOG_FORMAT", "xml", "expected auto, json or text, got 'xml'"),
        ("ENGAGE_ALLOWED_ORIGINS", "https://*.com", "got 'https://*.com'"),
        ("ENGAGE_ALLOWED_ORIGINS", "https://a*.example.com", "https://*.example.com, separated by commas, got"),
        (
            "ENGAGE_RATE_PER_IP",
            "100",
            "expected events a second and at once, such as 100/5000, or 0 for no limit, got '100'",
        ),
        ("ENGAGE_RATE_PER_KEY", "100/50", "got '100/50'"),
        ("ENGAGE_RATE_PER_USER", "0/5", "got '0/5'"),
        ("ENGAGE_HEAD_TIMEOUT", "0s", "expected a duration from 1s to 1h, got '0s'"),
        ("ENGAGE_BODY_TIMEOUT", "2h", "got '2h'"),
        ("ENGAGE_MAX_CONNECTIONS", "5", "expected a number from 10 to 1000000, got '5'"),
        ("ENGAGE_TRUSTED_PROXIES", "proxy.internal", "expected addresses or networks such as 10.0.0.0/8"),
        ("ENGAGE_TRUSTED_PROXIES", "10.0.0.1/8", "got '10.0.0.1/8'"),
        ("ENGAGE_STORE_IP", "maybe", "expected yes or no, got 'maybe'"),
        ("ENGAGE_URL", "127.0.0.1:8700", "expected an http: or https: URL"),
        ("ENGAGE_WRITE_KEY", "a:b", "expected 1 to 200 ASCII characters without : or space"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(variable, text, said):
    with pytest.raises(ConfigurationError, match=re.escape(f"{variable}: ")) as raised:
        load_settings({variable: text})
    assert said in str(raised.value)


def test_all_wrong_values_are_named_at_once():
    with pytest.raises(ConfigurationError) as raised:
        load_settings({"ENGAGE_PORT": "x", "ENGAGE_SHARDS": "y", "ENGAGE_LOG_LEVEL": "z"})
    assert [name for name in ("ENGAGE_PORT", "ENGAGE_SHARDS", "ENGAGE_LOG_LEVEL") if name in str(raised.value)] == [
        "ENGAGE_PORT",
        "ENGAGE_SHARDS",
        "ENGAGE_LOG_LEVEL",
    ]


def test_a_wrong_secret_is_not_repeated():
    with pytest.raises(ConfigurationError) as raised:
        load_settings({"ENGAGE_SECRET_KEY": "hush hush"})
    assert "hush" not in str(raised.value)


def test_a_cluster_needs_a_queue_of_its_own():
    with pytest.raises(ConfigurationError, match="ENGAGE_QUEUE_URL: expected a server for RQ"):
        load_settings({"ENGAGE_REDIS_URL": "redis+cluster://host:6379"})
    load_settings({"ENGAGE_REDIS_URL": "redis+cluster://host:6379", "ENGAGE_QUEUE_URL": "redis://host"})


def test_the_queue_follows_the_log_to_another_server():
    settings = load_settings({"ENGAGE_REDIS_URL": "redis://host:6379/1"})
    assert settings.queue_url == "redis://host:6379/1"
    assert not settings.embedded_log
    assert not settings.embedded_queue


def test_options_go_before_the_environment_and_empty_is_not_set():
    settings = load_settings({"ENGAGE_PORT": "1000", "ENGAGE_HOST": "", "ENGAGE_WRITE_KEY": ""}, port="2000")
    assert (settings.port, settings.host, settings.write_key) == (2000, "127.0.0.1", None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"ENGAGE_ALLOWED_ORIGINS": "https://a.example, b.example,https://c.example"},
            "ENGAGE_ALLOWED_ORIGINS: expected origins such as .*, got 'b.example' among them",
        ),
        ({"ENGAGE_ALLOWED_ORIGINS": "*"}, r"ENGAGE_ALLOWED_ORIGINS: expected origins .*, got '\*'$"),
        ({"ENGAGE_TRUSTED_PROXIES": "10.0.0.0/8,10.0.0.1/8"}, "got '10.0.0.1/8' among them"),
        (
            {"ENGAGE_IDENTITY_SECRET": "hush" * 7},
            "ENGAGE_IDENTITY_SECRET: .* at least 32 bytes, got 28 characters that are not",
        ),
        (
            {"ENGAGE_IDENTITY_SECRET": "long" * 8, "ENGAGE_IDENTITY_SECRET_OLD": "hush" * 7},
            "ENGAGE_IDENTITY_SECRET_OLD: .* at least 32 bytes, got 28 characters that are not",
        ),
        ({"ENGAGE_PORT": "0", "ENGAGE_PROT": "1"}, "ENGAGE_PROT is no setting; did you mean ENGAGE_PORT"),
    ],
)
def test_the_part_that_is_wrong_is_named(given, said):
    with pytest.raises(ConfigurationError, match=said) as raised:
        load_settings(given)
    assert "hush" not in str(raised.value)


def test_an_unknown_variable_is_told_with_the_nearest_right_name():
    assert unknown_variables({"ENGAGE_PROT": "1", "ENGAGE_PORT": "1", "HOME": "/"}) == [
        "ENGAGE_PROT is no setting; did you mean ENGAGE_PORT?"
    ]


@pytest.mark.parametrize("proxies", ["none", "10.0.0.0/8, ::1"])
@pytest.mark.parametrize("rate", ["0", "5/10"])
def test_a_child_reads_the_same_settings(proxies, rate):
    settings = load_settings(
        {
            "ENGAGE_ALLOWED_ORIGINS": "https://a.example/, https://*.b.example",
            "ENGAGE_LOG_RETENTION": "90m",
            "ENGAGE_TRUSTED_PROXIES": proxies,
            "ENGAGE_RATE_PER_IP": rate,
            "ENGAGE_STORE_IP": "yes",
        },
        data_dir="some where",
    )
    assert load_settings(environment_of(settings, {"PATH": "/bin", "ENGAGE_PROT": "1"})) == settings


@pytest.mark.parametrize("folder", ["/data", "/data/" + "long/" * 30, "/data/with space", "/data/ユーザー"])
def test_a_socket_has_a_path_that_sockets_and_clients_can_hold(folder):
    paths = [str(socket_path(Path(folder), name)) for name in ("log", "queue")]
    assert len(set(paths)) == 2
    assert all(len(path.encode()) <= 100 and path.isascii() and " " not in path for path in paths)


def test_the_table_and_the_struct_have_the_same_fields():
    assert [setting.field for setting in TABLE] == [field.name for field in msgspec.structs.fields(Settings)]


def test_every_setting_is_documented_with_its_default():
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = dict(re.findall(r"^\| `(ENGAGE_\w+)` \| ([^|]+) \|", page, re.MULTILINE))
    assert list(rows) == [setting.variable for setting in TABLE]
    for setting in TABLE:
        assert rows[setting.variable] == (f"`{setting.default}`" if setting.default else "–"), setting.variable


def test_nothing_else_reads_the_environment():
    readers = {
        str(path.relative_to(ROOT))
        for room in ("rules", "engage", "worker")
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"os\.(environ|getenv)", path.read_text())
    }
    # bootstrap runs before anything is installed, and sets up a PATH.
    assert readers == {"engage/settings.py", "engage/bootstrap.py"}


def test_origins_are_kept_as_browsers_send_them():
    given = "https://App.Example.com, https://ok.example:443/, http://old.example:80, https://other.example:8443"
    expected = ("https://app.example.com", "https://ok.example", "http://old.example", "https://other.example:8443")
    assert load_settings({"ENGAGE_ALLOWED_ORIGINS": given}).allowed_origins == expected


@pytest.mark.parametrize("name", ["what? #1", "100%25 café 日本"])
def test_whatever_the_data_folder_is_called_its_database_lies_in_it_and_is_nobody_elses(tmp_path, name):
    folder = tmp_path / name
    command = [sys.executable, "-m", "engage", "keys", "--json", "--data", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert (folder / "engage.db").stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0
