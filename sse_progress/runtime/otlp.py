"""Spans by OpenTelemetry, sent to a collector by OTLP over HTTP (the extra `otel`).

The standard variables (OTEL_EXPORTER_OTLP_*, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, …) are read
by its SDK. It is not registered as the process' global provider: nothing else makes spans here.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from typing import Literal

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sse_progress.runtime.traces import CURRENT, Attributes, Span, Traces

__all__ = ["OtlpTraces"]

SCOPE = "sse_progress"
CLOSE_S = 2.0
QUIET_S = 60.0
_UNNAMED = "unknown_service"
_KINDS = {"internal": trace.SpanKind.INTERNAL, "server": trace.SpanKind.SERVER}
_W3C = TraceContextTextMapPropagator()


class OtlpTraces(Traces):
    """Raises ValueError where a variable has a value that cannot be used."""

    on = True

    def __init__(self) -> None:
        _complain_seldom()
        self._sending = BatchSpanProcessor(OTLPSpanExporter())
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(self._sending)
        self._tracer = self._provider.get_tracer(SCOPE)

    @contextlib.contextmanager
    def span(
        self,
        name: str,
        *,
        parent: str = "",
        kind: Literal["internal", "server"] = "internal",
        attributes: Attributes | None = None,
    ) -> Iterator[Span]:
        carrier = {"traceparent": parent or CURRENT.get()}
        span = self._tracer.start_span(
            name,
            context=_W3C.extract(carrier, context=Context()),
            kind=_KINDS[kind],
            attributes=attributes,
        )
        _W3C.inject(carrier, context=trace.set_span_in_context(span, Context()))
        token = CURRENT.set(carrier["traceparent"])
        try:
            yield _Kept(span)
        finally:
            CURRENT.reset(token)
            if span.is_recording():
                span.end()

    def close(self) -> None:
        ending = threading.Thread(target=self._sending.shutdown, daemon=True)
        ending.start()
        ending.join(CLOSE_S)


class _Kept(Span):
    """The SDK warns of what is told to a span that has ended; here that is lost in silence."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def add(self, attributes: Attributes) -> None:
        if self._span.is_recording():
            self._span.set_attributes(attributes)

    def fail(self, kind: str) -> None:
        if self._span.is_recording():
            self._span.set_attribute("error.type", kind)
            self._span.set_status(trace.StatusCode.ERROR)

    def end(self, name: str = "") -> None:
        if self._span.is_recording():
            if name:
                self._span.update_name(name)
            self._span.end()


def _resource() -> Resource:
    from sse_progress import __version__

    found = Resource.create()  # of the environment
    ours = {SERVICE_VERSION: __version__} if SERVICE_VERSION not in found.attributes else {}
    if str(found.attributes.get(SERVICE_NAME, _UNNAMED)).startswith(_UNNAMED):
        ours[SERVICE_NAME] = "sse-progress"
    return found.merge(Resource(ours))


class _Seldom(logging.Filter):
    """A line a minute while the collector is away; each batch would have several."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if record.levelno < logging.ERROR or now < self._next:
            return False
        self._next = now + QUIET_S
        return True


def _complain_seldom() -> None:
    sends = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    if not any(isinstance(its, _Seldom) for its in sends.filters):
        sends.addFilter(_Seldom())
