"""What operators can count, in Prometheus' terms (text exposition format 0.0.4).

With `PROMETHEUS_MULTIPROC_DIR` set (as `serve` does) every process of one machine is in every
scrape; without it a process speaks for itself. Nothing is registered at import.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ENDS = 100
"""Label cardinality cap: stages may define their own codes."""
STAGE_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)


class Metrics:
    """Counters and gauges of one process. Names begin with `sse_progress_`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._shared = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
        self._ends: set[str] = set()
        self._uploads = self._counter("uploads", "Uploads that ended, by how", "end")
        self.received_bytes = self._counter("received_bytes", "Bytes of stored files")
        self.stream_ends = self._counter(
            "stream_ends", "Progress streams that ended, by why", "why"
        )
        self.rereads = self._counter("rereads", "Reads of a journal for a follower")
        self.resets = self._counter("resets", "Resets sent to followers")
        self.streams = self._gauge("streams", "Progress streams that are open")
        self.bodies = self._gauge("bodies", "Bodies that are being received")
        self.jobs = self._gauge("jobs", "Uploads that workers are at work on")
        self.descriptors_open = self._gauge(
            "descriptors_open", "File descriptors open in the web process with the most", "livemax"
        )
        self.descriptors_limit = self._gauge(
            "descriptors_limit", "File descriptors that a web process may have open", "livemax"
        )
        self.stage_seconds = Histogram(
            "sse_progress_stage_seconds",
            "Time that a stage took, seconds",
            ("stage",),
            registry=self._registry,
            buckets=STAGE_BUCKETS_S,
        )

    def ended(self, how: str) -> None:
        """An upload ended: `complete`, or an error's code."""
        if len(self._ends) < ENDS:
            self._ends.add(how)
        self._uploads.labels(how if how in self._ends else "other").inc()

    def text(self, asked: dict[str, float]) -> bytes:
        """Everything, with values that were `asked` for this scrape as gauges of their own."""
        registry = CollectorRegistry()
        if self._shared:
            _forget_dead(Path(self._shared))
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        now = CollectorRegistry()
        for name, value in asked.items():
            Gauge(f"sse_progress_{name}", name.replace("_", " "), registry=now).set(value)
        own = registry if self._shared else self._registry
        return generate_latest(own) + generate_latest(now)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"sse_progress_{name}", text, labels, registry=self._registry)

    def _gauge(
        self, name: str, text: str, mode: Literal["livesum", "livemax"] = "livesum"
    ) -> Gauge:
        return Gauge(f"sse_progress_{name}", text, registry=self._registry, multiprocess_mode=mode)


def _forget_dead(directory: Path) -> None:
    """What a killed process had open is no longer open; what it counted still counts."""
    for path in directory.glob("gauge_live*.db"):
        if not Path("/proc", path.stem.rpartition("_")[2]).exists():
            path.unlink(missing_ok=True)
