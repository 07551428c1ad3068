"""One product for the faults of a file, where they leave it as they found it; and what they measured, told at the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Service, running_services
from tests.faults.harness import RECOVERIES, write_definitions


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`engage up` with the harness's rules; each test sends as people of its own."""
    folder: Path = tmp_path_factory.mktemp("faults")
    for start in running_services(lambda: folder):
        yield start(rules=write_definitions(folder / "definitions"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if RECOVERIES:
        terminalreporter.section("recovery: seconds until an event is acknowledged, until it is delivered")
    for found in RECOVERIES:
        terminalreporter.write_line(f"{found.acknowledged:8.2f} {found.delivered:8.2f}   {found.what}")
