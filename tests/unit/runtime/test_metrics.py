"""What operators can count, from one process and from all of a machine."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from sse_progress import __version__
from sse_progress.runtime.metrics import Metrics

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


def told(metrics: Metrics, asked: dict[str, float] | None = None) -> bytes:
    return metrics.text(asked or {})[0]


def test_the_content_type_is_the_text_formats() -> None:
    """What Prometheus asks for (exposition format 0.0.4) unless it prefers OpenMetrics."""
    assert Metrics().text({})[1] == "text/plain; version=0.0.4; charset=utf-8"


def of_a_process(directory: Path | None, accept: str) -> tuple[bytes, str]:
    """A scrape of a process of its own; with a directory it is one of several."""
    code = (
        "import sys\n"
        "from sse_progress.runtime.metrics import ASKED, Metrics\n"
        "metrics = Metrics()\n"
        "metrics.ended('complete')\n"
        "metrics.answered('GET', 200)\n"
        "metrics.stage_took(0.2, stage='analyzing', media_type='image/png', outcome='ok')\n"
        "text, kind = metrics.text(dict.fromkeys(ASKED, 1.0), accept=sys.argv[1])\n"
        "sys.stdout.buffer.write(kind.encode() + b'\\n' + text)\n"
    )
    environment = {"PYTHONPATH": str(ROOT)}
    if directory is not None:
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    done = subprocess.run(
        [sys.executable, "-c", code, accept], env=environment, capture_output=True, check=True
    )
    kind, _, text = done.stdout.partition(b"\n")
    return text, kind.decode()


@pytest.mark.parametrize("shared", [False, True])
def test_openmetrics_for_whoever_prefers_it(tmp_path: Path, shared: bool) -> None:
    """One document with one end, alone and over processes, that OpenMetrics' own parser takes."""
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    text, content_type = of_a_process(tmp_path if shared else None, accept)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith(b"# EOF\n")
    families = {
        family.name: family for family in openmetrics.text_string_to_metric_families(text.decode())
    }
    assert families["sse_progress_uploads"].samples[0].value == 1
    assert families["sse_progress_ready"].samples[0].value == 1


@pytest.mark.parametrize("shared", [False, True])
def test_promtool_finds_nothing_wrong(tmp_path: Path, shared: bool) -> None:
    """`promtool check metrics` accepts a scrape, alone and over processes."""
    text, _ = of_a_process(tmp_path if shared else None, "")
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stderr.decode()) == (0, "")


def test_labels_from_outside_are_few() -> None:
    """Methods and media types that a client makes up share one label."""
    metrics = Metrics()
    for n in range(50):
        metrics.answered(f"M{n}", 405)
        metrics.stage_took(1, stage="analyzing", media_type=f"x{n}/y", outcome="ok")
    found = samples(told(metrics))
    assert found[("sse_progress_requests_total", (("method", "other"), ("status", "405")))] == 50
    key = (("family", "other"), ("outcome", "ok"), ("stage", "analyzing"))
    assert found[("sse_progress_stage_seconds_count", key)] == 50


