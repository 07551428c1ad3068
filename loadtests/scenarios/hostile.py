"""A hostile hour: floods, huge and deep and broken bodies, guessed keys, heads and bodies that trickle, wild clocks, repeated
messageIds. Beside them customers who must not notice.

    make load SCENARIO=hostile                                                       50 people, half of them hostile, a minute

Each attacker says another address, as a proxy would (`x-forwarded-for`). A service that does not trust the load generator as a
proxy sees one address, and limits the customers with it: name it in ENGAGE_TRUSTED_PROXIES. Run it against your own service only.
"""

import contextlib
import gzip
import json
import math
import os
import random
import socket
import sys
import time
import uuid
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[2]))

import gevent
from locust import FastHttpUser, between, task

from loadtests.ledger import ACKNOWLEDGED, CUT_OFF
from loadtests.people import DemoCustomer, Person, ledger, reason
from loadtests.scenarios.run import Bounded, judge
from loadtests.service import WRITE_KEY, ServiceUnderLoad

SLOW_SECONDS: Final = float(
    os.environ.get("ENGAGE_LOAD_SLOW_SECONDS", "45")
)  # when a slow request must have been ended
LIMITED: Final = os.environ.get("ENGAGE_LOAD_LIMITED") == "yes"  # the limits are low enough for the floods to meet them


# Made once: who spends half a second over a body is not serving anybody meanwhile.
BOMB: Final = gzip.compress(b" " * 50_000_000)
MANY: Final = json.dumps(
    {"batch": [{"type": "track", "event": "A", "userId": "u"}] * 2_501, "writeKey": WRITE_KEY}
).encode()
HUGE: Final = json.dumps(
    {"batch": [{"type": "track", "event": "A", "userId": "u", "properties": {"x": "x" * 600_000}}]}
).encode()


def address() -> str:
    """One of the ranges kept for documentation: nobody's."""
    return f"203.0.113.{random.randrange(1, 255)}"


class Customer(DemoCustomer):
    """Somebody good, in the middle of it."""

    weight = 10
    who = "customers"

    def on_start(self) -> None:
        self.address = f"198.51.100.{random.randrange(1, 255)}"
        super().on_start()

    @task(2)
    def listen_for_the_signal(self) -> None:
        self.signal()


class Attacker(FastHttpUser):
    abstract = True
    wait_time = between(0.1, 0.5)

    def on_start(self) -> None:
        self.address = address()

    def attack(self, what: str, body: bytes, allowed: tuple[str, ...], number: int = 1, **given: Any) -> str:
        """Sends a body of `number` events; `allowed` are the answers that are promised. Returns how it ended."""
        how = CUT_OFF
        ledger.send(number)
        headers = {"content-type": "application/json", "x-forwarded-for": self.address, **given.pop("headers", {})}
        try:
            path = given.pop("path", "/v1/batch")
            with self.client.post(
                path, data=body, headers=headers, name=f"hostile: {what}", catch_response=True, **given
            ) as reply:
                how = ACKNOWLEDGED if reply.status_code == 200 and reply.json()["success"] else reason(reply)
                answer = "200" if how == ACKNOWLEDGED else how or f"{reply.status_code} {reply.error}"
                reply.success()  # refusing is right
        finally:
            ledger.end(how, number)
        ledger.count(f"hostile: {what} → {answer}")
        if answer not in allowed and not answer.startswith("429"):
            ledger.count("UNEXPECTED ANSWERS")
        if answer.startswith("429"):
            gevent.sleep(0.2)  # it does not heed Retry-After
        return how


def batch(*events: Any, **more: Any) -> bytes:
    return json.dumps({"batch": events, "writeKey": WRITE_KEY, **more}).encode()


def event(user: str = "mallory", **fields: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Attack", "userId": user, "messageId": str(uuid.uuid4()), **fields}


class Flood(Attacker):
    """Many events of one address, and of one person."""

    weight = 2
    wait_time = between(0, 0.02)

    @task
    def flood(self) -> None:
        number = random.choice((1, 20, 100))
        self.attack("flood", batch(*(event(f"flood-{self.address}") for _ in range(number))), ("200",), number)


class Bodies(Attacker):
    """Bodies that are too large, too deep, or nothing."""

    weight = 2

    @task
    def huge(self) -> None:
        self.attack("600 KB", HUGE, ("413 payload_too_large",))
        self.attack(
            "an event of 40 KB",
            json.dumps(event(writeKey=WRITE_KEY, properties={"x": "x" * 40_000})).encode(),
            ("413 payload_too_large",),
            path="/v1/track",
        )
        self.attack("2,501 events", MANY, ("413 payload_too_large",), 2_501)
        self.attack("a gzip bomb", BOMB, ("413 payload_too_large",), headers={"content-encoding": "gzip"})

    @task
    def deep(self) -> None:
        body = b'{"writeKey":"%s","type":"track","event":"A","userId":"u","properties":' % WRITE_KEY.encode()
        self.attack(
            "nested 5,000 deep",
            body + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}",
            ("400 invalid_event",),
            path="/v1/track",
        )
        self.attack("100,000 brackets", b"[" * 100_000, ("400 invalid_event",))

    @task
    def broken(self) -> None:
        for what, body in (("no JSON", b"{'a'"), ("nothing", b""), ("a list", b"[]"), ("null", b"null")):
            self.attack(what, body, ("400 invalid_event", "401 unauthorized"))
        self.attack(
            "half a gzip",
            gzip.compress(b"{}" * 1_000)[:20],
            ("400 invalid_event",),
            headers={"content-encoding": "gzip"},
        )
        self.attack("an event that is a number", batch(1), ("400 invalid_event",))


