"""The same product on a Valkey Cluster of three real nodes: from an event to the stream, nothing configured but the URL."""

import json
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import redis

from engage.valkey import binary
from tests.conftest import StartService, until, unused_port

SLOTS = (0, 5461, 10923, 16384)
RULE = {"id": "hello", "trigger": "page", "message": "hello", "frequency": "always"}
MESSAGE = {"id": "hello", "kind": "banner", "content": {"en": {"text": "Hello {{ user.id }}"}}}


def start(folder: Path, port: int, *options: str) -> "subprocess.Popen[bytes]":
    folder.mkdir()
    command = [str(binary()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    return subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[list[int]]:
    """Three nodes that share the slots, on free ports."""
    ports = [unused_port() for _ in range(3)]
    options = ("--cluster-enabled", "yes", "--appendonly", "yes", "--appendfsync", "always")
    # The bus listens on a port of its own; the default (+10000) may not exist for an ephemeral port.
    nodes = [start(tmp_path / str(port), port, *options, "--cluster-port", str(unused_port())) for port in ports]
    clients = [redis.Redis(port=port) for port in ports]
    try:
        for client, (first, last), epoch in zip(clients, pairwise(SLOTS), (1, 2, 3), strict=True):
            until(lambda client=client: answers(client), what="a node answers")
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last - 1)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for port, node in zip(ports[1:], clients[1:], strict=True):
            bus = node.config_get("cluster-port")["cluster-port"]
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", port, bus)
        for client in clients:
            until(lambda client=client: is_whole(client), seconds=30, what="the cluster is whole")
        yield ports
    finally:
        for client in clients:
            client.close()
        for node in nodes:
            node.terminate()
            node.wait(10)


def answers(client: "redis.Redis[bytes]") -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def is_whole(client: "redis.Redis[bytes]") -> bool:
    told = client.execute_command("CLUSTER", "INFO")
    return b"cluster_state:ok" in told and b"cluster_known_nodes:3" in told


def test_an_event_becomes_a_message_on_the_stream_over_all_nodes(
    cluster: list[int], tmp_path: Path, service: StartService
) -> None:
    rules = tmp_path / "definitions"
    for kind, document in (("rules", RULE), ("messages", MESSAGE)):
        (rules / kind).mkdir(parents=True)
        (rules / kind / "hello.json").write_text(json.dumps(document))
    queue_port = unused_port()
    queue = start(tmp_path / "queue", queue_port)
    try:
        running = service(
            rules=rules,
            env={
                "ENGAGE_REDIS_URL": f"redis+cluster://127.0.0.1:{cluster[0]}",
                "ENGAGE_QUEUE_URL": f"redis://127.0.0.1:{queue_port}",
                "ENGAGE_IDENTITY_SECRET": "a secret that only counts who comes verified",
                "ENGAGE_IDENTITY_ENFORCE": "off",
            },
        )
        people = [f"user-{number}" for number in range(24)]
        with running.client() as client:
            for person in people:
                assert client.post("/v1/page", json={"userId": person}).status_code == 200
            for person in people:
                [delivery] = until(lambda person=person: inbox(client, person), what=f"the inbox of {person}")
                assert delivery["content"] == {"text": f"Hello {person}"}
                claim = f"/v1/deliveries/{delivery['delivery_id']}/claim"
                assert [client.post(claim).json()["claimed"] for _ in range(2)] == [True, False]
            with client.stream("GET", "/v1/stream", params={"userId": "user-0"}, timeout=20) as stream:
                lines = stream.iter_lines()
                assert next(line for line in lines if line.startswith(":"))  # the subscription stands
                assert client.post("/v1/page", json={"userId": "user-0"}).status_code == 200
                assert "Hello user-0" in next(line for line in lines if line.startswith("data:"))
        with running.client(auth=(running.secret_key, "")) as server:
            until(lambda: server.get("/api/identity").json()["users"]["none"] == len(people), what="all are counted")
            gone = server.delete("/api/users/user-1", timeout=90).json()
            assert "left" in gone, gone
            assert set(gone["left"].values()) == {0}
            assert gone["rewritten"] is True
            assert server.get("/api/users/user-1").status_code == 404
        for port in cluster:  # every node has its part
            with redis.Redis(port=port) as node:
                assert node.dbsize() > 0
        assert running.stop() == 0
    finally:
        queue.terminate()
        queue.wait(10)


def inbox(client: object, person: str) -> list[dict[str, object]]:
    return client.get("/v1/inbox", params={"userId": person}).json()["deliveries"]  # type: ignore[attr-defined]
