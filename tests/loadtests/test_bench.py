"""The measuring tools measure: the generator counts whole replies, the table says what is short and what failed."""

import contextlib
import json
import re
import socketserver
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from loadtests import realistic
from loadtests.bench import table
from loadtests.generator import load, whole_length
from loadtests.measures import MEASURES, Row
from loadtests.measures.row import percentile
from loadtests.measures.snippet import snippet
from loadtests.openloop import OpenLoop, pace
from loadtests.processes import api, settings_in, store, yardstick
from loadtests.profile import LOOP, Profile, report, stage
from loadtests.readback import compare
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


def test_the_generators_count_only_what_was_answered_200():
    bodies = realistic.bodies(1)[:3]
    with yardstick() as port:
        done = load(port, "/v1/track", bodies, 0.3)
        assert (done.failed, done.problem) == (0, "")
        assert len(set(done.acknowledged)) == len(done.acknowledged) > 0
        done = load(port, "/v1/nowhere", bodies, 0.3)
        assert (done.acknowledged, done.problem) == ([], f"{done.failed:,} requests failed")
        paced = pace(port, "/v1/track", bodies, 200, 0.5)
        assert sorted(paced.acknowledged) == list(range(100))
        assert len(paced.milliseconds) == 100
        assert pace(port, "/v1/nowhere", bodies, 100, 0.2).failed == 20


class Dawdling(socketserver.BaseRequestHandler):
    """Answers the first request of all after a while; those that are due meanwhile wait for it."""

    def handle(self) -> None:
        while self.request.recv(65_536):
            if not self.server.dawdled:
                self.server.dawdled = True
                time.sleep(0.5)
            self.request.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


def test_an_open_loop_counts_the_time_in_which_it_could_not_send():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dawdling) as server:
        server.dawdled = False
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with contextlib.closing(OpenLoop(server.server_address[1], lambda _: b"GET / HTTP/1.1\r\n\r\n", 1)) as loop:
            done = loop.run(100, 0.5)
        server.shutdown()
    assert len(done.milliseconds) == 50
    assert percentile(done.milliseconds, 0.5) > 100  # a closed loop would have met one slow answer in fifty


def test_what_was_acknowledged_is_looked_up_in_the_log(tmp_path):
    with store(settings_in(tmp_path)) as url, api(tmp_path) as (port, _):
        done = load(port, "/v1/batch", realistic.bodies(20), 0.3)
        assert len(done.acknowledged) > 0
        assert compare(url, done.acknowledged, 20) == ""
        more = [*done.acknowledged, 10**9]
        assert compare(url, more, 20).startswith(f"20 of {20 * len(more):,} acknowledged events are not in the log")
        assert "were not acknowledged" in compare(url, done.acknowledged[1:], 20)


def test_a_profile_divides_the_time_among_stages():
    ours = (
        "run (/x/asyncio/runners.py:1)",
        "data_received (/e/engage/direct.py:1)",
        "read_event (/e/engage/body.py:2)",
    )
    redis = ("f (/e/engage/commit.py:3)", "send (/x/redis/asyncio/connection.py:9)", "write (/x/asyncio/streams.py:1)")
    assert [stage(stack) for stack in (ours, redis, ours[:1])] == ["decode", "Redis client", LOOP]
    said = "\n".join(report(Profile("serve", Counter({ours: 3, redis: 1}), user=0.8, kernel=0.2), 1_000, 5))
    assert "1.0 s of CPU for 1,000 events, 1000.00 µs each (4 samples)" in said
    assert re.search(r"kernel +20.0% +200.000 µs", said)
    assert re.search(r"decode +60.0% +600.000 µs", said)


def test_the_mix_of_rules_compiles_and_the_events_wake_some():
    book = compile_rulebook(realistic.definitions(400))
    assert len(book.rules) == 400
    assert {event.type for event in realistic.events(200)} == {"page", "track", "identify"}


def test_the_snippet_is_within_its_budget():
    assert all(found.good for found in snippet(quick=True))


@pytest.mark.slow
def test_the_rows_of_streams_and_of_slow_readers_fail_nothing():
    rows = [*MEASURES["streams"](True), *MEASURES["slow"](True)]
    assert [found.failed for found in rows] == [""] * 4


def test_bench_prints_a_table_and_writes_json(tmp_path):
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "loadtests.bench", "--quick", "--only", "ingest", "snippet", "--json", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(out.read_bytes())
    names = [found["name"] for found in rows]
    assert names[:2] == ["durable single-event POSTs", "durable batches of 20"]
    assert "single events at half of the peak, p99 / p50" in names
    assert all(found["failed"] == "" for found in rows)
