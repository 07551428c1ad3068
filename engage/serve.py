"""`python -m engage.serve`: one API process. What `engage serve` becomes and `engage up` starts."""

from engage.app import run
from engage.logs import configure_logging
from engage.settings import load_settings


def main() -> None:
    settings = load_settings()
    configure_logging(settings)
    run(settings)


if __name__ == "__main__":
    main()
