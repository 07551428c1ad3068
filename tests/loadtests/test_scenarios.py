"""The scenarios run, in a short form against a product of their own; a promise that is broken fails a run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.load import SCENARIOS
from loadtests.sse import backoff

ROOT = Path(__file__).parents[2]
PROMISES = {
    "day": ("nobody is refused", "what was acknowledged was decided"),
    "launch": ("nobody is refused", "every match is in one state"),
    "herd": (
        "all streams come back (the lines were cut)",
        "all streams come back (the API process was killed)",
        "each delivery comes once, in order, without a gap",
    ),
    "hostile": (
        "every attack is answered as documented",
        "no customer is limited for what others do",
        "every signal matched once, however often it was sent",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_a_scenario_keeps_its_promises(scenario):
    # Of a herd all are cut off twice, and wait up to 3 s each time before they come back.
    seconds = "12" if scenario == "herd" else "6"
    command = [sys.executable, "-m", "loadtests.load", scenario, "--users", "12", "--seconds", seconds]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "BROKEN" not in done.stdout
    for promise in (*PROMISES[scenario], "every event sent has one end", "the lag returns to zero"):
        assert re.search(rf"kept +{re.escape(promise)}", done.stdout), done.stdout


def test_a_service_that_is_not_this_machine_is_not_loaded_by_mistake():
    command = [sys.executable, "-m", "loadtests.load"]
    environment = {"ENGAGE_WRITE_KEY": "wk", "ENGAGE_URL": "http://engage.example.com"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "--anywhere" in done.stderr


def test_backing_off_is_the_snippets():
    assert all(0.5 <= backoff(1) <= 1 and 15 <= backoff(50) <= 30 for _ in range(100))
