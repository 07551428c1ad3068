"""A product launch: ten times as many people within ten seconds, who stay for a while.

make load SCENARIO=launch                                                        20 people, then 200, then 20, a minute
locust -f loadtests/scenarios/launch.py --host https://engage.example.com --users 1000 --run-time 10m
"""

import math
import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[2]))

from loadtests.people import DemoCustomer, ledger
from loadtests.scenarios.run import Bounded, judge
from loadtests.service import ServiceUnderLoad

__all__ = ["DemoCustomer", "Launch"]
TIMES: Final = 10
RUSH_SECONDS: Final = 10.0


class Launch(Bounded):
    """`--users` is the crowd at its height; before and after, a tenth of it."""

    def people(self, users: int, passed: float, seconds: float) -> tuple[int, float]:
        few, opens, ends = max(1, users // TIMES), seconds / 6, seconds * 5 / 6
        if opens <= passed < ends:
            return users, math.ceil((users - few) / min(RUSH_SECONDS, seconds / 3))
        return few, max(1, math.ceil(users / 2))


@judge
def nobody_is_refused(_: ServiceUnderLoad) -> None:
    ledger.promise("nobody is refused", not ledger.refused)
