"""Where spans go: a port, and its null object, which costs nothing.

A trace goes on from process to process by a text, W3C's `traceparent`. What keeps spans is in
`otlp`, which is imported only where it is wanted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Literal, TypeAlias

import structlog

__all__ = ["Attributes", "Span", "Traces", "are_wanted", "current_traceparent", "open_traces"]

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
    """One that is not kept. No attribute may be a secret."""

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

    The log tells of what is named and cannot be had; a service starts without it.
    """
    if not are_wanted(environment):
        return Traces()
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), OURS)
    try:
        if protocol != OURS:
            raise ValueError(f"the protocol is {protocol}, {OURS} is known")
        from sse_progress.runtime.otlp import OtlpTraces

        return OtlpTraces()
    except ImportError:
        reason = "they need the extra: pip install 'sse-progress[otel]'"
    except (ValueError, OSError) as error:  # the SDK's, about one of the variables
        reason = str(error)
    log.warning("no traces are sent", reason=reason)
    return Traces()


def are_wanted(environment: Mapping[str, str]) -> bool:
    """Whether they are asked for; they may be not to be had."""
    return (
        any(environment.get(name) for name in ENDPOINTS)
        and environment.get("OTEL_SDK_DISABLED", "").lower() != "true"
        and environment.get("OTEL_TRACES_EXPORTER", "otlp") == "otlp"
    )
