"""Documents as texts: the file each one is kept in, the text of one that nobody wrote by hand, and a set of texts read as a whole."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from engage.definitions import ARTICLES, FOLDERS, Loaded, Reader
from engage.errors import InvalidRequest
from rules import Article, Definitions, Message, Project, Rule, Segment
from rules.documents import ID_PATTERN

GROUPS: Final[dict[str, tuple[str, type]]] = {
    "rule": ("rules", Rule),
    "message": ("messages", Message),
    "segment": ("segments", Segment),
    "article": ("articles", Article),
    "project": ("project", Project),
}
NAME_PATTERN: Final = rf"({'|'.join(FOLDERS.values())})/({ID_PATTERN})\.json|{ARTICLES}/({ID_PATTERN})\.([^/\\.\x00-\x1f\x7f]{{1,64}})\.md"
_NAME: Final = re.compile(NAME_PATTERN)
_KINDS: Final = {folder: kind for kind, folder in FOLDERS.items()}


class Place(NamedTuple):
    """What a file's name says of its document. `locale`: of an article."""

    kind: str
    id: str
    locale: str = ""


def place_of(name: str, field: str = "files") -> Place:
    """Raises InvalidRequest for a name that push and pull would not write: nothing else becomes a path on somebody's disk."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise InvalidRequest(
            "`rules/<id>.json`, `messages/<id>.json`, `segments/<id>.json`, `project/<id>.json` or `articles/<id>.<locale>.md`",
            name[:200],
            field=field,
        )
    if found[1]:
        return Place(_KINDS[found[1]], found[2])
    return Place("article", found[3], found[4])


def names_of(kind: str, document: Any) -> list[str]:
    """The files of a document: one, or of an article one for each locale."""
    if kind == "article":
        return [f"{ARTICLES}/{document.id}.{locale}.md" for locale in document.content]
    return [f"{FOLDERS[kind]}/{document.id}.json"]


def written(kind: str, document: Any) -> dict[str, str]:
    """The files of a document whose own texts are not known. Read again, they give the same document."""
    if kind == "article":
        texts = [f"# {content.title}\n\n{content.body}" for content in document.content.values()]
    else:
        texts = [msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"]
    return dict(zip(names_of(kind, document), texts, strict=True))


def texts_of(found: Definitions) -> dict[str, str]:
    """The same of a whole set."""
    return {
        name: text
        for kind, (group, _) in GROUPS.items()
        for document in getattr(found, group)
        for name, text in written(kind, document).items()
    }


def load_texts(files: Mapping[str, str], live: Mapping[str, str] | None = None) -> Loaded:
    """What the texts say together, as a folder of them would. Those that are `live` just so were checked when they went live."""
    live = live or {}
    reader = Reader({}, {})
    for name in sorted(files):
        text = files[name].encode("utf-8", "surrogatepass")
        kind, identifier, locale = place_of(name)
        if locale:
            reader.take_article(name, text)
        elif live.get(name) != files[name] or not _trust(reader, kind, identifier, name, text):
            reader.take(kind, name, text)
    return reader.settle()


def _trust(reader: Reader, kind: str, identifier: str, name: str, text: bytes) -> bool:
    """Takes a document without looking for problems; False where it cannot be read so."""
    try:
        document: Any = msgspec.json.decode(text.removeprefix(b"\xef\xbb\xbf"), type=GROUPS[kind][1])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False
    reader.documents[kind, identifier] = document
    reader.files[kind, identifier] = name, text
    return True
