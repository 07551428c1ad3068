"""Token buckets, addresses, origins and `context.ip`: the pure parts of what stands at the door."""

import json
import random
import time

import msgspec
import pytest

from engage.anonymize import context_without_ip, holds_ip, without_ip
from engage.errors import RateLimited
from engage.limits import Buckets, Limits, Rate
from engage.origins import allows
from engage.proxies import Proxies, client_address, parse_networks
from engage.wire import MAX_KEYS, LogRecord, decode_context, decode_event, too_many_keys


def records(*people: str) -> list[LogRecord]:
    return [LogRecord(person, 0, msgspec.Raw(b"{}")) for person in people]


def test_a_bucket_gives_its_burst_and_then_its_rate(monkeypatch):
    now = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    bucket = Buckets(Rate(10, 50), "person")
    for _ in range(50):
        bucket.take("a")
    with pytest.raises(RateLimited) as refused:
        bucket.take("a")
    assert refused.value.retry_after == 1
    bucket.take("b")  # somebody else has one of their own
    passed = 0
    for _ in range(1_000):  # ten seconds, in hundredths
        now += 0.01
        try:
            bucket.take("a")
            passed += 1
        except RateLimited:
            pass
    assert passed == pytest.approx(100, abs=2)


def test_a_batch_passes_whole_into_debt_and_retry_after_is_true(monkeypatch):
    now = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    bucket = Buckets(Rate(10, 50), "person")
    bucket.take("a", 500)
    with pytest.raises(RateLimited) as refused:
        bucket.take("a", 500)
    assert refused.value.retry_after == 45
    now += 44
    with pytest.raises(RateLimited):
        bucket.take("a")
    now += 1.001
    bucket.take("a", 500)


def test_one_too_eager_person_holds_up_a_batch_and_costs_the_neighbours_nothing(monkeypatch):
    now = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    bucket = Buckets(Rate(1, 10), "person", "userId")
    bucket.take_each(records(*["eager"] * 100))
    for _ in range(1_000):
        with pytest.raises(RateLimited) as refused:
            bucket.take_each(records("calm", "eager", "calm"))
        assert (refused.value.retry_after, refused.value.field) == (90, "userId")
    bucket.take_each(records(*["calm"] * 10))
    now += 90.001
    bucket.take_each(records("eager", "eager"))


def test_what_is_told_to_wait_is_true_whatever_comes(monkeypatch):
    now, chance = 1_000.0, random.Random(1)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    bucket = Buckets(Rate(7, 20), "person")
    for _ in range(2_000):
        now += chance.random()
        batch = records(*chance.choices("abc", k=chance.randint(1, 40)))
        try:
            bucket.take_each(batch)
        except RateLimited as refused:
            now += refused.retry_after
            for _ in range(3):  # each of the three may be in debt
                try:
                    bucket.take_each(batch)
                    break
                except RateLimited as again:
                    now += again.retry_after
            else:
                pytest.fail("it did not pass when told")


def test_a_refused_request_costs_its_key_nothing():
    limits = Limits(Rate(1, 1_000), Rate(0, 0), Rate(1, 10), ["p"])
    limits.events("p", None, records(*["a"] * 20))
    for _ in range(200):
        with pytest.raises(RateLimited):
            limits.events("p", None, records(*["a"] * 20))
    limits.events("p", None, records(*"bcdefghijk" * 50))


def test_no_limit_is_no_bucket():
    limits = Limits(Rate(0, 0), Rate(0, 0), Rate(0, 0), ["p"])
    for _ in range(100):
        limits.request("1.2.3.4")
        limits.events("p", "1.2.3.4", records(*["a"] * 1_000))


def test_buckets_are_bounded_and_those_in_use_are_kept():
    bucket = Buckets(Rate(1, 10), "address", kept=100)
    for number in range(10_000):
        bucket.take(f"passing-{number}")
        if number < 10:
            bucket.take("busy")
        elif number % 50 == 0:
            with pytest.raises(RateLimited):  # still known, though thousands came by
                [bucket.take("busy") for _ in range(3)]
    assert len(bucket) <= 202


