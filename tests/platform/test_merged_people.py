"""A new rule, and a back-test of it, know what people did under their former names: through the whole product."""

import json
from pathlib import Path

import httpx

from tests.commands import engage
from tests.conftest import Service, StartService, until

MESSAGE = {"id": "hello", "kind": "banner", "content": {"en": {"text": "Hello"}}}
OLD = {"id": "old", "trigger": "Nothing", "message": "hello"}
DRAFT = {
    "id": "draft",
    "trigger": "Ask",
    "condition": {"==": [{"count": ["Did", {"within": "7d"}]}, 4]},
    "message": "hello",
}
PEOPLE = 6


def _write(folder: Path, kind: str, document: dict) -> None:
    (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / kind / f"{document['id']}.json").write_text(json.dumps(document))


def _stories(service: Service) -> None:
    """Each person does something as a visitor, signs in, does more under both names, and asks."""
    with service.client() as client:

        def send(**call: object) -> None:
            assert client.post("/v1/batch", json={"batch": [call]}).json()["success"]

        for number in range(PEOPLE):
            visitor, user = {"anonymousId": f"visitor-{number}"}, {"userId": f"user-{number}"}
            send(type="track", event="Did", messageId=f"{number}-1", **visitor)
            send(type="track", event="Did", messageId=f"{number}-2", **user)
            send(type="identify", messageId=f"{number}-i", **visitor, **user)
        for number in range(PEOPLE):
            _merged(service, number)
            visitor, user = {"anonymousId": f"visitor-{number}"}, {"userId": f"user-{number}"}
            send(type="track", event="Did", messageId=f"{number}-3", **visitor)
            send(type="track", event="Did", messageId=f"{number}-4", **user)
            send(type="track", event="Did", messageId=f"{number}-4", **user)
    with service.client(auth=(service.secret_key, "")) as client:
        for number in range(PEOPLE):
            until(lambda number=number: len(_events(client, number)) == 5, what="all is in the log")


def _merged(service: Service, number: int) -> None:
    with service.client(auth=(service.secret_key, "")) as client:
        until(
            lambda: client.get(f"/api/users/visitor-{number}").json().get("person") == f"u:user-{number}",
            what=f"visitor-{number} is user-{number}",
        )


def _settled(service: Service) -> None:
    """Until nobody has anything to tell anybody: what the new rule finds of a visitor goes to the log of the user they became. Seen twice,
    for it may be on its way from a shard that was not asked yet to one that was."""
    quiet = {"engage_outbox_entries 0.0", "engage_log_lag_seconds 0.0"}
    for _ in range(2):
        until(
            lambda: quiet <= set(httpx.get(f"{service.url}/metrics").text.splitlines()), what="all is told and decided"
        )


def _events(client, number: int) -> list[dict]:
    return client.get(f"/api/users/user-{number}/export").json()["events"]


def test_a_new_rule_and_its_back_test_count_what_was_done_under_both_names(
    module_service: StartService, tmp_path: Path
) -> None:
    folder = tmp_path / "definitions"
    _write(folder, "messages", MESSAGE)
    _write(folder, "rules", OLD)
    service = module_service(rules=folder)
    _stories(service)

    _write(folder, "rules", DRAFT)
    with service.client(auth=(service.secret_key, "")) as client:

        def in_force() -> bool:
            found = client.get("/api/stats").json()["rulebook"]
            return found["published"] == found["in_force"] == 2

        until(in_force, what="the new rule is in force")
    _settled(service)
    with service.client() as client:
        for number in range(PEOPLE):
            body = {"event": "Ask", "userId": f"user-{number}"}
            assert client.post("/v1/track", json=body).status_code == 200
        for number in range(PEOPLE):
            params = {"writeKey": service.write_key, "userId": f"user-{number}"}
            found = until(
                lambda params=params: client.get("/v1/inbox", params=params).json()["deliveries"],
                what=f"a message for user-{number}",
            )
            assert [delivery["rule_id"] for delivery in found] == ["draft"]

    words = ("rules", "backtest", "draft", "--last", "1d", "--format", "json")
    done = engage(*words, env=service.environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["deliveries"], told["users"]) == (PEOPLE, PEOPLE)
    assert {person["user"] for person in told["who"]} == {f"user-{number}" for number in range(PEOPLE)}
    assert told["events"] == PEOPLE * 6
    assert told["outcomes"] == {"matched": PEOPLE}
