"""Events as the snippet sends them, and a realistic mix of rules."""

import json
import random
from pathlib import Path
from typing import Any

import msgspec

from loadtests.processes import WRITE_KEY
from rules import Definitions, Event, Message, Rule

# No more than the smallest set of rules knows: whatever the number of rules, an event wakes the same ones.
PATHS = [f"/page-{number}" for number in range(100)]
NAMES = [f"Feature {number} Used" for number in range(100)]
PLANS = ("free", "trial", "team", "company")


# In a prepared body, where the request's number goes: so each event that is sent has a messageId of its own.
NUMBER = "@request-no@"


def message_id(number: int | str, index: int) -> str:
    """Of the event at `index` in the request with this number."""
    return f"6c1f0f9e-{index:04d}-4e0b-8f39-{number:0>12}"


def wire_event(user: int, index: int = 0) -> dict[str, Any]:
    """A track call with everything the snippet adds."""
    return {
        "type": "track",
        "event": "Export Failed",
        "userId": f"user-{user}",
        "anonymousId": f"0b2c9a54-7d1f-4a52-9a9e-{user:012d}",
        "messageId": message_id(NUMBER, index),
        "timestamp": "2026-11-23T12:00:00.000Z",
        "properties": {"format": "csv", "rows": 48210, "reason": "too large"},
        "context": {"page": {"path": "/dashboard", "title": "Dashboard"}, "locale": "ja-JP", "timezone": "Asia/Tokyo"},
    }


def single_body(user: int) -> bytes:
    return json.dumps({**wire_event(user), "writeKey": WRITE_KEY}, separators=(",", ":")).encode()


def batch_body(first: int, size: int) -> bytes:
    events = [wire_event(first + number, number) for number in range(size)]
    body = {"batch": events, "sentAt": "2026-11-23T12:00:00.500Z", "writeKey": WRITE_KEY}
    return json.dumps(body, separators=(",", ":")).encode()


def bodies(size: int) -> list[bytes]:
    """Fifty requests of `size` events, of as many people as there are events."""
    return [single_body(n) if size == 1 else batch_body(n * size, size) for n in range(50)]


def definitions(number: int) -> Definitions:
    """`number` rules: half of them about pages, the others about features used, failures and plans."""
    dice = random.Random(7)
    found = Definitions([], [Message(id="m", kind="banner", content={"en": {"text": "Hello"}})], [], [])
    for index in range(number):
        path, name, plan = f"/page-{index}", f"Feature {index} Used", dice.choice(PLANS)
        on_page = {"==": [{"var": "page.path"}, path]}
        twice = {">=": [{"count": ["page", {"within": "7d", "where": on_page}]}, 2]}
        mix: tuple[dict[str, Any], ...] = (
            {"trigger": "page", "condition": {"and": [on_page, twice, {"!": {"did": ["Plan Purchased"]}}]}},
            {
                "trigger": "page",
                "condition": {"and": [on_page, {"in": [{"var": "user.traits.plan"}, [plan, "trial"]]}]},
            },
            {"trigger": name, "condition": {"==": [{"count": [name]}, 3]}},
            {"trigger": name, "condition": {">=": [{"count": [name, {"within": "1h"}]}, 5]}, "delay": "20s"},
        )
        document = mix[index % len(mix)]
        found.rules.append(Rule(id=f"rule-{index}", message="m", priority=index % 100, **document))
    return found


def with_probe(found: Definitions) -> Definitions:
    """And one rule that the event `Probe` always wakes."""
    found.messages.append(Message(id="probe", kind="banner", content={"en": {"text": "Hello {{ user.id }}"}}))
    found.rules.append(Rule(id="probe", trigger="Probe", message="probe", frequency="always"))
    return found


def write(folder: Path, found: Definitions) -> None:
    """As files, for `engage up --rules`."""
    for kind, documents in (("rules", found.rules), ("messages", found.messages)):
        (folder / kind).mkdir(parents=True)
        for document in documents:
            (folder / kind / f"{document.id}.json").write_bytes(msgspec.json.encode(document))


def events(number: int, people: int = 500) -> list[Event]:
    """A day's mix: mostly page views, some features, some identifies; spread over `people`."""
    dice = random.Random(11)
    found = []
    for index in range(number):
        user = dice.randrange(people)
        kind = dice.choices(("page", "track", "identify"), (60, 35, 5))[0]
        name = dice.choice(NAMES) if kind == "track" else kind
        found.append(
            Event(
                type=kind,
                name=name,
                message_id=f"m{index}",
                timestamp=1_800_000_000_000 + index * 50,
                person=f"u:user-{user}",
                user_id=f"user-{user}",
                traits={"plan": dice.choice(PLANS), "seats": 4} if kind == "identify" else {},
                properties={"format": "csv", "rows": 120} if kind == "track" else {},
                context={"page": {"path": dice.choice(PATHS)}, "locale": "ja-JP"},
            )
        )
    return found
