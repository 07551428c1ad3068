"""`engage rules check`: every problem of a set of files at once."""

from collections import Counter
from collections.abc import Iterable, Iterator
from math import ceil
from pathlib import Path
from typing import Any, Final

import msgspec

from engage.definitions import ARTICLES, FOLDERS, load_folder, read_document
from engage.errors import InvalidRequest
from engage.keys import ShardKeys
from engage.log import read_log, to_event
from engage.templates import template_problems
from rules import SERVICE, Message, Observed, Problem, Rule, doubt, parse, parse_article
from rules.problems import Report
from rules.source import read_document as read_source

_KIND_OF: Final = {name: kind for kind, name in FOLDERS.items()}


class Checked(msgspec.Struct):
    """`documents`: how many were looked at; `problems` has notes too, which are counted nowhere."""

    documents: int
    errors: int
    warnings: int
    problems: list[Problem]

    @property
    def summary(self) -> str:
        return f"{self.documents} documents, {self.errors} errors, {self.warnings} warnings"

    @property
    def noted(self) -> str:
        """The notes in one line: most documents have one, and most can live with it."""
        notes = [problem for problem in self.problems if problem.severity == "note"]
        more = f" ({len(notes) - 1} more ask so)" if len(notes) > 1 else ""
        return f"{notes[0]}{more}" if notes else ""


def check_paths(paths: Iterable[Path], retention: int | None = None) -> Checked:
    """Checks files and folders. A file in a definitions folder is checked beside its neighbours, so that the messages
    and articles it names are found; problems are reported of the named files only. With `retention` (ms), what asks for a longer
    past than the log keeps is told too.

    Raises InvalidRequest for a path that does not exist or holds no documents.
    """
    seen: dict[Path, dict[str, list[Problem]]] = {}
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
            problems |= dict.fromkeys(_problems(file, seen, retention))
    return summed(len(files), problems)


def observe(client: Any, project: str, shards: int) -> tuple[Observed, str]:
    """What the retained log has seen, and how long it is, as `7d`."""
    observed, first, last = Observed(), 0, 0
    for number in range(shards):
        for _, record in read_log(client, ShardKeys(project, number).log):
            if record.kind != SERVICE and not record.w:
                observed.add(to_event(record))
            first, last = min(first or record.r, record.r), max(last, record.r)
    hours = max(1, ceil((last - first) / 3_600_000))
    return observed, f"{hours}h" if hours < 24 else f"{ceil(hours / 24)}d"


def check_against(checked: Checked, paths: Iterable[Path], observed: Observed, span: str) -> Checked:
    """The same with what the rules expect and the log does not show, as warnings."""
    problems = dict.fromkeys(checked.problems)
    for document, report in parsed_in(paths):
        if isinstance(document, Rule):
            doubt(document, observed, span, report)
            problems |= dict.fromkeys(report.problems)
    return summed(checked.documents, problems)


def parsed_in(paths: Iterable[Path]) -> Iterator[tuple[Any, Report]]:
    """The documents of files and folders, as far as they can be parsed, each with a report that takes more problems of it."""
    for file in _files(paths):
        text = read_document(file)
        document, _ = parse(_kind(file, text), text, str(file))
        if document is not None:
            yield document, read_source(text, str(file))[1]


def summed(documents: int, problems: Iterable[Problem]) -> Checked:
    """What was found in so many documents, counted, by file and place."""
    severities = Counter(problem.severity for problem in problems)
    return Checked(documents, severities["error"], severities["warning"], sorted(problems, key=_place))


def _files(paths: Iterable[Path]) -> list[Path]:
    return list(dict.fromkeys(file for path in paths for file in documents_in(path) if file.suffix == ".json"))


def _kind(file: Path, text: bytes) -> Any:
    return _KIND_OF.get(file.parent.name) or kind_of_text(text)


def _place(problem: Problem) -> tuple[str, int, int]:
    return problem.file, problem.line, problem.column


def documents_in(path: Path) -> list[Path]:
    """The documents a path names: itself, those of a definitions folder, or those that lie in any other folder."""
    if path.is_file():
        return [path]
    found = [file for name in FOLDERS.values() for file in sorted((path / name).glob("*.json"))]
    found += sorted((path / ARTICLES).glob("*.md"))
    return found or sorted(path.glob("*.md" if path.name == ARTICLES else "*.json"))


def _problems(file: Path, seen: dict[Path, dict[str, list[Problem]]], retention: int | None) -> list[Problem]:
    """Those of one file; `seen`: by folder and file, what was found before."""
    if file.parent.name in (*_KIND_OF, ARTICLES):
        root = file.parent.parent
        if root not in seen:
            seen[root] = {}
            for problem in load_folder(root, retention=retention).problems:
                seen[root].setdefault(problem.file, []).append(problem)
        return seen[root].get(str(file), [])
    text = read_document(file)
    if file.suffix == ".md":
        return parse_article(text, str(file))[3]
    document, problems = parse(kind_of_text(text), text, str(file), retention)
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
