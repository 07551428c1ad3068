"""Rate limits of the public wire: token buckets by write key, by address and by person.

Each process counts for itself: with n processes behind a balancer, a limit of r is n × r. A bucket is one number, the time
at which it will be full again, so that an idle bucket need not be kept; of the others the most recently used stay.
"""

import itertools
import math
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from engage.errors import RateLimited
from engage.wire import LogRecord

KEPT: Final = 50_000  # buckets, twice, of each project's people, of the addresses, and of the keys


class Rate(msgspec.Struct, frozen=True):
    """`events` a second in the long run, `burst` at once; 0 events: no limit."""

    events: int
    burst: int

    def __str__(self) -> str:
        return f"{self.events}/{self.burst}" if self.events else "0"


def parse_rate(text: str) -> Rate:
    """`100/5000`, or `0` for no limit. Raises ValueError."""
    if text == "0":
        return Rate(0, 0)
    events, slash, burst = text.partition("/")
    if not slash or not (events + burst).isascii() or not events.isdecimal() or not burst.isdecimal():
        raise ValueError
    rate = Rate(int(events), int(burst))
    if not 1 <= rate.events <= rate.burst <= 1_000_000_000:
        raise ValueError
    return rate


class Buckets:
    """Token buckets by name. Who has any token left may take a whole batch and go into debt for it: so every batch can
    pass, what is told by `Retry-After` is true, and the rate holds in the long run.

    `full_at` is when a bucket will be full again, in seconds of the monotonic clock; what it lacks is `(full_at - now) × rate`.
    """

    def __init__(self, rate: Rate, of: str, field: str | None = None, kept: int = KEPT) -> None:
        self.is_on = rate.events > 0
        self._rate = rate
        self._of = of
        self._field = field
        self._kept = kept
        self._step = 1 / rate.events if rate.events else 0.0
        self._slack = rate.burst * self._step
        self._full_at: dict[str, float] = {}
        self._older: dict[str, float] = {}  # used before the last `_kept` others: forgotten at the next turn

    def __len__(self) -> int:
        return len(self._full_at) + len(self._older)

    def take(self, name: str, count: int = 1) -> None:
        """Takes `count` tokens. Raises RateLimited where there was none left, and then takes nothing."""
        now = time.monotonic()
        full_at = self._full_at.get(name) or self._older.get(name, now)
        if full_at >= now + self._slack:
            self._full_at[name] = full_at  # who keeps asking is not forgotten
            raise self._refusal(full_at - now - self._slack)
        self._full_at[name] = (full_at if full_at > now else now) + count * self._step
        if len(self._full_at) > self._kept:
            self._turn()

    def spend(self, name: str, count: int) -> None:
        """Takes `count` tokens more of a bucket that was just taken from, whatever it holds; fewer than 0: gives them back."""
        if name in self._full_at:
            self._full_at[name] += count * self._step

    def take_each(self, records: Sequence[LogRecord]) -> None:
        """Takes one token of each record's person, of all or of none. A person may go into debt by as many as come."""
        now, step, recent, older = time.monotonic(), self._step, self._full_at, self._older
        limit = now + self._slack + (len(records) - 1) * step
        for record in records:
            person = record.p
            full_at = recent.get(person) or older.get(person, now)
            if full_at >= limit:
                for taken in itertools.takewhile(lambda other: other is not record, records):  # noqa: B023
                    recent[taken.p] -= step
                full_at = recent[person] = recent.get(person) or full_at
                raise self._refusal(full_at - now - self._slack)
            recent[person] = (full_at if full_at > now else now) + step
        if len(recent) > self._kept:
            self._turn()

    def _turn(self) -> None:
        self._older, self._full_at = self._full_at, {}

    def _refusal(self, seconds: float) -> RateLimited:
        expected = f"at most {self._rate.events} events a second (and {self._rate.burst} at once) of one {self._of}"
        return RateLimited(expected, max(1, math.ceil(seconds)), field=self._field)


class Limits:
    """The buckets of one process."""

    def __init__(self, per_key: Rate, per_ip: Rate, per_user: Rate, projects: Sequence[str]) -> None:
        self._keys = Buckets(per_key, "write key", "writeKey")
        self._addresses = Buckets(per_ip, "address")
        self._people = {project: Buckets(per_user, "person", "userId") for project in projects}
        self._counts_people = per_user.events > 0

    def request(self, address: str | None) -> None:
        """One token of the address, before anything is read. None: an address that is not limited (a trusted proxy's own)."""
        if address is not None and self._addresses.is_on:
            self._addresses.take(address)

    def events(self, project: str, address: str | None, records: Sequence[LogRecord], malformed: int = 0) -> None:
        """What the events of a request cost, beside `request`: all of it or, where it raises RateLimited, nothing. `malformed`
        events count too, and are nobody's."""
        count = len(records) + malformed
        if self._keys.is_on:
            self._keys.take(project, count)
        if self._counts_people and records:
            try:
                self._people[project].take_each(records)
            except RateLimited:
                self._keys.spend(project, -count)
                raise
        if address is not None and count > 1 and self._addresses.is_on:
            self._addresses.spend(address, count - 1)
