"""A rulebook: all live rules compiled and indexed, immutable, shared by all decisions until the next version."""

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from hashlib import blake2b
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from rules.analysis import AbsenceTrigger, Analysis, Cap, analyse, check_id, read_limits
from rules.check import check_document, cross_check
from rules.condition import Condition, Segments, merge_trackers, read_condition
from rules.content import done_of, items_of, tours_in
from rules.data import ALL, BIT, OF_EVENT, mask_of
from rules.dialect import Compiled, EvaluationError, compile_logic
from rules.documents import INTERRUPTING, Definitions, Message, Rule, names_of
from rules.duration import parse_duration
from rules.errors import RulesError
from rules.experiment import Goal
from rules.index import Demand, Index, VarPath, clauses, demands
from rules.interruptions import Limits
from rules.occasions import LiveOccasion, Watched
from rules.problems import Problem, Report
from rules.schedule import LiveSchedule
from rules.temporal import Slot, Step, Tracker

_LIQUID: Final = re.compile(r"\{\{(.*?)\}\}|\{%(.*?)%\}", re.DOTALL)
_encode = msgspec.json.Encoder(order="sorted").encode


class LiveItem(msgspec.Struct, frozen=True):
    """An item of a checklist, and when it is done."""

    id: str
    done: Compiled
    reads: int
    slots: dict[str, Slot]


class LiveMessage(msgspec.Struct, frozen=True):
    """What a decision needs of a message. `reads`: the roots its Liquid may read, as bits."""

    id: str
    kind: str
    expires: int | None
    show_on: dict[str, Any] | None
    reads: int
    digest: str = ""
    items: tuple[LiveItem, ...] = ()

    @property
    def interrupts(self) -> bool:
        return self.kind in INTERRUPTING


class LiveVariant(msgspec.Struct, frozen=True):
    """One message of a rule; `id` None: its only one."""

    id: str | None
    weight: float
    message: LiveMessage


class LiveRule(msgspec.Struct, frozen=True):
    """A rule ready to be decided. `reads`: the roots of its condition and delay, as bits; `condition` None: always."""

    id: str
    priority: int
    condition: Compiled | None
    delay: int | Compiled
    reads: int
    slots: dict[str, Slot]
    cap: Cap | None
    cancel_on: frozenset[str]
    absence: AbsenceTrigger | None
    holdout: float
    variants: tuple[LiveVariant, ...]
    schedule: LiveSchedule | None
    wait: int | None
    goal: Goal | None
    occasion: LiveOccasion | None
    digest: str

    @property
    def kept(self) -> int:
        """The roots of its event that a timer of this rule has to keep."""
        later = self.reads if self.absence or self.wait else 0
        for variant in self.variants:
            later |= variant.message.reads
        return later & OF_EVENT

    @property
    def interrupts(self) -> bool:
        return any(variant.message.interrupts for variant in self.variants)


class LiveTracker(msgspec.Struct, frozen=True):
    """`demands` is set where it says all that `where` says; then nothing is evaluated. `step` of `steps`: of a sequence."""

    id: str
    keep: int
    where: Compiled | None
    demands: tuple[tuple[VarPath, frozenset[str]], ...] | None
    of: VarPath | None = None
    days: ZoneInfo | None = None
    step: int = 0
    steps: int = 0


class LiveWatched(msgspec.Struct, frozen=True):
    """A watched segment with its condition compiled."""

    watched: Watched
    compiled: Compiled
    reads: int


def _live_watched(watched: Watched) -> LiveWatched:
    compiled = compile_logic(watched.condition.logic)
    facts = compiled.facts()
    return LiveWatched(watched, compiled, mask_of(facts["reads"], facts["reads_complete"]))


