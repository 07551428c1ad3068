"""What others' clients send in ways of their own, as requests; the clients themselves are driven in tests/clients."""

import httpx
import pytest

from engage.cors import ALLOW_HEADERS

PAGE = {"origin": "https://app.example.com", "access-control-request-method": "POST"}
SEGMENT = "authorization,content-type,x-retry-count"
RUDDERSTACK = "anonymousid,authorization,content-type,rsa-recovered,rsa-retry-attempt,rsa-retry-reason,rsa-since-first-attempt,rsa-since-last-attempt,sentat"


@pytest.mark.parametrize(
    "asked",
    [SEGMENT, RUDDERSTACK, RUDDERSTACK + ",rsa-of-next-year", "Rsa-Of-Next-Year"],
    ids=["segment", "rudderstack", "newer", "alone"],
)
@pytest.mark.parametrize("path", ["/v1/batch", "/v1/t", "/v1/track", "/v1/projects/x/settings"])
def test_a_preflight_allows_every_header_that_is_asked_for(wire, asked, path):
    reply = wire.http.options(path, headers={**PAGE, "access-control-request-headers": asked})
    assert reply.status_code == 204
    allowed = set(reply.headers["access-control-allow-headers"].split(", "))
    assert set(asked.lower().split(",")) <= allowed
    assert "*" not in allowed


def test_a_preflight_allows_nothing_else_that_is_asked_for(wire):
    asked = "x-rsa-secret,cookie,rsa-\N{LATIN SMALL LETTER E WITH ACUTE},x-anything," + ",".join(
        f"rsa-{n}" for n in range(500)
    )
    reply = wire.http.options("/v1/batch", headers={**PAGE, "access-control-request-headers": asked.encode()})
    allowed = reply.headers["access-control-allow-headers"].split(", ")
    assert len(allowed) <= ALLOW_HEADERS.count(b",") + 1 + 10
    assert not {"x-rsa-secret", "cookie", "x-anything", "rsa-secret"} & set(allowed)


@pytest.mark.parametrize(
    ("headers", "scheme"),
    [({}, "http"), ({"x-forwarded-proto": "https"}, "https"), ({"forwarded": "for=203.0.113.7;proto=https"}, "https")],
    ids=["plain", "behind a proxy", "behind another"],
)
def test_the_settings_name_the_address_that_the_page_asked_at(wire, headers, scheme):
    said = {"host": "engage.example.com", **headers, "origin": "https://app.example.com"}
    reply = wire.http.get(f"/v1/projects/{wire.key}/settings", headers=said)
    assert reply.headers["access-control-allow-origin"] == "https://app.example.com"
    assert reply.json() == {
        "integrations": {
            "Segment.io": {"apiKey": wire.key, "apiHost": "engage.example.com/v1", "protocol": scheme},
        },
        # Without this the client tells Segment's own servers about itself.
        "metrics": {"sampleRate": 0, "host": "engage.example.com/v1"},
        "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
        "remotePlugins": [],
    }


def test_an_error_also_says_its_code_and_message_where_python_clients_look(wire):
    reply = wire.post("/v1/batch", {"batch": [{"type": "track"}]}, auth=("wrong", ""))
    said = reply.json()
    assert set(said) == {"error", "code", "message"}
    assert (said["code"], said["message"]) == ("unauthorized", said["error"]["message"])


def test_a_time_that_somebody_gave_beside_the_clients_own_is_taken_as_it_is(wire, person):
    """RudderStack's Node.js client says both; a call that was forwarded says when it happened by a right clock."""
    event = {
        "type": "track",
        "userId": person,
        "sentAt": "2026-11-25T10:00:10Z",
        "originalTimestamp": "2026-11-25T10:00:00Z",
    }
    given = {**event, "event": "Given", "timestamp": "2026-02-28T23:59:58.250+09:00"}
    same = {**event, "event": "Same", "timestamp": event["originalTimestamp"]}
    alone = {**event, "event": "Alone"}
    wrong = {**event, "event": "Wrong", "timestamp": "yesterday"}
    assert wire.post("/v1/batch", {"batch": [given, same, alone, wrong]}).status_code == 200
    found = {one["event"]: one for one in wire.events(person)}
    assert found["Given"]["timestamp"] == "2026-02-28T14:59:58.250Z"
    assert found["Same"]["timestamp"] == found["Alone"]["timestamp"] == found["Wrong"]["timestamp"]
    assert found["Same"]["timestamp"] != "2026-11-25T10:00:00.000Z"  # corrected by when it was sent


