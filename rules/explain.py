"""Why somebody got a message, or did not: one rule at one moment of a person's history, replayed from the log.

Every event that could have woken the rule is a moment of it, also one that the index spared the evaluation.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

import msgspec

from rules.analysis import LIFETIME, SESSION
from rules.apply import SERVICE
from rules.clauses import Clause, ClauseReader, clauses_of, shown
from rules.data import Cause
from rules.decide import arm_before
from rules.dialect import EvaluationError
from rules.documents import INTERRUPTING, Definitions, Occasion, Rule, messages_of, names_of
from rules.duration import format_duration
from rules.event import Event
from rules.experiment import MESSAGE, left_out, pick
from rules.frequency import counted, pending
from rules.groups import PREFIX
from rules.occasions import trigger_names
from rules.outcome import PUT_OFF, Considered, Outcome
from rules.replay import Replay
from rules.rulebook import LiveRule, compile_rulebook
from rules.state import Record, State, decode_state, encode_state
from rules.variables import iso

Language = Literal["en", "ja"]
MOMENTS: Final = 20
_ASKED: Final = (
    "matched", "not_matched", "capped", "limited", "lost", "queued", "delayed", "outside_schedule", "holdout", "error",
)  # fmt: skip
_WORDS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "stranger": "{user} has sent no event that is still in the log.",
        "never": "`{rule}` was never woken for {user}: none of their {events} events in the log is {triggers}.",
        "no_occasion": "`{rule}` was never woken for {user}: {triggers} did not come about.",
        "matched": "{user} got `{message}` at {at}{because}. {fate}",
        "not_matched": "{user} did not get `{message}` at {at}: {held} of {all} conditions held. The first that did not: {clause}",
        "not_begun": "{user} did not get `{message}` at {at}: {detail}.",
        "capped": "{user} did not get `{message}` at {at}: the conditions held, but {used} of {max} {per} were used.",
        "dismissed": "{user} did not get `{message}` at {at}: the conditions held, but {user} dismissed it: {detail}.",
        "limited": "{user} did not get `{message}` at {at}: the conditions held, but the project's limit was reached: {detail}.",
        "lost": "{user} did not get `{message}` at {at}: the conditions held, but it lost {detail}, which interrupted already.",
        "queued": "{user} gets `{message}` as soon as there is room, until then it waits: the conditions held at {at}, but {detail}.",
        "failed": "{user} did not get `{message}`: it could not be made: {detail}",
        "project_holdout": "{user} did not get `{message}` at {at}: the conditions held, but {user} is among those whom the project leaves out of everything.",
        "outside_schedule": "{user} did not get `{message}` at {at}: the conditions held, but the rule's schedule does not allow that time.",
        "delayed": "{user} gets `{message}` at {due}, unless {cancel} comes before: the conditions held at {at}.",
        "delayed_once": "Nothing new at {at}: the conditions held, and its delay was running already.",
        "waiting": "{user} gets `{message}` at {due} if {cancel} has not come by then: the time runs since {at}.",
        "cancelled": "{user} did not get `{message}`: {detail} at {at}, which ended its time.",
        "withdrawn": "`{message}` was taken back at {at} before {user} saw it: {detail}.",
        "put_off": "`{message}`, which {user} had put off, was taken back at {at}, and does not come again: {detail}.",
        "holdout": "{user} did not get `{message}` at {at}: the conditions held, but {user} is among the {share} % who are left out.",
        "error": "{user} did not get `{message}` at {at}: it could not be evaluated: {detail}",
        "held": ": its conditions held",
        "timer": ": its time was over",
        "was_shown": "It was shown at {shown}.",
        "was_put_off": " They put it off at {at}: it comes again when the time of `snooze` is over.",
        "was_withdrawn": "It was taken back before it was shown.",
        "has_expired": "It expired before it was shown.",
        "is_pending": "It has not been shown yet.",
        "nothing": "nothing",
        "ever": "ever",
        "session": "per session",
        "per": "per {per}",
        "or": " or ",
    },
    "ja": {
        "stranger": "{user} さんのイベントはログに残っていません。",
        "never": "「{rule}」は {user} さんに対して一度も起動していません。ログにある {events} 件のイベントに {triggers} はありません。",
        "no_occasion": "「{rule}」は {user} さんに対して一度も起動していません。{triggers} は起こりませんでした。",
        "matched": "{user} さんには {at} に「{message}」が届きました{because}。{fate}",
        "not_matched": "{at} に「{message}」は {user} さんに届きませんでした。{all} 件の条件のうち成り立ったのは {held} 件です。最初に成り立たなかった条件: {clause}",
        "not_begun": "{at} に「{message}」は {user} さんに届きませんでした({detail})。",
        "capped": "{at} に「{message}」は {user} さんに届きませんでした。条件は成り立ちましたが、{per}の上限 {max} 件のうち {used} 件を使っています。",
        "dismissed": "{at} に条件は成り立ちましたが、{user} さんが閉じたため「{message}」は届きませんでした({detail})。",
        "limited": "{at} に条件は成り立ちましたが、プロジェクトの上限に達していたため「{message}」は {user} さんに届きませんでした({detail})。",
        "lost": "{at} に条件は成り立ちましたが、ほかのメッセージが優先されたため「{message}」は {user} さんに届きませんでした({detail})。",
        "queued": "{at} に条件が成り立ち、「{message}」は空きを待っています({detail})。空きができ次第 {user} さんに届きます。",
        "failed": "「{message}」を作成できなかったため {user} さんに届きませんでした: {detail}",
        "project_holdout": "{at} に条件は成り立ちましたが、{user} さんはプロジェクト全体の比較対象として外されているので「{message}」は届きませんでした。",
        "outside_schedule": "{at} に条件は成り立ちましたが、ルールの予定にない時刻なので「{message}」は {user} さんに届きませんでした。",
        "delayed": "{at} に条件が成り立ちました。その前に {cancel} がなければ、{user} さんには {due} に「{message}」が届きます。",
        "delayed_once": "{at} に条件は成り立ちましたが、すでに待ち時間の途中なので何も変わりません。",
        "waiting": "{at} から待っています。それまでに {cancel} がなければ、{user} さんには {due} に「{message}」が届きます。",
        "cancelled": "「{message}」は {user} さんに届きませんでした。{at} の {detail} で待ち時間が終わりました。",
        "withdrawn": "「{message}」は {user} さんに表示される前、{at} に取り下げられました({detail})。",
        "put_off": "{user} さんが後回しにした「{message}」は、{at} に取り下げられました。もう表示されません({detail})。",
        "holdout": "{at} に条件は成り立ちましたが、{user} さんは比較のために外した {share} % に入っているので「{message}」は届きませんでした。",
        "error": "{at} に「{message}」は {user} さんに届きませんでした。条件を評価できませんでした: {detail}",
        "held": "(条件が成り立ちました)",
        "timer": "(待ち時間が終わりました)",
        "was_shown": "{shown} に表示されました。",
        "was_put_off": "{at} に「あとで通知」が選ばれました。`snooze` の時間が過ぎるとまた表示されます。",
        "was_withdrawn": "表示される前に取り下げられました。",
        "has_expired": "表示される前に期限が切れました。",
        "is_pending": "まだ表示されていません。",
        "nothing": "取り消すイベント",
        "ever": "全期間",
        "session": "セッションごと",
        "per": "{per} あたり",
        "or": " か ",
    },
}
LANGUAGES: Final = tuple(_WORDS)


class Limits(msgspec.Struct):
    """The rule's frequency at the moment: `used` of `max` `per` window, and when those that count were shown or decided."""

    max: int
    per: str
    used: int
    counted: list[str]


