"""What all scenarios share: the service's counts before, the sums after, and the shape of the load in time."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

from locust import LoadTestShape, events
from locust.env import Environment

from loadtests.people import ledger
from loadtests.service import ServiceUnderLoad

_services: list[ServiceUnderLoad] = []
_judges: list[Callable[[ServiceUnderLoad], None]] = []


def judge(function: Callable[[ServiceUnderLoad], None]) -> Callable[[ServiceUnderLoad], None]:
    """Registers what a scenario promises beyond the sums; called once all events are decided."""
    _judges.append(function)
    return function


@events.test_start.add_listener
def remember(environment: Environment, **_: Any) -> None:
    _services.append(ServiceUnderLoad(str(environment.host)))


@events.quitting.add_listener
def account(environment: Environment, **_: Any) -> None:
    """What was promised and what was kept; a promise that was broken fails the run."""
    if not _services:
        return
    service = _services[0]
    service.reconcile(ledger)
    twice = ledger.counts["SHOWN TWICE"]
    ledger.promise("nothing is shown twice", not twice, f"{twice:,} times" if twice else "")
    for one in _judges:
        one(service)
    print("\n" + "\n".join(ledger.lines()))
    # Refusals are counted above by their reasons; locust's own rule (any failed request) would count them twice.
    environment.process_exit_code = 0 if ledger.kept else 1


class Bounded(LoadTestShape):
    """A shape over `--run-time` with `--users` as its measure."""

    abstract = True
    use_common_options: ClassVar[bool] = True

    def tick(self) -> tuple[int, float] | None:
        assert self.runner is not None
        assert self.runner.environment.parsed_options is not None
        options = self.runner.environment.parsed_options
        seconds = float(options.run_time or 60)
        passed = self.get_run_time()
        if passed >= seconds:
            return None
        return self.people(options.num_users or 50, passed, seconds)

    def people(self, users: int, passed: float, seconds: float) -> tuple[int, float]:
        """How many are here after `passed` of `seconds`, and how many may come or go in a second."""
        raise NotImplementedError


def of_a_day(share: float) -> float:
    """How busy a product is at this part of its day: a third at night, all at noon."""
    return 1 / 3 + 2 / 3 * math.sin(math.pi * share) ** 2
