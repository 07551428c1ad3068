"""Realistic people for locust: they visit pages, sign in, do things, hold a stream, claim and report what is shown.

Change the mix: the weights of the `@task`s. Another product: another class with its own tasks, deriving from `Person`.
"""

import json
import random
import time
import uuid
from typing import Any, Final

import gevent
from gevent.pool import Group
from locust import FastHttpUser, between, task

from loadtests.ledger import ACKNOWLEDGED, CUT_OFF, Ledger
from loadtests.service import WRITE_KEY
from loadtests.sse import EventSource, backoff

PATHS: Final = ("/dashboard", "/projects", "/pricing", "/settings", "/help")
ledger = Ledger()


def reason(reply: Any) -> str:
    """Why a request was refused: `400 invalid_event`. Empty where the service does not say."""
    try:
        body = reply.json()
        error = body["error"] if "error" in body else body["results"][0]["error"]
        return f"{reply.status_code} {error['code']}"
    except (ValueError, LookupError, TypeError):
        return ""


class Person(FastHttpUser):
    """One browser. Events are sent as the snippet sends them, and sent again on 429, as it does."""

    abstract = True
    wait_time = between(0.3, 1.5)
    who = "people"
    address: str | None = None  # said as a proxy would; believed where the service trusts the load generator's own

    def on_start(self) -> None:
        self.anonymous_id = str(uuid.uuid4())
        self.user_id: str | None = None
        self.path = "/"
        self.locale = random.choice(("en-US", "ja-JP"))
        self.shown: set[str] = set()
        self.showing = Group()
        self.stream = self.listen()

    def on_stop(self) -> None:
        self.stream.close()
        self.showing.kill()

    @property
    def headers(self) -> dict[str, str]:
        return {"content-type": "text/plain"} | ({"x-forwarded-for": self.address} if self.address else {})

    def send(self, kind: str, **fields: Any) -> bool:
        """One event in a batch of its own; tries again while the service says 429. True when it was acknowledged."""
        event = {
            "type": kind,
            "messageId": str(uuid.uuid4()),
            "anonymousId": self.anonymous_id,
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "context": {"page": {"path": self.path}, "locale": self.locale},
            **({"userId": self.user_id} if self.user_id else {}),
            **fields,
        }
        how = CUT_OFF
        ledger.send()
        try:
            how = self._until_answered(kind, json.dumps({"batch": [event], "writeKey": WRITE_KEY}))
        finally:
            ledger.end(how)
        return how == ACKNOWLEDGED

    def _until_answered(self, kind: str, body: str) -> str:
        failures = 0
        while True:
            name = f"/v1/batch {kind} ({self.who})"
            with self.client.post(
                "/v1/batch", data=body, headers=self.headers, name=name, catch_response=True
            ) as reply:
                if reply.status_code == 200 and reply.json()["success"]:
                    return ACKNOWLEDGED
                if reply.status_code not in (0, 429):
                    reply.failure(f"refused: {reply.text[:200]}")
                    return reason(reply)
                reply.success()  # passing: it is sent again below, with the same messageId
                ledger.count(f"sent again after {reason(reply) or 'no answer'} ({self.who})")
                asked = (reply.headers or {}).get("retry-after")
            failures += 1
            gevent.sleep(float(asked) * random.uniform(1, 1.5) if asked else backoff(failures))

    def track(self, name: str, **properties: Any) -> bool:
        return self.send("track", event=name, properties=properties)

    def signal(self) -> bool:
        """The event that the rule `load-signal` answers each time."""
        ledger.unsure += 1
        if not self.track("Load Signal"):
            return False
        ledger.unsure -= 1
        ledger.signals += 1
        return True

    def visit(self, path: str) -> None:
        self.path = path
        self.send("page")

    def person(self) -> dict[str, str]:
        """The query that says who this is."""
        return {"anonymousId": self.anonymous_id} | ({"userId": self.user_id} if self.user_id else {})

    def listen(self) -> EventSource:
        def query() -> dict[str, str]:
            return {"writeKey": WRITE_KEY, **self.person()}

        headers = {"x-forwarded-for": self.address} if self.address else {}
        return EventSource(str(self.host), query, self.received, self.stream_changed, headers)

    def stream_changed(self, state: str) -> None:
        ledger.count(f"streams {state} ({self.who})")

    def received(self, delivery: dict[str, Any]) -> None:
        ledger.count(f"deliveries received ({self.who})")
        self.showing.spawn(self.show, delivery)

    def show(self, delivery: dict[str, Any]) -> None:
        """As the snippet: claim, show, report."""
        identifier = delivery["delivery_id"]
        with self.client.post(
            f"/v1/deliveries/{identifier}/claim",
            json={"writeKey": WRITE_KEY},
            headers=self.headers,
            name=f"/v1/deliveries/…/claim ({self.who})",
            catch_response=True,
        ) as reply:
            if reply.status_code != 200:
                reply.failure(str(reply.text)[:200])
                return
            reply.success()
            if not reply.json()["claimed"]:
                ledger.count("deliveries claimed elsewhere, or withdrawn")
                return
        if identifier in self.shown:
            ledger.count("SHOWN TWICE")
        self.shown.add(identifier)
        ledger.count(f"shown: {delivery['message_id']}")
        about = {key: delivery[key] for key in ("delivery_id", "rule_id", "message_id", "variant")}
        self.track("Message Shown", **about)
        gevent.sleep(random.uniform(0.5, 3))
        self.track(random.choice(("Message Clicked", "Message Dismissed")), **about)


class DemoCustomer(Person):
    """The demo product's customer: looks around, signs in, hesitates on pricing, fails to export, sometimes buys."""

    who = "customers"

    @task(10)
    def look_around(self) -> None:
        self.visit(random.choice(PATHS))

    @task(4)
    def think_about_pricing(self) -> None:
        self.visit("/pricing")

    @task(3)
    def use_the_product(self) -> None:
        self.track(random.choice(("Report Opened", "Chart Changed", "Project Created")), source="shop")

    @task(2)
    def sign_in(self) -> None:
        if self.user_id is None:
            self.user_id = f"load-{uuid.uuid4().hex[:12]}"
            self.send("identify", traits={"first_name": "Aiko", "plan": "free"})
            self.stream.close()
            self.stream = self.listen()  # the stream of the user, as the snippet opens it anew
        self.visit("/dashboard")

    @task(2)
    def fail_to_export(self) -> None:
        self.track("Export Failed", format="csv", reason="too large")

    @task(1)
    def buy(self) -> None:
        self.track("Plan Selected", plan="team")
        if random.random() < 0.3:
            self.track("Plan Purchased", plan="team")
