"""The measuring tools measure: the generator counts whole replies, the table says what is short and what failed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests import realistic
from loadtests.bench import table
from loadtests.generator import whole_length
from loadtests.measures import Row, load, snippet
from loadtests.processes import yardstick
from rules import compile_rulebook

ROOT = Path(__file__).parents[2]


def row(**given: object) -> Row:
    usual = {"name": "a", "unit": "ms", "ours": 2.0, "yardstick": 1.0, "value": 2.0, "reach": 1.0, "at_least": True}
    return Row(**{**usual, **given})


@pytest.mark.parametrize(
    ("given", "good"),
    [
        ({}, True),
        ({"value": 0.5}, False),
        ({"value": 0.5, "at_least": False}, True),
        ({"at_least": False}, False),
        ({"failed": "10 acknowledged, 9 logged"}, False),
    ],
)
def test_a_row_is_good_when_it_reaches_and_nothing_failed(given, good):
    assert row(**given).good is good


def test_the_table_says_ok_short_and_failed():
    shown = table([row(), row(value=0.5), row(failed="lost")])
    assert [line.split()[-1] for line in shown.splitlines()[1:]] == ["ok", "short", "lost"]
    assert "FAILED: lost" in shown


@pytest.mark.parametrize(
    ("data", "length"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 40),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1", 40),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", None),
    ],
)
def test_a_reply_is_measured_by_its_head(data, length):
    assert whole_length(data) == length


def test_the_generator_counts_only_what_was_answered_200(tmp_path):
    bodies = tmp_path / "bodies"
    bodies.write_bytes(b"\n".join(realistic.single_body(number) for number in range(3)))
    with yardstick() as port:
        rate, ok, failed = load(port, "/v1/track", bodies, 0.3)
        assert rate > 0
        assert ok > 0
        assert failed == 0
        _, ok, failed = load(port, "/v1/nowhere", bodies, 0.3)
        assert ok == 0
        assert failed > 0


def test_the_mix_of_rules_compiles_and_the_events_wake_some():
    book = compile_rulebook(realistic.definitions(400))
    assert len(book.rules) == 400
    assert {event.type for event in realistic.events(200)} == {"page", "track", "identify"}


def test_the_snippet_is_within_its_budget():
    assert all(found.good for found in snippet(quick=True))


def test_bench_prints_a_table_and_writes_json(tmp_path):
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "loadtests.bench", "--quick", "--only", "ingest", "snippet", "--json", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(out.read_bytes())
    assert [found["name"] for found in rows][:2] == ["durable single-event POSTs", "durable batches of 20"]
    assert all(found["failed"] == "" for found in rows)
