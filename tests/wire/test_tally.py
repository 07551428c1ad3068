"""What became of every match, as `/api/stats` says it, and experiments as they go over the wire."""

import json

from engage.standing import table
from tests import commands
from tests.conftest import until

STATES = ("shown", "waiting", "cancelled", "expired", "failed")


def of_rule(wire, rule):
    return wire.server("/api/stats").json()["rules"].get(rule, {})


def changed(wire, rule, before, **by):
    """Waits until a rule's numbers have changed by so much, and nothing else about them."""

    def as_said():
        now = of_rule(wire, rule)
        return all(now.get(name, 0) - before.get(name, 0) == by.get(name, 0) for name in ("matched", *STATES))

    until(as_said, what=f"{rule} changed by {by} from {before}")
    found = of_rule(wire, rule)
    assert found["matched"] == sum(found[state] for state in STATES) + sum(found["suppressed"].values())


def test_a_delivery_is_waiting_until_it_is_shown(wire, person):
    before = of_rule(wire, "twice")
    wire.track(person, "Export Failed")
    wire.track(person, "Export Failed")
    (delivery,) = wire.wait_inbox(person)
    changed(wire, "twice", before, matched=1, waiting=1)
    about = {"delivery_id": delivery["delivery_id"]}
    wire.track(person, "Message Shown", properties=about)
    wire.track(person, "Message Clicked", properties=about)
    changed(wire, "twice", before, matched=1, shown=1)


def test_a_tour_whose_target_is_gone_is_counted_and_pauses(wire, person):
    for number in range(20):
        wire.track(f"{person}-{number}", "Tour Me")
        (delivery,) = wire.wait_inbox(f"{person}-{number}")
        told = {"delivery_id": delivery["delivery_id"], "step": 1, "target": "#new", "release": "7.0"}
        wire.track(f"{person}-{number}", "Tour Target Missing", properties=told)
    until(
        lambda: of_rule(wire, "gone").get("targets") == {"7.0": {"1": {"found": 0, "missing": 20}}},
        what="all are counted",
    )


def test_a_cancelled_delay_and_one_that_expires(wire, person):
    before = of_rule(wire, "later")
    wire.track(person, "Wait")
    changed(wire, "later", before, matched=1, waiting=1)
    wire.track(person, "Stop")
    changed(wire, "later", before, matched=1, cancelled=1)
    before = of_rule(wire, "high")
    wire.track(person, "Both")
    changed(wire, "high", before, matched=1, expired=1)
    history = wire.server(f"/api/users/{person}/history").json()["records"]
    found = [(one["rule_id"], one["outcome"]) for record in history for one in record["considered"]]
    assert ("high", "expired") in found


def test_what_could_not_be_made_has_failed_and_the_history_says_why(wire, person):
    before = of_rule(wire, "divided")
    wire.track(person, "Divide", properties={"by": 0})
    changed(wire, "divided", before, matched=1, failed=1)
    records = wire.decided(person, 2)
    (failed,) = [one for one in records[-1]["considered"] if one["rule_id"] == "divided"]
    assert failed["outcome"] == "failed"
    assert "divided" in failed["detail"]
    wire.track(person, "Divide", properties={"by": 5})
    assert wire.wait_inbox(person)[0]["content"]["text"] == "2"


def test_variants_and_goals_are_counted_by_arm(wire, person):
    given = {}
    for number in range(12):
        user = f"{person}-{number}"
        wire.track(user, "Try")
        wire.track(user, "Try")
        held_out = any(one["outcome"] == "holdout" for record in wire.decided(user, 2) for one in record["considered"])
        given[user] = set() if held_out else {one["variant"] for one in wire.wait_inbox(user, 2)}
        if number % 2:
            wire.track(user, "Bought")
            wire.decided(user, 3)
    assert all(len(names) <= 1 for names in given.values())
    found = of_rule(wire, "tried")
    arms = found["experiment"]
    assert sum(arm["people"] for arm in arms.values()) == 12
    assert sum(arm["reached"] for arm in arms.values()) == 6
    held = sum(not names for names in given.values())
    assert arms.get("holdout", {"people": 0})["people"] == held
    assert found["suppressed"].get("holdout", 0) == 2 * held
    for name in ("plain", "loud"):
        people = sum(names == {name} for names in given.values())
        assert arms.get(name, {"people": 0})["people"] == people


def engage(wire, *arguments, run=commands.engage):
    return run("rules", "stats", *arguments, env=wire.product.environment)


def test_the_command_says_the_same(wire, person):
    before = of_rule(wire, "always")
    wire.track(person, "Wake")
    changed(wire, "always", before, matched=1, waiting=1)
    found = json.loads(engage(wire, "always", "--format", "json", run=commands.started).stdout)
    assert found == {"always": of_rule(wire, "always")}
    told = engage(wire, "always").stdout.splitlines()
    assert told[0].split() == ["rule", "matched", *STATES, "suppressed"]
    assert told[1].split()[0] == "always"
    missing = engage(wire, "alwyas")
    assert missing.returncode == 2
    assert "did you mean `always`?" in missing.stderr


def test_the_table_shows_reasons_and_experiments():
    arm = {"people": 200, "reached": 30, "rate": 0.15, "lift": 0.5, "lift_95": [-0.12, 1.4]}
    found = {"matched": 12, "shown": 3, "waiting": 1, "cancelled": 0, "expired": 2, "failed": 0}
    found |= {"suppressed": {"frequency": 6}, "stopped": 4, "experiment": {"short": arm}}
    assert list(table({"r": found})) == [
        "rule  matched  shown  waiting  cancelled  expired  failed  suppressed",
        "r          12      3        1          0        2       0  frequency 6; stopped 4",
        "  short: 200 people, 30 reached the goal (15.0 %), lift +50 % (95 %: -12 to +140 %)",
    ]
    assert list(table({})) == ["no rule has matched yet"]
