"""`make load`: locust, headless and bounded, against a running Engage, or one of its own.

    python -m loadtests.load [day|launch|herd|hostile] [--users 50] [--seconds 60]

With ENGAGE_WRITE_KEY set, the service at ENGAGE_URL is loaded; else a product with `examples/` and `loadtests/definitions` is
started and ended.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from loadtests import processes

ROOT: Final = Path(__file__).parent.parent
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
MOST_SECONDS: Final = 3_600
DEFINITIONS: Final = (ROOT / "examples", ROOT / "loadtests" / "definitions")


class Scenario(msgspec.Struct):
    """`settings` are those of the product that is started for it, `environment` what tells the run of them."""

    users: int
    settings: dict[str, str] = {}
    environment: dict[str, str] = {}


SCENARIOS: Final = {
    "day": Scenario(50),
    "launch": Scenario(200),
    "herd": Scenario(50),
    "hostile": Scenario(
        60,
        {
            "ENGAGE_RATE_PER_IP": "50/300",
            "ENGAGE_RATE_PER_USER": "10/100",
            "ENGAGE_HEAD_TIMEOUT": "2s",
            "ENGAGE_BODY_TIMEOUT": "4s",
        },
        {"ENGAGE_LOAD_LIMITED": "yes", "ENGAGE_LOAD_SLOW_SECONDS": "20"},
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Load Engage with realistic people, and with others.")
    parser.add_argument("scenario", nargs="?", default="day", choices=sorted(SCENARIOS), help="what happens (day)")
    parser.add_argument("--users", type=int, help="people at the height of it (by the scenario)")
    parser.add_argument("--seconds", type=int, default=60, help=f"how long (60, at most {MOST_SECONDS})")
    parser.add_argument("--anywhere", action="store_true", help="allow a service that is not on this machine")
    arguments = parser.parse_args()
    scenario = SCENARIOS[arguments.scenario]
    with _target(scenario, arguments.anywhere) as (url, given):
        file = ROOT / "loadtests" / "scenarios" / f"{arguments.scenario}.py"
        command = [
            sys.executable,
            "-m",
            "locust",
            "--locustfile",
            str(file),
            "--headless",
            "--only-summary",
            "--loglevel",
            "WARNING",
        ]
        command += ["--host", url, "--users", str(arguments.users or scenario.users), "--stop-timeout", "10"]
        command += ["--run-time", f"{min(arguments.seconds, MOST_SECONDS)}s"]
        done = subprocess.run(command, env={**os.environ, **given}, check=False)
    sys.exit(done.returncode)


@contextlib.contextmanager
def _target(scenario: Scenario, anywhere: bool) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of what is loaded, and what the run needs to know of it."""
    write_key = os.environ.get("ENGAGE_WRITE_KEY")
    if write_key:
        url = os.environ.get("ENGAGE_URL", "http://127.0.0.1:8700")
        if urlsplit(url).hostname not in LOOPBACK and not anywhere:
            sys.exit(f"{url} is not this machine. Load only what is yours, and say so: --anywhere")
        yield url, {"ENGAGE_WRITE_KEY": write_key}
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for source in DEFINITIONS:
            for kind in ("rules", "messages", "articles"):
                if (source / kind).is_dir():
                    shutil.copytree(source / kind, folder / "definitions" / kind, dirs_exist_ok=True)
        with processes.product(folder / "data", folder / "definitions", **scenario.settings) as product:
            before = _memory(product)
            keys = {"ENGAGE_WRITE_KEY": processes.WRITE_KEY, "ENGAGE_SECRET_KEY": processes.SECRET_KEY}
            yield product.url, keys | {"ENGAGE_LOAD_PRODUCT": str(product.pid)} | scenario.environment
            after = _memory(product)
            print("\nmemory, MB: " + ", ".join(f"{name} {before.get(name, 0)} → {mb}" for name, mb in after.items()))


def _memory(product: processes.Product) -> dict[str, int]:
    return {name: child.memory_info().rss // 2**20 for name, child in sorted(product.children().items())}


if __name__ == "__main__":
    main()
