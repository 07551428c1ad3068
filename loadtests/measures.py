"""One function a row of the table: each measures ours and its yardstick in turn, within one run."""

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec
import psutil
from datalogic_py import DataHandle, Engine
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from engage.inbox import DELIVER
from engage.keys import ShardKeys, shard_of
from engage.publishing import put_in_force
from engage.sdk import BUILT
from engage.store import connect
from loadtests import processes, realistic
from rules import (
    Definitions,
    Delivery,
    Message,
    Rule,
    compile_rulebook,
    decide,
    decode_state,
    delivery_id,
    encode_state,
    new_state,
)
from worker.delivery import Drain

SHARDS: Final = 8
CONNECTIONS: Final = 64
ROUNDS: Final = (1.0, 9)  # seconds, and how many: many short turns, for a shared machine's speed drifts


class Row(msgspec.Struct):
    """`ours` and `yardstick` in `unit`; `value` is compared with `reach` (`at_least` or at most)."""

    name: str
    unit: str
    ours: float
    yardstick: float | None
    value: float
    reach: float
    at_least: bool
    note: str = ""
    failed: str = ""

    @property
    def good(self) -> bool:
        return not self.failed and (self.value >= self.reach if self.at_least else self.value <= self.reach)


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the ratios of each turn: the two of a turn met the same machine."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def load(port: int, path: str, bodies: Path, seconds: float) -> tuple[float, int, int]:
    """Requests/s, how many were answered 200, how many were not."""
    command = [
        sys.executable,
        "-m",
        "loadtests.generator",
        str(port),
        path,
        str(bodies),
        str(CONNECTIONS),
        str(seconds),
    ]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found["ok"] / found["seconds"], found["ok"], found["failed"]


def logged(url: str) -> int:
    """How many events the log holds, read back."""
    client, count = connect(url), 0
    raw = msgspec.json.Decoder(list[msgspec.Raw])
    for shard in range(SHARDS):
        key, start = ShardKeys("default", shard).log, "-"
        while entries := client.xrange(key, start, "+", count=200):
            count += sum(len(raw.decode(fields[b"e"])) for _, fields in entries)
            start = f"({entries[-1][0].decode()}"
    return count


def ingest(quick: bool) -> Iterator[Row]:
    seconds, rounds = (1.0, 1) if quick else ROUNDS
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        url = stack.enter_context(processes.store(processes.settings_in(folder)))
        port, _ = stack.enter_context(processes.api(folder))
        bare = stack.enter_context(processes.yardstick())
        for title, path, size, reach in (
            ("durable single-event POSTs", "/v1/track", 1, 0.85),
            ("durable batches of 20", "/v1/batch", 20, 0.4),
            ("durable batches of 100", "/v1/batch", 100, 0.2),
        ):
            bodies = folder / "bodies"
            made = [realistic.single_body(n) if size == 1 else realistic.batch_body(n * size, size) for n in range(50)]
            bodies.write_bytes(b"\n".join(made))
            load(port, path, bodies, 0.5)
            load(bare, path, bodies, 0.5)
            ours, theirs, lost = [], [], ""
            for _ in range(rounds):
                connect(url).flushall()
                rate, good, bad = load(port, path, bodies, seconds)
                ours.append(rate)
                theirs.append(load(bare, path, bodies, seconds)[0])
                kept = logged(url)
                if kept != good * size or bad:
                    lost = f"{good * size} acknowledged, {kept} logged, {bad} failed"
            yield Row(
                title, "requests/s", median(ours), median(theirs), ratio(ours, theirs), reach, True,
                f"{len(made[0])} bytes; {median(ours) * size:,.0f} events/s; log read back", lost,
            )  # fmt: skip


def fsync(quick: bool) -> Iterator[Row]:
    """The price of durability: the same batches with `appendfsync always` and without any persistence."""
    seconds, rounds = (1.0, 1) if quick else ROUNDS
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        ports, urls = [], []
        for durable in (True, False):
            folder = Path(name) / str(durable)
            urls.append(stack.enter_context(processes.store(processes.settings_in(folder), durable=durable)))
            ports.append(stack.enter_context(processes.api(folder))[0])
        bodies = Path(name) / "bodies"
        bodies.write_bytes(b"\n".join(realistic.batch_body(n * 20, 20) for n in range(50)))
        rates: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for port, url, found in zip(ports, urls, rates, strict=True):
                connect(url).flushall()
                found.append(load(port, "/v1/batch", bodies, seconds)[0])
        always, never = rates
        yield Row(
            "price of appendfsync always, batches of 20",
            "requests/s",
            median(always),
            median(never),
            100 * (1 - ratio(always, never)),
            5,
            False,
            "% slower",
        )


