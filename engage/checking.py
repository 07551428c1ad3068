"""`engage rules check`: every problem of a set of files at once."""

from collections.abc import Iterable
from math import ceil
from pathlib import Path
from typing import Any, Final

import msgspec

from engage.definitions import ARTICLES, FOLDERS, Loaded, load_folder, read_document
from engage.errors import InvalidRequest
from engage.keys import ShardKeys
from engage.log import read_log, to_event
from engage.templates import template_problems
from rules import Message, Observed, Problem, Rule, doubt, parse, parse_article
from rules.source import read_document as read_source

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
    return Checked(len(files), errors, len(problems) - errors, sorted(problems, key=_place))


def observe(client: Any, project: str, shards: int) -> tuple[Observed, str]:
    """What the retained log has seen, and how long it is, as `7d`."""
    observed, first, last = Observed(), 0, 0
    for number in range(shards):
        for _, record in read_log(client, ShardKeys(project, number).log):
            observed.add(to_event(record))
            first, last = min(first or record.r, record.r), max(last, record.r)
    hours = max(1, ceil((last - first) / 3_600_000))
    return observed, f"{hours}h" if hours < 24 else f"{ceil(hours / 24)}d"


def check_against(checked: Checked, paths: Iterable[Path], observed: Observed, span: str) -> Checked:
    """The same with what the rules expect and the log does not show, as warnings."""
    files = dict.fromkeys(file for path in paths for file in documents_in(path) if file.suffix == ".json")
    problems = list(checked.problems)
    for file in files:
        text = read_document(file)
        kind: Any = _KIND_OF.get(file.parent.name) or kind_of_text(text)
        document, _ = parse(kind, text, str(file))
        if isinstance(document, Rule):
            report = read_source(text, str(file))[1]
            doubt(document, observed, span, report)
            problems += [problem for problem in report.problems if problem not in problems]
    warnings = len(problems) - checked.errors
    return Checked(checked.documents, checked.errors, warnings, sorted(problems, key=_place))


def _place(problem: Problem) -> tuple[str, int, int]:
    return problem.file, problem.line, problem.column


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
    if "interruptions" in fields:
        return "project"
    return "segment" if "condition" in fields and not fields & {"trigger", "message"} else "rule"
