"""The measures by name: each yields rows, ours and its yardstick in turn within one run. `quick` shows that it works, not how fast."""

from collections.abc import Callable, Iterator
from typing import Final

from loadtests.measures.delivery import delivery
from loadtests.measures.engine import engine
from loadtests.measures.ingest import fsync, ingest
from loadtests.measures.latency import latency
from loadtests.measures.page import page
from loadtests.measures.row import Row
from loadtests.measures.slow import slow
from loadtests.measures.snippet import snippet
from loadtests.measures.streams import streams
from loadtests.measures.whole import whole

MEASURES: Final[dict[str, Callable[[bool], Iterator[Row]]]] = {
    "ingest": ingest,
    "fsync": fsync,
    "engine": engine,
    "delivery": delivery,
    "latency": latency,
    "streams": streams,
    "slow": slow,
    "whole": whole,
    "snippet": snippet,
    "page": page,
}
__all__ = ["MEASURES", "Row"]
