"""The running service answers as the document says: driven by schemathesis, and, where that cannot, by hand."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from engage.answers import Delivery
from engage.ingest import ROUTES
from engage.operations import OPERATIONS
from tests.conftest import Service

CONFIG = Path(__file__).parent / "schemathesis.toml"
BY_HAND = {"stream"}  # it never ends


def _reached(schema: Any, found: dict[str, Any], seen: set[str]) -> Iterator[str]:
    """The names of all components that a part of the document needs."""
    if isinstance(schema, dict):
        name = str(schema.get("$ref", "")).removeprefix("#/components/schemas/")
        if name in found and name not in seen:
            seen.add(name)
            yield name
            yield from _reached(found[name], found, seen)
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _reached(part, found, seen)


# Answers that hold what people sent beside what is told of.
OPEN = {"Event", "Decision"}


def _strict(document: dict[str, Any]) -> dict[str, Any]:
    """The document with answers that hold nothing but what it tells of: clients must bear more, tests need not."""
    schemas = document["components"]["schemas"]
    answers = [one["responses"] for path in document["paths"].values() for one in path.values()]
    for name in set(_reached([answers, document["components"]["responses"]], schemas, set())) - OPEN:
        if "properties" in schemas[name]:
            schemas[name].setdefault("additionalProperties", False)
    # Events come last: an export and an explanation read all that was sent, and each reply is checked as a whole.
    document["paths"] = dict(sorted(document["paths"].items(), key=lambda item: item[0] in ROUTES))
    return document


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_schemathesis_finds_nothing_and_every_operation_succeeds(told: Service, tmp_path: Path):
    document, report = tmp_path / "openapi.json", tmp_path / "report.ndjson"
    document.write_text(json.dumps(_strict(httpx.get(f"{told.url}/api/openapi.json").json())))
    words = {"WRITE_KEY": told.write_key, "SECRET_KEY": told.secret_key}
    words |= {"DELIVERY": told.delivery, "BACKTEST": told.backtest}
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", str(document)]
    options = ["--url", told.url, "--no-color", "--report", "ndjson", "--report-ndjson-path", str(report)]
    run = subprocess.run([*command, *options], capture_output=True, text=True, env=os.environ | words, cwd=tmp_path)
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2_000:]
    statuses = _statuses(report)
    wanted = {f"{operation.method} {operation.path}" for operation in OPERATIONS if operation.name not in BY_HAND}
    never = {label for label in wanted if not any(200 <= status < 300 for status in statuses[label])}
    assert not never, (
        "never seen to succeed: give its parameters examples that name what tests/openapi/conftest.py makes"
    )
    assert "Exception in ASGI" not in told.log


def _statuses(report: Path) -> dict[str, set[int]]:
    """Operation → all statuses it answered."""
    found: dict[str, set[int]] = defaultdict(set)
    with report.open() as lines:
        for line in lines:
            recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
            for interaction in recorder.get("interactions", {}).values():
                if reply := interaction.get("response"):
                    found[recorder["label"]].add(reply["status_code"])
    return found


def test_the_stream_is_as_it_is_told(told: Service):
    query = {"writeKey": told.write_key, "userId": "user-44"}
    with told.client() as page:
        assert page.post("/v1/track", json={"userId": "user-44", "event": "Export Failed"}).status_code == 200
    with httpx.stream("GET", f"{told.url}/v1/stream", params=query, timeout=60) as reply:
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = (line for line in reply.iter_lines() if line)
        event = dict(line.split(": ", 1) for line in _until_data(lines))
    assert event["event"] == "message"
    assert event["id"]
    # What it has only once it was snoozed, or can be, is left out.
    assert set(json.loads(event["data"])) == {
        field.name for field in msgspec.structs.fields(Delivery) if field.required
    }


def _until_data(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith((":", "retry:")):
            yield line
        if line.startswith("data:"):
            return


def test_a_history_that_waits_answers_when_something_comes(told: Service):
    path = f"{told.url}/api/users/user-45/history"
    with told.client() as page, told.client(auth=(told.secret_key, ""), timeout=60) as server:
        assert server.get(path).json() == {"records": [], "cursor": "0-0"}
        assert page.post("/v1/track", json={"userId": "user-45", "event": "Export Failed"}).status_code == 200
        reply = server.get(path, params={"wait": "25"})
        while not reply.json()["records"]:
            reply = server.get(path, params={"wait": "25", "after": reply.json()["cursor"]})
    assert reply.json()["records"][0]["cursor"] == reply.json()["cursor"]
