"""`kill -9` while a rulebook is published: afterwards the old one is live or the new one, whole, and everywhere the same."""

import json
import random
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import httpx
import pytest

from engage import keys
from engage.settings import load_settings
from engage.store import connect
from tests.conftest import Service, StartService, until

pytestmark = pytest.mark.faults
DOCUMENTS = 200
ROUNDS = 8


def publish(one: Service, base: int, name: str) -> httpx.Response | None:
    """The reply; None where the service died before it came."""
    files = {
        f"segments/s{n}.json": json.dumps({"id": f"s{n}", "condition": True, "name": name}) for n in range(DOCUMENTS)
    }
    try:
        with one.client(auth=(one.secret_key, ""), timeout=30) as client:
            return client.post("/api/rulebooks", json={"base": base, "files": files})
    except httpx.TransportError:
        return None


def live(one: Service) -> dict[str, Any] | None:
    try:
        with one.client(auth=(one.secret_key, ""), timeout=5) as client:
            reply = client.get("/api/rulebooks/live")
    except httpx.TransportError:
        return None
    return reply.json() if reply.status_code == 200 else None


def test_a_publisher_killed_at_any_moment_leaves_the_old_or_the_new(service: StartService) -> None:
    one, dice = service(), random.Random(7)
    first = publish(one, 0, "round 0")
    assert first is not None
    assert first.status_code == 201
    version, before, died = 1, "round 0", 0
    with (
        ThreadPoolExecutor(1) as pool,
        connect(load_settings({"ENGAGE_DATA_DIR": str(one.data_dir)}).redis_url) as store,
    ):
        for number in range(1, ROUNDS + 1):
            name = f"round {number}"
            reply: Future[httpx.Response | None] = pool.submit(publish, one, version, name)
            wait([reply], dice.random() * 0.12)
            one.kill("serve")
            answer = reply.result()
            found = until(lambda: live(one), what="the service is back")
            names = {json.loads(text)["name"] for text in found["files"].values()}
            assert len(found["files"]) == DOCUMENTS
            assert names in ({before}, {name}), "never a mix"
            assert found["version"] == version + (names == {name})
            if answer is not None and answer.status_code == 201:
                assert names == {name}, "what was said to be published is"
            died += answer is None
            pointer = int(store.get(keys.rulebook("default")) or 0)
            snapshot = json.loads(store.get(keys.rulebook_version("default", pointer)))
            assert (pointer, {segment["name"] for segment in snapshot["segments"]}) == (found["version"], names)
            version, [before] = found["version"], names
    assert died, "it was killed while it published"