class Arm(msgspec.Struct):
    """The experiment: the share of people whom the rule leaves out, whether this one gets nothing, and their arm: `holdout`, `project_holdout`, the
    variant, or `message` where there is but one."""

    holdout: float
    left_out: bool
    arm: str = MESSAGE


class Made(msgspec.Struct):
    """The delivery of the moment, and what became of it: `shown`, `withdrawn`, `expired` or `pending`."""

    delivery_id: str
    state: str
    shown_at: str | None
    snoozed_at: str | None = None  # put off then, and not shown again yet


class When(msgspec.Struct):
    """One moment the rule was considered at: the event, or None for a timer, and what came of it."""

    at: str
    event: str | None
    outcome: str
    detail: str


class Explanation(msgspec.Struct):
    """`sentence` says it plainly; the rest is what it was read from. Times are ISO 8601. `moments`: the newest 20, up to this one."""

    user: str
    rule_id: str
    sentence: str
    at: str | None = None
    event: str | None = None
    outcome: str | None = None
    detail: str = ""
    clauses: list[Clause] = []
    limits: Limits | None = None
    arm: Arm | None = None
    waits_until: str | None = None
    delivery: Made | None = None
    moments: list[When] = []


class _Moment(msgspec.Struct):
    considered: Considered
    event: Event | None
    cause: Cause | None
    state: bytes
    delivery_id: str | None


