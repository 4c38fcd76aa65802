"""What operators can count, in Prometheus' terms (text exposition 0.0.4, or OpenMetrics 1.0).

With `PROMETHEUS_MULTIPROC_DIR` set (as `serve` does) every process of one machine is in every
scrape; without it a process speaks for itself. Nothing is registered at import.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    start_http_server,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from sse_progress import __version__
from sse_progress.runtime.media_families import family_of
from sse_progress.runtime.tallies import HistogramTally, Total

__all__ = ["ASKED", "Metrics"]

CODES = 100
"""Label cardinality cap: stages may define their own codes."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
ASKED = {
    "ready": "Whether Redis and the storage answered this scrape",
    "redis_up": "Whether Redis answered this scrape",
    "redis_ping_seconds": "Round trip to Redis at this scrape, seconds",
    "redis_used_bytes": "Memory that Redis uses",
    "redis_limit_bytes": "Memory that Redis may use (maxmemory); 0: no limit",
    "journal_connected": "Whether this web process reaches Redis to append and to follow",
    "tasks_dead": "Background tasks of this web process that have ended",
    "draining": "Whether this web process takes nothing new",
    "queue_waiting": "Uploads that wait for a worker",
    "queue_running": "Uploads that workers have taken",
    "queue_delayed": "Uploads that are tried again after a delay",
    "queue_parked": "Uploads that wait for an operator",
    "queue_drained": "Whether no job is given out",
    "queue_oldest_seconds": "Age of the oldest waiting job, seconds",
    "workers_alive": "Workers that have reported within two leases",
    "open_uploads": "Uploads that have not ended",
    "archive_waiting": "Ended uploads that are not in the archive yet",
    "archive_lag_seconds": "Age of the oldest end that is not in the archive yet, seconds",
    "storage_free_bytes": "Bytes that may still be stored",
    "storage_free_inodes": "Files that may still be made",
}
"""What is asked for each scrape, by name."""
STAGE_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
APPEND_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)
LAG_BUCKETS_S = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)


class Metrics:
    """Counters and gauges of one process. Names begin with `sse_progress_`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._shared = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
        self._codes: set[str] = set()
        self._uploads = self._counter(
            "uploads", "Uploads that ended: complete, cancelled, or an error's code", "end"
        )
        self._requests = self._counter(
            "requests", "HTTP requests that are over, by method and status", "method", "status"
        )
        self._refusals = self._counter(
            "refusals", "Requests that were answered with a problem, by its code", "code"
        )
        self.received_bytes = self._counter("received_bytes", "Bytes of stored files")
        stream_ends = self._counter("stream_ends", "Progress streams that ended, by why", "why")
        # Looking up a labelled counter takes its client 12 calls.
        self._answered, self._stream_ends = cache(self._requests.labels), cache(stream_ends.labels)
        self.resumes = Total(
            self._counter(
                "stream_resumes", "Streams that began at a position: clients that came back"
            )
        )
        self.webhook_attempts = self._counter(
            "webhook_attempts", "Attempts at webhook deliveries, by how they ended", "end"
        )
        self.rereads = self._counter("rereads", "Reads of a journal for a follower")
        self.resets = self._counter("resets", "Resets sent to followers")
        self.streams = Total(self._gauge("streams", "Progress streams that are open"))
        self.bodies = self._gauge("bodies", "Bodies that are being received")
        self.jobs = self._gauge("jobs", "Uploads that workers are at work on")
        self.descriptors_open = self._gauge(
            "descriptors_open", "File descriptors open in the web process with the most", "livemax"
        )
        self.descriptors_limit = self._gauge(
            "descriptors_limit", "File descriptors that a web process may have open", "livemax"
        )
        self._stage_seconds = self._histogram(
            "stage_seconds",
            "Time that a stage took, by family of media type and outcome, seconds",
            STAGE_BUCKETS_S,
            "stage",
            "family",
            "outcome",
        )
        self.append_seconds = HistogramTally(
            self._histogram(
                "append_seconds", "Time from an event to its place in the journal", APPEND_BUCKETS_S
            )
        )
        self._deliveries = Total(self._counter("deliveries", "Live events given to followers"))
        self._lag_seconds = HistogramTally(
            self._histogram(
                "event_lag_seconds",
                "Time from an event's timestamp until it is given to its live followers",
                LAG_BUCKETS_S,
            )
        )

    def ended(self, how: str) -> None:
        """An upload ended: `complete`, `cancelled`, or an error's code."""
        self._uploads.labels(self._known(how)).inc()

    def answered(self, method: str, status: int) -> None:
        """A request is over; `status` 0: nothing was answered."""
        self._answered(method if method in METHODS else "other", status).inc()

    def stream_ended(self, why: str) -> None:
        """A progress stream is over; `why` is one of a few words."""
        self._stream_ends(why).inc()

    def refused(self, code: str) -> None:
        """A request was answered with a problem."""
        self._refusals.labels(self._known(code)).inc()

    def stage_took(self, seconds: float, *, stage: str, media_type: str, outcome: str) -> None:
        """`outcome`: `ok`, `refused`, `failed` or `stopped`."""
        self._stage_seconds.labels(stage, family_of(media_type), outcome).observe(seconds)

    def delivered(self, followers: int, at: float | None) -> None:
        """A live event was given to so many; `at`: its timestamp, seconds since 1970."""
        self._deliveries.inc(followers)
        if at is not None:
            self._lag_seconds.observe(max(time.time() - at, 0))

    def flush(self) -> None:
        """Before a process ends: its tallies flush themselves once a second otherwise."""
        for tally in (
            self.append_seconds,
            self._deliveries,
            self._lag_seconds,
            self.resumes,
            self.streams,
        ):
            tally.flush()

    def serve(self, host: str, port: int) -> None:
        """Answer scrapes at `http://host:port/metrics`, from a thread, until the process ends."""
        registry = self._registry
        registry.register(_Asked({}))
        start_http_server(port, host, registry=registry)

    def text(self, asked: dict[str, float], *, accept: str = "") -> tuple[bytes, str]:
        """Everything, with values that were `asked` for this scrape as gauges of their own.

        The content type is the one of Prometheus' two that `accept` prefers.
        """
        self.flush()
        registry = CollectorRegistry()
        if self._shared:
            _forget_dead(Path(self._shared))
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        else:
            registry.register(_Own(self._registry))
        registry.register(_Asked(asked))
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    def names(self) -> dict[str, tuple[str, str]]:
        """Type and text of each family that a scrape may have, by its name in the text format."""
        everything = [*self._registry.collect(), *_Asked(dict.fromkeys(ASKED, 0.0)).collect()]
        suffixes = {"counter": "_total", "info": "_info"}
        return {
            family.name + suffixes.get(family.type, ""): (family.type, family.documentation)
            for family in everything
        }

    def _known(self, code: str) -> str:
        if len(self._codes) < CODES:
            self._codes.add(code)
        return code if code in self._codes else "other"

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"sse_progress_{name}", text, labels, registry=self._registry)

    def _gauge(
        self, name: str, text: str, mode: Literal["livesum", "livemax"] = "livesum"
    ) -> Gauge:
        return Gauge(f"sse_progress_{name}", text, registry=self._registry, multiprocess_mode=mode)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            f"sse_progress_{name}", text, labels, registry=self._registry, buckets=buckets
        )


class _Own(Collector):
    """What this process has counted."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        yield from self._registry.collect()


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