def engine(quick: bool) -> Iterator[Row]:
    number = 3_000 if quick else 20_000
    found = realistic.events(number)
    started = time.perf_counter()
    books = {10_000: compile_rulebook(realistic.definitions(10_000))}
    compiled = time.perf_counter() - started
    books |= {rules: compile_rulebook(realistic.definitions(rules)) for rules in (100, 1_000)}
    costs: dict[int, list[float]] = {rules: [] for rules in books}
    for _ in range(1 if quick else ROUNDS[1]):
        for rules, book in books.items():
            costs[rules].append(_decide_all(found, book) / number * 1e6)
    cost = {rules: median(found) for rules, found in costs.items()}
    yield Row(
        "decider, cost per event at 10,000 rules / at 100",
        "µs/event",
        cost[10_000],
        cost[100],
        ratio(costs[10_000], costs[100]),
        1.3,
        False,
        "decide() alone, events/s on one core: "
        + ", ".join(f"{1e6 / found:,.0f} at {rules:,} rules" for rules, found in sorted(cost.items())),
    )
    yield Row(
        "compile and index 10,000 rules",
        "s",
        compiled,
        None,
        compiled,
        2,
        False,
        "what a decider does with a new rulebook",
    )
    yield _state_size(books[10_000], number)
    all_rules = _evaluate_all(20 if quick else 100)
    yield Row(
        "decider at 10,000 rules / evaluating all of them",
        "events/s",
        1e6 / cost[10_000],
        all_rules,
        1e6 / cost[10_000] / all_rules,
        100,
        True,
        "yardstick: evaluate_many, one parsed document an event",
    )


