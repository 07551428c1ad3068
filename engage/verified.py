"""The figure of verified users: of each day, how many userIds came with a valid, an invalid or no proof.

A HyperLogLog for each day and kind of proof: 12 KB at most, about 1 % exact, and no userId can be read from it. Each process notes a
user once a day and writes what is new every few seconds; what a killed process had not written is not counted.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from engage.keys import identity_day

DAYS: Final = 7
KEPT_SECONDS: Final = (DAYS + 1) * 86_400
SEEN: Final = 20_000  # users of a process, project and kind that are known to be noted
VALID: Final = "valid"
INVALID: Final = "invalid"
NONE: Final = "none"
KINDS: Final = (VALID, INVALID, NONE)


class Day(msgspec.Struct):
    """How many users came with each kind of proof; one may have come with several."""

    day: str
    valid: int
    invalid: int
    none: int


class Users(msgspec.Struct):
    """The last seven days. `unverified` came at least once without a valid proof: them enforcing shuts out, until they bring one."""

    users: int
    valid: int
    invalid: int
    none: int
    unverified: int
    days: list[Day]

    @property
    def verified_share(self) -> float | None:
        """Of all users, those who always came with a valid proof; None before anybody came."""
        return None if not self.users else max(0.0, 1 - self.unverified / self.users)


class Figure:
    """What one process notes of one project's users."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._day = ""
        self._seen: dict[str, set[str]] = {kind: set() for kind in KINDS}
        self._new: dict[str, set[str]] = {kind: set() for kind in KINDS}

    def note(self, kind: str, user: str) -> None:
        seen = self._seen[kind]
        if user not in seen:
            if len(seen) >= SEEN:
                seen.clear()
            seen.add(user)
            new = self._new[kind]
            if len(new) < SEEN:
                new.add(user)

    async def write(self, client: Any, now_ms: int) -> None:
        """Writes what is new. Raises the store's errors; then it is written the next time."""
        today = day_of(now_ms)
        if today != self._day:
            self._day = today
            for seen in self._seen.values():
                seen.clear()
        for kind, users in self._new.items():
            if users:
                key = identity_day(self._project, today, kind)
                written = tuple(users)
                await client.pfadd(key, *written)
                await client.expire(key, KEPT_SECONDS)
                users.difference_update(written)


def day_of(now_ms: int, back: int = 0) -> str:
    """The day in UTC, or the one so many days before it."""
    return (datetime.fromtimestamp(now_ms / 1_000, UTC) - timedelta(days=back)).date().isoformat()


def _questions(project: str, now_ms: int) -> Iterator[list[str]]:
    """The keys that are counted together, in the order in which `_answer` takes the counts."""
    days = [day_of(now_ms, back) for back in range(DAYS)]
    for kinds in (KINDS, (VALID,), (INVALID,), (NONE,), (INVALID, NONE)):
        yield [identity_day(project, day, kind) for kind in kinds for day in days]
    for day in days:
        for kind in KINDS:
            yield [identity_day(project, day, kind)]


def _answer(counts: Sequence[int], now_ms: int) -> Users:
    by_day = counts[5:]
    days = [Day(day_of(now_ms, back), *by_day[back * 3 : back * 3 + 3]) for back in range(DAYS)]
    users, valid, invalid, none, unverified = counts[:5]
    return Users(users, valid, invalid, none, unverified, days)


async def read_users(client: Any, project: str, now_ms: int) -> Users:
    return _answer([await client.pfcount(*keys) for keys in _questions(project, now_ms)], now_ms)


def read_users_sync(client: Any, project: str, now_ms: int) -> Users:
    return _answer([client.pfcount(*keys) for keys in _questions(project, now_ms)], now_ms)
