"""Rules made of everything at once: against a slow, obvious decider that shares no code with the engine; and time told in one go or in steps."""

import json
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

from engine_oracle import Seen, holds

from rules import Definitions, Rule, Rulebook, compile_rulebook, decide, decode_state, encode_state, new_state, parse
from rules.documents import Interruptions, Project, Segment
from rules.event import Event
from tests.rules.engine_helpers import PERSON, D, H, M, S, event, message

NAMES = ("a", "b", "page", "Message Shown", "Message Dismissed")
PATHS = ("/x", "/y")


def condition(dice: random.Random, depth: int = 0) -> Any:
    """Any condition: every question, nested."""
    name = dice.choice(NAMES)
    within = {"within": dice.choice(["10s", "1h", "7d"])}
    where = dice.choice([{}, {"where": {"==": [{"var": "page.path"}, "/x"]}}])
    simple: list[Any] = [
        {dice.choice([">=", "==", "<"]): [{"count": [name, within | where]}, dice.randrange(1, 4)]},
        {"did": [dice.choice([name, ["a", "b"]]), dice.choice([{}, within]) | where]},
        {"==": [{"var": "page.path"}, dice.choice(PATHS)]},
        {"in": [{"var": "event.name"}, ["a", "page"]]},
        {
            dice.choice(["<", ">"]): [
                {"seconds_since": [name, dice.choice([{}, {"first": True}])]},
                dice.choice([5, 600]),
            ]
        },
        {"sequence": [["a", "b"], within]},
        {"seen": ["m", {"what": dice.choice(["shown", "dismissed"])} | within]},
        {">=": [{"distinct": ["a", {"of": "event.properties.k"} | within]}, 2]},
        {">=": [{"days_active": [{"within": "7d", "timezone": "Asia/Tokyo"}]}, 2]},
    ]
    if depth >= 3 or dice.random() < 0.4:
        return dice.choice(simple)
    parts = [condition(dice, depth + 1) for _ in range(2)]
    return dice.choice([{"and": parts}, {"or": parts}, {"!": parts[:1]}])


def read(fields: dict[str, Any]) -> Rule:
    document, problems = parse("rule", json.dumps(fields).encode(), "")
    assert isinstance(document, Rule), problems
    return document


def life(dice: random.Random, number: int) -> list[Event]:
    """Events in the order of their arrival, some of them late."""
    found, at = [], 20 * D
    for index in range(number):
        at += dice.choice([0, S, 7 * S, M, H, 25 * H])
        name, path = dice.choice(NAMES), dice.choice(PATHS)
        properties = {"k": dice.choice([1, 2, "x"]), "message_id": dice.choice(["m", "n"])}
        context = {"page": {"path": path}}
        late = dice.choice([0, 0, 0, 5 * S, D])
        found.append(event(name, at - late, message_id=str(index), properties=properties, context=context))
    return found


@dataclass
class Running:
    due: int
    caused_at: int


@dataclass
class Made:
    at: int
    withdrawn: bool = False


class SlowDecider:
    """Looks at the whole history for every rule at every event."""

    def __init__(self, rules: list[dict[str, Any]]) -> None:
        self.rules = sorted(rules, key=lambda rule: (-rule["priority"], rule["id"]))
        self.history: list[Seen] = []
        self.clock = 0
        self.timers: dict[str, Running] = {}
        self.made: dict[str, list[Made]] = {rule["id"]: [] for rule in rules}

    def fire(self, until: int) -> None:
        due = sorted((timer.due, name) for name, timer in self.timers.items() if timer.due <= until)
        for at, name in due:
            del self.timers[name]
            self.clock = max(at, self.clock)
            self.deliver(next(rule for rule in self.rules if rule["id"] == name), self.clock)

    def take(self, given: Event) -> None:
        moment = max(given.timestamp, self.clock)
        self.fire(moment - 1)
        self.clock = moment
        path = given.context["page"]["path"]
        self.history.append(Seen(given.name, given.timestamp, path, given.properties))
        for rule in self.rules:
            if given.name in rule["cancel_on"]:
                timer = self.timers.get(rule["id"])
                if timer is not None and timer.caused_at <= given.timestamp:
                    del self.timers[rule["id"]]
                for made in self.made[rule["id"]]:
                    made.withdrawn = True
        for rule in self.rules:
            if given.name not in rule["trigger"] or not holds(rule["condition"], self.history, moment):
                continue
            if not self.room(rule):
                continue
            if not rule["delay"]:
                self.deliver(rule, moment)
            elif rule["id"] not in self.timers:
                self.timers[rule["id"]] = Running(moment + rule["delay"], given.timestamp)

    def room(self, rule: dict[str, Any]) -> bool:
        """Nothing is ever shown in these lives: what was not withdrawn counts for ever."""
        counted = sum(not made.withdrawn for made in self.made[rule["id"]])
        frequency = rule["frequency"]
        return frequency == "always" or counted < (1 if frequency is None else frequency["max"])

    def deliver(self, rule: dict[str, Any], at: int) -> None:
        if self.room(rule):
            self.made[rule["id"]].append(Made(at))

    @property
    def deliveries(self) -> list[tuple[str, int]]:
        return sorted((name, made.at) for name, all_ in self.made.items() for made in all_)


