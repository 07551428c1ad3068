"""`python -m worker decide PROJECT…|work|backtest PROJECT…`: started by `engage decide`, `engage work` and `engage up`.

Which projects there are is told, for it stands in the database: these processes know nothing of SQL."""

import sys
from typing import TYPE_CHECKING

from engage import ending
from engage.later import Later
from engage.logs import configure_logging
from engage.settings import load_settings
from engage.store import STORE_ERRORS

if TYPE_CHECKING:
    from worker import backtests, deciders, delivery
else:  # each process loads what it runs
    backtests, deciders, delivery = Later("worker.backtests"), Later("worker.deciders"), Later("worker.delivery")


def main() -> None:
    settings = load_settings()
    configure_logging(settings)
    try:
        match sys.argv[1:]:
            case ["decide", *projects] if projects:
                deciders.decide(settings, projects)
            case ["work"]:
                delivery.work(settings)
            case ["backtest", *projects] if projects:
                backtests.prove(settings, projects)
            case _:
                sys.exit("usage: python -m worker decide PROJECT…|work|backtest PROJECT…")
    except STORE_ERRORS as error:
        hint = "start `engage up`, or set ENGAGE_REDIS_URL and ENGAGE_QUEUE_URL, or --data"
        sys.exit(f"engage: Expected a store that answers, got {error}\n  → {hint}")


if __name__ == "__main__":
    ending.run(main)
