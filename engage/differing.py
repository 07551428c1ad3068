"""`engage rules diff`: what two sets of definitions differ in, as Markdown fit for a review comment; and what that would have meant
for people, by a replay of the log with each."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from engage.backtesting import Plan, Progress, replay
from engage.definitions import FOLDERS, load_folder
from engage.errors import BrokenDocuments, InvalidRequest
from rules import Definitions, RuleTest
from rules.duration import format_duration

LIVE: Final = "live"
_KINDS: Final = (*FOLDERS.values(), "articles")
_UNENDED: Final = "\\ No newline at end of file"
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def definitions_of(name: str, live: Definitions | None) -> Definitions:
    """What a folder holds, or with `live` what is in force. Raises InvalidRequest, or BrokenDocuments."""
    if name == LIVE and live is not None:
        return live
    path = Path(name)
    if not path.is_dir():
        raise InvalidRequest(f"a folder with rules/ and messages/, or `{LIVE}`", name, field="OLD, NEW")
    loaded = load_folder(path)
    if loaded.errors:
        raise BrokenDocuments(loaded.errors)
    return loaded.definitions


class FileChange(msgspec.Struct):
    """What becomes of one document, or of one file of it, and its lines as a unified diff."""

    file: str
    what: Literal["added", "changed", "removed"]
    diff: list[str]


def differences(old: Definitions, new: Definitions) -> Iterator[str]:
    """Every document that was added, removed or changed, with its lines."""
    return as_markdown(compare(_texts(old), _texts(new)))


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> list[FileChange]:
    """What differs between two sets of texts, by name."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new:
            lines = difflib.unified_diff(_lines(old), _lines(new), lineterm="", n=2)
            what: Any = "added" if old is None else "removed" if new is None else "changed"
            found.append(FileChange(name, what, list(lines)[2:]))
    return found


def as_markdown(changes: Iterable[FileChange]) -> Iterator[str]:
    found = False
    for change in changes:
        found = True
        yield from (f"### {change.file}: {change.what}", "", "```diff", *change.diff, "```", "")
    if not found:
        yield "No differences."


def _lines(text: str | None) -> list[str]:
    """Lines as they can be shown: what a terminal would obey is made visible, and so is a last line that nothing ends."""
    if text is None:
        return []
    lines = [_CONTROL.sub(_visible, line) for line in text.removesuffix("\n").split("\n")]
    return lines if text.endswith("\n") else [*lines, _UNENDED]


def _visible(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else "\N{REPLACEMENT CHARACTER}"


def _texts(definitions: Definitions) -> dict[str, str]:
    return {
        f"{kind}/{one.id}": msgspec.json.format(msgspec.json.encode(one), indent=2).decode() + "\n"
        for kind in _KINDS
        for one in getattr(definitions, kind)
    }


def impact(
    client: Any, project: str, shards: int, old: Definitions, new: Definitions, last: int, progress: Progress
) -> Iterator[str]:
    """Reach, caps and collisions of both on the same log, rule by rule."""
    plans = [Plan(found, [rule.id for rule in found.rules if rule.enabled]) for found in (old, new)]
    (since, until), (before, after) = replay(client, project, shards, plans, last, progress)
    was, now = ({one.rule_id: one for one in test.report()} for test in (before, after))
    yield f"### Impact on {format_duration(last)} of log"
    yield ""
    yield f"{since[:16]} … {until[:16]} UTC, {after.events:,} events of {after.people:,} people, replayed with the old and the new rules."
    yield ""
    yield "| rule | people | messages | capped |"
    yield "|---|--:|--:|--:|"
    same = []
    for name in sorted(was.keys() | now.keys()):
        one, other = was.get(name), now.get(name)
        if one is not None and other is not None and _numbers(one) == _numbers(other):
            same.append(name)
            continue
        mark = " (new)" if one is None else " (removed)" if other is None else ""
        pairs = zip(_numbers(one), _numbers(other), strict=True)
        yield f"| {name}{mark} | " + " | ".join(f"{_shown(a)} → {_shown(b)}" for a, b in pairs) + " |"
    yield ""
    if same:
        yield f"Unchanged: {', '.join(same)}."
        yield ""
    yield from _collisions(before.collisions(), after.collisions())


def _numbers(rule: RuleTest | None) -> tuple[int | None, int | None, int | None]:
    return (None, None, None) if rule is None else (rule.users, rule.deliveries, rule.outcomes.get("capped", 0))


def _shown(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _collisions(before: dict[tuple[str, str], int], after: dict[tuple[str, str], int]) -> Iterator[str]:
    pairs = sorted(before.keys() | after.keys())
    if not pairs:
        yield "Nobody would have got two messages that interrupt within half an hour."
        return
    yield "People who would have got two messages that interrupt within half an hour:"
    yield ""
    yield "| rules | people |"
    yield "|---|--:|"
    for pair in pairs:
        yield f"| {pair[0]}, {pair[1]} | {before.get(pair, 0):,} → {after.get(pair, 0):,} |"