def test_the_engine_decides_as_looking_at_everything_does() -> None:
    counted: Counter[str] = Counter()
    for seed in range(150):
        dice = random.Random(seed)
        documents = [
            {
                "id": f"r{index}",
                "trigger": dice.sample(NAMES, dice.randrange(1, 4)),
                "condition": condition(dice),
                "message": "m",
                "priority": dice.randrange(3),
                "delay": dice.choice([0, 0, 5 * S, H]),
                "cancel_on": dice.choice([[], ["b"]]),
                "frequency": dice.choice(["always", None, {"max": 2, "per": "lifetime"}, {"max": 3, "per": "1d"}]),
            }
            for index in range(6)
        ]
        book = compile_rulebook(Definitions([read(one) for one in documents], [message()]))
        slow, state, made = SlowDecider(documents), new_state(PERSON), []
        for given in life(dice, 60):
            slow.take(given)
            outcome = decide(decode_state(encode_state(state)), given, given.timestamp, book)
            state = outcome.state
            made += [(found.rule_id, found.decided_at) for found in outcome.deliveries]
        slow.fire(10**14)
        outcome = decide(state, None, 10**14, book)
        made += [(found.rule_id, found.decided_at) for found in outcome.deliveries]
        wanted = slow.deliveries
        # An inbox holds a hundred: what `always` makes beyond is delivered all the same.
        assert sorted(made) == wanted, seed
        counted["deliveries"] += len(wanted)
        counted["lives"] += bool(wanted)
    assert counted["lives"] > 100
    assert counted["deliveries"] > 3_000


def _trigger(dice: random.Random) -> Any:
    return dice.choice(
        [
            dice.choice(NAMES), ["a", "b"], {"after": "a", "without": "b", "within": dice.choice(["10s", "1h"])}, {"enters": "s"},
            {"leaves": "s"}, {"inactive_for": dice.choice(["1m", "2d"])}, {"returns_after": "1h"}, {"at": "10:00", "timezone": "user"},
        ]
    )  # fmt: skip


def _any_rule(dice: random.Random, index: int) -> Rule:
    trigger = _trigger(dice)
    fields: dict[str, Any] = {
        "id": f"r{index}",
        "trigger": trigger,
        "condition": condition(dice),
        "cancel_on": dice.choice([[], ["b"]]),
    }
    if not (isinstance(trigger, dict) and "after" in trigger):
        fields["delay"] = dice.choice([0, 0, "5s", "1h"])
    fields["frequency"] = dice.choice(
        ["always", None, {"max": 2, "per": "1d"}, {"max": 1, "per": "session", "after_dismiss": "1d"}]
    )
    fields |= {"if_busy": dice.choice([None, "lapse", {"wait": "10m"}]), "holdout": dice.choice([0, 0.3])}
    fields["goal"] = dice.choice([None, {"event": "b", "within": "1d"}])
    fields |= dice.choice(
        [
            {"message": "m"},
            {"message": "c"},
            {"variants": [{"id": "x", "message": "m"}, {"id": "y", "message": "c", "weight": 2}]},
        ]
    )
    return read(fields)


def _live(book: Rulebook, events: list[Event], steps: random.Random | None, about: dict[str, str]) -> Any:
    """(deliveries, sums) of a life; with `steps` time is also told between its events. `about`: event → the delivery it is about."""
    state, made, sums = new_state(PERSON), [], Counter[str]()

    def done(given: Event | None, now: int) -> None:
        nonlocal state
        outcome = decide(decode_state(encode_state(state)), given, now, book)
        state = outcome.state
        made.extend((found.delivery_id, found.decided_at, found.variant) for found in outcome.deliveries)
        sums.update(outcome.tally)

    for given in events:
        for _ in range(3 if steps and state.clock and given.timestamp > state.clock else 0):
            assert steps is not None
            done(None, state.clock + int((given.timestamp - 1 - state.clock) * steps.random()))
        if given.name.startswith("Message"):
            if steps is None and made:
                about[given.message_id] = made[len(made) // 2][0]
            given.properties["delivery_id"] = about.get(given.message_id)
        done(given, given.timestamp)
    done(None, events[-1].timestamp + 40 * D)
    return made, {name: value for name, value in sums.items() if value}


def test_time_told_in_steps_or_at_once_comes_to_the_same() -> None:
    """What a decider that is down for an hour, or killed at any moment, relies on: with every kind of trigger, limits and experiments."""
    reasons: Counter[str] = Counter()
    for seed in range(60):
        dice = random.Random(seed)
        segments = [
            Segment(id="s", condition={">=": [{"count": ["a", {"within": "1h"}]}, 2]}),
            Segment(
                id="s", condition={"and": [{"did": ["a", {"within": "2d"}]}, {"!": {"did": ["b", {"within": "10s"}]}}]}
            ),
        ]
        messages = [message(), message(id="c", kind="chat", expires="1h")]
        project = Project(id="p", interruptions=Interruptions(per_session=1, quiet="5m"), holdout=0.05)
        rules = [_any_rule(dice, index) for index in range(6)]
        book = compile_rulebook(Definitions(rules, messages, [dice.choice(segments)], project=[project]))
        events, about = life(dice, 90), dict[str, str]()
        at_once = _live(book, events, None, about)
        assert _live(book, events, random.Random(seed), about) == at_once, seed
        reasons.update(name.partition(":")[2] for name in at_once[1])
    assert {
        "matched",
        "shown",
        "expired",
        "cancelled",
        "suppressed:limits",
        "suppressed:lost",
        "suppressed:holdout",
    } <= reasons.keys()