class Rulebook:
    """Compiled by `compile_rulebook`; read by `decide` alone."""

    __slots__ = (
        "absent",
        "cancelling",
        "checklists",
        "goals",
        "holdout",
        "keys",
        "limits",
        "on_edge",
        "on_return",
        "rules",
        "secret",
        "segments",
        "suspended",
        "trackers",
        "tracking",
        "triggers",
        "version",
        "watched",
        "without",
        "woken",
    )

    def __init__(
        self,
        version: int,
        secret: bytes,
        segments: Segments,
        rules: list[tuple[LiveRule, Analysis]],
        trackers: dict[str, Tracker],
        limits: Limits,
        holdout: float,
    ) -> None:
        self.version = version
        self.limits = limits
        self.holdout = holdout
        self.suspended: Mapping[str, str] = {}  # rule → why it is not asked
        self.secret = secret
        self.segments = segments
        self.rules = {live.id: live for live, _ in rules}
        direct = [(live, found) for live, found in rules if live.absence is None and live.occasion is None]
        woken = [(live, live.occasion) for live, _ in rules if live.occasion]
        # "rule key" → the rules that a silence or a time of day wakes
        self.keys = {f"{live.id} {one.key}": live for live, one in woken if one.kind in ("inactive_for", "at")}
        self.woken = bool(woken)
        self.on_return = [live for live, one in woken if one.kind == "returns_after"]
        self.on_edge = _by_name((live, (f"{one.kind} {one.segment}",)) for live, one in woken if one.segment)
        self.watched: dict[str, LiveWatched] = {}
        for _, found in rules:
            if found.watched is not None and found.watched.key not in self.watched:
                self.watched[found.watched.key] = _live_watched(found.watched)
        absent = [live for live, _ in rules if live.absence]
        self.triggers: Index[LiveRule] = Index(
            [(live, found.triggers, demands(found.condition.logic)) for live, found in direct]
        )
        self.absent = _by_name((live, live.absence.after) for live in absent if live.absence)
        self.without = frozenset(name for live in absent if live.absence for name in live.absence.without)
        self.cancelling = frozenset(name for live, _ in rules for name in live.cancel_on)
        self.checklists = [live for live, _ in rules if any(variant.message.items for variant in live.variants)]
        self.goals = _by_name((live, live.goal.names) for live, _ in rules if live.goal)
        self.trackers = trackers
        self.tracking = tracking_index(trackers.values())


def suspending(rulebook: Rulebook, rules: Mapping[str, str]) -> Rulebook:
    """The same rulebook with some of its rules not asked, each for a reason."""
    if rules == rulebook.suspended:
        return rulebook
    other = copy(rulebook)
    other.suspended = rules
    return other


def _by_name(entries: Iterable[tuple[LiveRule, Iterable[str]]]) -> dict[str, list[LiveRule]]:
    found: dict[str, list[LiveRule]] = {}
    for live, names in entries:
        for name in names:
            found.setdefault(name, []).append(live)
    return found


def compile_rulebook(definitions: Definitions, version: int = 0, secret: bytes = b"") -> Rulebook:
    """Compiles every enabled rule; `secret` goes into the ids of its deliveries. Raises RulesError with the problems that `check` would have reported."""
    problems: list[Problem] = []
    segments = {segment.id: segment.condition for segment in definitions.segments}
    analyses: list[Analysis] = []
    for rule in definitions.rules:
        report = Report(f"rules/{rule.id}")
        check_id(rule.id, "", report)
        found = analyse(rule, report, segments)
        problems += report.problems
        if found is not None and rule.enabled:
            analyses.append(found)
    for document in (*definitions.messages, *definitions.segments):
        report = Report(document.id)
        check_document(document, report)
        problems += report.problems
    project = definitions.project[0] if definitions.project else None
    report = Report("project")
    limits = read_limits(project, report)
    problems += report.problems
    problems += cross_check(definitions)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise RulesError(f"{len(errors)} problems, the first: {errors[0]}", errors)
    live, trackers = _Compiler(definitions.messages).compile(analyses)
    holdout = project.holdout if project else 0.0
    return Rulebook(version, secret, segments, live, trackers, limits, holdout)


