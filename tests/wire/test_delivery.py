"""From a decision to the inbox and the stream: in order, once, in the person's language, for nobody else."""

import hashlib
import hmac
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest
import redis

from engage.settings import load_settings
from tests.conftest import until

FIELDS = {"delivery_id", "rule_id", "message_id", "kind", "variant", "priority", "content", "show_on", "expires_at"}


class Listener:
    """An open stream, read in a thread: what came, as (id, data)."""

    def __init__(self, wire, last=None, **query):
        self.events: list[tuple[str, dict]] = []
        self.opened = threading.Event()
        self.ended = threading.Event()
        self.headers: httpx.Headers | None = None
        self._client = httpx.Client(base_url=wire.product.url, timeout=30)
        self._query = {"writeKey": wire.key, **query}
        self._last = {"last-event-id": last} if last else {}
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self.opened.wait(30)

    def _read(self):
        try:
            with self._client.stream("GET", "/v1/stream", params=self._query, headers=self._last) as reply:
                self.status, self.headers = reply.status_code, reply.headers
                name = identifier = None
                for line in reply.iter_lines():
                    if line == ": connected":
                        self.opened.set()
                    elif line.startswith("event: "):
                        name = line[7:]
                    elif line.startswith("id: "):
                        identifier = line[4:]
                    elif line.startswith("data: "):
                        assert name == "message"
                        self.events.append((identifier, httpx.Response(200, text=line[6:]).json()))
        except (httpx.HTTPError, httpx.StreamError, RuntimeError):
            pass
        self.ended.set()

    def close(self):
        self._client.close()

    def wait(self, number):
        return until(lambda: len(self.events) >= number and self.events, what=f"{number} events on the stream")


@pytest.fixture
def listen(wire):
    made = []

    def start(**query):
        made.append(Listener(wire, **query))
        return made[-1]

    yield start
    for listener in made:
        listener.close()


def test_a_delivery_comes_on_the_stream_and_lies_in_the_inbox_as_the_same_object(wire, person, listen):
    stream = listen(userId=person)
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["x-accel-buffering"] == "no"
    wire.track(person, "Wake")
    [(identifier, delivery)] = stream.wait(1)
    assert identifier
    assert set(delivery) == FIELDS
    assert wire.inbox(person) == [delivery]
    assert (delivery["rule_id"], delivery["kind"], delivery["content"]) == ("always", "banner", {"text": "Hello you"})


def test_a_stream_goes_on_after_the_last_event_without_gap_or_double(wire, person, listen):
    first = listen(userId=person)
    wire.track(person, "Wake")
    [(last, seen)] = first.wait(1)
    first.close()
    for _ in range(3):
        wire.track(person, "Wake")
    wire.wait_inbox(person, 4)
    again = listen(userId=person, last=last)
    wire.track(person, "Wake")
    found = [delivery["delivery_id"] for _, delivery in again.wait(4)]
    assert len(set(found)) == 4
    assert seen["delivery_id"] not in found
    assert found == [delivery["delivery_id"] for delivery in wire.inbox(person)[1:]]


def test_a_stream_of_a_user_and_an_anonymous_visitor_hears_both_and_resumes_both(wire, person, listen):
    anonymous = f"anonymous-{person}"
    both = listen(userId=person, anonymousId=anonymous)
    wire.track(person, "Wake")
    assert wire.post("/v1/track", {"anonymousId": anonymous, "event": "Wake"}).status_code == 200
    found = both.wait(2)
    resumed = listen(userId=person, anonymousId=anonymous, last=found[0][0])
    assert [delivery for _, delivery in resumed.wait(1)] == [found[1][1]]


@pytest.mark.parametrize("last", ["garbage", "1-2-3", "~", "99999999999999999999-0", "\x00", "0-0~0-0~0-0"])
def test_a_last_event_id_that_is_none_of_ours_starts_from_the_beginning_or_finds_nothing(wire, person, listen, last):
    wire.track(person, "Wake")
    wire.wait_inbox(person)
    reply = wire.http.get("/readyz")
    listen(userId=person, last=last.replace("\x00", "0"))
    assert reply.status_code == 200


def test_exactly_one_of_many_callers_claims_and_a_release_gives_it_back(wire, person, listen):
    stream = listen(userId=person)
    wire.track(person, "Wake")
    identifier = wire.wait_inbox(person)[0]["delivery_id"]

    def claim(_):
        with httpx.Client(base_url=wire.product.url, timeout=20) as client:
            return client.post(f"/v1/deliveries/{identifier}/claim", json={"writeKey": wire.key}).json()["claimed"]

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(claim, range(20))) == 1
    assert wire.inbox(person) == []
    release = f"/v1/deliveries/{identifier}/release"
    assert wire.post(release, b"").json() == {"released": True}
    assert wire.post(release, b"").json() == {"released": False}
    assert [delivery["delivery_id"] for _, delivery in stream.wait(2)] == [identifier] * 2  # offered again
    assert claim(None) is True
    assert claim(None) is False