def explain(
    rule: Rule,
    definitions: Definitions,
    user: str,
    log: Iterable[tuple[Event, int]],
    now: int,
    at: int | None = None,
    language: Language = "en",
    was_made: Callable[[str], bool] = lambda found: True,
    secret: bytes = b"",
) -> Explanation:
    """The last moment the rule was considered at (until `at`, ms, if given). `log`: the person's events with the times they were received;
    `was_made`: see `Replay`. Raises RulesError for documents that do not compile."""
    rule = msgspec.structs.replace(rule, enabled=True)
    some = msgspec.structs.replace(definitions, rules=[rule, *_rivals(rule, definitions)])
    return _Explainer(rule, user, language, Replay(compile_rulebook(some, secret=secret), was_made)).run(log, now, at)


def _rivals(rule: Rule, definitions: Definitions) -> list[Rule]:
    """The rules that it may lose to, or that use up the project's limits with it."""
    kinds = {message.id: message.kind for message in definitions.messages}

    def interrupts(other: Rule) -> bool:
        return any(kinds.get(name) in INTERRUPTING for name in messages_of(other).values())

    limited = rule.if_busy is not None or any(project.interruptions for project in definitions.project)
    if not limited or not interrupts(rule):
        return []
    return [other for other in definitions.rules if other.id != rule.id and interrupts(other)]


