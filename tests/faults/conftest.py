"""One product for the faults of a file, where they leave it as they found it; and what they measured, told at the end."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.conftest import Service, running_services
from tests.faults.clocks import Clock
from tests.faults.harness import MEMORIES, RECOVERIES, write_definitions


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`engage up` with the harness's rules; each test sends as people of its own."""
    folder: Path = tmp_path_factory.mktemp("faults")
    for start in running_services(lambda: folder):
        yield start(rules=write_definitions(folder / "definitions"))


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    if shutil.which("cc") is None:
        pytest.skip("setting the clock of a few processes needs a C compiler")
    return Clock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def machine(clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`engage up` on a machine whose clock can be set: its stores' as well."""
    folder = tmp_path_factory.mktemp("machine")
    for start in running_services(lambda: folder):
        yield start(rules=write_definitions(folder / "definitions"), env=clock.environment)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Of a run without xdist, as `make chaos` is."""
    if RECOVERIES:
        terminalreporter.section("recovery: seconds until an event is acknowledged, and until it is delivered")
        terminalreporter.write_line("   times   median    worst   median    worst")
    for what in dict.fromkeys(found.what for found in RECOVERIES):
        found = [one for one in RECOVERIES if one.what == what]
        acknowledged, delivered = [one.acknowledged for one in found], [one.delivered for one in found]
        figures = (median(acknowledged), max(acknowledged), median(delivered), max(delivered))
        terminalreporter.write_line(f"{len(found):8} " + " ".join(f"{one:8.2f}" for one in figures) + f"   {what}")
    if MEMORIES:
        names = sorted({name for memory in MEMORIES for name in memory.processes})
        most = {name: max(memory.processes.get(name, 0) for memory in MEMORIES) for name in names}
        terminalreporter.section("memory: the most that each process held, and the most that the log's store used")
        terminalreporter.write_line(", ".join(f"{name} {size >> 20} MB" for name, size in most.items()))
        terminalreporter.write_line(f"used_memory {max(memory.store for memory in MEMORIES) >> 20} MB")
