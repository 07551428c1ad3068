"""`engage doctor`: what is missing on this machine, and how to mend it."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Literal

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from engage import valkey
from engage.bootstrap import find_browser
from engage.checking import check_paths
from engage.database import open_database
from engage.definitions import folder_problem
from engage.errors import ConfigurationError, EngageError
from engage.later import without
from engage.projects import kept_projects
from engage.remote import is_here
from engage.sdk import BUILT, LOADER
from engage.settings import SAFE_SECRET, Settings, unknown_variables
from engage.store import STORE_ERRORS, connect
from engage.times import now_ms
from engage.up import check_port
from engage.verified import DAYS, Users, read_users_sync

with without("rich"):  # for a command line of its own
    import httpx


class Finding(msgspec.Struct):
    """`state`: good, note (works, but), bad (does not work)."""

    state: Literal["good", "note", "bad"]
    what: str
    found: str
    mend: str = ""


def lines(findings: Iterable[Finding]) -> Iterator[str]:
    """As a terminal shows them."""
    for finding in findings:
        yield f"{finding.state:<5} {finding.what}: {finding.found}"
        if finding.mend:
            yield f"      → {finding.mend}"


def status(findings: Iterable[Finding]) -> int:
    """The exit status that tells of them."""
    return 1 if any(finding.state == "bad" for finding in findings) else 0


def examine(settings: Settings) -> list[Finding]:
    """Every check, in the order in which things build on each other."""
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _python, _variables, _data, _log_store, _queue_store, _sql, _identity, _service, _port, _snippet, _rules, _browser,
    )  # fmt: skip
    return [finding for check in checks for finding in check(settings)]


def _python(settings: Settings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    yield Finding("good" if good else "bad", "python", version, "" if good else "install Python 3.11 or later")


def _variables(settings: Settings) -> Iterator[Finding]:
    for warning in unknown_variables():
        yield Finding("note", "environment", warning, "docs/settings.md lists the settings")


def _data(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError as error:
        yield Finding(
            "bad", "data folder", f"{folder}: {error.strerror}", "choose another with ENGAGE_DATA_DIR or --data"
        )
        return
    free = shutil.disk_usage(folder).free // 2**20
    if not writable:
        yield Finding("bad", "data folder", f"{folder} cannot be written", "mend its permissions or choose another")
    elif free < 500:
        yield Finding("note", "data folder", f"{folder}, {free} MB free", "a full disk stops the log: make room")
    else:
        yield Finding("good", "data folder", f"{folder}, {free:,} MB free")


def _log_store(settings: Settings) -> Iterator[Finding]:
    if settings.embedded_log and not valkey.is_ready(settings.redis_url):
        yield from _binary()
        return
    yield from _server(settings.redis_url, "log store", "ENGAGE_REDIS_URL", fsync="always")


def _queue_store(settings: Settings) -> Iterator[Finding]:
    if settings.embedded_queue and not valkey.is_ready(settings.queue_url):
        return  # started with the product, by the same binary
    if settings.queue_url == settings.redis_url:
        mend = "set ENGAGE_QUEUE_URL to a server with appendfsync everysec: RQ's writes slow the log down"
        yield Finding("note", "queue store", "the log's own server", mend)
        return
    yield from _server(settings.queue_url, "queue store", "ENGAGE_QUEUE_URL", fsync=None)


def _binary() -> Iterator[Finding]:
    try:
        yield Finding("good", "log store", f"embedded Valkey, started by `engage up` ({valkey.binary()})")
    except ConfigurationError as error:
        yield Finding("bad", "log store", error.message, error.hint or "")


def _server(url: str, what: str, variable: str, fsync: str | None) -> Iterator[Finding]:
    try:
        client = connect(url)
        server = client.info("server")
    except STORE_ERRORS as error:
        yield Finding("bad", what, f"{_shown(url)} does not answer: {error}", f"start it, or mend {variable}")
        return
    try:
        config = client.config_get("append*") | client.config_get("maxmemory-policy")
    except STORE_ERRORS as error:
        config = None
        mend = f"make sure of appendonly yes, appendfsync {fsync or 'everysec'}, maxmemory-policy noeviction"
        yield Finding("note", what, f"its configuration cannot be read: {error}", mend)
    finally:
        client.close()
    name = "Valkey" if "valkey_version" in server else "Redis"
    version = str(server.get("valkey_version") or server.get("redis_version"))
    least = 8 if name == "Valkey" else 7
    if int(version.split(".")[0]) < least:
        yield Finding("bad", what, f"{name} {version}", f"{name} ≥ {least} is needed")
    else:
        yield Finding("good", what, f"{name} {version} at {_shown(url)}")
    if config is None:
        return
    settings = {_text(key): _text(value) for key, value in config.items()}
    if fsync and (settings.get("appendonly"), settings.get("appendfsync")) != ("yes", fsync):
        found = f"appendonly {settings.get('appendonly')}, appendfsync {settings.get('appendfsync')}"
        yield Finding(
            "bad", what, found, f"CONFIG SET appendonly yes appendfsync {fsync}: else a power cut loses events"
        )
    if settings.get("maxmemory-policy") != "noeviction":
        found = f"maxmemory-policy {settings.get('maxmemory-policy')}"
        yield Finding("bad", what, found, "CONFIG SET maxmemory-policy noeviction: else users' histories vanish")


def _shown(url: str) -> str:
    """Without a password."""
    return re.sub(r"//[^/@]*@", "//…@", url)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _sql(settings: Settings) -> Iterator[Finding]:
    try:
        engine = open_database(settings)
    except EngageError as error:
        yield Finding("bad", "database", error.message, "mend ENGAGE_DATABASE_URL, or start its server")
        return
    engine.dispose()
    yield Finding("good", "database", engine.url.render_as_string(hide_password=True))


def _identity(settings: Settings) -> Iterator[Finding]:
    try:
        projects = kept_projects(settings)
    except (EngageError, SQLAlchemyError):
        return  # the database says it
    for project in projects:
        secrets = project.identity_secrets
        if not secrets:
            found = "not verified: who knows a userId can read that user's messages"
            yield Finding("note", "identity", found, "set ENGAGE_IDENTITY_SECRET; docs/identity.md says how")
            continue
        if any(len(secret.encode()) < SAFE_SECRET for secret in secrets):
            yield Finding("note", "identity", f"a secret shorter than {SAFE_SECRET} bytes", "take a longer random one")
        if len(secrets) > 1:
            mend = "unset ENGAGE_IDENTITY_SECRET_OLD once your backend signs with the new one"
            yield Finding("note", "identity", "two secrets are valid", mend)
        if settings.embedded_log and not valkey.is_ready(settings.redis_url):
            yield Finding("good", "identity", f"enforced: {project.identity_enforce}; users are counted while it runs")
            continue
        try:
            with closing(connect(settings.redis_url)) as client:
                users = read_users_sync(client, project.id, now_ms())
        except STORE_ERRORS:
            continue  # the log store says it
        yield _verified(project.identity_enforce, users)


def _verified(enforced: str, users: Users) -> Finding:
    share = users.verified_share
    if share is None:
        return Finding("good", "identity", f"enforced: {enforced}; no user in the last {DAYS} days")
    found = f"enforced: {enforced}; of {users.users:,} users of the last {DAYS} days {share:.1%} always came verified"
    if enforced == "all":
        return Finding("good", "identity", found)
    if users.unverified:
        found += f", {users.unverified:,} did not ({users.invalid:,} with an invalid proof)"
        return Finding("note", "identity", found, "ENGAGE_IDENTITY_ENFORCE=all shuts these out; docs/identity.md")
    return Finding("good", "identity", found + ": ENGAGE_IDENTITY_ENFORCE=all would shut nobody out")


def _service(settings: Settings) -> Iterator[Finding]:
    try:
        reply = httpx.get(f"{settings.url}/readyz", timeout=5, trust_env=not is_here(settings.url))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        mend = "`engage up` starts it; if it runs elsewhere, name its address in ENGAGE_URL"
        yield Finding("note", "service", f"does not answer at {settings.url}: {error}", mend)
        return
    if reply.status_code == 200:
        yield Finding("good", "service", f"runs at {settings.url}")
    else:
        yield Finding("note", "service", f"{settings.url}/readyz answers {reply.status_code}", "its log says why")


def _port(settings: Settings) -> Iterator[Finding]:
    try:
        check_port(settings)
        yield Finding("good", "port", f"{settings.host}:{settings.port} is free")
    except EngageError as error:
        yield Finding(
            "note", "port", error.message, "fine when that is a running engage; else choose another with --port"
        )


def _snippet(settings: Settings) -> Iterator[Finding]:
    if (BUILT / LOADER).is_file():
        yield Finding("good", "snippet", str(BUILT / LOADER))
    else:
        yield Finding("bad", "snippet", f"{BUILT / LOADER} is not there", "run `make setup`: it builds the snippet")


def _rules(settings: Settings) -> Iterator[Finding]:
    if settings.rules_dir is None:
        yield Finding(
            "note",
            "rules",
            "no folder named here",
            "name one with --rules or ENGAGE_RULES_DIR to have its files looked at; `engage rules pull` shows what is in force",
        )
        return
    if (problem := folder_problem(settings.rules_dir)) is not None:
        yield Finding("bad", "rules", f"{settings.rules_dir}: {problem}", "give a folder with rules/, messages/ …")
        return
    try:
        checked = check_paths([settings.rules_dir])
    except EngageError as error:
        yield Finding("bad", "rules", error.message, "give a folder with rules/, messages/, segments/, articles/")
        return
    mend = f"engage rules check {settings.rules_dir}" if checked.errors else ""
    yield Finding("bad" if checked.errors else "good", "rules", f"{settings.rules_dir}: {checked.summary}", mend)


def _browser(settings: Settings) -> Iterator[Finding]:
    found = find_browser()
    mend = "" if found else "only `engage rules check --url` and the browser tests need one: apt-get install chromium"
    yield Finding("good" if found else "note", "browser", found or "none", mend)
