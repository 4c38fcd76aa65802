"""Alerts, dashboard and docs name exactly what the service tells."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sse_progress.runtime.metrics import Metrics
from tests.helpers.service import ROOT

RULES = ROOT / "deploy" / "alerts.yaml"
DASHBOARD = ROOT / "deploy" / "dashboard.json"
PAGE = (ROOT / "docs" / "monitoring.md").read_text()
HEALTHY = {
    'up{job="sse-progress",instance="a"}': "1x120",
    'sse_progress_ready{instance="a"}': "1x120",
    'sse_progress_draining{instance="a"}': "0x120",
    'sse_progress_redis_up{instance="a"}': "1x120",
    'sse_progress_journal_connected{instance="a"}': "1x120",
    'sse_progress_tasks_dead{instance="a"}': "0x120",
    'sse_progress_redis_used_bytes{instance="a"}': "100x120",
    'sse_progress_redis_limit_bytes{instance="a"}': "1000x120",
    'sse_progress_redis_ping_seconds{instance="a"}': "0.001x120",
    'sse_progress_append_seconds_bucket{le="0.5"}': "0+60x120",
    'sse_progress_append_seconds_bucket{le="5"}': "0+60x120",
    'sse_progress_append_seconds_bucket{le="+Inf"}': "0+60x120",
    'sse_progress_event_lag_seconds_bucket{le="0.5"}': "0+60x120",
    'sse_progress_event_lag_seconds_bucket{le="5"}': "0+60x120",
    'sse_progress_event_lag_seconds_bucket{le="+Inf"}': "0+60x120",
    "sse_progress_resets_total": "0+1x120",
    'sse_progress_workers_alive{instance="a"}': "2x120",
    'sse_progress_queue_oldest_seconds{instance="a"}': "3x120",
    'sse_progress_queue_drained{instance="a"}': "0x120",
    'sse_progress_queue_parked{instance="a"}': "0x120",
    'sse_progress_stage_seconds_count{stage="analyzing",outcome="failed"}': "0x120",
    'sse_progress_uploads_total{end="complete"}': "0+60x120",
    'sse_progress_uploads_total{end="internal"}': "0x120",
    'sse_progress_requests_total{status="200"}': "0+600x120",
    'sse_progress_requests_total{status="503"}': "0x120",
    'sse_progress_refusals_total{code="rate_limited"}': "0x120",
    'sse_progress_descriptors_open{instance="a"}': "100x120",
    'sse_progress_descriptors_limit{instance="a"}': "1000x120",
    'sse_progress_storage_free_bytes{instance="a"}': "100000000000x120",
    'sse_progress_storage_free_inodes{instance="a"}': "100000x120",
    'sse_progress_archive_lag_seconds{instance="a"}': "2x120",
}
"""Two hours, a sample a minute, in promtool's notation."""
WRONG = {
    "SseProgressDown": {'up{job="sse-progress",instance="a"}': "0x120"},
    "SseProgressNotReady": {'sse_progress_ready{instance="a"}': "0x120"},
    "SseProgressTaskDead": {'sse_progress_tasks_dead{instance="a"}': "1x120"},
    "SseProgressJournalDisconnected": {'sse_progress_journal_connected{instance="a"}': "0x120"},
    "SseProgressRedisMemory": {'sse_progress_redis_used_bytes{instance="a"}': "900x120"},
    "SseProgressRedisSlow": {'sse_progress_redis_ping_seconds{instance="a"}': "0.08x120"},
    "SseProgressAppendsSlow": {'sse_progress_append_seconds_bucket{le="0.5"}': "0+50x120"},
    "SseProgressEventsLate": {'sse_progress_event_lag_seconds_bucket{le="0.5"}': "0+50x120"},
    "SseProgressJournalsRewound": {"sse_progress_resets_total": "0+20x120"},
    "SseProgressNoWorkers": {'sse_progress_workers_alive{instance="a"}': "0x120"},
    "SseProgressQueueOld": {'sse_progress_queue_oldest_seconds{instance="a"}': "700x120"},
    "SseProgressQueueDrained": {'sse_progress_queue_drained{instance="a"}': "1x120"},
    "SseProgressParked": {'sse_progress_queue_parked{instance="a"}': "1x120"},
    "SseProgressStagesFail": {
        'sse_progress_stage_seconds_count{stage="analyzing",outcome="failed"}': "0+1x120"
    },
    "SseProgressUploadsFail": {'sse_progress_uploads_total{end="internal"}': "0+5x120"},
    "SseProgressServerErrors": {'sse_progress_requests_total{status="503"}': "0+60x120"},
    "SseProgressLimitsHit": {'sse_progress_refusals_total{code="rate_limited"}': "0+120x120"},
    "SseProgressDescriptors": {'sse_progress_descriptors_open{instance="a"}': "900x120"},
    "SseProgressStorageFull": {'sse_progress_storage_free_inodes{instance="a"}': "0x120"},
    "SseProgressStorageFills": {
        'sse_progress_storage_free_bytes{instance="a"}': "100000000000-100000000x120"
    },
    "SseProgressArchiveBehind": {'sse_progress_archive_lag_seconds{instance="a"}': "700x120"},
}
"""What makes each alert fire, and no other."""


