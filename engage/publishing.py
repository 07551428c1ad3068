"""Making definitions live: every version to SQL, then one immutable snapshot to Redis that a pointer names."""

from typing import Any, Final

import msgspec
from sqlalchemy import Engine, func, insert, select

from engage import keys
from engage.database import definitions as table
from engage.store import Script
from engage.times import iso, now_ms
from rules import Article, Definitions, Message, Rule, Segment

SNAPSHOTS_KEPT: Final = 10
_GROUPS: Final[dict[str, tuple[str, type]]] = {
    "rule": ("rules", Rule),
    "message": ("messages", Message),
    "segment": ("segments", Segment),
    "article": ("articles", Article),
}


# KEYS: pointer, new snapshot, snapshot to forget. ARGV: the version that is replaced, the new one, the snapshot.
# Returns 1, or 0 when somebody else published meanwhile.
_PUBLISH = Script("""
if tonumber(redis.call('GET', KEYS[1]) or '0') ~= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], ARGV[3])
redis.call('SET', KEYS[1], ARGV[2])
redis.call('UNLINK', KEYS[3])
return 1
""")


def publish(client: Any, project: str, found: Definitions) -> int:
    """Makes `found` the rulebook in force and returns its version; unchanged definitions make no new one.

    The pointer moves together with the snapshot; deciders switch to it between two batches.
    """
    snapshot = msgspec.json.encode(found)
    pointer = keys.rulebook(project)
    while True:
        version = int(client.get(pointer) or 0)
        if version and client.get(keys.rulebook_version(project, version)) == snapshot:
            return version
        new = version + 1
        forgotten = keys.rulebook_version(project, new - SNAPSHOTS_KEPT)
        script_keys = [pointer, keys.rulebook_version(project, new), forgotten]
        if _PUBLISH.run_sync(client, script_keys, [version, new, snapshot]):
            return new


def keep_versions(engine: Engine, project: str, found: Definitions, author: str) -> int:
    """Writes what changed since the last version of each document, and the removal of those that are gone (a version
    without a document); returns how many versions were written."""
    with engine.begin() as connection:
        known = {(row.kind, row.id): row for row in connection.execute(_newest(project))}
        rows: list[dict[str, Any]] = []
        for kind, (group, _) in _GROUPS.items():
            current = {d.id: msgspec.json.encode(d).decode() for d in getattr(found, group)}
            gone = {
                name: None for (k, name), row in known.items() if k == kind and row.document and name not in current
            }
            for name, document in {**current, **gone}.items():
                before = known.get((kind, name))
                if before is None or before.document != document:
                    version = 1 if before is None else before.version + 1
                    rows.append({"kind": kind, "id": name, "version": version, "document": document})
        common = {"project": project, "author": author, "created_at": iso(now_ms())}
        if rows:
            connection.execute(insert(table), [{**row, **common} for row in rows])
        return len(rows)


def last_versions(engine: Engine, project: str) -> Definitions:
    """What was live last, from SQL."""
    found: dict[str, list[Any]] = {group: [] for group, _ in _GROUPS.values()}
    with engine.connect() as connection:
        for row in connection.execute(_newest(project)):
            if row.document is not None:
                group, struct = _GROUPS[row.kind]
                found[group].append(msgspec.json.decode(row.document, type=struct))
    return Definitions(**found)


def _newest(project: str) -> Any:
    newest = (
        select(table.c.kind, table.c.id, func.max(table.c.version).label("version"))
        .where(table.c.project == project)
        .group_by(table.c.kind, table.c.id)
        .subquery()
    )
    return select(table.c.kind, table.c.id, table.c.version, table.c.document).join_from(
        table,
        newest,
        (table.c.project == project)
        & (table.c.kind == newest.c.kind)
        & (table.c.id == newest.c.id)
        & (table.c.version == newest.c.version),
    )
