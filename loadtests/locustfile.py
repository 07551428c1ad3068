"""A realistic person for locust: visits pages, signs in, does things, holds a stream, claims and reports what is shown.

    make load                                         starts a product of its own with examples/, 50 people, 60 s
    ENGAGE_WRITE_KEY=wk_… locust -f loadtests/locustfile.py --host https://engage.example.com

Change the mix: the weights of the `@task`s. Another product: another class with its own tasks, deriving from `Person`.
"""

import json
import os
import random
import sys
import threading
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import gevent
import requests
from locust import HttpUser, between, events, task
from locust.env import Environment

sys.path.insert(0, str(Path(__file__).parent.parent))  # `locust -f` alone knows this folder, not the one above

from loadtests.reconcile import mismatches

WRITE_KEY = os.environ.get("ENGAGE_WRITE_KEY", "")
SECRET_KEY = os.environ.get("ENGAGE_SECRET_KEY", "")  # with it, the matches are reconciled too
TRIES = 8
PATHS = ("/dashboard", "/projects", "/pricing", "/settings", "/help")
tally: Counter[str] = Counter()
_lock = threading.Lock()


def count(what: str, number: int = 1) -> None:
    with _lock:
        tally[what] += number


class Person(HttpUser):
    """One browser. Events are sent as the snippet sends them, and sent again on 429, as it does."""

    abstract = True
    wait_time = between(0.3, 1.5)

    def on_start(self) -> None:
        self.anonymous_id = str(uuid.uuid4())
        self.user_id: str | None = None
        self.path = "/"
        self.locale = random.choice(("en-US", "ja-JP"))
        self.shown: set[str] = set()
        self._stream = gevent.spawn(self._listen)

    def on_stop(self) -> None:
        self._stream.kill()

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
        body = json.dumps({"batch": [event], "writeKey": WRITE_KEY})
        count("events sent")
        for _ in range(TRIES):
            with self.client.post(
                "/v1/batch",
                data=body,
                headers={"content-type": "text/plain"},
                name=f"/v1/batch {kind}",
                catch_response=True,
            ) as reply:
                if reply.status_code == 200:
                    count("events acknowledged")
                    return True
                if reply.status_code not in (0, 429):
                    reply.failure(f"refused: {reply.text[:200]}")
                    count(f"events refused: {reply.status_code}")
                    return False
                reply.success()  # passing: it is sent again below, with the same messageId
                count("sent again")
            gevent.sleep(float(reply.headers.get("retry-after", 1)) if reply.status_code else 1)
        count("events refused: the service stayed away")
        return False

    def track(self, name: str, **properties: Any) -> bool:
        return self.send("track", event=name, properties=properties)

    def visit(self, path: str) -> None:
        self.path = path
        self.send("page")

    def _listen(self) -> None:
        last = ""
        while True:
            query = {"writeKey": WRITE_KEY, "anonymousId": self.anonymous_id}
            if self.user_id:
                query["userId"] = self.user_id
            try:
                with requests.get(
                    f"{self.host}/v1/stream",
                    params=query,
                    headers={"last-event-id": last} if last else {},
                    stream=True,
                    timeout=30,
                ) as reply:
                    count("streams opened")
                    for line in reply.iter_lines():
                        if line.startswith(b"id: "):
                            last = line[4:].decode()
                        elif line.startswith(b"data: "):
                            gevent.spawn(self._show, json.loads(line[6:]))
            except requests.RequestException:
                count("streams lost")
            gevent.sleep(1)

    def _show(self, delivery: dict[str, Any]) -> None:
        """As the snippet: claim, show, report."""
        count("deliveries received")
        identifier = delivery["delivery_id"]
        with self.client.post(
            f"/v1/deliveries/{identifier}/claim",
            json={"writeKey": WRITE_KEY},
            name="/v1/deliveries/…/claim",
            catch_response=True,
        ) as reply:
            if reply.status_code != 200:
                reply.failure(reply.text[:200])
                return
            reply.success()
            if not reply.json()["claimed"]:
                count("deliveries claimed elsewhere")
                return
        if identifier in self.shown:
            count("SHOWN TWICE")
        self.shown.add(identifier)
        count(f"shown: {delivery['message_id']}")
        about = {key: delivery[key] for key in ("delivery_id", "rule_id", "message_id", "variant")}
        self.track("Message Shown", **about)
        gevent.sleep(random.uniform(0.5, 3))
        self.track(random.choice(("Message Clicked", "Message Dismissed")), **about)


class DemoCustomer(Person):
    """The demo product's customer: looks around, signs in, hesitates on pricing, fails to export, sometimes buys."""

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
            self._stream.kill()
            self._stream = gevent.spawn(self._listen)  # the stream of the user, as the snippet opens it anew
        self.visit("/dashboard")

    @task(2)
    def fail_to_export(self) -> None:
        self.track("Export Failed", format="csv", reason="too large")

    @task(1)
    def buy(self) -> None:
        self.track("Plan Selected", plan="team")
        if random.random() < 0.3:
            self.track("Plan Purchased", plan="team")


@events.quitting.add_listener
def reconcile(environment: Environment, **_: Any) -> None:
    """What was promised and what was kept; a sum that does not hold fails the run."""
    print("\nwhat the people did")
    for name, number in sorted(tally.items()):
        print(f"  {name:<40} {number:>9,}")
    refused = sum(number for name, number in tally.items() if name.startswith("events refused"))
    sent, acknowledged = tally["events sent"], tally["events acknowledged"]
    in_flight = sent - acknowledged - refused
    print(
        f"\n  events sent {sent:,} = acknowledged {acknowledged:,} + refused {refused:,} + cut off at the end {in_flight:,}"
    )
    users = environment.runner.target_user_count if environment.runner else 0
    # Every person may have been cut off in the middle of a request, and of a report of what was shown.
    if tally["SHOWN TWICE"] or in_flight < 0 or in_flight > 10 * max(users, 1) or not acknowledged:
        print("  this does not reconcile")
        environment.process_exit_code = 1
    if SECRET_KEY:
        stats = requests.get(f"{environment.host}/api/stats", auth=(SECRET_KEY, ""), timeout=30)
        stats.raise_for_status()
        rules = stats.json()["rules"]
        wrong = list(mismatches(rules))
        matched = sum(found["matched"] for found in rules.values())
        print(
            f"  matches {matched:,} of {len(rules)} rules: "
            + ("each in one state" if not wrong else "do not reconcile")
        )
        for line in wrong:
            print(f"  {line}")
        if wrong:
            environment.process_exit_code = 1
