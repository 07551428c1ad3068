"""What `engage keys` and `engage audit` print of keys and of their use."""

from collections.abc import Iterator

import msgspec

from engage.audit import Entry
from engage.key_file import FILE, kept_here
from engage.projects import Project
from engage.secret_keys import SecretKey, prefix_of
from engage.settings import Settings
from engage.times import iso, now_ms


class Shown(msgspec.Struct):
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


def use(entry: Entry) -> str:
    """A line of the audit trail."""
    who = f"{entry.key} {entry.prefix}…" if entry.key else "no valid key"
    times = f"  ×{entry.count} until {entry.until}" if entry.count > 1 else ""
    return f"{entry.at}  {who:<22} {entry.address:<15} {entry.status} {entry.method} {entry.route}{times}"


def lines(settings: Settings, project: Project, found: list[SecretKey]) -> Iterator[str]:
    """A project's keys, for a person."""
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


def document(settings: Settings, project: Project, found: list[SecretKey]) -> Shown:
    """The same, for a program."""
    return Shown(
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
