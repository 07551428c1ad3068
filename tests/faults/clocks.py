"""Wrong clocks: of the machine the product runs on, and of the devices that send."""

import random
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.conftest import Service
from tests.faults.harness import HOUR, Traffic, iso

YEARS = 10 * 365 * 24 * HOUR
# What a device may say that is no time, or one that no clock shows.
NONSENSE = ("", "yesterday", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z", "2026-02-30T00:00:00Z", 0, -1, 10**15, "275760-09-13T00:00:00.000Z")  # fmt: skip


class Clock:
    """The clock of the machine that the product believes to be on: seconds off the real one."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "offset"
        self._path.write_bytes(struct.pack("q", 0))
        self.library = folder / "stepped_clock.so"
        source = Path(__file__).with_name("stepped_clock.c")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(self.library), str(source), "-ldl"], check=True)

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "STEPPED_CLOCK": str(self._path)}

    def set(self, seconds: int) -> None:
        with self._path.open("r+b") as file:  # in place: every process has it mapped
            file.write(struct.pack("q", seconds))


class WrongDevices(Traffic):
    """Each person's device has a clock of its own, ten years off at most; some also say nonsense."""

    def __init__(self, running: Service, name: str, **given: Any) -> None:
        super().__init__(running, name, **given)
        self.ages: dict[
            str, int
        ] = {}  # messageId → how long before it was sent it happened, ms; of who says both times

    def skew(self, user: str) -> int:
        return random.Random(user).choice((-YEARS, YEARS, -YEARS // 3, HOUR, -HOUR))

    def event(self, user: str, number: int, dice: random.Random) -> dict[str, Any]:
        made = super().event(user, number, dice)
        made.pop("timestamp", None)
        kind, field = dice.random(), dice.choice(("timestamp", "originalTimestamp"))
        age = dice.choice((0, 1, 5_000, 9_000, 20_000))
        if kind < 0.5:
            self.ages[made["messageId"]] = age
            made[field] = iso(self.now(user) - age)
            made["sentAt"] = iso(self.now(user))
        elif kind < 0.75:  # nobody can tell that this one is wrong
            made[field] = iso(self.now(user) - age)
        else:
            made[field] = dice.choice(NONSENSE)
            made["sentAt"] = dice.choice(NONSENSE)
        return made

    def now(self, user: str) -> float:
        return time.time() * 1000 + self.skew(user)
