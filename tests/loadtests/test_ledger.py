"""A run's account: sums that hold are promises kept, each that does not is one broken."""

import pytest

from loadtests.ledger import ACKNOWLEDGED, CUT_OFF, Ledger

RULE = {"matched": 3, "shown": 1, "waiting": 1, "cancelled": 0, "expired": 0, "failed": 0, "suppressed": {"holdout": 1}}


def account() -> Ledger:
    ledger = Ledger()
    ledger.send(10)
    ledger.end(ACKNOWLEDGED, 7)
    ledger.end("429 rate_limited", 2)
    ledger.end(CUT_OFF)
    return ledger


def broken(ledger: Ledger) -> list[str]:
    return [what for what, kept, _ in ledger.promises if not kept]


def test_an_account_that_holds_keeps_its_promises():
    ledger = account()
    ledger.reconcile_events(decided=9)  # the service has events of its own
    ledger.reconcile_matches({"a": RULE}, {})
    assert broken(ledger) == []
    assert ledger.kept
    said = "\n".join(ledger.lines())
    assert "10 = acknowledged 7 + refused (429 rate_limited) 2 + cut off by the end of the run 1" in said
    assert "3 = cancelled 0 + expired 0 + failed 0 + shown 1 + suppressed 1 + waiting 1" in said


@pytest.mark.parametrize(
    ("spoil", "decided", "promise"),
    [
        (lambda ledger: ledger.send(), 7, "every event sent has one end"),
        (lambda ledger: (ledger.send(), ledger.end("")), 7, "refused only with a reason"),
        (lambda ledger: None, 6, "what was acknowledged was decided"),
    ],
)
def test_a_sum_that_does_not_hold_is_a_broken_promise(spoil, decided, promise):
    ledger = account()
    spoil(ledger)
    ledger.reconcile_events(decided)
    assert broken(ledger) == [promise]
    assert not ledger.kept
    assert f"BROKEN  {promise}" in "\n".join(ledger.lines())


@pytest.mark.parametrize(
    ("matched", "unsure", "kept"), [(5, 0, True), (4, 0, False), (6, 0, False), (6, 1, True), (4, 1, False)]
)
def test_signals_match_once_each_and_those_nobody_knows_of_at_most_once(matched, unsure, kept):
    ledger = Ledger()
    ledger.signals, ledger.unsure = 5, unsure
    rule = {**RULE, "matched": matched + 100, "shown": matched + 98}
    ledger.reconcile_matches({"load-signal": rule}, {"load-signal": 100})
    assert ledger.kept is kept


def test_a_match_in_no_state_is_a_broken_promise():
    ledger = Ledger()
    ledger.reconcile_matches({"a": {**RULE, "matched": 4}}, {})
    assert broken(ledger) == ["every match is in one state"]
