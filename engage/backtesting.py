"""`engage rules backtest`: the retained log, replayed through the engine with a draft in place. Changes nothing.

What lies before the log's beginning is not known: people's traits and histories start where it starts.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from engage import keys
from engage.definitions import FOLDERS, load_folder, read_document
from engage.errors import BrokenDocuments, InvalidRequest, NotFound
from engage.keys import ShardKeys
from engage.log import newest, read_logs, to_event
from engage.times import iso, now_ms
from rules import Backtest, Definitions, Rule, RuleTest, Segment, cross_check, parse
from rules.condition import references
from rules.documents import messages_of
from rules.duration import format_duration
from rules.occasions import segments_of
from rules.problems import nearest

Progress = Callable[[float], None]


class Plan(msgspec.Struct):
    """What is to be tested: all documents, drafts in place, and the ids of the rules to report."""

    definitions: Definitions
    tested: list[str]
    version: int = 0


class Backtested(msgspec.Struct, rename={"from_": "from"}):
    """The answer: the window, the events and people in it, and what every rule under test would have done."""

    from_: str
    until: str
    rulebook: int
    events: int
    people: int
    rules: list[RuleTest]


def plan_of(rule: str | None, every: bool, live: tuple[int, Definitions]) -> Plan:
    """What a person asked for: a rule file or the id of a live rule, or with `every` a definitions folder or what is live.

    Raises NotFound, InvalidRequest, or BrokenDocuments with the problems of the files.
    """
    version, definitions = live
    path = None if rule is None else Path(rule)
    if every:
        if path is not None:
            definitions = _folder(path)
        return Plan(definitions, [found.id for found in definitions.rules if found.enabled], version)
    if rule is None or path is None:
        raise InvalidRequest("a rule file, or the id of a live rule", None, field="RULE", hint="or ask for --all")
    if path.is_file():
        definitions, identifier = _with_draft(path, definitions)
        return Plan(definitions, [identifier], version)
    known = [found.id for found in definitions.rules]
    if rule not in known:
        raise NotFound(f"a rule file, or the id of a live rule{nearest(rule, known)}", rule, field="RULE")
    return Plan(definitions, [rule], version)


def _folder(path: Path) -> Definitions:
    if not path.is_dir():
        raise InvalidRequest("a folder with rules/ and messages/", str(path), field="RULE")
    loaded = load_folder(path)
    if loaded.errors:
        raise BrokenDocuments(loaded.errors)
    return loaded.definitions


def _with_draft(path: Path, live: Definitions) -> tuple[Definitions, str]:
    """The live documents with the draft in its place, and with what it names of its own folder."""
    text = read_document(path)
    document, problems = parse("rule", text, str(path))
    errors = [problem for problem in problems if problem.severity == "error"]
    if not isinstance(document, Rule) or errors:
        raise BrokenDocuments(errors)
    root = path.parent.parent
    beside = load_folder(root).definitions if path.resolve().parent.name == FOLDERS["rule"] else Definitions()
    segments = {segment.id: segment for segment in beside.segments}
    named: dict[str, Segment] = {}
    edges = [{"segment": name} for _, name in segments_of(document.trigger)]
    waiting: list[Any] = [document.condition, document.delay, *edges]
    while waiting:
        for _, kind, name in references(waiting.pop(), ()):
            if kind == "segment" and name in segments and name not in named:
                named[name] = segments[name]
                waiting.append(segments[name].condition)
    messages = [message for message in beside.messages if message.id in messages_of(document).values()]
    found = Definitions(
        replaced(live.rules, [document]),
        replaced(live.messages, messages),
        replaced(live.segments, list(named.values())),
        replaced(live.articles, beside.articles),
        beside.project or live.project,
    )
    errors = cross_check(found, {("rule", document.id): (str(path), text)})
    if errors:
        raise BrokenDocuments(errors)
    return found, document.id


def replaced(known: list[Any], more: list[Any]) -> list[Any]:
    """Documents, with others in the places of those of the same id, or behind them."""
    names = {document.id for document in more}
    return [document for document in known if document.id not in names] + more


def backtest(
    client: Any, project: str, shards: int, plan: Plan, last: int, progress: Progress = lambda share: None
) -> Backtested:
    """Replays the project's log; `last` is the window before the newest event, ms; `progress` hears the share that is done, and
    stops it by raising. Raises the store's errors, and RulesError for documents that do not compile."""
    window, tests = replay(client, project, shards, [plan], last, progress)
    (test,) = tests
    return Backtested(*window, plan.version, test.events, test.people, test.report())


def replay(
    client: Any, project: str, shards: int, plans: list[Plan], last: int, progress: Progress = lambda share: None
) -> tuple[tuple[str, str], list[Backtest]]:
    """Several plans on one reading of the log; see `backtest`. Returns the window as ISO 8601, and the tests."""
    logs = [ShardKeys(project, number) for number in range(shards)]
    until = max((newest(client, found.log) for found in logs), default=0)
    since = until - last
    secret = bytes(client.get(keys.delivery_secret(project)) or b"")
    made = {bytes(key)[-32:] for key in client.scan_iter(f"{{{project}.*}}:delivery:*", count=10_000)}
    tests = [
        Backtest(plan.definitions, plan.tested, since, lambda found: found.encode() in made, secret) for plan in plans
    ]
    now = now_ms()
    for share, record in read_logs(client, [found.log for found in logs]):
        for test in tests:
            test.event(to_event(record), record.r)
        progress(share)
    for test in tests:
        test.finish(now)
    progress(1.0)
    return (iso(max(0, since)), iso(until)), tests


def as_document(found: Backtested, every: bool) -> dict[str, Any]:
    """The answer as JSON. Of one rule its numbers stand at the top."""
    document: dict[str, Any] = msgspec.to_builtins(found)
    return document if every else document | document.pop("rules")[0]


def report(found: Backtested, last: int) -> Iterator[str]:
    """What people read."""
    yield (
        f"{found.from_[:16]} … {found.until[:16]} UTC ({format_duration(last)}): {found.events:,} events of "
        f"{found.people:,} people, beside rulebook {found.rulebook}"
    )
    for rule in sorted(found.rules, key=lambda rule: (-rule.deliveries, rule.rule_id)):
        yield ""
        yield from _report(rule)


def _report(rule: RuleTest) -> Iterator[str]:
    yield f"{rule.rule_id}: {_count(rule.users, 'person', 'people')} would have got {_count(rule.deliveries, 'message', 'messages')}"
    if rule.outcomes:
        yield "  considered  " + ", ".join(f"{name} {count:,}" for name, count in rule.outcomes.items())
    if rule.goals is not None:
        share = f"{100 * rule.goals.share:.1f} %"
        yield f"  goal        {_count(rule.goals.users, 'person', 'people')} reached it in time ({share})"
    if rule.displaced:
        yield "  displaced   " + ", ".join(f"{one.rule_id} {one.deliveries:,}" for one in rule.displaced)
    widest = max((day.deliveries for day in rule.by_day), default=0)
    for day in rule.by_day:
        bar = "█" * max(1, round(24 * day.deliveries / widest))
        yield f"  {day.day}  {bar:<24}  {_count(day.users, 'person', 'people')}, {_count(day.deliveries, 'message', 'messages')}"
    for person in rule.who[:5]:
        more = f" and {len(person.at) - 1} more" if len(person.at) > 1 else ""
        yield f"  {person.user}: {person.at[0]}{more}"
    if rule.users > 5:
        yield f"  … and {rule.users - 5:,} more people"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
