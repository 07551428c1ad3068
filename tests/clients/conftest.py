"""Others' clients against a running product; what the log holds afterwards is read from its store."""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest
import redis

from engage.keys import ShardKeys
from engage.settings import load_settings
from tests.clients.programs import Call, Client, Json, Program
from tests.conftest import Service, StartService, until

_numbers = itertools.count()


class Product:
    """A running service, its log, and what its API says."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.api = httpx.Client(base_url=service.url, auth=(service.secret_key, ""), timeout=30)
        self._store = redis.Redis.from_url(load_settings({"ENGAGE_DATA_DIR": str(service.data_dir)}).redis_url)

    def close(self) -> None:
        self.api.close()
        self._store.close()

    def logged(self, *people: str) -> list[Json]:
        """The log's records of people (`u:…`, `a:…`) as they stand there, also what was sent again."""
        return [
            record
            for shard in range(8)
            for _, fields in self._store.xrange(ShardKeys("default", shard).log)
            for record in json.loads(fields[b"e"])
            if record["p"] in people and record.get("k") != "service"
        ]

    def wait_logged(self, number: int, *people: str) -> list[Json]:
        def enough() -> list[Json] | None:
            return found if len(found := self.logged(*people)) >= number else None

        return until(enough, 90, what=f"{number} records of {people} in the log")

    def person(self, name: str) -> Json:
        return self.api.get(f"/api/users/{name}").raise_for_status().json()

    def exported(self, name: str) -> list[Json]:
        """Whose events these are is known once the decider has seen one."""
        until(lambda: self.api.get(f"/api/users/{name}").status_code == 200, 90, what=f"{name} is known")
        return self.api.get(f"/api/users/{name}/export").json()["events"]

    def counted(self, name: str) -> int:
        """How many events of a user's session the engine has counted, once all that is in the log is."""
        last = {"userId": name, "event": "Last", "messageId": f"{name}-last"}
        until(lambda: self.api.post("/v1/track", json=last).status_code == 200, 90, what="room for one more")

        def all_seen() -> bool:
            reply = self.api.get(f"/api/users/{name}/history")
            return reply.status_code == 200 and any(
                record["event"]["name"] == "Last" for record in reply.json()["records"]
            )

        until(all_seen, 90, what=f"the last event of {name} is decided")
        return self.person(name)["state"]["session"]["events"] - 1

    def exhaust(self, name: str) -> int:
        """Makes events of a user, so many that the next ones are too much for a moment; returns how many."""
        batch = [{"type": "track", "userId": name, "event": "Before"}] * 45
        self.api.post("/v1/batch", json={"batch": batch}).raise_for_status()
        return len(batch)

    def refused(self, reason: str) -> float:
        """How many requests or events were answered with it."""
        name = f'engage_ingest_events_total{{outcome="{reason}"}} '
        lines = self.api.get("/metrics").text.splitlines()
        return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


@pytest.fixture(scope="session")
def product(start_service: StartService) -> Iterator[Product]:
    """It takes ten events a second of a person, so that who sends more is made to wait."""
    made = Product(start_service(env={"ENGAGE_RATE_PER_USER": "10/10"}))
    yield made
    made.close()


@pytest.fixture
def person() -> str:
    return f"person-{next(_numbers)}"


Run = Callable[..., Program]


@pytest.fixture
def start() -> Iterator[Run]:
    """`start(client, service, calls)` starts a client's program and ends it with the test."""
    started: list[Program] = []

    def begin(client: Client, service: Service, calls: Sequence[Call], **options: Any) -> Program:
        started.append(client.start(service, calls, **options))
        return started[-1]

    yield begin
    for program in started:
        program.stop()
