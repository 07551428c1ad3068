"""A running product with one of everything that the document's examples name, and no limits on rates."""

import json

import httpx
import pytest

from tests.conftest import Service, StartService, until

FILES = {
    "rules/hello.json": json.dumps(
        {"id": "hello", "trigger": "Export Failed", "message": "hello", "frequency": "always"}
    ),
    "messages/hello.json": json.dumps({"id": "hello", "kind": "banner", "content": {"en": {"text": "Hello"}}}),
    "segments/hello.json": json.dumps({"id": "hello", "condition": {"did": ["Export Failed"]}}),
    "project/hello.json": json.dumps({"id": "hello"}),
    "articles/guide.en.md": "# Guide\n\nRead **this**.\n",
}
NO_LIMITS = {"ENGAGE_RATE_PER_KEY": "0", "ENGAGE_RATE_PER_IP": "0", "ENGAGE_RATE_PER_USER": "0"}


@pytest.fixture(scope="session")
def told(start_service: StartService) -> Service:
    """The service; `told.delivery` waits to be claimed, `told.backtest` is the id of a run."""
    found = start_service(env=NO_LIMITS)
    with found.client(timeout=60) as page, found.client(timeout=60, auth=(found.secret_key, "")) as server:
        reply = server.post("/api/rulebooks", json={"base": 0, "files": FILES})
        assert reply.status_code == 201, reply.text
        until(
            lambda: server.get("/api/stats").json()["rulebook"] == IN_FORCE, what="the rulebook is in force everywhere"
        )
        for user in ("user-42", "user-43"):
            assert page.post("/v1/track", json={"userId": user, "event": "Export Failed"}).status_code == 200
        page.post("/v1/group", json={"userId": "user-42", "groupId": "acme", "traits": {"plan": "enterprise"}})
        until(lambda: server.get("/api/groups/acme").status_code == 200, what="the group is known")
        until(lambda: server.get("/api/users/user-43").status_code == 200, what="the other user is known")
        found.delivery = until(lambda: _deliveries(page), what="a delivery waits")[0]["delivery_id"]
        found.backtest = server.post("/api/backtests", json={"rule": "hello"}).json()["id"]
    return found


IN_FORCE = {"published": 1, "in_force": 1, "shards_behind": 0}


def _deliveries(page: httpx.Client) -> list[dict]:
    return page.get("/v1/inbox", params={"userId": "user-42"}).json()["deliveries"]
