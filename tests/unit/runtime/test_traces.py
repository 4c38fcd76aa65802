"""Traces: none unless a collector is named, and never in the way of the service."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
import structlog

from sse_progress.runtime.traces import Traces, current_traceparent, open_traces
from tests.helpers.collector import collector
from tests.helpers.waiting import wait_until
from tests.helpers.webhook_receiver import receiver

COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {**COLLECTOR, "OTEL_SDK_DISABLED": "true"},
        {**COLLECTOR, "OTEL_TRACES_EXPORTER": "none"},
        {**COLLECTOR, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_there_are_no_traces_unless_they_can_be_sent(environment: dict[str, str]) -> None:
    """Without an address, where they are switched off, and in a protocol that is not ours, of
    which the log tells."""
    with structlog.testing.capture_logs() as logs:
        traces = open_traces(environment)
    assert not traces.on
    assert [line["event"] for line in logs] == ["no traces are sent"] * ("grpc" in str(environment))
    with traces.span("one", parent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"):
        assert current_traceparent() == ""


def test_nothing_that_sends_is_imported_without_need() -> None:
    """By the web process and the worker, with all that they import; redis-py imports other parts
    of OpenTelemetry wherever it is installed."""
    code = (
        "import sys, sse_progress.web.server, sse_progress.worker.process; "
        "from sse_progress.runtime.traces import open_traces; open_traces({}); "
        "print([name for name in sys.modules if 'exporter' in name or 'otlp' in name])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_log_says_that_the_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of a collector may come from whoever runs the host: it is no error."""
    monkeypatch.setitem(sys.modules, "sse_progress.runtime.otlp", None)
    with structlog.testing.capture_logs() as logs:
        assert not open_traces(COLLECTOR).on
    assert "sse-progress[otel]" in logs[0]["reason"]


def test_a_variable_that_cannot_be_used_stops_no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log has the SDK's own words."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    with structlog.testing.capture_logs() as logs:
        assert not open_traces(COLLECTOR).on
    assert "max_queue_size" in logs[0]["reason"]


def test_what_is_no_traceparent_begins_a_trace(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Spans within each other are one trace; a span that ended early is not told again, and what
    comes later is no matter for the log."""
    with collector() as spans:
        traces = _open(monkeypatch, spans.url)
        with traces.span("outer", parent="00-nonsense") as outer:
            with traces.span("inner"):
                assert len(current_traceparent()) == 55
            outer.end("renamed")
            outer.add({"late": 1})
            outer.fail("late")
            outer.end("late")
        traces.close()
        inner, renamed = spans.spans
    assert (inner.name, inner.parent, inner.trace) == ("inner", renamed.id, renamed.trace)
    assert (renamed.name, renamed.parent, renamed.failed) == ("renamed", "", False)
    assert caplog.text == ""
    assert current_traceparent() == ""


def test_a_collector_that_hangs_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing gives it two seconds, not the ten minutes that its answer may take, nor the half
    minute that the SDK would wait."""
    with receiver() as told:
        told.hang = threading.Event()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "600")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
        traces = _open(monkeypatch, told.url.partition("/hook")[0])
        with traces.span("one"):
            pass
        wait_until(lambda: told.receipts, "it is being sent")
        began = time.monotonic()
        traces.close()
        assert time.monotonic() - began < 20


def _open(monkeypatch: pytest.MonkeyPatch, url: str) -> Traces:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    traces = open_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": url})
    assert traces.on
    return traces
