"""Every setting, in one table: the only reader of the environment. `docs/settings.md` lists the same."""

import difflib
import hashlib
import ipaddress
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from engage.errors import ConfigurationError
from engage.limits import Rate, parse_rate

PREFIX: Final = "ENGAGE_"
SAFE_SECRET: Final = 32  # bytes: RFC 7518, section 3.2
MAX_SOCKET_PATH: Final = 100
_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9/._+~-]+")
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s,@]+", re.IGNORECASE)
_BELOW: Final = re.compile(r"\*(\.[a-z0-9_-]+){2,}(:\d+)?")
_DURATION: Final = re.compile(r"(\d+)(s|m|h|d)")
_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_MS: Final = 3_653 * 86_400_000


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the processes of one installation share; see the table below for meanings and defaults."""

    host: str
    port: int
    data_dir: Path
    redis_url: str
    queue_url: str
    database_url: str
    write_key: str | None
    secret_key: str | None
    identity_secret: str | None
    identity_secret_old: str | None
    identity_enforce: str
    allowed_origins: tuple[str, ...]
    rules_dir: Path | None
    shards: int
    log_retention_ms: int
    url: str
    log_level: str
    log_format: str
    rate_per_key: Rate
    rate_per_ip: Rate
    rate_per_user: Rate
    max_connections: int
    connections_per_ip: int
    max_streams: int
    streams_per_user: int
    head_timeout_ms: int
    body_timeout_ms: int
    send_timeout_ms: int
    keep_alive_ms: int
    trusted_proxies: tuple[str, ...]
    store_ip: bool
    audit_retention_ms: int
    respect_dnt: bool

    @property
    def embedded_log(self) -> bool:
        """Whether the log's server is the one Engage runs itself."""
        return self.redis_url == f"unix://{socket_path(self.data_dir, 'log')}"

    @property
    def embedded_queue(self) -> bool:
        return self.queue_url == f"unix://{socket_path(self.data_dir, 'queue')}"


class Setting(msgspec.Struct, frozen=True):
    """One row: how the text of `ENGAGE_<NAME>` becomes the value of the field."""

    field: str
    variable: str
    expected: str
    parse: Callable[[str], Any]
    default: str | None
    meaning: str
    is_secret: bool = False


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text) if text.isdecimal() else -1
        if not low <= value <= high:
            raise ValueError
        return value

    return parse