class _Explainer:
    def __init__(self, rule: Rule, user: str, language: Language, replay: Replay) -> None:
        self.rule = rule
        self.user = user
        self.words = _WORDS[language]
        self.replay = replay
        self.live: LiveRule = replay.rulebook.rules[rule.id]
        trigger = rule.trigger
        self.asked_by_timer = isinstance(trigger, Occasion) and trigger.after is not None
        self.wakes = trigger_names(trigger)
        self.triggers = () if isinstance(trigger, Occasion) else self.wakes
        self.moments: list[_Moment] = []
        self.events = 0

    def run(self, log: Iterable[tuple[Event, int]], now: int, at: int | None) -> Explanation:
        person = None
        for event, received in log:
            if event.person.startswith(PREFIX):
                list(self.replay.event(event, received))
                continue
            person = event.person
            self.events += event.type != SERVICE and not event.via
            self.fire(person, received - 1)
            for outcome in self.replay.event(event, received):
                if outcome.forward_to is None:
                    self.note(outcome, event, None if self.asked_by_timer else Cause(event, event.message_id))
        person = None if person is None else self.whoever(person)
        if person is not None:
            self.fire(person, now)
        moments = [moment for moment in self.moments if at is None or moment.considered.at <= at]
        if not moments:
            name = "never" if self.events else "stranger"
            triggers = self.names(self.wakes)
            if self.live.occasion is not None:
                name = "no_occasion" if self.events else "stranger"
                triggers = f"`{shown(msgspec.to_builtins(self.rule.trigger))}`"
            return self.answer(self.say(name, events=self.events, triggers=triggers))
        return self.explained(moments, self.replay.states[person or ""], now)

    def whoever(self, person: str) -> str:
        """Whom they turned out to be. Ends in a circle too: a log that begins late may show one that was mended in life."""
        followed: set[str] = set()
        states = self.replay.states
        while person not in followed and (state := states.get(person)) and (into := state.merged_into) in states:
            followed.add(person)
            person = into or person
        return person

    def fire(self, person: str, until: int) -> None:
        while True:
            state = self.replay.states.get(person)
            waiting = state.waiting.get(self.rule.id) if state else None
            timer = waiting.timers[0] if waiting and waiting.timers else None
            outcome = next(self.replay.fire(person, until), None)
            if outcome is None:
                return
            self.note(outcome, None, Cause(None, timer.message_id, timer.snapshot) if timer else None)

    def note(self, outcome: Outcome, event: Event | None, cause: Cause | None) -> None:
        found = [one for one in outcome.considered if one.rule_id == self.rule.id and one.outcome != "expired"]
        if event is not None and event.name in self.triggers and not any(one.outcome in _ASKED for one in found):
            found.append(Considered(self.rule.id, "not_matched", "", outcome.state.clock))
        made = next((one.delivery_id for one in outcome.deliveries if one.rule_id == self.rule.id), None)
        for one in found:
            state = encode_state(outcome.state)
            self.moments.append(_Moment(one, event, cause, state, made if one.outcome == "matched" else None))

    def explained(self, moments: list[_Moment], final: State, now: int) -> Explanation:
        moment = moments[-1]
        state, one = decode_state(moment.state), moment.considered
        clauses = self.clauses(moment, state)
        due = self.due(state)
        made = self.made(moment, final, now)
        return self.answer(
            self.sentence(moment, state, clauses, due, made),
            at=iso(one.at),
            event=moment.event.name if moment.event else None,
            outcome=one.outcome,
            detail=one.detail,
            clauses=clauses,
            limits=self.limits(state, one.at),
            arm=self.arm(state),
            waits_until=None if due is None else iso(due),
            delivery=made,
            moments=[_when(found) for found in moments[-MOMENTS:]],
        )

    def answer(self, sentence: str, **fields: Any) -> Explanation:
        return Explanation(self.user, self.rule.id, sentence, **fields)

    def clauses(self, moment: _Moment, state: State) -> list[Clause]:
        if moment.cause is None or moment.considered.outcome not in _ASKED:
            return []
        readers: list[ClauseReader] = clauses_of(self.rule.condition, self.replay.rulebook.segments)
        try:
            return [reader.at(state, moment.cause, moment.considered.at) for reader in readers]
        except EvaluationError:  # data that nothing can read: the outcome says so
            return []

    def due(self, state: State) -> int | None:
        timer = state.timers.get(self.rule.id)
        waiting = state.waiting.get(self.rule.id)
        if timer is not None:
            return timer.due
        return waiting.timers[0].due if waiting and waiting.timers else None

    def limits(self, state: State, at: int) -> Limits | None:
        cap = self.live.cap
        if cap is None:
            return None
        per = {LIFETIME: "lifetime", SESSION: "session"}.get(cap.per) or format_duration(cap.per)
        found = counted(state, self.rule.id, cap, at)
        times = [iso(record.shown_at if record.shown_at is not None else record.decided_at) for record in found]
        return Limits(cap.max, per, len(found), times)

    def arm(self, state: State) -> Arm | None:
        share, everywhere = self.rule.holdout, self.replay.rulebook.holdout
        if not share and not everywhere and len(self.live.variants) == 1:
            return None
        out = left_out(self.rule.id, state.person, share, everywhere, arm_before(state, self.rule.id))
        if out or len(self.live.variants) == 1:
            return Arm(share, out is not None, out or MESSAGE)
        known = state.exposures.get(self.rule.id)
        weights = [variant.weight for variant in self.live.variants]
        return Arm(
            share, False, known.arm if known else self.live.variants[pick(self.rule.id, state.person, weights)].id or ""
        )

    def made(self, moment: _Moment, final: State, now: int) -> Made | None:
        if moment.delivery_id is None:
            return None
        for record in final.records.get(self.rule.id, ()):
            if record.delivery_id == moment.delivery_id:
                shown_at = None if record.shown_at is None else iso(record.shown_at)
                put_off = None if record.snoozed_at is None or record.withdrawn else iso(record.snoozed_at)
                return Made(record.delivery_id, _fate(record, now), shown_at, put_off)
        return Made(moment.delivery_id, "expired", None)  # forgotten: it can never be shown

    def sentence(self, moment: _Moment, state: State, clauses: list[Clause], due: int | None, made: Made | None) -> str:
        one = moment.considered
        name: str = one.outcome
        if name == "delayed" and one.detail == "its timer runs already":
            name = "delayed_once"
        if name == "capped" and one.detail.startswith("dismissed"):
            name = "dismissed"
        if name == "withdrawn" and one.detail.endswith(PUT_OFF):
            name = "put_off"
        if name == "holdout" and one.detail:
            name = "project_holdout"
        if name == "not_matched" and not clauses:
            name = "not_begun"
        failed = next((clause for clause in clauses if clause.value != "true"), None)
        reads = f" ({'; '.join(failed.reads)})" if failed and failed.reads else ""
        limits = self.limits(state, one.at)
        ends = names_of(self.rule.cancel_on)
        if isinstance(self.rule.trigger, Occasion):
            ends = (*names_of(self.rule.trigger.without or []), *ends)
        return self.say(
            name,
            at=_plain(one.at),
            detail=one.detail.removesuffix(PUT_OFF),
            because=self.words["held" if moment.event else "timer"],
            fate=self.fate(made),
            held=sum(clause.value == "true" for clause in clauses),
            all=len(clauses),
            clause=f"{failed.text}{reads}" if failed else "",
            used=limits.used if limits else 0,
            max=limits.max if limits else 0,
            per=self.per(limits),
            due="" if due is None else _plain(due),
            cancel=self.names(ends),
            share=f"{100 * self.rule.holdout:g}",
        )

    def fate(self, made: Made | None) -> str:
        if made is None:
            return ""
        name = {"shown": "was_shown", "withdrawn": "was_withdrawn", "expired": "has_expired"}.get(
            made.state, "is_pending"
        )
        told = self.words[name].format(shown=_readable(made.shown_at or ""))
        if made.snoozed_at is not None:
            told += self.words["was_put_off"].format(at=_readable(made.snoozed_at))
        return told

    def per(self, limits: Limits | None) -> str:
        if limits is None or limits.per in ("lifetime", "session"):
            return self.words["session" if limits and limits.per == "session" else "ever"]
        return self.words["per"].format(per=limits.per)

    def names(self, names: tuple[str, ...]) -> str:
        return self.words["or"].join(f"`{name}`" for name in names) or self.words["nothing"]

    def message(self) -> str:
        return " / ".join(dict.fromkeys(messages_of(self.rule).values()))

    def say(self, name: str, **values: Any) -> str:
        return self.words[name].format(user=self.user, rule=self.rule.id, message=self.message(), **values)


def _fate(record: Record, now: int) -> str:
    if record.shown_at is not None:
        return "shown"
    if record.withdrawn:
        return "withdrawn"
    return "pending" if pending(record, now) else "expired"


def _when(moment: _Moment) -> When:
    one = moment.considered
    return When(iso(one.at), moment.event.name if moment.event else None, one.outcome, one.detail)


def _plain(at: int) -> str:
    return _readable(iso(at))


def _readable(at: str) -> str:
    """`2026-12-01T09:00:00.000Z` → `2026-12-01 09:00:00 UTC`."""
    return f"{at[:10]} {at[11:19]} UTC"
