"""`engage rules push | pull | rollback | versions`: what each would change, before anything is."""

import contextlib
import getpass
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from engage.checking import documents_in, kind_of_text
from engage.definitions import ARTICLES, FOLDERS, folder_problem, read_document
from engage.differing import FileChange, compare
from engage.errors import ConfigurationError, InvalidRequest
from engage.published import DocumentVersion, Publication, Snapshot
from engage.remote import Refused, Remote
from engage.texts import GROUPS, load_texts, place_of
from rules import Problem, parse

_NOT_LIVE: Final = "there is nothing to go back to: nothing was published before"


class Plan(msgspec.Struct):
    """What is to be done. `base`: the version that is live. `problems`: with an error among them, nothing may be done."""

    base: int
    changes: list[FileChange]
    problems: list[Problem] = []
    folder: str | None = None
    version: int | None = None

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]

    @property
    def summary(self) -> str:
        counts = {what: sum(change.what == what for change in self.changes) for what in ("added", "changed", "removed")}
        return ", ".join(f"{number} {what}" for what, number in counts.items() if number) or "nothing to change"


class PushPlan(Plan):
    """`files`: name → text to put in place. `remove`: names to take away. `places`: name → the file it was read from."""

    files: dict[str, str] = {}
    remove: list[str] = []
    places: dict[str, str] = {}


class PullPlan(Plan):
    """`files`: name → text to write."""

    files: dict[str, str] = {}

    @property
    def loses(self) -> bool:
        """Whether anything that is there would be written over or removed."""
        return any(change.what != "added" for change in self.changes)


class _Published(msgspec.Struct):
    published: Publication | None


class _Listed(msgspec.Struct):
    rulebooks: list[Publication]


class _Versions(msgspec.Struct):
    versions: list[DocumentVersion]


def author() -> str:
    """Who is at this machine, for the history: `ann@laptop`."""
    name = "somebody"
    with contextlib.suppress(OSError, KeyError):  # a container may know no name
        name = getpass.getuser()
    return "".join(char for char in f"{name}@{socket.gethostname()}" if char.isprintable())[:200]


def plan_push(remote: Remote, paths: Iterable[Path], prune: bool) -> PushPlan:
    """Reads the files, and says what they would change and what is wrong with that. Raises InvalidRequest for a path without documents."""
    paths = list(paths)
    if prune:
        for path in paths:
            if problem := folder_problem(path):
                raise InvalidRequest(
                    "with --prune, a folder that holds all documents", f"{path}: {problem}", field="PATH"
                )
    read = _Read()
    for path in paths:
        read.take(path)
    live = remote.get("/api/rulebooks/live", Snapshot)
    removed = [name for name in live.files if name not in read.files] if prune else []
    wanted = {name: text for name, text in live.files.items() if not prune or name in read.files} | read.files
    found = load_texts(wanted, live.files).problems
    files = {name: text for name, text in read.files.items() if live.files.get(name) != text}
    problems = read.problems + _placed(found, read.places)
    return PushPlan(
        live.version,
        compare(live.files, wanted),
        problems,
        live.folder,
        files=files,
        remove=removed,
        places=read.places,
    )


def push(remote: Remote, plan: PushPlan) -> int:
    """Publishes what was planned, and returns the new version. Raises Refused; its problems name the files that were read."""
    body = {"base": plan.base, "author": author(), "files": plan.files, "remove": plan.remove}
    try:
        found = remote.post("/api/rulebooks", body, _Published).published
    except Refused as refused:
        refused.problems = _placed(refused.problems, plan.places)
        raise
    return plan.base if found is None else found.version


def plan_rollback(remote: Remote, version: int | None) -> Plan:
    """What going back to a version would change; without one, to the one before."""
    live = remote.get("/api/rulebooks/live", Snapshot)
    if version is None:
        before = remote.get("/api/rulebooks", _Listed, before=max(1, live.version), limit=1).rulebooks
        if not before:
            raise InvalidRequest(
                "a version before the one that is live", f"{live.version}: {_NOT_LIVE}", field="VERSION"
            )
        version = before[0].version
    wanted = remote.get(f"/api/rulebooks/{version}", Snapshot)
    return Plan(live.version, compare(live.files, wanted.files), folder=live.folder, version=version)


def roll_back(remote: Remote, plan: Plan) -> int:
    """Publishes it anew, and returns the new version."""
    body = {"base": plan.base, "author": author()}
    found = remote.post(f"/api/rulebooks/{plan.version}/rollback", body, _Published).published
    return plan.base if found is None else found.version