async def test_everything_counted_is_told_under_its_name() -> None:
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
    metrics.stream_ended("left")
    metrics.rereads.inc()
    metrics.resets.inc()
    metrics.stage_took(0.3, stage="analyzing", media_type="image/png", outcome="refused")
    metrics.answered("GET", 200)
    metrics.refused("rate_limited")
    metrics.resumes.inc()
    metrics.append_seconds.observe(0.003)
    metrics.delivered(3, time.time() - 0.3)
    metrics.delivered(2, time.time() + 60)
    metrics.flush()
    found = samples(told(metrics, {"queue_waiting": 4, "ready": 1}))
    stage = (("family", "image"), ("outcome", "refused"), ("stage", "analyzing"))
    expected = {
        ("sse_progress_uploads_total", (("end", "complete"),)): 2,
        ("sse_progress_uploads_total", (("end", "malware"),)): 1,
        ("sse_progress_received_bytes_total", ()): 1000,
        ("sse_progress_streams", ()): 1,
        ("sse_progress_bodies", ()): 0,
        ("sse_progress_jobs", ()): 3,
        ("sse_progress_stream_ends_total", (("why", "left"),)): 1,
        ("sse_progress_rereads_total", ()): 1,
        ("sse_progress_resets_total", ()): 1,
        ("sse_progress_stage_seconds_count", stage): 1,
        ("sse_progress_requests_total", (("method", "GET"), ("status", "200"))): 1,
        ("sse_progress_refusals_total", (("code", "rate_limited"),)): 1,
        ("sse_progress_stream_resumes_total", ()): 1,
        ("sse_progress_append_seconds_bucket", (("le", "0.0025"),)): 0,
        ("sse_progress_append_seconds_bucket", (("le", "0.005"),)): 1,
        ("sse_progress_deliveries_total", ()): 5,
        ("sse_progress_event_lag_seconds_bucket", (("le", "0.0025"),)): 1,  # clocks differ
        ("sse_progress_event_lag_seconds_bucket", (("le", "0.25"),)): 1,
        ("sse_progress_event_lag_seconds_count", ()): 2,
        ("sse_progress_queue_waiting", ()): 4,
        ("sse_progress_ready", ()): 1,
        (
            "sse_progress_build_info",
            (("python", platform.python_version()), ("version", __version__)),
        ): 1,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert all(name.startswith("sse_progress_") for name, _ in found)


def test_two_of_them_do_not_share_their_numbers() -> None:
    """Nothing is registered at import or globally."""
    one, other = Metrics(), Metrics()
    one.received_bytes.inc(5)
    assert samples(told(other))[("sse_progress_received_bytes_total", ())] == 0


def test_codes_that_stages_make_up_cannot_fill_the_memory() -> None:
    """A hundred ways to end are told apart; the rest is `other`, and nothing is uncounted."""
    metrics = Metrics()
    for n in range(500):
        metrics.ended(f"code_{n}")
    metrics.ended("code_3")
    ends = {
        dict(labels)["end"]: value
        for (name, labels), value in samples(told(metrics)).items()
        if name == "sse_progress_uploads_total"
    }
    assert len(ends) <= 101
    assert ends["code_3"] == 2
    assert sum(ends.values()) == 501


def test_every_process_of_a_machine_is_in_every_scrape(tmp_path: Path) -> None:
    """Counters of ended processes still count; what they had open does not."""
    code = (
        "import asyncio, sys\n"
        "from sse_progress.runtime.metrics import Metrics\n"
        "metrics = Metrics()\n"
        "metrics.received_bytes.inc(10)\n"
        "async def opened(): metrics.streams.inc(2)\n"
        "asyncio.run(opened())\n"
        "print(metrics.text({'ready': 1})[0].decode(), flush=True)\n"
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

    def scraped(process: subprocess.Popen[str]) -> dict[str, float]:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            if line == "\n":
                break
            lines.append(line)
        found = samples("".join(lines).encode())
        return {name: value for (name, labels), value in found.items() if not labels}

    first = start()
    assert scraped(first)["sse_progress_streams"] == 2
    second = start()
    found = scraped(second)
    assert found["sse_progress_received_bytes_total"] == 20
    assert found["sse_progress_streams"] == 4
    assert found["sse_progress_ready"] == 1
    first.kill()
    first.communicate()
    third = start()
    found = scraped(third)
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
    text = told(metrics, {"ready": 1})
    lines = text.decode().splitlines()
    for word in ("# HELP ", "# TYPE "):
        names = [line.split()[2] for line in lines if line.startswith(word)]
        assert sorted(names) == sorted(set(names))
    assert samples(text)[("sse_progress_ready", ())] == 1
    assert b"pid=" not in text
    assert b"queue_waiting" not in text