class _Compiler:
    """Compiles each distinct condition and message once."""

    def __init__(self, messages: list[Message]) -> None:
        self.messages = {message.id: message for message in messages}
        self.live: dict[str, LiveMessage] = {}
        self.compiled: dict[bytes, tuple[Compiled, int]] = {}
        self.trackers: dict[str, Tracker] = {}

    def compile(self, analyses: list[Analysis]) -> tuple[list[tuple[LiveRule, Analysis]], dict[str, Tracker]]:
        rules = []
        for found in analyses:
            merge_trackers(self.trackers, found.trackers)
            rules.append((self.rule(found), found))
        return rules, self.trackers

    def rule(self, found: Analysis) -> LiveRule:
        rule, condition = found.rule, found.condition
        compiled, reads = self.logic(condition.logic)
        slots = dict(condition.slots)
        delay: int | Compiled
        if isinstance(found.delay, Condition):
            delay, more = self.logic(found.delay.logic)
            reads |= more
            slots |= found.delay.slots
        else:
            delay = found.delay
        return LiveRule(
            id=rule.id,
            priority=rule.priority,
            condition=None if condition.logic is True else compiled,
            delay=delay,
            reads=reads,
            slots=slots,
            cap=found.cap,
            cancel_on=frozenset(names_of(rule.cancel_on)),
            absence=found.absence,
            holdout=rule.holdout,
            variants=self.variants(rule),
            schedule=found.schedule,
            wait=found.wait,
            goal=found.goal,
            occasion=found.occasion,
            digest=blake2b(_encode(condition.logic), digest_size=4).hexdigest(),
        )

    def logic(self, logic: Any) -> tuple[Compiled, int]:
        key = _encode(logic)
        known = self.compiled.get(key)
        if known is None:
            try:
                compiled = compile_logic(logic)
            except EvaluationError as error:
                raise RulesError(f"a condition that passed its check does not compile: {error}") from error
            facts = compiled.facts()
            known = self.compiled[key] = (compiled, mask_of(facts["reads"], facts["reads_complete"]))
        return known

    def variants(self, rule: Rule) -> tuple[LiveVariant, ...]:
        if rule.variants is None:
            return (LiveVariant(None, 1.0, self.message(rule.message or "")),)
        return tuple(LiveVariant(one.id, one.weight, self.message(one.message)) for one in rule.variants)

    def message(self, name: str) -> LiveMessage:
        known = self.live.get(name)
        if known is None:
            known = self.live[name] = self.live_message(self.messages[name])
        return known

    def live_message(self, message: Message) -> LiveMessage:
        tours = [name for _, name in tours_in(message.content)]
        return LiveMessage(
            id=message.id,
            kind=message.kind,
            expires=None if message.expires is None else parse_duration(message.expires),
            show_on=None if message.show_on is None else msgspec.to_builtins(message.show_on),
            reads=_liquid_reads([message.content, *(self.messages[tour].content for tour in tours)]),
            digest=blake2b(_encode(message.content), digest_size=4).hexdigest(),
            items=tuple(self.item(message, name) for name in items_of(message)),
        )

    def item(self, message: Message, name: str) -> LiveItem:
        condition = read_condition(done_of(message, name), ("done", name), Report(message.id))
        if condition is None:
            raise RulesError(f"a condition that passed its check is not one: `done` of {name} in {message.id}")
        merge_trackers(self.trackers, condition.trackers)
        compiled, reads = self.logic(condition.logic)
        return LiveItem(name, compiled, reads, dict(condition.slots))


def _liquid_reads(content: Any) -> int:
    """The roots that are named in Liquid tags: never too few, as every name in a tag counts."""
    text = _encode(content).decode()
    tags = " ".join(output or tag for output, tag in _LIQUID.findall(text))
    if text.count("{{") + text.count("{%") > len(_LIQUID.findall(text)):
        return ALL
    words = set(re.findall(r"\w+", tags))
    return sum(bit for root, bit in BIT.items() if root in words)


def tracking_index(trackers: Iterable[Tracker]) -> Index[LiveTracker]:
    """From an event to the trackers it may concern."""
    return Index([entry for tracker in trackers for entry in _live_trackers(tracker)])


def _live_trackers(tracker: Tracker) -> Iterator[tuple[LiveTracker, tuple[str, ...], list[Demand]]]:
    """What is filed in the index for a tracker: it, or each of its steps."""
    of = tuple(tracker.of.split(".")) if tracker.of else None
    days = ZoneInfo(tracker.days) if tracker.days else None
    for number, step in enumerate(tracker.steps or (Step(tracker.names, tracker.where),)):
        where, compiled = step.where, None
        found = demands(where)
        simple: tuple[tuple[VarPath, frozenset[str]], ...] | None = ()
        if where is not None and where is not True:
            settled = len(found) == len(clauses(where))
            simple = tuple((demand.path, demand.values) for demand in found) if settled else None
            compiled = None if settled else compile_logic(where)
        live = LiveTracker(tracker.id, tracker.keep, compiled, simple, of, days, number, len(tracker.steps))
        yield live, step.names, found
