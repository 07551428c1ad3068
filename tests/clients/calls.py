"""The calls that every client makes, and how what it sent is found in the log."""

from datetime import datetime
from typing import Any

from tests.clients.programs import Call, Json
from tests.conftest import until

TRAITS = {
    "name": "鈴木 藍子 ☃",
    "plan": "trial",
    "seats": 3,
    "beta": True,
    "address": {"city": "京都"},
    "tags": ["a", "b"],
}
PROPERTIES = {
    "format": "csv",
    "rows": 12_345_678_901,
    "share": 0.25,
    "none": None,
    "nested": {"deep": [1, {"x": "\"'<&>"}]},
}
THEN = "2026-02-28T23:59:58.250+09:00"


def every_call(person: str) -> list[Call]:
    """One of each kind for somebody who was a visitor before, and what goes with calls: times, ids, context, unknown options."""
    visitor = f"{person}-visitor"
    return [
        ("track", {"anonymousId": visitor, "event": "Landed", "properties": PROPERTIES}),
        ("identify", {"userId": person, "anonymousId": visitor, "traits": TRAITS}),
        (
            "track",
            {
                "userId": person,
                "event": "Export Failed",
                "properties": PROPERTIES,
                "context": {"locale": "ja-JP", "page": {"path": "/レポート", "url": "https://app.example.com/r?x=1"}},
                "integrations": {"All": False, "Engage": {"option": 1}},
                "timestamp": THEN,
                "messageId": f"{person}-export",
            },
        ),
        ("page", {"userId": person, "category": "Docs", "name": "Pricing", "properties": {"path": "/pricing"}}),
        ("screen", {"userId": person, "name": "Home", "properties": {"tab": 2}}),
        ("group", {"userId": person, "groupId": f"{person}-acme", "traits": {"plan": "enterprise", "seats": 40}}),
        ("alias", {"userId": person, "previousId": f"{person}-before"}),
    ]


def people_of(person: str) -> tuple[str, str]:
    return f"u:{person}", f"a:{person}-visitor"


def ms(text: str) -> float:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def find(items: list[Json], kind: str, given: Json) -> Json:
    """The one event that a call made."""
    [found] = [one for one in items if one["type"] == kind and one.get("event") == given.get("event")]
    return found


def check_given(event: Json, kind: str, given: Json) -> None:
    """Each field of a call is in its event, with the value that was given."""
    for field, value in given.items():
        if field == "timestamp":
            assert ms(event[field]) == ms(value)
        elif field in ("context", "properties", "integrations"):
            assert contains(event[field], value), field  # clients add to these
        elif field == "traits" and kind == "identify" and "traits" not in event:
            assert event["context"]["traits"] == value  # as RudderStack has it
        else:
            assert event[field] == value, field


def check_understood(product: Any, person: str) -> None:
    """Traits, groups, and the times that count."""
    events = {event.get("event") or event["type"]: event for event in product.exported(person)}
    # What was sent before the person was known may lie in another shard's log, and be handed on to this one a moment later.
    until(lambda: product.counted(person) >= 5, what=f"all events of {person} are counted")
    assert product.person(person)["traits"] == TRAITS
    group = product.api.get(f"/api/groups/{person}-acme").raise_for_status().json()
    assert group["traits"] == {"plan": "enterprise", "seats": 40}
    assert abs(ms(events["Export Failed"]["timestamp"]) - ms(THEN)) < 60_000  # but for the way to the service
    for name in {"identify", "page", "screen", "group", "alias"} & set(events):
        received = ms(events[name]["receivedAt"])
        assert received - 60_000 < ms(events[name]["timestamp"]) <= received


def contains(found: Any, given: Any) -> bool:
    return all(found.get(name) == value for name, value in given.items())
