"""What operators can count, from one process and from all of a machine."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sse_progress import __version__
from sse_progress.runtime.metrics import CONTENT_TYPE, Metrics

ROOT = Path(__file__).parents[3]


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """(name, labels) → value; fails if any stands twice or the text is not well-formed."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)


def test_the_content_type_is_the_text_formats() -> None:
    """What Prometheus asks for (exposition format 0.0.4)."""
    assert CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"


def test_everything_counted_is_told_under_its_name() -> None:
    """Counters, gauges and the histogram, with what was asked for this scrape."""
    metrics = Metrics()
    metrics.ended("complete")
    metrics.ended("complete")
    metrics.ended("malware")
    metrics.received_bytes.inc(1000)
    metrics.streams.inc()
    metrics.bodies.inc()
    metrics.bodies.dec()
    metrics.jobs.inc(3)
    metrics.stream_ends.labels("left").inc()
    metrics.rereads.inc()
    metrics.resets.inc()
    metrics.stage_seconds.labels("analyzing").observe(0.3)
    found = samples(metrics.text({"queue_waiting": 4, "ready": 1}))
    told = {
        ("sse_progress_uploads_total", (("end", "complete"),)): 2,
        ("sse_progress_uploads_total", (("end", "malware"),)): 1,
        ("sse_progress_received_bytes_total", ()): 1000,
        ("sse_progress_streams", ()): 1,
        ("sse_progress_bodies", ()): 0,
        ("sse_progress_jobs", ()): 3,
        ("sse_progress_stream_ends_total", (("why", "left"),)): 1,
        ("sse_progress_rereads_total", ()): 1,
        ("sse_progress_resets_total", ()): 1,
        ("sse_progress_stage_seconds_count", (("stage", "analyzing"),)): 1,
        ("sse_progress_stage_seconds_bucket", (("le", "0.25"), ("stage", "analyzing"))): 0,
        ("sse_progress_stage_seconds_bucket", (("le", "0.5"), ("stage", "analyzing"))): 1,
        ("sse_progress_queue_waiting", ()): 4,
        ("sse_progress_ready", ()): 1,
        (
            "sse_progress_build_info",
            (("python", platform.python_version()), ("version", __version__)),
        ): 1,
    }
    assert {key: found.get(key) for key in told} == told
    assert all(name.startswith("sse_progress_") for name, _ in found)


def test_two_of_them_do_not_share_their_numbers() -> None:
    """Nothing is registered at import or globally."""
    one, other = Metrics(), Metrics()
    one.received_bytes.inc(5)
    assert samples(other.text({}))[("sse_progress_received_bytes_total", ())] == 0


def test_codes_that_stages_make_up_cannot_fill_the_memory() -> None:
    """A hundred ways to end are told apart; the rest is `other`, and nothing is uncounted."""
    metrics = Metrics()
    for n in range(500):
        metrics.ended(f"code_{n}")
    metrics.ended("code_3")
    ends = {
        dict(labels)["end"]: value
        for (name, labels), value in samples(metrics.text({})).items()
        if name == "sse_progress_uploads_total"
    }
    assert len(ends) <= 101
    assert ends["code_3"] == 2
    assert sum(ends.values()) == 501


def test_every_process_of_a_machine_is_in_every_scrape(tmp_path: Path) -> None:
    """Counters of ended processes still count; what they had open does not."""
    code = (
        "import os, sys\n"
        "from sse_progress.runtime.metrics import Metrics\n"
        "metrics = Metrics()\n"
        "metrics.received_bytes.inc(10)\n"
        "metrics.streams.inc(2)\n"
        "print(metrics.text({'ready': 1}).decode(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def told(process: subprocess.Popen[str]) -> dict[str, float]:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            if line == "\n":
                break
            lines.append(line)
        found = samples("".join(lines).encode())
        return {name: value for (name, labels), value in found.items() if not labels}

    first = start()
    assert told(first)["sse_progress_streams"] == 2
    second = start()
    found = told(second)
    assert found["sse_progress_received_bytes_total"] == 20
    assert found["sse_progress_streams"] == 4
    assert found["sse_progress_ready"] == 1
    first.kill()
    first.communicate()
    third = start()
    found = told(third)
    assert found["sse_progress_received_bytes_total"] == 30
    assert found["sse_progress_streams"] == 4
    for process in (second, third):
        process.communicate("")


def test_each_family_is_told_once_over_processes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One HELP and one TYPE for each, no `pid`, and nothing of a scrape stays for later ones."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    metrics = Metrics()
    metrics.text({"ready": 0, "queue_waiting": 3})
    text = metrics.text({"ready": 1})
    lines = text.decode().splitlines()
    for word in ("# HELP ", "# TYPE "):
        names = [line.split()[2] for line in lines if line.startswith(word)]
        assert sorted(names) == sorted(set(names))
    assert samples(text)[("sse_progress_ready", ())] == 1
    assert b"pid=" not in text
    assert b"queue_waiting" not in text
