"""Prometheus metrics: what this process counts, and what the shards' transactions counted in the store."""

from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from engage.keys import ShardKeys
from engage.store import STORE_ERRORS
from engage.times import now_ms
from engage.verified import KINDS, Users

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """One process's registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._ingested = Counter(
            "engage_ingest_events", "Events by what became of them at the door", ["outcome"], registry=self.registry
        )
        self._commit = Histogram(
            "engage_commit_seconds",
            "Time from the start of a group commit to the store's confirmation",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
            registry=self.registry,
        )
        self.streams = Gauge("engage_streams", "Open Server-Sent Event streams", registry=self.registry)
        self._identity = Gauge(
            "engage_identity_users",
            "Users of the last 7 days by whether their userId came with a valid, an invalid or no proof",
            ["project", "proof"],
            registry=self.registry,
        )
        self._outcomes: dict[str, Any] = {}

    def count(self, outcome: str, events: int) -> None:
        child = self._outcomes.get(outcome)
        if child is None:
            child = self._outcomes[outcome] = self._ingested.labels(outcome)
        child.inc(events)

    def observe_identity(self, project: str, users: Users) -> None:
        for proof in KINDS:
            self._identity.labels(project, proof).set(getattr(users, proof))

    def observe_commit(self, events: int, seconds: float) -> None:
        self._commit.observe(seconds)

    async def exposition(self, client: Any, shards: Iterable[ShardKeys]) -> bytes:
        """The text format. While the store is away only `engage_store_up 0` stands for what it holds."""
        text = generate_latest(self.registry)
        registry = CollectorRegistry()
        try:
            registry.register(_Stored([await _read(client, keys) for keys in shards]))
        except STORE_ERRORS:
            registry.register(_Stored(None))
        return text + generate_latest(registry)


async def shard_stats(client: Any, keys: ShardKeys) -> dict[str, int]:
    """A shard's counters, as its transactions wrote them."""
    return {name.decode(): int(value) for name, value in (await client.hgetall(keys.stats)).items()}


async def _read(client: Any, keys: ShardKeys) -> dict[str, int]:
    stats = await shard_stats(client, keys)
    newest = await client.xrevrange(keys.log, count=1)
    position = await client.get(keys.position)
    behind = 0
    if newest and newest[0][0] != position:
        behind = max(1, now_ms() - int(newest[0][0].partition(b"-")[0]))
    stats["behind_ms"] = behind
    stats["outbox"] = await client.xlen(keys.outbox)
    stats["timers"] = await client.zcard(keys.timers)
    return stats


class _Stored:
    """A collector over the shards' counters."""

    def __init__(self, shards: list[dict[str, int]] | None) -> None:
        self._shards = shards
        self._sum: Tally[str] = Tally()
        for stats in shards or ():
            self._sum.update(stats)

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("engage_store_up", "Whether the store answers", value=self._shards is not None)
        if self._shards is None:
            return
        total = self._sum
        yield CounterMetricFamily("engage_events", "Events decided, each once", value=total["events"])
        yield CounterMetricFamily("engage_duplicates", "Events sent again and not counted", value=total["duplicates"])
        yield CounterMetricFamily("engage_events_failed", "Events put aside undecided", value=total["events_failed"])
        decisions = CounterMetricFamily("engage_decisions", "What rules that an event woke came to", labels=["outcome"])
        for name, count in sorted(total.items()):
            if name.startswith("considered_"):
                decisions.add_metric([name.removeprefix("considered_")], count)
        yield decisions
        deliveries = CounterMetricFamily("engage_deliveries", "Deliveries by what became of them", labels=["state"])
        for state in ("delivered", "claimed", "released", "withdrawn", "failed"):
            deliveries.add_metric([state], total[state])
        yield deliveries
        lag = max(stats["behind_ms"] for stats in self._shards) / 1000
        yield GaugeMetricFamily("engage_log_lag_seconds", "How far the slowest shard is behind its log", value=lag)
        yield GaugeMetricFamily("engage_outbox_entries", "Decisions not yet delivered", value=total["outbox"])
        yield GaugeMetricFamily("engage_timers", "People a timer runs for", value=total["timers"])
        yield self._decision_latency()

    def _decision_latency(self) -> Metric:
        buckets: list[tuple[str, float]] = []
        seen = 0
        limits = sorted(int(name[7:]) for name in self._sum if name.startswith("lag_le_") and name != "lag_le_inf")
        for limit in limits:
            seen += self._sum[f"lag_le_{limit}"]
            buckets.append((str(limit / 1000), seen))
        buckets.append(("+Inf", seen + self._sum["lag_le_inf"]))
        return HistogramMetricFamily(
            "engage_decision_latency_seconds",
            "From the receipt of an event to its decision",
            buckets=buckets,
            sum_value=self._sum["lag_ms"] / 1000,
        )
