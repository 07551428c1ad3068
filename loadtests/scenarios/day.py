"""A steady day: from a third of the people up to all of them at noon, and down again.

make load                                                                        50 people at noon, a minute
locust -f loadtests/scenarios/day.py --host https://engage.example.com --users 500 --run-time 1h
"""

import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # `locust -f` alone knows this folder, not the project's

from loadtests.people import DemoCustomer, ledger
from loadtests.scenarios.run import Bounded, judge, of_a_day
from loadtests.service import ServiceUnderLoad

__all__ = ["Day", "DemoCustomer"]


class Day(Bounded):
    def people(self, users: int, passed: float, seconds: float) -> tuple[int, float]:
        return max(1, round(users * of_a_day(passed / seconds))), max(1, math.ceil(users / 5))


@judge
def nobody_is_refused(_: ServiceUnderLoad) -> None:
    ledger.promise("nobody is refused", not ledger.refused)
