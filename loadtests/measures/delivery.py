"""One RQ worker's pass over an outbox, beside one RQ job for each delivery."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from engage.inbox import DELIVER
from engage.keys import ShardKeys
from engage.publishing import put_in_force
from engage.store import connect
from loadtests import processes
from loadtests.measures.row import Row
from loadtests.outbox import fill
from rules import Definitions, Message
from worker.delivery import Drain

SHARDS = 8


def deliver_one(url: str, person: str, identifier: str) -> None:
    """The yardstick's job: one delivery into one inbox."""
    keys = ShardKeys("default", 0)
    client = connect(url)
    entry = client.xadd(keys.outbox, {"k": "deliver", "d": "{}"})
    script_keys = [keys.outbox, keys.stats, keys.inbox(person), keys.delivery(identifier)]
    DELIVER.run_sync(client, script_keys, [keys.live, 0, entry, identifier, person, "{}", ""])


def delivery(quick: bool) -> Iterator[Row]:
    """One RQ worker's pass over an outbox, against one RQ job for each delivery."""
    ours_number, jobs = (1_000, 50) if quick else (10_000, 300)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        settings = processes.settings_in(Path(name))
        url = stack.enter_context(processes.store(settings))
        queue_url = stack.enter_context(processes.store(settings, "queue"))
        client: Any = connect(url)
        message = Message(
            id="m",
            kind="chat",
            content={
                "en": {"text": "Hello {{ user.traits.first_name | default: 'you' }}", "replies": [{"label": "Yes"}]}
            },
        )
        put_in_force(client, "default", 1, Definitions(messages=[message]))
        fill(client, [f"u:{index}" for index in range(ours_number)], "m", shards=1)
        keys = ShardKeys("default", 0)
        started = time.perf_counter()
        put = Drain(client, keys, "default", SHARDS).run()
        ours = put / (time.perf_counter() - started)
        queue_client: Any = connect(queue_url, timeout=None)
        queue = Queue("one", connection=queue_client, serializer=JSONSerializer)
        worker = SimpleWorker([queue], connection=queue_client, serializer=JSONSerializer)
        started = time.perf_counter()
        for index in range(jobs):
            queue.enqueue_call(deliver_one, args=(url, f"u:{index}", f"{index:032x}"), result_ttl=0)
        worker.work(burst=True, logging_level="ERROR")
        theirs = jobs / (time.perf_counter() - started)
        failed = "" if put == ours_number else f"{put} of {ours_number} delivered"
        yield Row(
            "deliveries, one RQ worker / one RQ job each",
            "deliveries/s",
            ours,
            theirs,
            ours / theirs,
            50,
            True,
            "rendered with Liquid, into inboxes, durable",
            failed,
        )