def test_a_snoozed_delivery_comes_again_in_time_and_not_before(wire, person, listen):
    stream = listen(userId=person)
    wire.track(person, "Put Off")
    first = wire.wait_inbox(person)[0]
    assert first["snooze"] == 2_000
    path = f"/v1/deliveries/{first['delivery_id']}"
    later = {"snooze": True, "step": 3}
    assert wire.post(f"{path}/release", later).json() == {"released": False}  # nobody has it
    assert wire.post(f"{path}/claim", b"").json() == {"claimed": True}
    said = wire.post(f"{path}/release", later).json()
    assert said["released"] is True
    again = stream.wait(2)[1][1]
    assert again | {"not_before": said["not_before"], "step": 3} == again
    assert again["expires_at"] > first["expires_at"]
    assert again["content"] == first["content"]
    assert wire.inbox(person) == [again]
    assert wire.post(f"{path}/claim", b"").json() == {"claimed": False}  # not yet
    until(lambda: wire.post(f"{path}/claim", b"").json()["claimed"], what="it comes again")
    assert datetime.now(UTC).isoformat() > said["not_before"].replace("Z", "+00:00")
    assert wire.post(f"{path}/release", later).json()["released"] is True  # as often as the person likes
    assert wire.inbox(person)[0]["not_before"] > said["not_before"]


def test_a_tour_that_left_its_page_goes_on_at_once_at_its_step(wire, person, listen):
    stream = listen(userId=person)
    wire.track(person, "Put Off")
    first = wire.wait_inbox(person)[0]
    path = f"/v1/deliveries/{first['delivery_id']}"
    assert wire.post(f"{path}/release", {"step": 0}).json() == {"released": False}  # nobody has it
    assert wire.post(f"{path}/claim", b"").json() == {"claimed": True}
    assert wire.post(f"{path}/release", {"step": 2}).json() == {"released": True}
    again = stream.wait(2)[1][1]
    assert again == first | {"step": 2, "shown": True, "turn": 1, "expires_at": again["expires_at"]}
    assert again["expires_at"] > first["expires_at"]
    assert wire.inbox(person) == [again]
    assert wire.post(f"{path}/claim", b"").json() == {"claimed": True}
    assert wire.post(f"{path}/release", {"snooze": True, "step": 3}).json()["released"] is True
    put_off = stream.wait(3)[2][1]
    assert (put_off["step"], put_off["shown"]) == (3, False)  # it comes as something new
    assert wire.post(f"{path}/claim", b"").json() == {"claimed": False}
    until(lambda: wire.post(f"{path}/claim", b"").json()["claimed"], what="its time has come")
    assert wire.post(f"{path}/release", {"step": 0}).json() == {"released": True}
    assert wire.post(f"{path}/claim", b"").json() == {"claimed": True}  # and not after that time once more
    assert wire.post(f"{path}/release", {"step": -1}).json()["error"]["field"] == "$.step"


def test_a_release_that_is_sent_again_takes_a_delivery_from_nobody(wire, person):
    wire.track(person, "Put Off")
    path = f"/v1/deliveries/{wire.wait_inbox(person)[0]['delivery_id']}"
    for turn in range(3):
        assert wire.post(f"{path}/claim", b"").json() == {"claimed": True}
        left = {"step": 1, "turn": turn}
        assert wire.post(f"{path}/release", {"step": 1, "turn": turn + 1}).json() == {"released": False}
        assert wire.post(f"{path}/release", left).json() == {"released": True}
        assert wire.post(f"{path}/release", left).json() == {"released": False}
        (again,) = wire.inbox(person)
        assert (again["step"], again["turn"]) == (1, turn + 1)
        assert wire.post(f"{path}/claim", b"").json() == {"claimed": True}
        assert wire.post(f"{path}/release", left).json() == {"released": False}
        assert wire.inbox(person) == []  # whoever has it keeps it
        assert wire.post(f"{path}/release", b"").json() == {"released": True}
    assert wire.post(f"{path}/claim", b"").json() == {"claimed": True}
    assert wire.post(f"{path}/release", {"snooze": True, "turn": 2}).json() == {"released": False}
    assert wire.post(f"{path}/release", {"step": 1, "turn": -1}).json()["error"]["field"] == "$.turn"


