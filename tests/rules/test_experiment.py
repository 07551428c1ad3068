"""Experiments: arms that are uniform, independent and sticky; what they achieve, and how sure that is."""

import random
from collections import Counter
from itertools import product

import pytest

from rules import Definitions, compile_rulebook, cross_check, decide, new_state, tally_summary
from rules.documents import Project
from rules.experiment import compare, difference_interval, left_out, pick, ratio_interval, wilson
from tests.rules.engine_helpers import D, H, event, message, play, problems_of, results, rule

MESSAGES = [message(), message(id="m2"), message(id="m3")]
VARIANTS = [{"id": "a", "message": "m"}, {"id": "b", "message": "m2", "weight": 3}]
TRIED = {"message": None, "variants": VARIANTS, "frequency": "always"}


def book(*rules, holdout=0.0):
    return compile_rulebook(Definitions(list(rules), MESSAGES, project=[Project(id="p", holdout=holdout)]))


def chi_squared(seen, expected):
    return sum((seen[name] - wanted) ** 2 / wanted for name, wanted in expected.items())


def test_variants_are_given_in_proportion_to_their_weights():
    people = 40_000
    seen = Counter(pick("rule", f"u:{n}", [1, 3, 0, 6]) for n in range(people))
    assert seen[2] == 0
    assert chi_squared(seen, {0: people / 10, 1: people * 0.3, 3: people * 0.6}) < 13.8  # 0.1 %, two degrees


def test_rules_and_holdouts_are_independent_of_each_other():
    people = 40_000
    seen = Counter(
        (
            pick("one", name, [1, 1]),
            pick("two", name, [1, 1]),
            left_out("one", name, 0.5, 0),
            left_out("two", name, 0, 0.5),
        )
        for name in (f"u:{n}" for n in range(people))
    )
    cells = list(product((0, 1), (0, 1), (None, "holdout"), (None, "project_holdout")))
    assert chi_squared(seen, dict.fromkeys(cells, people / 16)) < 37.7  # 0.1 %, 15 degrees


def test_the_chi_squared_test_can_fail():
    seen = Counter(random.Random(1).choices([0, 1], [0.52, 0.48], k=40_000))
    assert chi_squared(seen, {0: 20_000, 1: 20_000}) > 10.8


def test_a_person_keeps_their_variant_at_every_trigger_and_when_weights_change():
    live = book(rule(**TRIED))
    given = {}
    states = {}
    for n in range(60):
        person = f"u:{n}"
        outcomes = play(new_state(person), live, event("go", H, person=person), event("go", 2 * H, person=person))
        names = {found.deliveries[0].variant for found in outcomes}
        assert len(names) == 1
        given[person], states[person] = names.pop(), outcomes[-1].state
    assert set(given.values()) == {"a", "b"}
    turned = book(rule(**(TRIED | {"variants": [VARIANTS[0] | {"weight": 9}, VARIANTS[1] | {"weight": 0}]})))
    for person, state in states.items():
        outcome = decide(state, event("go", 3 * H, person=person), 3 * H, turned)
        assert outcome.deliveries[0].variant == given[person]


def test_each_variant_shows_its_own_message():
    live = book(rule(**TRIED))
    for n in range(20):
        person = f"u:{n}"
        found = play(new_state(person), live, event("go", H, person=person))[0].deliveries[0]
        assert found.message_id == {"a": "m", "b": "m2"}[found.variant]


def test_the_projects_holdout_gets_no_message_of_any_rule():
    live = book(rule(id="one"), rule(id="two", trigger="other"), holdout=0.3)
    out = 0
    for n in range(300):
        person = f"u:{n}"
        first, second = play(new_state(person), live, event("go", H, person=person), event("other", H, person=person))
        assert bool(first.deliveries) == bool(second.deliveries)
        if not first.deliveries:
            out += 1
            assert (results(first), first.considered[0].detail) == ([("one", "holdout")], "of the project")
    assert 60 < out < 120


GOAL = {"event": "Plan Purchased", "within": "3d"}


