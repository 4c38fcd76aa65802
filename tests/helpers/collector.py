"""A collector of OpenTelemetry that takes spans by OTLP over HTTP, and shows what it was told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.helpers.webhook_receiver import Receiver, receiver

__all__ = ["Collector", "Seen", "collector"]


@dataclass(frozen=True)
class Seen:
    """One span. Ids are hex, `parent` is empty for a root."""

    name: str
    trace: str
    id: str
    parent: str
    failed: bool
    attributes: dict[str, Any]
    service: str

    @property
    def upload_id(self) -> str:
        return str(self.attributes.get("sse_progress.upload.id", ""))


class Collector:
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.url = receiver.url.partition("/hook")[0]

    @property
    def headers(self) -> list[dict[str, str]]:
        return [one.headers for one in self._receiver.receipts]

    @property
    def bytes(self) -> bytes:
        """All that came, which holds every text as it is."""
        return b"".join(one.body for one in self._receiver.receipts)

    @property
    def spans(self) -> list[Seen]:
        return [span for one in tuple(self._receiver.receipts) for span in _spans(one.body)]

    def of(self, upload_id: str) -> list[Seen]:
        return [span for span in self.spans if span.upload_id == upload_id]


@contextmanager
def collector() -> Iterator[Collector]:
    with receiver() as told:
        told.reply = lambda path, _: (200 if path == "/v1/traces" else 404, b"")
        yield Collector(told)


def _spans(body: bytes) -> Iterator[Seen]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        about = _plain(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                assert not span.events, "an event may hold the text of an error"
                yield Seen(
                    name=span.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    failed=span.status.code == Status.STATUS_CODE_ERROR,
                    attributes=_plain(span.attributes),
                    service=about["service.name"],
                )


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
