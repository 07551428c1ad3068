"""What a run was promised and what was kept: counted while it goes, said and judged at its end."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from loadtests.reconcile import mismatches
from rules.tally import STATES

ACKNOWLEDGED: Final = "acknowledged"
CUT_OFF: Final = "cut off by the end of the run"


class Ledger:
    """Counts of one run. An event ends in exactly one way: acknowledged, refused with a reason, or cut off."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()  # what people did, for the reader
        self.sent = 0
        self.ends: Counter[str] = Counter()
        self.signals = 0  # acknowledged events that the rule `load-signal` must answer, each once
        self.unsure = 0  # signals of which nobody knows: cut off, or refused after they may have been taken
        self.promises: list[tuple[str, bool, str]] = []

    def count(self, what: str, number: int = 1) -> None:
        self.counts[what] += number

    def send(self, number: int = 1) -> None:
        self.sent += number

    def end(self, how: str, number: int = 1) -> None:
        self.ends[how] += number

    def promise(self, what: str, kept: bool, how: str = "") -> None:
        self.promises.append((what, kept, how))

    @property
    def acknowledged(self) -> int:
        return self.ends[ACKNOWLEDGED]

    @property
    def refused(self) -> dict[str, int]:
        return {how: number for how, number in self.ends.items() if how not in (ACKNOWLEDGED, CUT_OFF)}

    def reconcile_events(self, decided: float) -> None:
        """Every event that was sent has one end; what was acknowledged was decided. `decided`: by the service in this run, with what it
        had decided before and with its own (merges)."""
        parts = [f"acknowledged {self.acknowledged:,}"]
        parts += [f"refused ({reason}) {number:,}" for reason, number in sorted(self.refused.items())]
        parts += [f"{CUT_OFF} {self.ends[CUT_OFF]:,}"]
        total = sum(self.ends.values())
        self.promise("every event sent has one end", total == self.sent, f"{self.sent:,} = " + " + ".join(parts))
        nameless = self.ends[""]
        self.promise("refused only with a reason", not nameless, f"{nameless:,} without one" if nameless else "")
        self.promise("something was acknowledged", self.acknowledged > 0)
        told = f"{self.acknowledged:,} acknowledged, {decided:,.0f} decided"
        self.promise("what was acknowledged was decided", decided >= self.acknowledged, told)

    def reconcile_matches(self, rules: Mapping[str, Mapping[str, Any]], before: Mapping[str, int]) -> None:
        """Every match is in one state, by `/api/stats`; each signal matched once. `before`: matches before this run."""
        wrong = list(mismatches(rules))
        sums: Counter[str] = Counter()
        for found in rules.values():
            sums.update({state: found[state] for state in STATES})
            sums["suppressed"] += sum(found["suppressed"].values())
        matched = sum(found["matched"] for found in rules.values())
        told = f"{matched:,} = " + " + ".join(f"{state} {number:,}" for state, number in sorted(sums.items()))
        self.promise("every match is in one state", not wrong, "; ".join(wrong) or told)
        if self.signals or self.unsure:
            matched = rules.get("load-signal", {}).get("matched", 0) - before.get("load-signal", 0)
            told = f"{self.signals:,} acknowledged" + (f" and {self.unsure:,} unsure" if self.unsure else "")
            kept = self.signals <= matched <= self.signals + self.unsure
            self.promise("every signal matched once, however often it was sent", kept, f"{told}, {matched:,} matched")

    @property
    def kept(self) -> bool:
        return all(kept for _, kept, _ in self.promises)

    def lines(self) -> Iterator[str]:
        yield "what the people did"
        for name, number in sorted(self.counts.items()):
            yield f"  {name:<56} {number:>9,}"
        yield ""
        yield "what was promised, and what was kept"
        for what, kept, how in self.promises:
            yield f"  {'kept  ' if kept else 'BROKEN'}  {what}" + (f": {how}" if how else "")