def test_people_and_goals_are_counted_once_by_arm():
    live = book(rule(goal=GOAL, holdout=0.4, frequency="always"))
    sums = Counter()
    reached = Counter()
    people = Counter()
    chance = random.Random(3)
    for n in range(400):
        person = f"u:{n}"
        state = new_state(person)
        arm = left_out("r", person, 0.4, 0) or "message"
        people[arm] += 1
        delay = chance.choice([-1, 1, D, 3 * D, 3 * D + 1])
        calls = [event("go", H), event("go", H + 5), event("Plan Purchased", H + delay), event("Plan Purchased", H + D)]
        if chance.random() < 0.5:
            calls.pop()
        reached[arm] += any(H < one.timestamp <= H + 3 * D for one in calls[2:])
        for call in calls:
            call.person = person
            outcome = decide(state, call, call.timestamp, live)
            state = outcome.state
            sums.update(outcome.tally)
    arms = tally_summary(sums)["r"]["experiment"]
    assert {arm: (found["people"], found["reached"]) for arm, found in arms.items()} == {
        arm: (people[arm], reached[arm]) for arm in ("holdout", "message")
    }
    low, high = arms["message"]["lift_95"]
    assert low < arms["message"]["lift"] < high


def test_intervals_agree_with_published_values():
    # Newcombe (1998), table II, method 10: 56/70 − 48/80 and 9/10 − 3/10.
    assert difference_interval(70, 56, 80, 48) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert difference_interval(10, 9, 10, 3) == pytest.approx((0.1705, 0.8090), abs=1e-4)
    assert wilson(10, 0) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1), abs=1e-4)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    chance = random.Random(7)
    rounds, covered, covered_ratio = 1_000, 0, 0
    for _ in range(rounds):
        arm = sum(chance.random() < 0.12 for _ in range(300))
        base = sum(chance.random() < 0.10 for _ in range(300))
        low, high = difference_interval(300, arm, 300, base)
        covered += low <= 0.02 <= high
        ratio = ratio_interval(300, arm, 300, base)
        covered_ratio += ratio is not None and ratio[0] <= 1.2 <= ratio[1]
    assert covered / rounds > 0.93
    assert covered_ratio / rounds > 0.93


@pytest.mark.parametrize("control", [(0, 0), (10, 0), (10, 10), (1, 1)])
@pytest.mark.parametrize("arm", [(0, 0), (10, 0), (10, 10), (3, 1)])
def test_few_people_are_no_reason_to_fail(arm, control):
    found = compare({"message": arm, "holdout": control})["message"]
    assert found["people"] == arm[0]
    if found["lift_95"] is not None:
        assert found["lift_95"][0] <= found["lift"] <= found["lift_95"][1]


@pytest.mark.parametrize(
    ("fields", "path", "text"),
    [
        ({}, "$.message", "Expected either `message` or `variants`, got both"),
        ({"message": None, "variants": VARIANTS[:1]}, "$.variants", "Expected 2 to 20 variants, got 1"),
        ({"message": None, "variants": None}, "$", "Expected the field `message` (or `variants`), which is missing"),
        ({"message": None, "variants": [VARIANTS[0], VARIANTS[0]]}, "$.variants[1].id", "once, got `a` twice"),
        (
            {"message": None, "variants": [VARIANTS[0], VARIANTS[1] | {"id": "holdout"}]},
            "$.variants[1].id",
            "Expected another id",
        ),
        (
            {"message": None, "variants": [one | {"weight": 0} for one in VARIANTS]},
            "$.variants",
            "at least one variant with a weight above 0",
        ),
        (
            {"message": None, "variants": [VARIANTS[0] | {"weight": -1}, VARIANTS[1]]},
            "$.variants[0].weight",
            "Expected a number >= 0",
        ),
    ],
)
def test_what_is_wrong_is_said(fields, path, text):
    base = {"id": "x", "trigger": "go", "message": "m", "variants": VARIANTS}
    found = [(problem.path, problem.message) for problem in problems_of("rule", base | fields)]
    assert [one for one in found if one[0] == path and text in one[1]], found


def test_a_variants_message_has_to_exist():
    found = cross_check(Definitions([rule(message=None, variants=VARIANTS)], [message()]))
    assert [problem.message for problem in found] == ["The message `m2` does not exist; did you mean `m`?"]
