"""What the service tells of what was published, and its clients read."""

import msgspec


class Publication(msgspec.Struct, omit_defaults=True):
    """One rulebook: its number, and what it changed. `action`: `push`, `rollback` (to `restored`), `folder` (a watched one), or `found` (in
    force, and not known here)."""

    version: int
    at: str
    author: str
    action: str
    restored: int | None = None
    added: list[str] = []
    changed: list[str] = []
    removed: list[str] = []


class Snapshot(msgspec.Struct):
    """A rulebook with all its texts. `folder`: the one that the service watches, and publishes from."""

    version: int
    files: dict[str, str]
    folder: str | None
    published: Publication | None


class DocumentVersion(msgspec.Struct):
    """One version of a document; `files` is null where it was removed. `rulebook`: the one that brought it (0: not known any more)."""

    version: int
    rulebook: int
    at: str
    author: str
    files: dict[str, str] | None