@pytest.mark.parametrize(
    ("peer", "headers", "client", "counted", "scheme"),
    [
        ("203.0.113.7", {}, "203.0.113.7", "203.0.113.7", "http"),
        ("203.0.113.7", {"x-forwarded-for": "1.2.3.4"}, "203.0.113.7", "203.0.113.7", "http"),
        ("203.0.113.7", {"x-forwarded-proto": "https"}, "203.0.113.7", "203.0.113.7", "http"),
        ("10.0.0.1", {}, "10.0.0.1", None, "http"),
        ("10.0.0.1", {"x-forwarded-for": "1.2.3.4"}, "1.2.3.4", "1.2.3.4", "http"),
        ("10.0.0.1", {"x-forwarded-for": "9.9.9.9, 1.2.3.4"}, "1.2.3.4", "1.2.3.4", "http"),
        ("10.0.0.1", {"x-forwarded-for": "9.9.9.9, 1.2.3.4,10.0.0.2"}, "1.2.3.4", "1.2.3.4", "http"),
        ("10.0.0.1", {"x-forwarded-for": "10.0.0.3, 10.0.0.2"}, "10.0.0.1", None, "http"),
        ("10.0.0.1", {"x-forwarded-for": "1.2.3.4, unknown, 10.0.0.2"}, "10.0.0.1", None, "http"),
        ("10.0.0.1", {"x-forwarded-for": "1.2.3.4:5678"}, "1.2.3.4", "1.2.3.4", "http"),
        ("10.0.0.1", {"x-forwarded-for": "[2001:db8::1]:80"}, "2001:db8::1", "2001:db8::/64", "http"),
        ("10.0.0.1", {"x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "http, https"}, "1.2.3.4", "1.2.3.4", "https"),
        ("10.0.0.1", {"forwarded": 'for="[2001:db8::1]:9";proto=https'}, "2001:db8::1", "2001:db8::/64", "https"),
        ("10.0.0.1", {"forwarded": "for=9.9.9.9, For=1.2.3.4;by=x"}, "1.2.3.4", "1.2.3.4", "http"),
        ("10.0.0.1", {"forwarded": "for=9.9.9.9", "x-forwarded-for": "1.2.3.4"}, "1.2.3.4", "1.2.3.4", "http"),
        ("10.0.0.1", {"x-forwarded-for": ""}, "10.0.0.1", None, "http"),
        ("::ffff:10.0.0.1", {"x-forwarded-for": "1.2.3.4"}, "1.2.3.4", "1.2.3.4", "http"),
        ("2001:db8::1", {}, "2001:db8::1", "2001:db8::/64", "http"),
    ],
)
def test_the_client_is_the_last_hop_that_no_trusted_proxy_is(peer, headers, client, counted, scheme):
    proxies = Proxies(parse_networks("10.0.0.0/8, ::1"))
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"client": (peer, 1), "scheme": "http", "headers": lines}
    assert proxies.client(scope) == counted
    assert (scope["client"][0], scope["scheme"]) == (client, scheme)


def test_a_field_that_comes_twice_is_one_list():
    lines = [(b"x-forwarded-for", b"9.9.9.9"), (b"x-forwarded-for", b"1.2.3.4")]
    assert Proxies(["10.0.0.0/8"]).client({"client": ("10.0.0.1", 1), "scheme": "http", "headers": lines}) == "1.2.3.4"


def test_neighbours_in_a_64_are_one_client():
    assert client_address("2001:db8::1") == client_address("2001:db8::ffff:1")
    assert client_address("2001:db8:0:1::1") != client_address("2001:db8::1")
    assert client_address("::ffff:1.2.3.4") == "1.2.3.4"


@pytest.mark.parametrize(
    ("origin", "may"),
    [
        ("https://app.example.com", True),
        ("https://a.b.example.com", True),
        ("https://one.example", True),
        ("https://example.com", False),
        ("http://app.example.com", False),
        ("https://app.example.com:8443", False),
        ("https://app.example.com.evil.example", False),
        ("https://evilexample.com", False),
        ("https://.example.com", False),
        ("https://a@b.example.com", False),
        ("https://evil.example/.example.com", False),
        ("https://one.example.evil.com", False),
        ("null", False),
        ("", False),
        ("*", False),
    ],
)
def test_origins_and_all_below_a_domain(origin, may):
    assert allows(("https://one.example", "https://*.example.com"), origin) == may


@pytest.mark.parametrize(
    ("event", "left"),
    [
        ({"context": {"ip": "1.2.3.4", "app": {"ip": 1}}, "x": [1]}, {"context": {"app": {"ip": 1}}, "x": [1]}),
        ({"context": {"ip": ["1.2.3.4"]}}, {"context": {}}),
        ({"context": {"ip": None}}, None),
        ({"properties": {"ip": "the event's own"}, "context": {"page": {"ip": 1}}}, None),
        ({"context": None, "ip": 1}, None),
        ({}, None),
    ],
)
def test_the_address_in_the_context_is_taken_out_and_nothing_else(event, left):
    body = json.dumps(event).encode()
    assert holds_ip(decode_event(body).context) == (left is not None)
    if left is not None:
        assert json.loads(without_ip(body)) == left


def test_a_name_with_escapes_hides_no_address():
    context = b'{"\\u0069p":"1.2.3.4","a":1.50}'
    assert holds_ip(decode_context(context))
    assert context_without_ip(context) == b'{"a":1.50}'
    assert not holds_ip(decode_context(b"null"))


def test_keys_are_counted_as_json_has_them():
    many = {f"k{n}": n for n in range(MAX_KEYS)}
    assert not too_many_keys(json.dumps(many).encode())
    assert too_many_keys(json.dumps({**many, "one more": 1}).encode())
    assert too_many_keys(json.dumps([{"a": n} for n in range(MAX_KEYS + 1)]).encode())
    assert not too_many_keys(json.dumps({"times": ['10:20:30 \\" :'] * 2 * MAX_KEYS}).encode())
