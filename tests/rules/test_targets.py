"""Tours whose targets are gone: counted per step and release, and paused."""

from typing import Any

import pytest
from engine_helpers import event, message, rule, rulebook

from rules import decide
from rules.rulebook import suspending
from rules.state import new_state
from rules.tally import summary, suspended

STEPS = [{"target": "#new", "text": "Here"}, {"text": "There"}]
BOOK = rulebook(
    rule(id="r", trigger="Go", message="m", frequency="always"),
    messages=[message(kind="tour", content={"en": {"steps": STEPS}})],
)
DIGEST = BOOK.rules["r"].variants[0].message.digest
DAY = 86_400_000


def tally(*told: tuple[str, Any]) -> dict[str, int]:
    """What is counted of one delivery, a day after the epoch and later."""
    outcome = decide(new_state("ann"), event("Go", DAY), DAY, BOOK)
    (delivery,) = outcome.deliveries
    sums: dict[str, int] = {}
    for number, (name, properties) in enumerate(told, 1):
        at = DAY + number
        one = event(name, at, properties={"delivery_id": delivery.delivery_id, "step": 1, **properties})
        outcome = decide(outcome.state, one, at, BOOK)
        for what, by in outcome.tally.items():
            if ":target:" in what:
                sums[what] = sums.get(what, 0) + by
    return sums


def test_each_step_is_counted_by_the_release_or_the_day() -> None:
    sums = tally(
        ("Tour Step Viewed", {"target": "found"}),
        ("Tour Step Viewed", {"target": "found", "release": "2.1.0"}),
        ("Tour Step Viewed", {"target": "missing"}),  # centred: told of before
        ("Tour Step Viewed", {"step": 2}),  # it points at nothing
        ("Tour Target Missing", {"release": "2.1.0"}),
        ("Tour Target Missing", {"release": "2.1.0"}),
    )
    assert sums == {
        f"r:target:{DIGEST}:1970-01-02:1:found": 1,
        f"r:target:{DIGEST}:2.1.0:1:found": 1,
        f"r:target:{DIGEST}:2.1.0:1:missing": 2,
    }
    assert summary(sums)["r"]["targets"] == {
        "1970-01-02": {"1": {"found": 1, "missing": 0}},
        "2.1.0": {"1": {"found": 1, "missing": 2}},
    }


@pytest.mark.parametrize(
    "properties",
    [{"step": "1"}, {"step": 0}, {"step": 10**9}, {"step": None}, {"delivery_id": "another"}, {"delivery_id": None}],
)
def test_what_makes_no_sense_is_not_counted(properties: dict[str, Any]) -> None:
    assert tally(("Tour Target Missing", properties)) == {}


@pytest.mark.parametrize("release", ["a:b", "", "x" * 41, 7, "../x"])
def test_a_release_that_is_none_counts_for_the_day(release: Any) -> None:
    assert tally(("Tour Target Missing", {"release": release})) == {f"r:target:{DIGEST}:1970-01-02:1:missing": 1}


@pytest.mark.parametrize(
    ("found", "missing", "paused"), [(0, 19, False), (0, 20, True), (19, 20, True), (20, 20, False), (100, 60, False)]
)
def test_a_tour_whose_target_is_mostly_gone_pauses(found: int, missing: int, paused: bool) -> None:
    sums = {f"r:target:{DIGEST}:2.1.0:1:found": found, f"r:target:{DIGEST}:2.1.0:1:missing": missing}
    told = suspended(sums, {"r": "d"}, {"r": {DIGEST}})
    if not paused:
        assert told == {}
        return
    reason = f"the target of step 1 was missing {missing} of {missing + found} times in release 2.1.0"
    assert told == {"r": reason}
    outcome = decide(new_state("ann"), event("Go", DAY), DAY, suspending(BOOK, told))
    assert [(one.outcome, one.detail) for one in outcome.considered] == [("suspended", reason)]
    assert outcome.deliveries == []


def test_edited_it_goes_on() -> None:
    sums = {f"r:target:{DIGEST}:2.1.0:1:missing": 50}
    assert suspended(sums, {"r": "d"}, {"r": {"another"}}) == {}
