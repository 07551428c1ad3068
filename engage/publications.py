"""What SQL keeps of publishing: every version of every document, with its text, and every rulebook that they made."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, Engine, and_, func, insert, select
from sqlalchemy.exc import IntegrityError

from engage.database import definitions, publications
from engage.definitions import Key
from engage.published import DocumentVersion, Publication
from engage.texts import GROUPS, names_of, written
from engage.times import iso, now_ms
from rules import Definitions

Action = Literal["push", "rollback", "folder", "found"]
MAX_AUTHOR: Final = 200
_FILES: Final = msgspec.json.Decoder(dict[str, str]).decode


class Kept(msgspec.Struct):
    """The newest version of a document; `document` is None where it was removed."""

    version: int
    document: str | None
    files: dict[str, str]


class State(msgspec.Struct):
    """What a rulebook holds. Version 0: nothing was published yet."""

    version: int
    documents: dict[Key, Kept]

    @property
    def definitions(self) -> Definitions:
        found: dict[str, list[Any]] = {group: [] for group, _ in GROUPS.values()}
        for (kind, _), kept in sorted(self.documents.items()):
            if kept.document is not None:
                group, struct = GROUPS[kind]
                found[group].append(msgspec.json.decode(kept.document, type=struct))
        return Definitions(**found)

    @property
    def files(self) -> dict[str, str]:
        """Name → text, of all that is live."""
        return {name: text for _, kept in sorted(self.documents.items()) for name, text in kept.files.items()}


class Change(msgspec.Struct):
    """The next version of a document."""

    key: Key
    version: int
    document: str | None
    files: dict[str, str] | None


def newest(engine: Engine, project: str) -> int:
    """The number of the newest rulebook, 0 where there is none."""
    with engine.connect() as connection:
        return _newest(connection, project)


def state_of(engine: Engine, project: str, version: int | None = None) -> State:
    """What the rulebook of that number holds, or the newest: exactly that, whatever is published meanwhile."""
    with engine.connect() as connection:
        found = _newest(connection, project) if version is None else version
        documents = {(row.kind, row.id): _kept(row) for row in connection.execute(_versions(project, found))}
    return State(found, documents)


def changes(before: State, found: Definitions, texts: Mapping[str, str]) -> list[Change]:
    """What makes `found` of what is there. `texts` are the files of `found`, as far as they are known."""
    made: list[Change] = []
    current: set[Key] = set()
    for kind, (group, _) in GROUPS.items():
        for document in getattr(found, group):
            key = kind, document.id
            current.add(key)
            kept = before.documents.get(key)
            encoded = msgspec.json.encode(document).decode()
            same = kept if kept is not None and kept.document == encoded else None
            files = _files(kind, document, texts, same.files if same else {})
            if same is None or same.files != files:
                made.append(Change(key, kept.version + 1 if kept else 1, encoded, files))
    for key, kept in before.documents.items():
        if kept.document is not None and key not in current:
            made.append(Change(key, kept.version + 1, None, None))
    return made


def commit(
    engine: Engine,
    project: str,
    version: int,
    made: Iterable[Change],
    author: str,
    action: Action,
    restored: int | None = None,
) -> bool:
    """Writes a rulebook and its changes, all or nothing. False when that number is taken: somebody published meanwhile."""
    common = {"project": project, "author": author[:MAX_AUTHOR], "created_at": iso(now_ms())}
    rows = [
        {
            "kind": change.key[0],
            "id": change.key[1],
            "version": change.version,
            "document": change.document,
            "files": None if change.files is None else msgspec.json.encode(change.files).decode(),
            "published": version,
            **common,
        }
        for change in made
    ]
    try:
        with engine.begin() as connection:
            connection.execute(insert(publications).values(version=version, action=action, restored=restored, **common))
            if rows:
                connection.execute(insert(definitions), rows)
    except IntegrityError:
        return False
    return True


def publication(engine: Engine, project: str, version: int) -> Publication | None:
    """One of them, or None."""
    found = history(engine, project, version + 1, 1)
    return found[0] if found and found[0].version == version else None


def history(engine: Engine, project: str, before: int | None, limit: int) -> list[Publication]:
    """The rulebooks before that number (None: all), the newest first."""
    wanted = select(publications).where(publications.c.project == project)
    if before is not None:
        wanted = wanted.where(publications.c.version < before)
    with engine.connect() as connection:
        rows = connection.execute(wanted.order_by(publications.c.version.desc()).limit(limit)).all()
        found = {
            row.version: Publication(row.version, row.created_at, row.author, row.action, row.restored) for row in rows
        }
        for row in connection.execute(_changed(project, found)):
            one = found[row.published]
            what = one.removed if row.removed else one.added if row.added else one.changed
            what.append(f"{GROUPS[row.kind][0]}/{row.id}")
    return list(found.values())


def document_history(engine: Engine, project: str, kind: str, identifier: str) -> list[DocumentVersion]:
    """All versions of a document, the newest first."""
    table = definitions
    wanted = select(table).where(table.c.project == project, table.c.kind == kind, table.c.id == identifier)
    with engine.connect() as connection:
        rows = connection.execute(wanted.order_by(table.c.version.desc())).all()
    return [
        DocumentVersion(
            row.version, row.published, row.created_at, row.author, None if row.document is None else _kept(row).files
        )
        for row in rows
    ]


def _files(kind: str, document: Any, texts: Mapping[str, str], kept: Mapping[str, str]) -> dict[str, str]:
    """The files of a document: as given, else as kept of the very same document, else written anew."""
    names = names_of(kind, document)
    found = {name: text for name in names if (text := texts.get(name, kept.get(name))) is not None}
    return found if len(found) == len(names) else {**written(kind, document), **found}


def _kept(row: Any) -> Kept:
    if row.document is None:
        return Kept(row.version, None, {})
    if row.files is not None:
        return Kept(row.version, row.document, _FILES(row.files))
    document: Any = msgspec.json.decode(row.document, type=GROUPS[row.kind][1])
    return Kept(row.version, row.document, written(row.kind, document))


def _newest(connection: Connection, project: str) -> int:
    wanted = select(func.max(publications.c.version)).where(publications.c.project == project)
    return connection.execute(wanted).scalar() or 0


def _versions(project: str, until: int) -> Any:
    """The version of each document that was the newest in a rulebook."""
    table = definitions
    wanted = select(table.c.kind, table.c.id, func.max(table.c.version).label("version"))
    wanted = wanted.where(table.c.project == project, table.c.published <= until)
    last = wanted.group_by(table.c.kind, table.c.id).subquery()
    same = and_(table.c.kind == last.c.kind, table.c.id == last.c.id, table.c.version == last.c.version)
    columns = (table.c.kind, table.c.id, table.c.version, table.c.document, table.c.files)
    return select(*columns).join_from(table, last, same).where(table.c.project == project)


def _changed(project: str, versions: Iterable[int]) -> Any:
    """What these rulebooks changed: removed, added (there was none, or a removed one, before), or else changed."""
    table, before = definitions, definitions.alias()
    forerunner = and_(
        before.c.project == table.c.project,
        before.c.kind == table.c.kind,
        before.c.id == table.c.id,
        before.c.version == table.c.version - 1,
    )
    columns = (
        table.c.published,
        table.c.kind,
        table.c.id,
        table.c.document.is_(None).label("removed"),
        before.c.document.is_(None).label("added"),
    )
    joined = select(*columns).select_from(table.outerjoin(before, forerunner))
    wanted = joined.where(table.c.project == project, table.c.published.in_(list(versions)))
    return wanted.order_by(table.c.kind, table.c.id)
