"""`engage rules diff`: what two sets of definitions differ in, as Markdown fit for a review comment; and what that would have meant
for people, by a replay of the log with each."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from engage.backtesting import Plan, Progress, replay
from engage.definitions import FOLDERS, load_folder
from engage.errors import BrokenDocuments, InvalidRequest
from rules import Definitions, RuleTest
from rules.duration import format_duration

LIVE: Final = "live"
_KINDS: Final = (*FOLDERS.values(), "articles")


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


def differences(old: Definitions, new: Definitions) -> Iterator[str]:
    """Every document that was added, removed or changed, with its lines."""
    found = False
    for kind in _KINDS:
        before, after = _texts(old, kind), _texts(new, kind)
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) == after.get(name):
                continue
            found = True
            what = "added" if name not in before else "removed" if name not in after else "changed"
            yield f"### {kind}/{name}: {what}"
            yield ""
            yield "```diff"
            lines = difflib.unified_diff(before.get(name, []), after.get(name, []), lineterm="", n=2)
            yield from list(lines)[2:]
            yield "```"
            yield ""
    if not found:
        yield "No differences."


def _texts(definitions: Definitions, kind: str) -> dict[str, list[str]]:
    documents: list[Any] = getattr(definitions, kind)
    return {one.id: msgspec.json.format(msgspec.json.encode(one), indent=2).decode().splitlines() for one in documents}


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
