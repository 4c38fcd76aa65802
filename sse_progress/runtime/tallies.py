"""What is counted for every event and stream, added up here.

It is passed to Prometheus' client once a second: a value that all processes of a machine share is a
lock and a write into a mapped file. Each observation of a histogram is two of them: of what a live
event cost a web process beside the kernel, counting it was a fifth.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from bisect import bisect_left

from prometheus_client import Counter, Gauge, Histogram

__all__ = ["HistogramTally", "Tally", "Total"]

FLUSH_S = 1.0


class Tally(ABC):
    """Used within the event loop. A process that is killed loses its last second."""

    def __init__(self) -> None:
        self._due = False

    @abstractmethod
    def flush(self) -> None:
        """Add to the metric what was counted since the last flush."""

    def _soon(self) -> None:
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(FLUSH_S, self._flush_due)

    def _flush_due(self) -> None:
        self._due = False
        self.flush()


class Total(Tally):
    """Of a counter; of a gauge, too."""

    def __init__(self, metric: Counter | Gauge) -> None:
        super().__init__()
        self._metric, self._count = metric, 0

    def inc(self, amount: int = 1) -> None:
        self._count += amount
        self._soon()

    def flush(self) -> None:
        count, self._count = self._count, 0
        self._metric.inc(count)


class HistogramTally(Tally):
    """Of a histogram without labels. Its client adds single observations only, so its parts are
    looked for by their private names; a test compares what comes of them."""

    def __init__(self, histogram: Histogram) -> None:
        super().__init__()
        self._shared_sum, self._shared_buckets = histogram._sum, histogram._buckets
        self._bounds = histogram._upper_bounds
        self._clear()

    def _clear(self) -> None:
        self._sum, self._counts = 0.0, [0] * len(self._bounds)

    def observe(self, amount: float) -> None:
        self._sum += amount
        self._counts[bisect_left(self._bounds, amount)] += 1
        self._soon()

    def flush(self) -> None:
        total, counts = self._sum, self._counts
        self._clear()
        self._shared_sum.inc(total)
        for bucket, count in zip(self._shared_buckets, counts, strict=True):
            if count:
                bucket.inc(count)