def _one_of(*names: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in names:
            raise ValueError
        return text.lower()

    return parse


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        parts = urlsplit(text)
        # Reading the port is what checks it. A server has a host, a file (unix:, sqlite:) a path.
        if parts.scheme not in schemes or parts.port == 0 or not (parts.hostname or parts.path):
            raise ValueError
        return text.rstrip("/") if parts.scheme.startswith("http") else text

    return parse


def _duration_ms(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        found = _DURATION.fullmatch(text)
        if found is None or not low <= (value := int(found[1]) * _UNIT_MS[found[2]]) <= high:
            raise ValueError
        return value

    return parse


def _secret(text: str) -> str:
    if len(text.encode()) < SAFE_SECRET:
        raise ValueError
    return text


def _folder(text: str) -> Path:
    return Path(text).expanduser()


class _Part(ValueError):
    """The part of a list that is wrong."""


def _each(text: str, parse: Callable[[str], str]) -> tuple[str, ...]:
    found = []
    for part in text.split(","):
        if part.strip():
            try:
                found.append(parse(part.strip()))
            except ValueError:
                raise _Part(part.strip()) from None
    return tuple(found)


def _origins(text: str) -> tuple[str, ...]:
    return _each(text, lambda part: _origin(part.rstrip("/")))


def _origin(text: str) -> str:
    """As browsers send it: in lower case, without the port that its scheme has anyway."""
    if _ORIGIN.fullmatch(text) is None:
        raise ValueError
    scheme, _, host = text.lower().partition("://")
    # A star stands for whole labels before a domain of at least two: `*.com` would be nearly anybody.
    if "*" in host and _BELOW.fullmatch(host) is None:
        raise ValueError
    return f"{scheme}://{host.removesuffix({'http': ':80', 'https': ':443'}.get(scheme, '/'))}"


def _networks(text: str) -> tuple[str, ...]:
    if text.lower() == "none":
        return ()
    return _each(text, lambda part: str(ipaddress.ip_network(part)))


def _key(text: str) -> str:
    if not 1 <= len(text) <= 200 or not text.isascii() or not text.isprintable() or ":" in text or " " in text:
        raise ValueError
    return text


_RATE: Final = "events a second and at once, such as 100/5000, or 0 for no limit"
_SHORT: Final = _duration_ms(1_000, 3_600_000)
_REDIS: Final = _url("redis", "rediss", "unix", "redis+cluster")

TABLE: Final = (
    Setting("host", "ENGAGE_HOST", "an address to listen on", str, "127.0.0.1", "where `serve` listens"),
    Setting("port", "ENGAGE_PORT", "a port from 1 to 65535", _integer(1, 65_535), "8700", "where `serve` listens"),
    Setting("data_dir", "ENGAGE_DATA_DIR", "a folder", _folder, ".engage", "the embedded stores and the SQLite database"),
    Setting(
        "redis_url", "ENGAGE_REDIS_URL", "a redis:, rediss:, unix: or redis+cluster: URL", _REDIS, None,
        "the log's server (Redis ≥ 7 or Valkey ≥ 8, `appendfsync always`); not set: Engage runs its own Valkey",
    ),
    Setting(
        "queue_url", "ENGAGE_QUEUE_URL", "a redis:, rediss: or unix: URL", _url("redis", "rediss", "unix"), None,
        "RQ's own server (`everysec`); not set: a second embedded Valkey, or ENGAGE_REDIS_URL where that is set",
    ),
    Setting(
        "database_url", "ENGAGE_DATABASE_URL", "a sqlite: or postgresql: URL", _url("sqlite", "postgresql", "postgresql+psycopg"),
        None, "definitions, keys, audit; not set: SQLite in the data folder",
    ),
    Setting("write_key", "ENGAGE_WRITE_KEY", "1 to 200 ASCII characters without : or space", _key, None, "the first project's write key; not set: made once and kept", is_secret=True),
    Setting("secret_key", "ENGAGE_SECRET_KEY", "1 to 200 ASCII characters without : or space", _key, None, "a secret key of the first project, in the place of the one before; not set: one is made once", is_secret=True),
    Setting("identity_secret", "ENGAGE_IDENTITY_SECRET", f"a random text of at least {SAFE_SECRET} bytes", _secret, None, "turns identity verification on: a page proves its userId with a userHash or a userToken", is_secret=True),
    Setting("identity_secret_old", "ENGAGE_IDENTITY_SECRET_OLD", f"a random text of at least {SAFE_SECRET} bytes", _secret, None, "the identity secret before, valid too while both are set; not kept", is_secret=True),
    Setting("identity_enforce", "ENGAGE_IDENTITY_ENFORCE", "off, inbox or all", _one_of("off", "inbox", "all"), "inbox", "what an unproven userId is refused once there is an identity secret: nothing, reading its messages, or everything"),
    Setting("allowed_origins", "ENGAGE_ALLOWED_ORIGINS", "origins such as https://app.example.com or https://*.example.com, separated by commas", _origins, "", "pages that may call the public wire; empty: any"),
    Setting("rules_dir", "ENGAGE_RULES_DIR", "a folder", _folder, None, "holds rules/, messages/, segments/, articles/, project/; `engage up` watches it"),
    Setting("shards", "ENGAGE_SHARDS", "a number from 1 to 1024", _integer(1, 1_024), "8", "parts of the log; fixed once data exist"),
    Setting("log_retention_ms", "ENGAGE_LOG_RETENTION", "a duration from a minute to ten years, such as 7d or 12h", _duration_ms(60_000, _LONGEST_MS), "7d", "how long events stay in the log"),
    Setting("url", "ENGAGE_URL", "an http: or https: URL", _url("http", "https"), "http://127.0.0.1:8700", "the running service, for commands that talk to it"),
    Setting("log_level", "ENGAGE_LOG_LEVEL", "debug, info, warning or error", _one_of("debug", "info", "warning", "error"), "info", "the least that is logged"),
    Setting("log_format", "ENGAGE_LOG_FORMAT", "auto, json or text", _one_of("auto", "json", "text"), "auto", "auto: text on a terminal, else JSON lines"),
    Setting("rate_per_key", "ENGAGE_RATE_PER_KEY", _RATE, parse_rate, "500000/1000000", "events of one write key that a process takes"),
    Setting("rate_per_ip", "ENGAGE_RATE_PER_IP", _RATE, parse_rate, "5000/50000", "events and requests of one address that a process takes"),
    Setting("rate_per_user", "ENGAGE_RATE_PER_USER", _RATE, parse_rate, "200/10000", "events of one person that a process takes"),
    Setting("max_connections", "ENGAGE_MAX_CONNECTIONS", "a number from 10 to 1000000", _integer(10, 1_000_000), "20000", "open connections of a process; fewer where the system allows fewer files"),
    Setting("connections_per_ip", "ENGAGE_CONNECTIONS_PER_IP", "a number from 0 to 1000000", _integer(0, 1_000_000), "500", "of these from one address; 0: no limit"),
    Setting("max_streams", "ENGAGE_MAX_STREAMS", "a number from 1 to 1000000", _integer(1, 1_000_000), "15000", "open streams of a process"),
    Setting("streams_per_user", "ENGAGE_STREAMS_PER_USER", "a number from 0 to 1000000", _integer(0, 1_000_000), "50", "of these of one person; 0: no limit"),
    Setting("head_timeout_ms", "ENGAGE_HEAD_TIMEOUT", "a duration from 1s to 1h", _SHORT, "10s", "time for a request's line and headers"),
    Setting("body_timeout_ms", "ENGAGE_BODY_TIMEOUT", "a duration from 1s to 1h", _SHORT, "30s", "time for a request's body"),
    Setting("send_timeout_ms", "ENGAGE_SEND_TIMEOUT", "a duration from 1s to 1h", _SHORT, "30s", "time in which a client takes 16 KB of what waits for it, or all"),
    Setting("keep_alive_ms", "ENGAGE_KEEP_ALIVE", "a duration from 1s to 1h", _SHORT, "65s", "time between two requests of a connection"),
    Setting("trusted_proxies", "ENGAGE_TRUSTED_PROXIES", "addresses or networks such as 10.0.0.0/8, separated by commas", _networks, "127.0.0.1,::1", "proxies whose X-Forwarded-For, Forwarded and X-Forwarded-Proto are believed; `none`: nobody's"),
    Setting("store_ip", "ENGAGE_STORE_IP", "yes or no", lambda text: _one_of("yes", "no")(text) == "yes", "no", "yes: an event keeps the context.ip that its client sent"),
    Setting("audit_retention_ms", "ENGAGE_AUDIT_RETENTION", "a duration from an hour to ten years, such as 90d", _duration_ms(3_600_000, _LONGEST_MS), "90d", "how long the audit trail of key use is kept"),
    Setting("respect_dnt", "ENGAGE_RESPECT_DNT", "yes or no", lambda text: _one_of("yes", "no")(text) == "yes", "no", "yes: nothing is kept of an event whose browser sends DNT: 1 or Sec-GPC: 1"),
)  # fmt: skip


def load_settings(environment: Mapping[str, str] = os.environ, /, **given: str | None) -> Settings:
    """The settings of `environment`; `given` (by field, as text) goes before it: the command line's options.

    Raises ConfigurationError that names every wrong variable, what was expected and what came.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for setting in TABLE:
        text = given.get(setting.field) or environment.get(setting.variable) or setting.default
        try:
            values[setting.field] = None if text is None else setting.parse(text)
        except ValueError as error:
            got = f"{len(text or '')} characters that are not" if setting.is_secret else repr(text)
            if isinstance(error, _Part) and error.args[0] != text:
                got = f"{error.args[0]!r} among them"
            problems.append(f"{setting.variable}: expected {setting.expected}, got {got}")
    if (values.get("redis_url") or "").startswith("redis+cluster:") and not values.get("queue_url", True):
        problems.append("ENGAGE_QUEUE_URL: expected a server for RQ, which runs on no cluster, got nothing")
    if problems:
        problems += unknown_variables(environment)
        raise ConfigurationError("valid settings", "\n  ".join(["these:", *problems]))
    values["data_dir"] = data = values["data_dir"].resolve()
    external = values["redis_url"]
    values["redis_url"] = external or f"unix://{socket_path(data, 'log')}"
    values["queue_url"] = values["queue_url"] or external or f"unix://{socket_path(data, 'queue')}"
    values["database_url"] = values["database_url"] or f"sqlite:///{quote(str(data / 'engage.db'))}"
    return Settings(**values)


def environment_of(settings: Settings, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment in which a child process reads these same settings."""
    environment = {name: value for name, value in base.items() if not name.startswith(PREFIX)}
    for setting in TABLE:
        value = getattr(settings, setting.field)
        if isinstance(value, bool):
            environment[setting.variable] = "yes" if value else "no"
        elif setting.field.endswith("_ms"):
            environment[setting.variable] = f"{value // 1_000}s"
        elif isinstance(value, tuple):
            environment[setting.variable] = ",".join(value) or ("none" if setting.default else "")
        elif value is not None:
            environment[setting.variable] = str(value)
    return environment


def socket_path(data_dir: Path, name: str) -> Path:
    """Where the embedded Valkey `name` (`log` or `queue`) listens: in its data folder, or in a folder of this user's among
    the temporary ones when that path is too long for a socket (108 bytes on Linux, 104 on macOS) or too odd for a URL
    and for what RQ reads of `CLIENT INFO` (spaces)."""
    inside = data_dir / f"valkey-{name}" / "valkey.sock"
    if len(os.fsencode(inside)) <= MAX_SOCKET_PATH and _PLAIN_PATH.fullmatch(str(inside)):
        return inside
    digest = hashlib.blake2b(os.fsencode(data_dir), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"engage-{os.getuid()}" / f"{digest}-{name}.sock"


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each ENGAGE_* variable that is no setting, with the nearest name."""
    known = [setting.variable for setting in TABLE]
    return [
        f"{name} is no setting"
        + "".join(f"; did you mean {near}?" for near in difflib.get_close_matches(name, known, 1))
        for name in sorted(environment)
        if name.startswith(PREFIX) and name not in known
    ]
