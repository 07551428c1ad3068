"""Making definitions live. SQL decides: a rulebook is published once its row is there, with every document's version, in one
transaction. Then an immutable snapshot goes to Redis with the pointer that names it; whoever dies in between has published, and the
next to look (`settle`) carries it over."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Engine

from engage import keys
from engage.errors import BrokenDocuments, Conflict, NotFound
from engage.logs import get_logger
from engage.publications import (
    Action,
    State,
    changes,
    commit,
    history,
    newest,
    publication,
    state_of,
)
from engage.published import Publication
from engage.rulebooks import read_definitions_sync
from engage.store import STORE_ERRORS, Script
from engage.texts import load_texts, place_of
from rules import Definitions

SNAPSHOTS_KEPT: Final = 10
log = get_logger("engage.publishing")


# KEYS: pointer, new snapshot, snapshot to forget. ARGV: the new version, the snapshot.
# Returns 1, or 0 when that version or a newer one is in force.
_PUBLISH = Script("""
if tonumber(redis.call('GET', KEYS[1]) or '0') >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
redis.call('SET', KEYS[1], ARGV[1])
redis.call('UNLINK', KEYS[3])
return 1
""")


def put_in_force(client: Any, project: str, version: int, found: Definitions) -> bool:
    """Makes `found` the rulebook in force, by that number; False when it or a newer one is. Deciders switch between two batches."""
    forgotten = keys.rulebook_version(project, version - SNAPSHOTS_KEPT)
    script_keys = [keys.rulebook(project), keys.rulebook_version(project, version), forgotten]
    return bool(_PUBLISH.run_sync(client, script_keys, [version, msgspec.json.encode(found)]))


def settle(engine: Engine, client: Any, project: str) -> int:
    """Makes what is in force and what SQL keeps the same, and returns its version: the newer one counts."""
    kept, in_force = newest(engine, project), int(client.get(keys.rulebook(project)) or 0)
    if kept > in_force:
        put_in_force(client, project, kept, state_of(engine, project, kept).definitions)
    elif kept < in_force and (found := read_definitions_sync(client, project, kept)) is not None:
        version, definitions = found
        commit(engine, project, version, changes(state_of(engine, project), definitions, {}), "engage", "found")
        return version
    return max(kept, in_force)


def publish_all(
    engine: Engine, client: Any, project: str, found: Definitions, texts: Mapping[str, str], author: str
) -> int:
    """Makes a whole set live, whatever was; returns its version. What is live just so makes no new one."""
    while True:
        in_force = settle(engine, client, project)
        before = state_of(engine, project)
        made = changes(before, found, texts)
        if not made:
            return before.version
        version = max(in_force, before.version) + 1
        if commit(engine, project, version, made, author, "folder"):
            put_in_force(client, project, version, found)
            return version


def publish_files(
    engine: Engine,
    client: Any,
    project: str,
    base: int,
    files: Mapping[str, str],
    remove: list[str],
    author: str,
) -> Publication | None:
    """Puts files in place, takes others away, and publishes what follows, all or nothing; None when nothing changes. What is live
    beside them stays.

    Raises Conflict unless `base` is the version in force; NotFound for what is to be removed and is not there; BrokenDocuments.
    """
    before = _before(engine, client, project, base)
    live = before.files
    for name in remove:
        place_of(name, "remove")
        if name not in live:
            raise NotFound("a file that is live", name, field="remove")
    gone = set(remove)
    wanted = {name: text for name, text in (live | dict(files)).items() if name not in gone}
    return _publish(engine, client, project, before, wanted, author, "push")


def roll_back(engine: Engine, client: Any, project: str, base: int, version: int, author: str) -> Publication | None:
    """Publishes what an earlier rulebook held, as a new one; None when that is what is live. Raises as `publish_files`."""
    before = _before(engine, client, project, base)
    if publication(engine, project, version) is None:
        raise unknown_version(engine, project, version)
    wanted = state_of(engine, project, version).files
    return _publish(engine, client, project, before, wanted, author, "rollback", version)


def unknown_version(engine: Engine, project: str, version: int) -> NotFound:
    """The error that names what there is instead."""
    known = history(engine, project, None, 1)
    hint = "`engage rules versions` lists them"
    if known:
        near = history(engine, project, version, 1) or known
        hint = f"the newest is {known[0].version}, the nearest {near[0].version}; {hint}"
    return NotFound("the version of a rulebook that was published", str(version), field="version", hint=hint)


def _before(engine: Engine, client: Any, project: str, base: int) -> State:
    """What is live, which must be the version that the caller has looked at."""
    in_force = settle(engine, client, project)
    before = state_of(engine, project)
    if not base == in_force == max(in_force, before.version):
        raise _conflict(engine, project, base)
    return State(base, before.documents)


def _publish(
    engine: Engine,
    client: Any,
    project: str,
    before: State,
    wanted: Mapping[str, str],
    author: str,
    action: Action,
    restored: int | None = None,
) -> Publication | None:
    loaded = load_texts(wanted, before.files)
    if loaded.errors:
        raise BrokenDocuments(loaded.errors)
    made = changes(before, loaded.definitions, wanted)
    if not made:
        return None
    version = before.version + 1
    if not commit(engine, project, version, made, author, action, restored):
        raise _conflict(engine, project, before.version)
    try:
        put_in_force(client, project, version, loaded.definitions)
    except STORE_ERRORS as error:
        log.warning("published, and in force as soon as the store is back", version=version, error=str(error))
    return publication(engine, project, version)


def _conflict(engine: Engine, project: str, base: int) -> Conflict:
    found = history(engine, project, None, 1)
    now = found[0].version if found else 0
    who = f" ({found[0].action} by {found[0].author} at {found[0].at})" if now > base else ""
    hint = "nothing was published: look at what changes now, and try again"
    return Conflict(f"the version that is live, {now}{who}", str(base), field="base", hint=hint)