def test_what_was_put_off_does_not_come_again_after_cancel_on(wire, person):
    wire.track(person, "Put Off")
    found = wire.wait_inbox(person)[0]
    path = f"/v1/deliveries/{found['delivery_id']}"
    assert wire.post(f"{path}/claim", b"").json() == {"claimed": True}
    about = {"delivery_id": found["delivery_id"]}
    wire.track(person, "Message Shown", properties=about)
    wire.track(person, "Message Snoozed", properties=about)
    assert wire.post(f"{path}/release", {"snooze": True}).json()["released"] is True
    assert len(wire.inbox(person)) == 1
    wire.track(person, "Plan Purchased")
    until(lambda: wire.inbox(person) == [], what="it is withdrawn")
    assert wire.post(f"{path}/claim", b"").json() == {"claimed": False}


def test_a_checklist_says_what_is_done_and_brings_its_tours(wire, person, listen):
    stream = listen(userId=person)
    wire.post("/v1/identify", {"userId": person, "traits": {"name": "*Ann*"}})
    wire.track(person, "Signed Up")
    first = wire.wait_inbox(person)[0]
    assert "done" not in first
    create, look = first["content"]["items"]
    assert create["content"] == {"steps": [{"text": r"Start here, \*Ann\*"}]}
    assert "content" not in look
    wire.track(person, "Project Created")
    assert stream.wait(2)[1][1] == first | {"done": ["create"]}
    wire.track(person, "Checklist Item Completed", properties={"message_id": "get-started", "item": "look"})
    assert stream.wait(3)[2][1]["done"] == ["create", "look"]
    assert wire.inbox(person) == [first | {"done": ["create", "look"]}]  # one, and the newest
    assert wire.post(f"/v1/deliveries/{first['delivery_id']}/claim", b"").json() == {"claimed": True}
    assert wire.inbox(person) == []


def test_only_a_rule_that_says_so_offers_to_snooze(wire, person):
    wire.track(person, "Wake")
    found = wire.wait_inbox(person)[0]
    path = f"/v1/deliveries/{found['delivery_id']}"
    assert wire.post(f"{path}/claim", b"").json() == {"claimed": True}
    reply = wire.post(f"{path}/release", {"snooze": True})
    assert reply.status_code == 400
    assert reply.json()["error"]["field"] == "snooze"
    assert wire.post(f"{path}/release", {"snooze": True, "step": -1}).json()["error"]["field"] == "$.step"
    assert wire.post(f"{path}/release", b"").json() == {"released": True}


@pytest.mark.parametrize("identifier", ["nothing", "0" * 32, "../x", "zz" * 16, "0" * 31])
def test_an_unknown_delivery_is_not_found(wire, identifier):
    reply = wire.post(f"/v1/deliveries/{identifier}/claim", b"")
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "not_found"


def test_an_expired_delivery_is_neither_offered_nor_claimed(wire, person):
    wire.track(person, "Both")
    found = wire.wait_inbox(person, 2)
    assert [delivery["rule_id"] for delivery in found] == ["high", "low"]  # the higher priority first
    assert (found[0]["show_on"], found[0]["priority"]) == ({"path": "/p*"}, 90)
    until(lambda: len(wire.inbox(person)) == 1, what="the first has expired")
    assert wire.post(f"/v1/deliveries/{found[0]['delivery_id']}/claim", b"").json() == {"claimed": False}


def test_an_inbox_keeps_the_newest_hundred(wire, person):
    batch = [{"type": "track", "event": "Wake", "userId": person, "messageId": f"{person}-{n}"} for n in range(130)]
    wire.post("/v1/batch", {"batch": batch})
    total = until(
        lambda: (d := wire.server("/api/users/" + person + "/export").json().get("deliveries")) and d, what="decided"
    )
    assert total
    newest = total[-1]["delivery_id"]
    until(lambda: (found := wire.inbox(person)) and found[-1]["delivery_id"] == newest, what="the newest")
    until(lambda: len(wire.inbox(person)) == 100, what="a full inbox")


def test_the_content_comes_in_the_persons_language_with_their_traits(wire, person):
    wire.post("/v1/identify", {"userId": person, "traits": {"name": "Aiko"}})
    wire.track(person, "Wake")
    assert wire.wait_inbox(person)[0]["content"]["text"] == "Hello Aiko"
    wire.track(person, "Wake", context={"locale": "ja-JP"})
    assert wire.wait_inbox(person, 2)[1]["content"]["text"] == "こんにちは"


