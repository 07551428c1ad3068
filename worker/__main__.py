"""`python -m worker decide|work|backtest`: started by `engage decide`, `engage work` and `engage up`."""

import sys

from engage.logs import configure_logging
from engage.projects import load_projects
from engage.settings import load_settings
from engage.store import STORE_ERRORS
from worker.processes import decide, prove, work


def main() -> None:
    settings = load_settings()
    configure_logging(settings)
    try:
        if sys.argv[1:] == ["decide"]:
            decide(settings, [project.id for project in load_projects(settings)])
        elif sys.argv[1:] == ["work"]:
            work(settings)
        elif sys.argv[1:] == ["backtest"]:
            prove(settings, [project.id for project in load_projects(settings)])
        else:
            sys.exit("usage: python -m worker decide|work|backtest")
    except STORE_ERRORS as error:
        hint = "start `engage up`, or set ENGAGE_REDIS_URL and ENGAGE_QUEUE_URL, or --data"
        sys.exit(f"engage: Expected a store that answers, got {error}\n  → {hint}")


if __name__ == "__main__":
    main()
