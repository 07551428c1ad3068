"""Every match is in exactly one state, and the sums reconcile."""

import random
from collections import Counter

from rules import Definitions, compile_rulebook, decide, new_state, tally_summary
from rules.apply import MESSAGE_FAILED, SERVICE
from rules.documents import Interruptions, Project
from tests.rules.engine_helpers import D, H, M, S, event, message, play, rule

MESSAGES = [message(id="chat", kind="chat", expires="5m"), message(id="tour", kind="modal"), message(id="banner")]
PROJECT = Project(id="p", interruptions=Interruptions(per_session=2, quiet="1m"), holdout=0.1)


def total(found):
    states = ("shown", "waiting", "cancelled", "expired", "failed")
    return sum(found[state] for state in states) + sum(found["suppressed"].values())


def random_rules(chance):
    for n in range(8):
        fields = {
            "id": f"r{n}",
            "trigger": chance.sample("abc", 2),
            "message": chance.choice(["chat", "tour", "banner"]),
        }
        fields |= chance.choice([{}, {"delay": "20s", "cancel_on": "stop"}, {"cancel_on": ["stop"]}, {"holdout": 0.3}])
        fields |= chance.choice([{}, {"frequency": "always"}, {"frequency": {"max": 2, "per": "1h"}}])
        fields |= chance.choice([{}, {"if_busy": "lapse"}, {"if_busy": {"wait": "10m"}}])
        fields |= chance.choice([{}, {"schedule": {"hours": ["00:00", "12:00"]}}])
        if n == 7:
            fields |= {"trigger": {"after": "a", "without": "b", "within": "2m"}, "delay": None}
        yield rule(**fields)


def test_the_sums_reconcile_at_every_moment_of_random_lives():
    ends = Counter()
    for seed in range(40):
        chance = random.Random(seed)
        live = compile_rulebook(Definitions(list(random_rules(chance)), MESSAGES, project=[PROJECT]))
        person = f"u:{seed}"
        state, at, sums, made = new_state(person), H, Counter(), []
        for n in range(250):
            at += chance.choice([S, 5 * S, 30 * S, 3 * M, 40 * M, 7 * H])
            if chance.random() < 0.2:
                outcome = decide(state, None, at, live)
            else:
                name = chance.choice(["a", "b", "c", "stop", "Message Shown", "Message Dismissed", MESSAGE_FAILED])
                about = {"delivery_id": chance.choice(made)} if made else {}
                kind = SERVICE if name == MESSAGE_FAILED else "track"
                happened = at - chance.choice([0, 0, 0, 10 * S, H])
                call = event(name, happened, person=person, message_id=str(n), properties=about, type=kind)
                outcome = decide(state, call, happened, live)
            state = outcome.state
            sums.update(outcome.tally)
            made += [found.delivery_id for found in outcome.deliveries]
            told = tally_summary(sums)
            for rule_id, found in told.items():
                assert total(found) == found["matched"], (seed, n, rule_id, found)
                assert min(found[state] for state in ("shown", "waiting", "cancelled", "expired", "failed")) >= 0, found
            waiting = len(state.pending) + len(state.timers)
            assert sum(found["waiting"] for found in told.values()) == waiting
        for found in told.values():
            ends.update({name: bool(value) for name, value in found.items() if isinstance(value, int)})
            ends.update(found["suppressed"].keys())
        late = decide(state, None, at + 31 * D, live)
        sums.update(late.tally)
        assert not any(found["waiting"] for found in tally_summary(sums).values())
    reasons = {"frequency", "schedule", "holdout", "limits", "lost", "delayed"}
    assert reasons | {"shown", "cancelled", "expired", "failed"} <= {name for name, times in ends.items() if times}


def test_an_inbox_holds_a_hundred_and_the_oldest_expires():
    live = compile_rulebook(Definitions([rule(message="banner", frequency="always")], MESSAGES))
    outcomes = play(new_state("u:ann"), live, *(event("go", H + n, message_id=str(n)) for n in range(101)))
    assert outcomes[-1].withdrawn == [outcomes[0].deliveries[0].delivery_id]
    sums = Counter()
    for outcome in outcomes:
        sums.update(outcome.tally)
    assert tally_summary(sums)["r"] == {
        "matched": 101, "shown": 0, "waiting": 100, "cancelled": 0, "expired": 1, "failed": 0, "suppressed": {},
    }  # fmt: skip


def test_a_message_shown_after_its_time_is_shown_all_the_same():
    live = compile_rulebook(Definitions([rule(message="chat")], MESSAGES))
    first = play(new_state("u:ann"), live, event("go", H))[0]
    about = {"delivery_id": first.deliveries[0].delivery_id}
    sums = Counter(first.tally)
    for outcome in play(first.state, live, H + 5 * M, event("Message Shown", H + 6 * M, properties=about)):
        sums.update(outcome.tally)
    found = tally_summary(sums)["r"]
    assert (found["matched"], found["shown"], found["expired"]) == (1, 1, 0)


def test_a_delivery_that_failed_is_not_spent():
    live = compile_rulebook(Definitions([rule(message="banner")], MESSAGES))
    first = play(new_state("u:ann"), live, event("go", H))[0]
    about = {"delivery_id": first.deliveries[0].delivery_id, "reason": "no such message"}
    failed = event(MESSAGE_FAILED, H + S, properties=about, type=SERVICE)
    outcomes = play(first.state, live, failed, event("go", H + M))
    assert [(found.outcome, found.detail) for found in outcomes[0].considered] == [("failed", "no such message")]
    assert len(outcomes[1].deliveries) == 1
    assert outcomes[0].state.last_seen != H + S  # the service's own word is no sign of the person
