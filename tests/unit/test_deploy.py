"""What the service is deployed with fits the service. scripts/deploy-check has the linters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from sse_progress.settings import Settings
from tests.helpers.service import ROOT

FILES = [
    ROOT / "Dockerfile",
    ROOT / "compose.yaml",
    *sorted((ROOT / "deploy").rglob("*.yaml")),
    *sorted((ROOT / "deploy" / "systemd").iterdir()),
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_settings_that_there_are(path: Path) -> None:
    """No deployment gives a setting that the service does not know, and would ignore."""
    named = set(re.findall(r"\bSSE_PROGRESS_([A-Z][A-Z0-9_]*)", path.read_text()))
    assert {name.lower() for name in named} <= set(Settings.model_fields)


def test_nginx_is_mounted_as_it_is() -> None:
    """The composed nginx runs the file that the tests run, with all that it includes."""
    mounted = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["nginx"]["volumes"]
    assert "./nginx.conf:/etc/nginx/nginx.conf:ro" in mounted
    wanted = set(re.findall(r"include nginx\.d/(\w+\.conf);", (ROOT / "nginx.conf").read_text()))
    for place in ("nginx.d", "deploy/compose/nginx.d"):
        assert {path.name for path in (ROOT / place).iterdir()} == wanted


def test_the_small_lock_is_a_part_of_the_large_one() -> None:
    """LOCK=core installs the same versions, with the same hashes, as LOCK=serve; only fewer."""
    core, serve = (
        set(re.split(r"\n(?=\S)", (ROOT / "requirements" / f"{name}.txt").read_text().strip()))
        for name in ("core", "serve")
    )
    assert core < serve


def test_grace_is_longer_than_the_services() -> None:
    """Kubernetes kills a pod only after the service's own grace has passed, with 20 s to spare."""
    config = (ROOT / "deploy" / "kubernetes" / "config.yaml").read_text()
    own = int(re.search(r'SHUTDOWN_GRACE_S: "(\d+)"', config)[1])  # type: ignore[index]
    for role in ("web", "worker"):
        text = (ROOT / "deploy" / "kubernetes" / f"{role}.yaml").read_text()
        given = int(re.search(r"terminationGracePeriodSeconds: (\d+)", text)[1])  # type: ignore[index]
        assert given >= own + 20
