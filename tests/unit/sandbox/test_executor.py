"""The `report` of a stage, by itself."""

from __future__ import annotations

from sse_progress.sandbox.messages import Progress
from sse_progress.sandbox.reporting import Reporter


def test_the_last_report_is_out_when_a_task_closes() -> None:
    """Whatever the flusher is doing at that moment, and nothing follows."""
    for _ in range(200):
        sent: list[Progress] = []
        report = Reporter(sent.append)
        report(0.1, "first")
        report(0.2, "second")
        report(0.3)
        report.close()
        report(0.4, "late")
        assert sent[0] == Progress(0.1, "first")
        assert sent[-1].fraction == 0.3
        assert "second" in [progress.message for progress in sent]
        assert len(sent) <= 3


def test_texts_of_reports_are_cut_and_can_be_sent() -> None:
    """Length is bounded before the pipe, and a lone surrogate does not break it."""
    sent: list[Progress] = []
    report = Reporter(sent.append)
    report(0.5, "\udcff" + "x" * 100_000)
    report.close()
    assert sent == [Progress(0.5, "?" + "x" * 999)]
