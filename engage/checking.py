"""`engage rules check`: every problem of a set of files at once."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from engage.definitions import ARTICLES, FOLDERS, Loaded, load_folder, read_document
from engage.errors import InvalidRequest
from engage.templates import template_problems
from rules import Message, Problem, parse, parse_article

_KIND_OF: Final = {name: kind for kind, name in FOLDERS.items()}


class Checked(msgspec.Struct):
    """`documents`: how many were looked at."""

    documents: int
    errors: int
    warnings: int
    problems: list[Problem]

    @property
    def summary(self) -> str:
        return f"{self.documents} documents, {self.errors} errors, {self.warnings} warnings"


def check_paths(paths: Iterable[Path]) -> Checked:
    """Checks files and folders. A file in a definitions folder is checked beside its neighbours, so that the messages
    and articles it names are found; problems are reported of the named files only.

    Raises InvalidRequest for a path that does not exist or holds no documents.
    """
    seen: dict[Path, Loaded] = {}
    files: dict[Path, None] = {}
    problems: dict[Problem, None] = {}
    for path in paths:
        if not path.exists():
            raise InvalidRequest("an existing file or folder", str(path), field="PATH")
        found = documents_in(path)
        if not found:
            raise InvalidRequest("documents (rules/*.json, messages/*.json, …)", f"none in {path}", field="PATH")
        for file in found:
            files[file] = None
            problems |= dict.fromkeys(_problems(file, seen))
    errors = sum(problem.severity == "error" for problem in problems)
    return Checked(
        len(files), errors, len(problems) - errors, sorted(problems, key=lambda p: (p.file, p.line, p.column))
    )


def documents_in(path: Path) -> list[Path]:
    """The documents a path names: itself, those of a definitions folder, or those that lie in any other folder."""
    if path.is_file():
        return [path]
    found = [file for name in FOLDERS.values() for file in sorted((path / name).glob("*.json"))]
    found += sorted((path / ARTICLES).glob("*.md"))
    return found or sorted(path.glob("*.md" if path.name == ARTICLES else "*.json"))


def _problems(file: Path, seen: dict[Path, Loaded]) -> list[Problem]:
    if file.parent.name in (*_KIND_OF, ARTICLES):
        root = file.parent.parent
        if root not in seen:
            seen[root] = load_folder(root)
        return [problem for problem in seen[root].problems if problem.file == str(file)]
    text = read_document(file)
    if file.suffix == ".md":
        return parse_article(text, str(file))[3]
    document, problems = parse(kind_of_text(text), text, str(file))
    return problems + template_problems(document, text, str(file)) if isinstance(document, Message) else problems


def kind_of_text(text: bytes) -> Any:
    """What a document outside the known folders is meant to be."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return "rule"
    fields = set(value) if isinstance(value, dict) else set()
    if fields & {"kind", "content"}:
        return "message"
    return "segment" if "condition" in fields and not fields & {"trigger", "message"} else "rule"
