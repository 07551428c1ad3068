"""One running product for most tests of this folder; people do not meet, so tests do not either."""

import asyncio
import itertools
import json
from pathlib import Path

import httpx
import pytest

from tests.conftest import Service, StartService, until

RULES = {
    "always": {"trigger": "Wake", "message": "hello", "frequency": "always"},
    "low": {"trigger": "Both", "message": "hello", "priority": 10},
    "high": {"trigger": "Both", "message": "late", "priority": 90},
    "twice": {
        "trigger": "Export Failed",
        "condition": {">=": [{"count": ["Export Failed", {"within": "10m"}]}, 2]},
        "message": "hello",
    },
    "gone": {"trigger": "Tour Me", "message": "first-project"},
    "start": {"trigger": "Signed Up", "message": "get-started"},
    "put-off": {
        "trigger": "Put Off",
        "message": "hours",
        "snooze": "2s",
        "cancel_on": "Plan Purchased",
        "frequency": "always",
    },
    "later": {"trigger": "Wait", "delay": "400ms", "cancel_on": ["Stop"], "message": "hello", "frequency": "always"},
    "absent": {
        "trigger": {"after": "Trial Started", "without": "Project Created", "within": "500ms"},
        "message": "hello",
    },
    "markup": {"trigger": "Trait", "message": "markup"},
    "account": {
        "trigger": "Account Looked At",
        "condition": {"==": [{"var": "group.traits.plan"}, "enterprise"]},
        "message": "hello",
    },
    "left": {"trigger": {"leaves": "just-asked"}, "message": "hello"},
    "divided": {"trigger": "Divide", "message": "divided", "frequency": "always"},
    "tried": {
        "trigger": "Try",
        "variants": [{"id": "plain", "message": "hello"}, {"id": "loud", "message": "markup"}],
        "frequency": "always",
        "holdout": 0.5,
        "goal": {"event": "Bought", "within": "1d"},
    },
}
NAME = "{{ user.traits.name }}"
MESSAGES = {
    "hello": {
        "kind": "banner",
        "content": {"en": {"text": "Hello {{ user.traits.name | default: 'you' }}"}, "ja": {"text": "こんにちは"}},
    },
    "late": {"kind": "chat", "content": {"en": {"text": "Hi"}}, "expires": "1s", "show_on": {"path": "/p*"}},
    "first-project": {"kind": "tour", "content": {"en": {"steps": [{"text": f"Start here, {NAME}"}]}}},
    "get-started": {
        "kind": "checklist",
        "content": {
            "en": {
                "title": "Get started",
                "items": [
                    {"id": "create", "label": "Create a project", "tour": "first-project"},
                    {"id": "look", "label": "Look around"},
                ],
            }
        },
        "done": {"create": {"did": ["Project Created"]}},
    },
    "hours": {"kind": "banner", "content": {"en": {"text": "Hello"}}, "expires": "1h"},
    "divided": {"kind": "banner", "content": {"en": {"text": "{{ 10 | divided_by: event.properties.by }}"}}},
    "markup": {"kind": "chat", "content": {"en": {"text": f"Hi {NAME}", "replies": [{"label": NAME}]}}},
}
SEGMENTS = {"just-asked": {"condition": {"did": ["Ask", {"within": "500ms"}]}}}
_numbers = itertools.count()


def write_definitions(folder: Path) -> Path:
    for kind, documents in (("rules", RULES), ("messages", MESSAGES), ("segments", SEGMENTS)):
        (folder / kind).mkdir(parents=True)
        for name, document in documents.items():
            (folder / kind / f"{name}.json").write_text(json.dumps({"id": name, **document}))
    (folder / "articles").mkdir()
    (folder / "articles" / "guide.en.md").write_text("# Guide\n\nRead **this**.\n")
    (folder / "articles" / "guide.ja.md").write_text("# 手引き\n\nお読みください。\n")
    return folder


@pytest.fixture(scope="session")
def product(start_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    return start_service(rules=write_definitions(tmp_path_factory.mktemp("wire") / "definitions"))


@pytest.fixture
def person() -> str:
    return f"person-{next(_numbers)}"


class Waiter:
    """Waits for a flush; `told` is what it heard of it: None, or the error."""

    def __init__(self) -> None:
        self.told: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    def settled(self, failure: object) -> None:
        self.told.set_result(failure)


class Wire:
    """The public and the server side of the product, for one test."""

    def __init__(self, product: Service) -> None:
        self.product = product
        self.http = httpx.Client(base_url=product.url, timeout=20)
        self.key = product.write_key

    def post(self, path: str, body: object, **options: object) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post(path, content=content, **{"auth": (self.key, ""), **options})

    def track(self, user: str, event: str, **fields: object) -> None:
        reply = self.post("/v1/track", {"userId": user, "event": event, **fields})
        assert reply.status_code == 200, reply.text

    def inbox(self, user: str, **query: str) -> list[dict]:
        reply = self.http.get("/v1/inbox", params={"writeKey": self.key, "userId": user, **query})
        assert reply.status_code == 200, reply.text
        return reply.json()["deliveries"]

    def wait_inbox(self, user: str, number: int = 1) -> list[dict]:
        def enough() -> list[dict] | None:
            return found if len(found := self.inbox(user)) >= number else None

        return until(enough, what=f"{number} in {user}'s inbox")

    def server(self, path: str) -> httpx.Response:
        return self.http.get(path, auth=(self.product.secret_key, ""))

    def known(self, user: str) -> dict | None:
        """What the service knows of a user; None as long as that is nothing."""
        reply = self.server(f"/api/users/{user}")
        return reply.json() if reply.status_code == 200 else None

    def events(self, user: str) -> list[dict]:
        """What the log holds of a user, once all of it is decided."""
        until(lambda: self.known(user), what=f"{user} is known")
        return self.server(f"/api/users/{user}/export").json()["events"]

    def decided(self, user: str, number: int) -> list[dict]:
        """The user's history, once it has that many records."""

        def enough() -> list[dict] | None:
            records = self.server(f"/api/users/{user}/history").json()["records"]
            return records if len(records) >= number else None

        return until(enough, what=f"{number} decisions for {user}")


@pytest.fixture
def wire(product: Service):
    made = Wire(product)
    yield made
    made.http.close()