def test_a_trait_never_becomes_markup(wire, person):
    wire.post("/v1/identify", {"userId": person, "traits": {"name": "**x** [a](javascript:b) <img> {{ 1 }}"}})
    wire.track(person, "Trait")
    content = wire.wait_inbox(person)[0]["content"]
    assert content["text"] == r"Hi \*\*x\*\* \[a\](javascript:b) \<img\> {{ 1 }}"
    assert content["replies"] == [{"label": "**x** [a](javascript:b) <img> {{ 1 }}"}]


def test_articles_are_read_in_the_readers_language(wire):
    def read(locale):
        return wire.http.get("/v1/articles/guide", params={"writeKey": wire.key, "locale": locale}).json()

    assert read("en-GB") == {"id": "guide", "locale": "en", "title": "Guide", "body": "Read **this**.\n"}
    assert read("ja-JP")["title"] == "手引き"
    assert read("fr")["locale"] == "en"
    assert wire.http.get("/v1/articles/none", params={"writeKey": wire.key}).status_code == 404


def test_articles_are_searched_in_the_readers_language(wire):
    def search(**query):
        return wire.http.get("/v1/articles", params={"writeKey": wire.key, **query})

    assert search(q="guide", locale="en").json() == {
        "articles": [{"id": "guide", "locale": "en", "title": "Guide", "excerpt": "Read this."}]}  # fmt: skip
    assert [found["title"] for found in search(q="お読み", locale="ja-JP").json()["articles"]] == ["手引き"]
    assert search(q="nothing like it").json() == {"articles": []}
    assert len(search().json()["articles"]) >= 1
    assert search(q="guide", limit="0").json()["error"]["field"] == "limit"
    assert search(q="guide", limit="x").status_code == 400
    assert wire.http.get("/v1/articles", params={"q": "guide"}, auth=("", "")).status_code == 401


def test_many_streams_share_one_subscription(product, wire, person, listen):
    for number in range(10):
        listen(userId=f"{person}-{number}")
    with redis.Redis.from_url(load_settings({"ENGAGE_DATA_DIR": str(product.data_dir)}).redis_url) as store:
        assert len([client for client in store.client_list() if int(client["sub"]) > 0]) == 1


SECRET = "a secret of these tests and of no other"
ORIGIN = "https://app.example.com"


@pytest.fixture(scope="module")
def strict(module_service):
    """A product of this file's own, that believes no userId and lets no other site in."""
    return module_service(env={"ENGAGE_IDENTITY_SECRET": SECRET, "ENGAGE_ALLOWED_ORIGINS": ORIGIN})


def test_once_an_identity_secret_is_set_a_user_id_needs_its_proof(strict):
    good = hmac.new(SECRET.encode(), b"aiko", hashlib.sha256).hexdigest()
    with httpx.Client(base_url=strict.url, params={"writeKey": strict.write_key}) as client:
        for path in ("/v1/inbox", "/v1/stream"):
            for query in (
                {"userId": "aiko"},
                {"userId": "aiko", "userHash": "0" * 64},
                {"userId": "bob", "userHash": good},
            ):
                reply = client.get(path, params=query)
                assert (reply.status_code, reply.json()["error"]["field"]) == (403, "userHash")
            assert client.get(path).status_code == 400
        assert client.get("/v1/inbox", params={"userId": "aiko", "userHash": good}).json() == {"deliveries": []}
        assert client.get("/v1/inbox", params={"anonymousId": "a"}).status_code == 200


def test_only_allowed_origins_may_call(strict):
    with strict.client() as client:
        event = {"event": "A", "userId": "u"}
        assert client.post("/v1/track", json=event, headers={"origin": ORIGIN}).status_code == 200
        assert client.post("/v1/track", json=event).status_code == 200  # a server sends no origin
        refused = client.post("/v1/track", json=event, headers={"origin": "https://evil.example.com"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")


def test_streams_end_cleanly_when_the_service_stops(strict):
    wire = type("Wire", (), {"product": strict, "key": strict.write_key})
    streams = [Listener(wire, anonymousId=f"u{number}") for number in range(5)]
    assert strict.stop() == 0
    for stream in streams:
        assert stream.ended.wait(30)
        stream.close()


def test_a_segment_is_left_when_time_says_so_and_nothing_else_happens(wire, person):
    wire.track(person, "Ask")
    (delivery,) = wire.wait_inbox(person)
    assert delivery["rule_id"] == "left"
    records = wire.server(f"/api/users/{person}/history").json()["records"]
    assert records[-1]["event"] is None
    assert 500 <= records[-1]["at"] - records[0]["at"] < 5_000
