"""An RQ worker as Engage runs it."""

import sys
from typing import Any, Final

from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from engage import collector
from engage.settings import Settings
from engage.store import connect

MAINTENANCE_SECONDS: Final = 30
WORKER_TTL_SECONDS: Final = (
    30  # RQ waits for a job 15 s less at a time, and for an answer 5 s less: a dead line is noticed
)


def serve_queue(settings: Settings, name: str) -> None:
    """Runs the jobs of a queue until SIGTERM or SIGINT."""
    connection: Any = connect(settings.queue_url, timeout=None)
    worker = SimpleWorker(
        [Queue(name, connection=connection, serializer=JSONSerializer)],
        connection=connection,
        serializer=JSONSerializer,
        maintenance_interval=MAINTENANCE_SECONDS,
        worker_ttl=WORKER_TTL_SECONDS,
    )
    collector.spare()
    worker.work(logging_level="WARNING")
    sys.exit(0)
