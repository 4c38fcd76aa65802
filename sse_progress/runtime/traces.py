"""Where spans go: a port, and traces that nobody keeps, at the cost of nothing.

A trace goes on from process to process by a text, W3C's `traceparent`. What keeps spans is in
`otlp`, which is imported only where it is wanted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Literal, TypeAlias

import structlog

__all__ = ["Attributes", "Span", "Traces", "current_traceparent", "open_traces"]

log = structlog.get_logger(__name__)

Attributes: TypeAlias = Mapping[str, str | int]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
OURS = "http/protobuf"

CURRENT: ContextVar[str] = ContextVar("traceparent", default="")


def current_traceparent() -> str:
    """The `traceparent` of the span that is open here; empty where none is."""
    return CURRENT.get()


class Span:
    """One that nobody keeps. Nothing that is told to it may be a secret."""

    def add(self, attributes: Attributes) -> None:
        pass

    def fail(self, kind: str) -> None:
        """It ended with an error of this kind, such as a class' name; never with its text."""

    def end(self, name: str = "") -> None:
        """Before its block does; `name`, where it is known only now. What comes later is lost."""


class Traces:
    """None are kept."""

    on = False

    @contextlib.contextmanager
    def span(
        self,
        name: str,
        *,
        parent: str = "",
        kind: Literal["internal", "server"] = "internal",
        attributes: Attributes | None = None,
    ) -> Iterator[Span]:
        """A span for the length of the block. `parent` is a `traceparent`; what is none is as if
        nothing was given. The span is `current_traceparent()` within the block."""
        del name, parent, kind, attributes
        yield Span()

    def close(self) -> None:
        """Send what is left. It blocks, for two seconds at most."""


def open_traces(environment: Mapping[str, str]) -> Traces:
    """What the standard variables of OpenTelemetry name: none without the address of a collector.

    Raises ValueError where one of them cannot be used.
    """
    if not any(environment.get(name) for name in ENDPOINTS):
        return Traces()
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Traces()
    if environment.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return Traces()
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), OURS)
    if protocol != OURS:
        log.warning("no traces are sent", protocol=protocol, known=OURS)
        return Traces()
    try:
        from sse_progress.runtime.otlp import OtlpTraces
    except ImportError:
        log.warning("no traces are sent", missing="pip install 'sse-progress[otel]'")
        return Traces()
    return OtlpTraces()