@pytest.mark.parametrize(
    ("fields", "traits"),
    [
        ({"context": {"traits": {"plan": "pro"}}}, {"plan": "pro"}),
        ({"traits": {"plan": "pro"}, "context": {"traits": {"plan": "free", "old": 1}}}, {"plan": "pro"}),
        ({"traits": {}, "context": {"traits": {"plan": "pro"}}}, {"plan": "pro"}),
        ({"traits": {"plan": "pro"}, "context": {"traits": ["no", "object"]}}, {"plan": "pro"}),
        ({"context": {"traits": "none"}}, {}),
    ],
)
def test_an_identifys_traits_may_stand_in_its_context(wire, person, fields, traits):
    call = {"userId": person, "messageId": f"{person}-i", **fields}
    assert wire.post("/v1/identify", call).status_code == 200
    wire.decided(person, 1)
    assert wire.server(f"/api/users/{person}").json()["traits"] == traits


def test_traits_in_the_context_of_another_call_are_no_traits_of_the_user(wire, person):
    wire.track(person, "A", context={"traits": {"plan": "pro"}})
    wire.decided(person, 1)
    assert wire.server(f"/api/users/{person}").json()["traits"] == {}


def test_a_batchs_context_lies_below_each_events_own_in_an_export_too(wire, person):
    event = {"type": "track", "userId": person}
    batch = [
        {**event, "event": "Both", "context": {"locale": "ja", "page": {"path": "/a"}}},
        {**event, "event": "None"},
        {**event, "event": "Null", "context": None},
    ]
    common = {"locale": "en", "app": {"name": "x"}}
    assert wire.post("/v1/batch", {"batch": batch, "context": common}).status_code == 200
    found = {one["event"]: one["context"] for one in wire.events(person)}
    assert found == {
        "Both": {"locale": "ja", "app": {"name": "x"}, "page": {"path": "/a"}},
        "None": common,
        "Null": common,
    }


def test_batches_that_arrive_out_of_order_are_ordered_by_their_own_times(wire, person):
    """As Segment's Node.js client sends them: the second batch may be first."""

    def batch(number: int, sent: str) -> httpx.Response:
        events = [
            {"type": "track", "userId": person, "event": f"E{number}{each}", "messageId": f"{person}-{number}{each}",
             "timestamp": f"2026-11-25T10:0{number}:0{each}.000Z"}
            for each in range(3)
        ]  # fmt: skip
        return wire.post("/v1/batch", {"batch": events, "sentAt": sent})

    for number in (2, 1, 2, 3):
        assert batch(number, "2026-11-25T10:05:00.000Z").status_code == 200
    names = sorted((event["timestamp"], event["event"]) for event in wire.events(person))
    assert [name for _, name in names] == [f"E{number}{each}" for number in (1, 2, 3) for each in range(3)]


@pytest.mark.parametrize(
    ("said", "answer"),
    [("2026-11-25T10:00:00Z", 200), (None, 200), ("", 200), ("no time", 200), (5, 200)],
    ids=str,
)
def test_a_sent_at_of_any_kind_stops_nobody_and_no_event_comes_to_lie_in_the_future(wire, person, said, answer):
    batch = [{"type": "track", "userId": person, "event": "A", "timestamp": "2999-01-01T00:00:00.000Z"}]
    assert wire.post("/v1/batch", {"batch": batch, "sentAt": said}).status_code == answer
    [event] = wire.events(person)
    assert event["timestamp"] <= event["receivedAt"]


def test_beacons_of_rudderstacks_client_are_batches(wire, person):
    body = {"batch": [{"type": "track", "userId": person, "event": "A"}], "sentAt": "2026-11-25T10:00:00Z"}
    reply = wire.http.post(
        "/beacon/v1/batch",
        params={"writeKey": wire.key},
        json=body,
        headers={"content-type": "text/plain", "origin": "https://a.example"},
    )
    assert (reply.status_code, reply.json()["results"]) == (200, [{"status": 200}])
    assert [event["event"] for event in wire.events(person)] == ["A"]