def _state_size(book: Any, number: int) -> Row:
    """Bytes of a person's state after their part of a day's events, and of one who did all of them with as many traits as there may be."""
    states = {}
    for event in realistic.events(number):
        states[event.person] = decide(
            states.get(event.person) or new_state(event.person), event, event.timestamp, book
        ).state
    sizes = sorted(len(encode_state(state)) for state in states.values())
    worst = new_state("u:everything")
    worst.traits = {f"trait-{n}": "x" * 110 for n in range(500)}
    for event in realistic.events(number, people=1):
        worst = decide(worst, event, event.timestamp, book).state
    texts = [encode_state(state) for state in (*list(states.values())[:200], worst)]
    started = time.perf_counter()
    loaded = [decode_state(text) for text in texts]
    load = time.perf_counter() - started
    for state in loaded:
        encode_state(state)
    save = time.perf_counter() - started - load
    each = 1e6 / sum(map(len, texts)) * 1_000
    typical = sizes[len(sizes) // 2]
    note = f"the worst {len(texts[-1]):,}; load {load * each:.1f} µs and save {save * each:.1f} µs a kilobyte"
    return Row("state of one person, typical", "bytes", typical, None, typical, 2_048, False, note)


def _decide_all(found: list[Any], book: Any) -> float:
    states = {event.person: new_state(event.person) for event in found}
    started = time.perf_counter()
    for event in found:
        states[event.person] = decide(states[event.person], event, event.timestamp, book).state
    return time.perf_counter() - started


def _evaluate_all(number: int) -> float:
    native = Engine()
    rules = [
        native.compile(
            json.dumps(
                {
                    "and": [
                        {"==": [{"var": "page.path"}, f"/page-{n}"]},
                        {"in": [{"var": "user.traits.plan"}, ["free", "trial"]]},
                    ]
                }
            )
        )
        for n in range(10_000)
    ]
    document = json.dumps(
        {"event": {"name": "page"}, "page": {"path": "/page-7"}, "user": {"traits": {"plan": "free"}}}
    )
    with native.session() as session:
        started = time.perf_counter()
        for _ in range(number):
            session.evaluate_many(rules, DataHandle(document))
        return number / (time.perf_counter() - started)


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
        keys = ShardKeys("default", 0)
        for index in range(ours_number):
            person = f"u:{index}"
            made = Delivery(
                delivery_id("r", person, str(index)),
                "r",
                "m",
                "chat",
                person,
                0,
                None,
                0,
                None,
                None,
                "en",
                {"user": {"traits": {"first_name": "Aiko"}}},
            )
            client.xadd(keys.outbox, {"k": "deliver", "d": msgspec.json.encode(made)})
        started = time.perf_counter()
        put = Drain(client, keys, "default").run()
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


def latency(quick: bool) -> Iterator[Row]:
    """Event sent → bytes on the stream, through the processes of `engage up`."""
    probes = 40 if quick else 300
    with tempfile.TemporaryDirectory() as name:
        rules = Path(name) / "definitions"
        _write(rules, realistic.definitions(1_000))
        with processes.product(Path(name) / "data", rules) as url:
            idle = asyncio.run(_probe(url, probes, 0))
            busy = asyncio.run(_probe(url, probes, 1_000))
    for title, found, half, most in (("idle", idle, 15, None), ("1,000 events/s, 1,000 rules", busy, 10, 40)):
        missing = "" if len(found) == probes else f"{probes - len(found)} of {probes} never came"
        yield Row(
            f"event sent → stream, p50, {title}", "ms", median(found), None, median(found), half, False, "", missing
        )
        if most is not None:
            high = sorted(found)[int(len(found) * 0.99)]
            yield Row(f"event sent → stream, p99, {title}", "ms", high, None, high, most, False)


def _write(folder: Path, found: Definitions) -> None:
    found.messages.append(Message(id="probe", kind="banner", content={"en": {"text": "Hello {{ user.id }}"}}))
    found.rules.append(Rule(id="probe", trigger="Probe", message="probe", frequency="always"))
    for kind, documents in (("rules", found.rules), ("messages", found.messages)):
        (folder / kind).mkdir(parents=True)
        for document in documents:
            (folder / kind / f"{document.id}.json").write_bytes(msgspec.json.encode(document))


async def _probe(url: str, probes: int, background: int) -> list[float]:
    port = int(url.rpartition(":")[2])
    found: list[float] = []
    person = f"probe-{background}"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /v1/stream?writeKey={processes.WRITE_KEY}&userId={person} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    await reader.readuntil(b": connected")
    load = asyncio.create_task(_background(port, background)) if background else None
    sender_reader, sender = await asyncio.open_connection("127.0.0.1", port)
    for index in range(probes):
        body = json.dumps(
            {"event": "Probe", "userId": person, "messageId": f"{person}-{index}", "writeKey": processes.WRITE_KEY}
        ).encode()
        started = time.perf_counter()
        sender.write(b"POST /v1/track HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        try:
            await asyncio.wait_for(reader.readuntil(b"event: message"), 5)
        except TimeoutError:
            continue
        found.append((time.perf_counter() - started) * 1000)
        await sender_reader.readuntil(b'{"success":true}')
        await asyncio.sleep(0.01)
    if load is not None:
        load.cancel()
    for stream in (writer, sender):
        stream.close()
    return found


async def _background(port: int, rate: int) -> None:
    """`rate` events/s in batches of 20, paced by the clock."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began, sent = time.perf_counter(), 0
    while True:
        batch = [{**realistic.wire_event((sent + n) % 2_000), "messageId": f"b{sent + n}"} for n in range(20)]
        body = json.dumps({"batch": batch, "writeKey": processes.WRITE_KEY}).encode()
        writer.write(b"POST /v1/batch HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await reader.readuntil(b"]}")
        sent += 20
        await asyncio.sleep(max(0.0, began + sent / rate - time.perf_counter()))


def streams(quick: bool) -> Iterator[Row]:
    """Memory of idle streams on one API process."""
    wanted = 500 if quick else 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    number = min(wanted, hard - 500)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        stack.enter_context(processes.store(processes.settings_in(folder)))
        port, pid = stack.enter_context(processes.api(folder))
        server = psutil.Process(pid)
        before = server.memory_info().rss
        opened = asyncio.run(_open_streams(port, number, lambda: server.memory_info().rss))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    each = (opened[1] - before) / max(1, opened[0]) / 1024
    failed = "" if opened[0] == number else f"{number - opened[0]} streams were not opened"
    yield Row(
        f"idle streams on one API process ({number:,})",
        "KB each",
        each,
        None,
        each,
        30,
        False,
        "" if number == wanted else f"file limit {hard}",
        failed,
    )


async def _open_streams(port: int, number: int, measure: Any) -> tuple[int, int]:
    writers = []
    for index in range(number):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET /v1/stream?writeKey={processes.WRITE_KEY}&userId=u{index} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
        )
        await reader.readuntil(b": connected")
        writers.append(writer)
    used = measure()
    for writer in writers:
        writer.close()
    return len(writers), used


def snippet(quick: bool) -> Iterator[Row]:
    """What a page loads, gzip −9; the build has measured it and failed above its budgets."""
    files = json.loads((BUILT / "manifest.json").read_text())["files"]
    yield Row(
        "snippet before any message",
        "KB gzip",
        files["engage.js"]["gzip"] / 1024,
        None,
        files["engage.js"]["gzip"] / 1024,
        5,
        False,
    )
    shared = json.loads((BUILT / "manifest.json").read_text()).get("budgets", {})
    for kind, found in sorted(shared.items()):
        yield Row(
            f"snippet, {kind} more",
            "KB gzip",
            found["gzip"] / 1024,
            None,
            found["gzip"] / 1024,
            found["budget"] / 1024,
            False,
        )


MEASURES: Final = {
    "ingest": ingest,
    "fsync": fsync,
    "engine": engine,
    "delivery": delivery,
    "latency": latency,
    "streams": streams,
    "snippet": snippet,
}
__all__ = ["MEASURES", "Row", "shard_of"]
