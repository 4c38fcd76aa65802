"""What operators can count, in Prometheus' terms (text exposition format 0.0.4).

With `PROMETHEUS_MULTIPROC_DIR` set (as `serve` does) every process of one machine is in every
scrape; without it a process speaks for itself. Nothing is registered at import.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    start_http_server,
)
from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from sse_progress import __version__

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ENDS = 100
"""Label cardinality cap: stages may define their own codes."""
ASKED = {
    "ready": "Whether Redis and the storage answered this scrape",
    "queue_waiting": "Uploads that wait for a worker",
    "queue_running": "Uploads that workers have taken",
    "queue_delayed": "Uploads that are tried again after a delay",
    "queue_parked": "Uploads that wait for an operator",
    "queue_drained": "Whether no job is given out",
    "queue_oldest_seconds": "Age of the oldest waiting job, seconds",
    "workers_alive": "Workers that have reported within two leases",
    "open_uploads": "Uploads that have not ended",
    "storage_free_bytes": "Bytes that may still be stored",
    "storage_free_inodes": "Files that may still be made",
}
"""What is asked for each scrape, by name."""
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

    def serve(self, host: str, port: int) -> None:
        """Answer scrapes at `http://host:port/metrics`, from a thread, until the process ends."""
        registry = self._registry
        registry.register(_Asked({}))
        start_http_server(port, host, registry=registry)

    def text(self, asked: dict[str, float]) -> bytes:
        """Everything, with values that were `asked` for this scrape as gauges of their own."""
        registry = CollectorRegistry()
        if self._shared:
            _forget_dead(Path(self._shared))
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        now = CollectorRegistry()
        now.register(_Asked(asked))
        own = registry if self._shared else self._registry
        return generate_latest(own) + generate_latest(now)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"sse_progress_{name}", text, labels, registry=self._registry)

    def _gauge(
        self, name: str, text: str, mode: Literal["livesum", "livemax"] = "livesum"
    ) -> Gauge:
        return Gauge(f"sse_progress_{name}", text, registry=self._registry, multiprocess_mode=mode)


class _Asked(Collector):
    """Values of one scrape. Not Gauges: those would leave files that outlive their process."""

    def __init__(self, values: dict[str, float]) -> None:
        self._values = values

    def collect(self) -> Iterator[Metric]:
        build = InfoMetricFamily("sse_progress_build", "Release that is running")
        build.add_metric((), {"version": __version__, "python": platform.python_version()})
        yield build
        for name, value in self._values.items():
            yield GaugeMetricFamily(f"sse_progress_{name}", ASKED[name], value=value)


def _forget_dead(directory: Path) -> None:
    """What a killed process had open is no longer open; what it counted still counts."""
    for path in directory.glob("gauge_live*.db"):
        if not Path("/proc", path.stem.rpartition("_")[2]).exists():
            path.unlink(missing_ok=True)