class Keys(Attacker):
    """Guesses keys."""

    @task
    def guess(self) -> None:
        body = json.dumps({"batch": [event()], "writeKey": uuid.uuid4().hex}).encode()
        self.attack("a wrong key", body, ("401 unauthorized",))
        self.attack("a wrong key", batch(event(), writeKey=""), ("401 unauthorized",), auth=(uuid.uuid4().hex, ""))
        with self.client.get(
            "/api/stats",
            auth=(uuid.uuid4().hex, ""),
            headers={"x-forwarded-for": self.address},
            name="hostile: the API",
            catch_response=True,
        ) as reply:
            if reply.status_code not in (401, 403, 429):
                ledger.count("UNEXPECTED ANSWERS")
            ledger.count(f"hostile: the API with a guessed key → {reply.status_code}")
            reply.success()


class Trickle(Attacker):
    """Heads and bodies that do not come to an end."""

    def on_start(self) -> None:
        super().on_start()
        parts = urlsplit(str(self.host))
        self.place = parts.hostname or "", parts.port or 80

    @task
    def head(self) -> None:
        self.trickle("a slow head", b"POST /v1/track HTTP/1.1\r\nhost: x\r\n", b"x")

    @task
    def body(self) -> None:
        self.trickle("a slow body", b"POST /v1/track HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n", b"{")

    def trickle(self, what: str, start: bytes, more: bytes) -> None:
        with socket.create_connection(self.place, timeout=SLOW_SECONDS) as line:
            line.sendall(start)
            got, deadline = b"", time.monotonic() + SLOW_SECONDS
            line.settimeout(0.5)
            while time.monotonic() < deadline:
                with contextlib.suppress(TimeoutError, ConnectionError):
                    line.sendall(more)
                    got = line.recv(4_096)
                    break
        answer = got[9:12].decode() or "still open"
        ledger.count(f"hostile: {what} → {answer}")
        if answer != "408":
            ledger.count("UNEXPECTED ANSWERS")


class Clocks(Person):
    """Honest, on a device whose clock is wrong by up to ten years, or says nothing sensible."""

    weight = 2
    who = "wild clocks"

    def on_start(self) -> None:
        self.address = address()
        super().on_start()
        years = random.choice((-10, -1, 1, 10))
        self.wrong = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + years * 365 * 86_400))

    @task
    def live(self) -> None:
        ledger.unsure += 1
        stamp = random.choice((self.wrong, self.wrong, "soon", "", None, "9999-99-99T99:99:99Z", -1))
        if self.send("track", event="Load Signal", timestamp=stamp, originalTimestamp=stamp):
            ledger.unsure -= 1
            ledger.signals += 1


class Repeats(Attacker):
    """Sends the same messageIds again and again; each counts once."""

    weight = 2

    @task
    def repeat(self) -> None:
        same = event(f"repeats-{uuid.uuid4().hex}", event="Load Signal")
        ledger.unsure += 1
        ends = [self.attack("the same messageId again", batch(*[same] * times), ("200",), times) for times in (1, 5, 1)]
        if ACKNOWLEDGED in ends:
            ledger.unsure -= 1
            ledger.signals += 1


class HostileHour(Bounded):
    def people(self, users: int, passed: float, seconds: float) -> tuple[int, float]:
        return users, max(1, math.ceil(users / 5))


@judge
def nobody_good_is_hurt(_: ServiceUnderLoad) -> None:
    unexpected = ledger.counts["UNEXPECTED ANSWERS"]
    ledger.promise(
        "every attack is answered as documented", not unexpected, f"{unexpected:,} were not" if unexpected else ""
    )
    limited = sum(
        number for name, number in ledger.counts.items() if "sent again after 429 rate_limited (customers)" in name
    )
    ledger.promise("no customer is limited for what others do", not limited, f"{limited:,} were" if limited else "")
    if LIMITED:
        floods = ledger.counts["hostile: flood → 429 rate_limited"]
        ledger.promise("floods are limited", floods > 0, f"{floods:,} batches refused")
