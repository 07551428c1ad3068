"""The doorbell: an RQ job that says a shard's outbox has work.

The outbox is the data; a ring that is lost (RQ's Redis died, a worker was killed) is rung again by the decider's sweep. A
flag per shard keeps rings few: set when ringing, cleared before draining, forgotten after FLAG_SECONDS. Who then rings looks
whether the last job waits still: workers that are slower than the sweep find one job a shard in the queue, not a heap.
"""

import queue
import threading
from typing import Any, Final
from uuid import uuid4

from rq import Queue
from rq.serializers import JSONSerializer

from engage.keys import ShardKeys
from engage.logs import get_logger
from engage.store import STORE_ERRORS, connect

QUEUE: Final = "deliver"  # one queue per RQ worker: with several, one killed between pop and start loses the job
FLAG_SECONDS: Final = 5
JOB: Final = "worker.delivery.drain"
JOB_SECONDS: Final = 60
JOB_KEPT: Final = 86_400  # seconds that a job waits for a worker
log = get_logger("worker.doorbell")


def flag(prefix: str) -> str:
    """String in RQ's Redis: the shard's doorbell has been rung and not yet answered."""
    return f"engage:doorbell:{prefix}"


def ticket(prefix: str) -> str:
    """String in RQ's Redis: the id of the shard's last job, until it is answered."""
    return f"engage:ticket:{prefix}"


class Doorbell:
    """Rings from a thread of its own: RQ's client blocks."""

    def __init__(self, queue_url: str) -> None:
        self._redis = connect(queue_url)
        self._queue = Queue(QUEUE, connection=self._redis, serializer=JSONSerializer)
        self._waiting: queue.SimpleQueue[tuple[str, bool] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
        self._thread.start()

    def ring(self, shard: ShardKeys, sweeping: bool = False) -> None:
        """Returns at once; a ring that fails is made good by the next sweep. `sweeping`: this is one."""
        self._waiting.put((shard.prefix, sweeping))

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while (asked := self._waiting.get()) is not None:
            prefix, sweeping = asked
            try:
                self._ring(prefix)
                if sweeping:
                    self._cut_short(prefix)
            except STORE_ERRORS as error:
                log.warning("doorbell not rung, the sweep will", shard=prefix, error=str(error))

    def _ring(self, prefix: str) -> None:
        if not self._redis.set(flag(prefix), 1, nx=True, ex=FLAG_SECONDS):
            return
        last = self._redis.get(ticket(prefix))
        if last is not None and self._queue.get_job_position(last.decode()) is not None:
            return
        job = str(uuid4())
        self._redis.set(ticket(prefix), job, ex=JOB_KEPT)
        self._queue.enqueue_call(
            JOB, args=(prefix,), job_id=job, timeout=JOB_SECONDS, result_ttl=0, ttl=JOB_KEPT, failure_ttl=3_600
        )

    def _cut_short(self, prefix: str) -> None:
        """A flag that would stay for longer than any was set for is of a time before the store's clock was set back."""
        if self._redis.ttl(flag(prefix)) > FLAG_SECONDS:
            self._redis.expire(flag(prefix), FLAG_SECONDS)


def answered(redis: Any, prefix: str) -> None:
    """Clears the flag; to be called before draining, so that work that comes meanwhile rings again."""
    redis.delete(flag(prefix), ticket(prefix))
