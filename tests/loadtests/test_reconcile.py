"""A run's sums: the ones that hold pass in silence, each that does not is named."""

from loadtests.reconcile import mismatches

GOOD = {"matched": 9, "shown": 2, "waiting": 1, "cancelled": 1, "expired": 1, "failed": 1}
GOOD = {**GOOD, "suppressed": {"frequency": 2, "holdout": 1}}


def test_sums_that_hold_are_silent():
    assert not list(mismatches({"a": GOOD}))


def test_a_match_that_is_nowhere_is_named_with_its_rule():
    assert list(mismatches({"a": GOOD, "b": {**GOOD, "matched": 10}})) == [
        "rule b: matched 10, but shown 2 + waiting 1 + cancelled 1 + expired 1 + failed 1 + suppressed 3 = 9"
    ]