def plan_pull(remote: Remote, folder: Path, version: int | None, prune: bool) -> PullPlan:
    """What writing the live documents (or those of a version) into a folder would change there."""
    if folder.exists() and not folder.is_dir():
        raise InvalidRequest("a folder", str(folder), field="PATH")
    wanted = remote.get(f"/api/rulebooks/{version or 'live'}", Snapshot)
    for name in wanted.files:
        place_of(name)  # what a service says becomes a path on this disk
    here: dict[str, str] = {}
    for name in {*wanted.files, *(_documents(folder) if prune else ())}:
        path = folder / name
        if path.exists():
            try:
                here[name] = read_document(path).decode("utf-8", "backslashreplace")
            except OSError as error:
                raise ConfigurationError("a file that can be read", f"{path}: {error.strerror}", field="PATH") from None
    files = {name: text for name, text in wanted.files.items() if here.get(name) != text}
    return PullPlan(wanted.version, compare(here, wanted.files), version=wanted.version, files=files)


def pull(folder: Path, plan: PullPlan) -> None:
    """Writes what was planned. A file is the old one or the new one, whatever happens. Raises ConfigurationError."""
    try:
        for name, text in plan.files.items():
            _write(folder / name, text.encode())
        for change in plan.changes:
            if change.what == "removed":
                (folder / change.file).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(
            "a folder that can be written", f"{error.filename}: {error.strerror}", field="PATH"
        ) from None


def list_versions(remote: Remote, document: str | None, limit: int) -> list[Any]:
    """The rulebooks, or the versions of a document (`rules/hello`, or for a rule its id alone), the newest first."""
    if document is None:
        return remote.get("/api/rulebooks", _Listed, limit=limit).rulebooks
    group, slash, identifier = document.rpartition("/")
    groups = [name for name, _ in GROUPS.values()]
    if slash and group not in groups:
        raise InvalidRequest(
            f"a rule's id, or one of {', '.join(f'{name}/<id>' for name in groups)}", document, field="DOCUMENT"
        )
    path = f"/api/{group or 'rules'}/{quote(identifier, safe='')}/versions"
    return remote.get(path, _Versions).versions[:limit]


def told(found: Iterable[Publication | DocumentVersion]) -> Iterator[str]:
    """A line for each version."""
    for one in found:
        if isinstance(one, DocumentVersion):
            what = "removed" if one.files is None else f"in rulebook {one.rulebook}" if one.rulebook else ""
            yield f"{one.version:>6}  {one.at}  {one.author}  {what}".rstrip()
            continue
        action = f"rollback to {one.restored}" if one.restored else one.action
        names = [
            f"{sign}{name}"
            for sign, group in (("+", one.added), ("~", one.changed), ("-", one.removed))
            for name in group
        ]
        more = f" … {len(names) - 5} more" if len(names) > 5 else ""
        yield f"{one.version:>6}  {one.at}  {action} by {one.author}: {' '.join(names[:5])}{more}"


class _Read:
    """The files that were named, by the name they have in every folder of definitions."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.places: dict[str, str] = {}
        self.problems: list[Problem] = []

    def take(self, path: Path) -> None:
        if not path.exists():
            raise InvalidRequest("an existing file or folder", str(path), field="PATH")
        if not (found := documents_in(path)):
            raise InvalidRequest("documents (rules/*.json, messages/*.json, …)", f"none in {path}", field="PATH")
        for file in found:
            try:
                self._take(file, read_document(file))
            except OSError as error:
                self._add(file, f"Expected a readable file: {error.strerror}")

    def _take(self, file: Path, text: bytes) -> None:
        name = _name(file, text)
        try:
            place_of(name)
        except InvalidRequest as error:
            self._add(file, f"Expected a name such as {error.expected}")
            return
        if name in self.places and not file.samefile(self.places[name]):
            self._add(file, f"Expected each document once, got also {self.places[name]}")
            return
        self.places[name] = str(file)
        try:
            self.files[name] = text.decode()
        except UnicodeDecodeError:
            self.problems += parse("rule", text, str(file))[1]

    def _add(self, file: Path, message: str) -> None:
        self.problems.append(Problem(str(file), 0, 0, "$", message))


def _name(file: Path, text: bytes) -> str:
    """`rules/hello.json`, by the folder it lies in, else by what it looks like."""
    folder = Path(os.path.abspath(file)).parent.name
    if folder in (*FOLDERS.values(), ARTICLES):
        return f"{folder}/{file.name}"
    return f"{ARTICLES if file.suffix == '.md' else FOLDERS[kind_of_text(text)]}/{file.name}"


def _placed(problems: Iterable[Problem], places: Mapping[str, str]) -> list[Problem]:
    """The same with the files as the person named them; a document that has none here is live."""
    return [
        msgspec.structs.replace(problem, file=places.get(problem.file, f"{problem.file} (live)"))
        for problem in problems
    ]


def _documents(folder: Path) -> list[str]:
    """The names of all documents of a folder."""
    if folder_problem(folder):
        return []
    return [f"{file.parent.name}/{file.name}" for file in documents_in(folder)]


def _write(path: Path, text: bytes) -> None:
    """Beside it first, then by renaming; a file that is there keeps its permissions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            if path.exists():
                os.fchmod(file.fileno(), path.stat().st_mode & 0o777)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
