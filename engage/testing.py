"""`engage rules test`: the tests inside rule files, run with the rules of their folder, and told as pytest would."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from engage.checking import documents_in, kind_of_text
from engage.definitions import FOLDERS, load_folder
from engage.errors import InvalidRequest
from rules import Definitions, Message, Problem, Rule, Rulebook, Trial, cross_check, parse, trial_rulebook, try_case
from rules.documents import messages_of
from rules.duration import format_duration
from rules.problems import line_column
from rules.source import read_document

PASSED: Final = 0
FAILED: Final = 1
BROKEN: Final = 2
NONE: Final = 5  # as pytest says that it found none
_OTHERS: Final = {folder for kind, folder in FOLDERS.items() if kind != "rule"}


class FileTrial(msgspec.Struct):
    """One test that was run, and where it stands: `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    trial: Trial


class Tested(msgspec.Struct):
    """`problems`: what is broken; then nothing was run. `files`: the rules that were looked at."""

    passed: int
    failed: int
    files: list[str]
    tests: list[FileTrial]
    problems: list[Problem]

    @property
    def status(self) -> int:
        if self.problems:
            return BROKEN
        return FAILED if self.failed else PASSED if self.tests else NONE


class _Set(msgspec.Struct):
    """Documents that are in force together, and the files of their rules by id."""

    definitions: Definitions
    problems: list[Problem]
    files: dict[str, tuple[str, bytes]]


def run_tests(paths: Iterable[Path], alone: bool = False) -> Tested:
    """Runs the tests of rule files and folders. Files in a definitions folder run beside their neighbours; a rule file elsewhere runs
    beside the other files named of its folder, and its message need not be there.

    Raises InvalidRequest for a path that does not exist or holds no rules.
    """
    groups: dict[Path, dict[Path, None]] = {}
    for path in paths:
        found = _rule_files(path)
        if not found:
            raise InvalidRequest("rules (rules/*.json)", f"none in {path}", field="PATH")
        for file in found:
            groups.setdefault(file.parent, {})[file] = None
    tested = Tested(0, 0, [], [], [])
    for folder, files in groups.items():
        wanted = {str(file) for file in files}
        tested.files += sorted(wanted)
        documents = _in_folder(folder.parent) if folder.name == FOLDERS["rule"] else _elsewhere(list(files))
        tested.problems += [found for found in documents.problems if not alone or found.file in wanted]
        if not tested.problems:
            tested.tests += _run(documents, wanted, alone)
    if tested.problems:
        tested.tests = []
    tested.passed = sum(test.trial.passed for test in tested.tests)
    tested.failed = len(tested.tests) - tested.passed
    return tested


def _rule_files(path: Path) -> list[Path]:
    if not path.exists():
        raise InvalidRequest("an existing file or folder", str(path), field="PATH")
    if path.is_file():
        if path.suffix != ".json" or path.parent.name in _OTHERS:
            return []
        inside = path.parent == Path() and Path.cwd().name == FOLDERS["rule"]
        return [Path("..", FOLDERS["rule"], path.name) if inside else path]
    found = documents_in(path)
    inner = [file for file in found if file.parent.name == FOLDERS["rule"]]
    if inner or any(file.parent != path for file in found):
        return inner
    return [file for file in found if file.suffix == ".json" and kind_of_text(file.read_bytes()) == "rule"]


def _in_folder(root: Path) -> _Set:
    loaded = load_folder(root)
    files = {identifier: found for (kind, identifier), found in loaded.files.items() if kind == "rule"}
    return _Set(loaded.definitions, loaded.errors, files)


def _elsewhere(paths: list[Path]) -> _Set:
    """Rules without a definitions folder; a stand-in for each message they or their tests name."""
    found = _Set(Definitions([], [], [], [], []), [], {})
    for path in paths:
        text = path.read_bytes()
        document, problems = parse("rule", text, str(path))
        found.problems += [problem for problem in problems if problem.severity == "error"]
        if isinstance(document, Rule):
            found.definitions.rules.append(document)
            found.files[document.id] = str(path), text
    named = {name for rule in found.definitions.rules for name in messages_of(rule).values()}
    for rule in found.definitions.rules:
        for case in rule.tests:
            named |= {one.deliver or one.withdraw or "" for one in case.expect} - {""}
            named |= {one.message for one in case.events if one.message}
    found.definitions.messages += [
        Message(id=name, kind="banner", content={"en": {"text": name}}) for name in sorted(named)
    ]
    files = {("rule", identifier): place for identifier, place in found.files.items()}
    found.problems += cross_check(found.definitions, files)
    return found


def _run(documents: _Set, wanted: set[str], alone: bool) -> list[FileTrial]:
    tests = []
    common: Rulebook | None = None
    for rule in documents.definitions.rules:
        file, text = documents.files[rule.id]
        if file not in wanted or not rule.tests:
            continue
        if alone or not rule.enabled:
            rulebook = trial_rulebook(documents.definitions, rule, alone)
        else:
            rulebook = common = common or trial_rulebook(documents.definitions, rule)
        read = read_document(text, file)[1]
        for index in range(len(rule.tests)):
            offset = read.place.find(("tests", index)) if read.place else 0
            tests.append(FileTrial(file, *line_column(read.text, offset), try_case(rule, index, rulebook, alone)))
    return tests


def report(tested: Tested) -> Iterator[str]:
    """What people read: a line a file, then each failure with its timeline, then the sums."""
    if tested.problems:
        yield from map(str, tested.problems)
        yield f"{len(tested.problems)} errors: nothing was run"
        return
    for file in tested.files:
        marks = ["." if test.trial.passed else "F" for test in tested.tests if test.file == file]
        yield f"{file} {''.join(marks) or '(no tests)'}"
    for test in tested.tests:
        if not test.trial.passed:
            yield ""
            yield from _failure(test)
    yield ""
    if not tested.tests:
        yield "no tests"
    else:
        yield f"{tested.passed} passed" if not tested.failed else f"{tested.failed} failed, {tested.passed} passed"


def _failure(test: FileTrial) -> Iterator[str]:
    trial = test.trial
    yield f"FAILED {test.file}:{test.line}:{test.column}: {trial.rule}: {trial.name}"
    if trial.error:
        yield f"  could not go on: {trial.error}"
    for came in trial.missing:
        yield f"  expected, but did not come: {came}"
    for came in trial.unexpected:
        yield f"  came, but was not expected: {came}"
    yield "  what happened:"
    last = None
    for moment in trial.timeline:
        time = format_duration(moment.at) if moment.at >= 0 else f"-{format_duration(-moment.at)}"
        shown = "" if time == last else time
        last = time
        if moment.kind == "event":
            yield f"    {shown:>8}  {moment.text}"
        elif moment.kind == "considered":
            yield f"    {shown:>8}    {moment.rule}: {moment.text}"
        else:
            yield f"    {shown:>8}    → {moment.kind} {moment.text}"
        for clause in moment.clauses:
            reads = f"   ({'; '.join(clause.reads)})" if clause.reads else ""
            yield f"    {'':>8}      {clause.value:<5} {clause.text}{reads}"
