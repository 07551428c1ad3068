"""`make load`: locust, headless and bounded, against a running Engage, or one of its own.

    python -m loadtests.load [--users 50] [--seconds 60]

With ENGAGE_WRITE_KEY set, the service at ENGAGE_URL is loaded; else a product with `examples/` is started and ended.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from loadtests import processes

ROOT = Path(__file__).parent.parent
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def main() -> None:
    parser = argparse.ArgumentParser(description="Load Engage with realistic people.")
    parser.add_argument("--users", type=int, default=50, help="people at once (50)")
    parser.add_argument("--seconds", type=int, default=60, help="how long (60, at most 3600)")
    parser.add_argument("--anywhere", action="store_true", help="allow a service that is not on this machine")
    arguments = parser.parse_args()
    with _target(arguments.anywhere) as (url, keys):
        command = [
            sys.executable,
            "-m",
            "locust",
            "--locustfile",
            str(ROOT / "loadtests" / "locustfile.py"),
            "--headless",
        ]
        command += ["--host", url, "--users", str(arguments.users), "--spawn-rate", str(max(1, arguments.users // 5))]
        command += ["--run-time", f"{min(arguments.seconds, 3_600)}s", "--stop-timeout", "5", "--only-summary"]
        done = subprocess.run(command, env={**os.environ, **keys}, check=False)
    sys.exit(done.returncode)


@contextlib.contextmanager
def _target(anywhere: bool) -> Iterator[tuple[str, dict[str, str]]]:
    write_key = os.environ.get("ENGAGE_WRITE_KEY")
    if write_key:
        url = os.environ.get("ENGAGE_URL", "http://127.0.0.1:8700")
        if urlsplit(url).hostname not in LOOPBACK and not anywhere:
            sys.exit(f"{url} is not this machine. Load only what is yours, and say so: --anywhere")
        yield url, {"ENGAGE_WRITE_KEY": write_key}
        return
    with tempfile.TemporaryDirectory() as folder, processes.product(Path(folder), ROOT / "examples") as url:
        yield url, {"ENGAGE_WRITE_KEY": processes.WRITE_KEY, "ENGAGE_SECRET_KEY": processes.SECRET_KEY}


if __name__ == "__main__":
    main()