def rules() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def names() -> set[str]:
    """Every series' name, with those of histograms."""
    found = set()
    for name, (kind, _) in Metrics().names().items():
        found |= (
            {name + end for end in ("_bucket", "_count", "_sum")} if kind == "histogram" else {name}
        )
    return found


def named_in(expression: str) -> set[str]:
    return set(re.findall(r"\bsse_progress_\w+", expression))


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)


def test_every_metric_is_in_the_docs() -> None:
    """The table of docs/monitoring.md is what the code says, row by row."""
    rows = re.findall(r"^\| `(sse_progress_\w+)` \| (\w+) \| (.*?) \|$", PAGE, re.MULTILINE)
    told = {name: (kind, text) for name, (kind, text) in Metrics().names().items()}
    assert {name: (kind, text) for name, kind, text in rows} == told


def test_alerts_and_dashboard_name_what_there_is() -> None:
    """No expression names a series that no scrape has."""
    dashboard = json.loads(DASHBOARD.read_text())
    expressions = [rule["expr"] for rule in rules().values()]
    expressions += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    for expression in expressions:
        assert named_in(expression) <= names(), expression


def test_every_metric_is_used() -> None:
    """The dashboard or an alert has every family: nobody has to find it by its name."""
    text = RULES.read_text() + DASHBOARD.read_text()
    assert [name for name in Metrics().names() if name not in text] == []


def test_every_alert_is_explained() -> None:
    """Each has a section of its own in docs/monitoring.md, and there are no others."""
    assert re.findall(r"^### (SseProgress\w+)$", PAGE, re.MULTILINE) == list(rules())


def test_promtool_accepts_rules_and_dashboard(tmp_path: Path) -> None:
    """`promtool check rules`, also for the dashboard's expressions as recording rules."""
    dashboard = json.loads(DASHBOARD.read_text())
    recorded = [
        {"record": f"r{n}", "expr": target["expr"].replace("$__rate_interval", "5m")}
        for n, target in enumerate(
            target for panel in dashboard["panels"] for target in panel["targets"]
        )
    ]
    as_rules = tmp_path / "dashboard.yaml"
    as_rules.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))
    for path in (RULES, as_rules):
        done = subprocess.run(
            ["promtool", "check", "rules", "--lint-fatal", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_each_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    """`promtool test rules`: each is woken by its own fault; none by a healthy service."""
    assert set(WRONG) == set(rules())
    tests = [_case(None)] + [_case(name) for name in WRONG]
    path = tmp_path / "test.yaml"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "tests": tests}))
    done = subprocess.run(
        ["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _case(wrong: str | None) -> dict[str, Any]:
    """All alerts' names that fire at the end of two hours, as an expression over ALERTS."""
    series = {**HEALTHY, **(WRONG[wrong] if wrong else {})}
    labels = [{"labels": f'{{alertname="{wrong}"}}', "value": 1}] if wrong else []
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": 'max by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": "2h",
                "exp_samples": labels,
            }
        ],
    }
