"""From an event to the bytes on its person's stream, through all processes."""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from loadtests import processes, realistic
from loadtests.measures.row import Row, percentile


def latency(quick: bool) -> Iterator[Row]:
    """Event sent → bytes on the stream, through the processes of `engage up`."""
    probes = 40 if quick else 300
    with tempfile.TemporaryDirectory() as name:
        rules = Path(name) / "definitions"
        realistic.write(rules, realistic.with_probe(realistic.definitions(1_000)))
        with processes.product(Path(name) / "data", rules) as product:
            idle = asyncio.run(_probe(product.port, probes, 0))
            busy = asyncio.run(_probe(product.port, probes, 1_000))
    for title, found, half, most in (("idle", idle, 15, None), ("1,000 events/s, 1,000 rules", busy, 10, 40)):
        missing = "" if len(found) == probes else f"{probes - len(found)} of {probes} never came"
        yield Row(
            f"event sent → stream, p50, {title}", "ms", median(found), None, median(found), half, False, "", missing
        )
        if most is not None:
            high = percentile(found, 0.99)
            yield Row(f"event sent → stream, p99, {title}", "ms", high, None, high, most, False)


async def _probe(port: int, probes: int, background: int) -> list[float]:
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
