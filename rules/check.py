"""Checking documents: every problem at once, with its place, before anything goes live. Nothing here raises on bad input."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, cast

from rules.analysis import analyse, check_id, read_limits
from rules.cases import messages_in
from rules.condition import Segments, read_condition, references
from rules.content import articles_in, check_message, tours_in
from rules.contradiction import contradictions, contradictions_of_segment
from rules.documents import (
    Article,
    ArticleContent,
    Definitions,
    Document,
    Kind,
    Message,
    Project,
    Rule,
    Segment,
    messages_of,
)
from rules.limits import MAX_PROBLEMS, MAX_TEXT_BYTES
from rules.occasions import segments_of
from rules.precedence import outranked
from rules.privacy import denied_reads, read_privacy
from rules.problems import Path, Problem, Report, Severity, nearest
from rules.retention import beyond_retention
from rules.shape import to_struct
from rules.source import read_document
from rules.temporal import SEGMENT
from rules.theme import read_theme

DocumentKind = Literal["rule", "message", "segment", "project"]
Files = Mapping[tuple[str, str], tuple[str, bytes]]

STRUCTS: Final[dict[str, type[Document]]] = {"rule": Rule, "message": Message, "segment": Segment, "project": Project}
# What a document cannot do without: where it is missing or broken, the rest is checked with these.
_STAND_INS: Final[dict[str, dict[str, Any]]] = {
    "rule": {"id": "rule", "trigger": "page"},
    "message": {"id": "message", "kind": "banner", "content": {"en": {}}},
    "segment": {"id": "segment", "condition": True},
    "project": {"id": "project"},
}
_TOGETHER: Final[tuple[Path, ...]] = (
    ("trigger",),
    ("tests",),
)  # in these, the fields of an object are judged by one another


def parse(
    kind: DocumentKind, text: bytes, file: str, retention: int | None = None
) -> tuple[Document | None, list[Problem]]:
    """The document, or None, and everything that is wrong (or doubtful) in it; with `retention` (how long the log is kept, ms) also
    the questions that reach further back."""
    value, report = read_document(text, file)
    if report.failed:
        return None, report.problems
    document = to_struct(value, STRUCTS[kind], report)
    if document is None:
        _check_the_rest(kind, value, report)
        return None, report.problems
    check_document(document, report)
    if retention is not None and not report.failed:
        beyond_retention(document, retention, report)
    return (None if report.failed else document), report.problems


def shape_of(kind: DocumentKind, text: bytes, file: str) -> Document | None:
    """The document as far as its fields are in order, whatever else is wrong with it."""
    value, report = read_document(text, file)
    return None if report.failed else _sound_part(kind, value, file)[0]


def _check_the_rest(kind: DocumentKind, value: Any, report: Report) -> None:
    """What is wrong with the fields that are in order by their shape, though others are not."""
    document, gone = _sound_part(kind, value, report.file)
    if document is not None:
        if ("kind",) in gone and isinstance(document, Message):
            document.kind = cast(Kind, "")  # of no kind: there is no shape to hold its content to
        beside = Report(report.file, report.text, report.place)
        check_document(document, beside)
        report.take(found for found in beside.problems if _is_true(found, beside.paths[found.path], gone))


def _sound_part(kind: DocumentKind, value: Any, file: str) -> tuple[Document | None, set[Path]]:
    """The document without the fields that are of a wrong shape, and which these are; what it cannot do without is stood in for."""
    if not isinstance(value, dict):
        return None, set()
    needed = _STAND_INS[kind]
    gone: set[Path] = {(name,) for name in needed.keys() - value.keys()}
    sound = needed | value
    while True:
        report = Report(file)
        document = to_struct(sound, STRUCTS[kind], report)
        if document is not None or len(report.problems) >= MAX_PROBLEMS:
            return document, gone
        before = sound
        for path in report.paths.values():
            while path and isinstance(path[-1], int):  # without one item the others would have other places
                path = path[:-1]
            gone.add(path)
            sound = needed | _without(sound, path)
        if sound == before:
            return None, gone


def _without(value: Any, path: Path) -> Any:
    """A JSON value without the field at a path."""
    if len(path) == 1:
        return {key: inner for key, inner in value.items() if key != path[0]}
    if isinstance(value, list):
        return [_without(inner, path[1:]) if index == path[0] else inner for index, inner in enumerate(value)]
    return value | {path[0]: _without(value[path[0]], path[1:])} if path and path[0] in value else value


def _is_true(problem: Problem, path: Path, gone: set[Path]) -> bool:
    """Whether what was found in the sound part is so in the whole: it is not for what is judged by a field that is gone."""
    names = {place[0] for place in gone if place}
    if "trigger" in names and problem.severity != "error":
        return False
    if not path:
        return names.isdisjoint(("message", "variants"))
    if path[0] == "tests" and path[-1] == "variant" and "variants" in names:
        return False
    for place in gone:
        around = place[:-1] if place[:1] in _TOGETHER and len(place) > 1 else place
        if path[: len(around)] == around or around[: len(path)] == path:
            return False
    return True


def check_document(document: Document, report: Report) -> None:
    """What the shape alone does not say."""
    check_id(document.id, report.file, report)
    if isinstance(document, Rule):
        found = analyse(document, report)
        if found is not None:
            contradictions(found, report)
    elif isinstance(document, Message):
        check_message(document, report)
    elif isinstance(document, Segment):
        condition = read_condition(document.condition, ("condition",), report)
        if condition is not None:
            contradictions_of_segment(condition, document.condition, report)
    elif isinstance(document, Project):
        read_limits(document, report)
        if document.privacy is not None:
            read_privacy(document.privacy, ("privacy",), report)
        if document.theme is not None:
            read_theme(document.theme, ("theme",), report)


def parse_article(text: bytes, file: str) -> tuple[str, str, ArticleContent | None, list[Problem]]:
    """(id, locale, content, problems) of `articles/<id>.<locale>.md`; the first `# Heading` is the title."""
    report = Report(file)
    name = file.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".md")
    identifier, _, locale = name.rpartition(".")
    if not identifier or not locale:
        report.add((), "Expected a file named `<id>.<locale>.md`")
    else:
        check_id(identifier, "", report)
    if len(text) > MAX_TEXT_BYTES:
        report.add((), f"Expected at most {MAX_TEXT_BYTES:,} bytes, got {len(text):,}")
        return identifier, locale, None, report.problems
    try:
        body = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        report.add((), f"Expected UTF-8, got the byte 0x{text[error.start]:02x}")
        return identifier, locale, None, report.problems
    title, rest = _heading(body)
    if title is None:
        report.add((), "Expected a first `# Heading`: it is the title")
    report.take(_tables(body, file))
    content = None if report.failed else ArticleContent(title or "", rest)
    return identifier, locale, content, report.problems


def _tables(body: str, file: str) -> list[Problem]:
    """A table would be shown as it is written; it is known by the line below its head."""
    told = "Tables are not drawn: people would see these lines as they are written; a list says the same"
    fenced = False
    found = []
    for number, line in enumerate(body.splitlines(), 1):
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        if not fenced and "|" in line and "-" in line and not line.strip("|:- \t"):
            found.append(Problem(file, number, 1, "$", told, "warning"))
    return found


def _heading(body: str) -> tuple[str | None, str]:
    lines = body.splitlines()
    for index, line in enumerate(lines):
        if line.startswith("# "):
            rest = lines[:index] + lines[index + 1 :]
            return line[2:].strip(), "\n".join(rest).strip() + "\n"
    return None, body


def cross_check(definitions: Definitions, files: Files | None = None) -> list[Problem]:
    """What only the whole set shows: ids used twice, messages and articles that do not exist.

    `files` gives the file name and the text of a document, by (kind, id), so that problems have their place.
    """
    checker = _Cross(files or {})
    groups: list[tuple[str, Sequence[Document | Article]]] = [
        ("rule", definitions.rules),
        ("message", definitions.messages),
        ("segment", definitions.segments),
        ("article", definitions.articles),
        ("project", definitions.project),
    ]
    for project in definitions.project[1:]:
        told = f"Expected one document about the project, got `{project.id}` beside `{definitions.project[0].id}`"
        checker.add("project", project.id, ("id",), told)
    for kind, documents in groups:
        checker.once(kind, [document.id for document in documents])
    known = _known_ids(definitions)
    for document in (*definitions.segments, *definitions.rules):
        checker.references(document, known)
    checker.circles(definitions.segments)
    if not checker.problems:
        checker.expand(definitions)
    for message in definitions.messages:
        checker.references(message, known)
    return checker.problems


def lost_references(broken: Iterable[Document], definitions: Definitions, files: Files) -> list[Problem]:
    """What documents that are broken otherwise name and is not there: all that is wrong with them is told at once."""
    checker = _Cross(files)
    known = _known_ids(definitions)
    for document in broken:
        checker.references(document, known)
    return checker.problems


def _known_ids(definitions: Definitions) -> dict[str, set[str]]:
    return {
        "message": {message.id for message in definitions.messages},
        "tour": {message.id for message in definitions.messages if message.kind == "tour"},
        "segment": {segment.id for segment in definitions.segments},
        "article": {article.id for article in definitions.articles},
    }


def cross_doubts(definitions: Definitions, files: Files | None = None) -> list[Problem]:
    """Warnings that only the whole set shows: rules that can never win, conditions that contradict a segment they name. For
    definitions without errors."""
    checker = _Cross(files or {})
    segments = {segment.id: segment.condition for segment in definitions.segments}
    for rule in definitions.rules:
        if names_segments(rule):
            checker.contradictions(rule, segments)
    for kind, documents in (("rule", definitions.rules), ("segment", definitions.segments)):
        for document in documents:
            for path, message in denied_reads(document, definitions):
                checker.add(kind, document.id, path, message, "warning")
    checklists = {message.id for message in definitions.messages if message.kind == "checklist"}
    for rule in definitions.rules:
        if rule.snooze is not None and checklists.intersection(messages_of(rule).values()):
            told = "A checklist is not put off: its launcher stays until all is done, or it is dismissed; take `snooze` out"
            checker.add("rule", rule.id, ("snooze",), told, "warning")
    for rule, higher, kind in outranked(definitions.rules, definitions.messages, segments):
        message = (
            f"This can never win: `{higher.id}` (priority {higher.priority}) matches whenever it does and shows its {kind} each time; "
            f"give this one a higher priority, or `{higher.id}` a narrower condition or a `frequency`"
        )
        checker.add("rule", rule.id, ("priority",), message, "warning")
    return checker.problems


def names_segments(rule: Rule) -> bool:
    inside = any(wanted == SEGMENT for _, wanted, _ in references([rule.condition, rule.delay], ()))
    return inside or any(segments_of(rule.trigger))


class _Cross:
    def __init__(self, files: Files) -> None:
        self.files = files
        self.problems: list[Problem] = []

    def once(self, kind: str, ids: list[str]) -> None:
        seen: set[str] = set()
        for identifier in ids:
            if identifier in seen:
                self.add(kind, identifier, ("id",), f"Expected each {kind} id once, got `{identifier}` twice")
            seen.add(identifier)

    def exists(self, kind: str, identifier: str, path: Path, wanted: str, name: str, known: set[str]) -> None:
        if name in known:
            return
        if (wanted, name) in self.files:
            self.add(kind, identifier, path, f"The {wanted} `{name}` cannot be used: see the problems of its own file")
        else:
            self.add(kind, identifier, path, f"The {wanted} `{name}` does not exist{nearest(name, known)}")

    def references(self, document: Document, known: Mapping[str, set[str]]) -> None:
        """Everything that a document names."""
        if isinstance(document, Rule):
            for place, shown in messages_of(document).items():
                self.exists("rule", document.id, place, "message", shown, known["message"])
            for path, name in messages_in(document.tests):
                self.exists("rule", document.id, path, "message", name, known["message"])
            self.named("rule", document.id, document.condition, ("condition",), known)
            self.named("rule", document.id, document.delay, ("delay",), known)
            for place, segment in segments_of(document.trigger):
                self.exists("rule", document.id, place, "segment", segment, known["segment"])
        elif isinstance(document, Segment):
            self.named("segment", document.id, document.condition, ("condition",), known)
        elif isinstance(document, Message):
            for path, article in articles_in(document.content, ("content",)):
                self.exists("message", document.id, path, "article", article, known["article"])
            for path, tour in tours_in(document.content):
                self.exists("message", document.id, path, "tour", tour, known["tour"])
            for item, condition in (document.done or {}).items():
                self.named("message", document.id, condition, ("done", item), known)

    def named(self, kind: str, identifier: str, logic: Any, path: Path, known: Mapping[str, set[str]]) -> None:
        """The messages and segments that a condition names."""
        for place, wanted, name in references(logic, path):
            self.exists(kind, identifier, place, wanted, name, known[wanted])

    def circles(self, segments: Sequence[Segment]) -> None:
        """Segments that are made of themselves."""
        parts = {
            segment.id: {
                name: place
                for place, wanted, name in references(segment.condition, ("condition",))
                if wanted == SEGMENT
            }
            for segment in segments
        }
        for start in parts:
            came_from: dict[str, str] = {}
            waiting = [start]
            while waiting:
                here = waiting.pop()
                for name in parts.get(here, {}):
                    if name not in came_from:
                        came_from[name] = here
                        waiting.append(name)
            if start not in came_from:
                continue
            round_trip = [start]
            while len(round_trip) == 1 or round_trip[-1] != start:
                round_trip.append(came_from[round_trip[-1]])
            round_trip.reverse()
            shown = " → ".join(f"`{name}`" for name in round_trip)
            self.add("segment", start, parts[start][round_trip[1]], f"The segment is made of itself: {shown}")

    def expand(self, definitions: Definitions) -> None:
        """What shows only where the conditions of segments are put in their places."""
        segments = {segment.id: segment.condition for segment in definitions.segments}
        for rule in definitions.rules:
            if names_segments(rule):
                report = self.report("rule", rule.id)
                analyse(rule, report, segments)
                self.problems += [problem for problem in report.problems if problem.severity == "error"]

    def contradictions(self, rule: Rule, segments: Segments) -> None:
        """Those that show where segments stand in their places."""
        report = self.report("rule", rule.id)
        found = analyse(rule, report, segments)
        report.problems.clear()
        if found is not None:
            contradictions(found, report)
        self.problems += report.problems

    def report(self, kind: str, identifier: str) -> Report:
        """An empty report on a document."""
        file, text = self.files.get((kind, identifier), (f"{kind}s/{identifier}", b""))
        report = read_document(text, file)[1] if text else Report(file)
        report.problems.clear()
        return report

    def add(self, kind: str, identifier: str, path: Path, message: str, severity: Severity = "error") -> None:
        report = self.report(kind, identifier)
        report.add(path, message, severity)
        self.problems += report.problems
