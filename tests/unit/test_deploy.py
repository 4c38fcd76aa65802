"""What the service is deployed with fits the service. scripts/deploy-check has the linters."""

from __future__ import annotations

import re
from dataclasses import fields
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
    assert {name.lower() for name in named} <= {each.name for each in fields(Settings)}


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


def test_every_program_is_asked_how_it_is() -> None:
    """Not by the image alone, whose HEALTHCHECK Podman drops: compose asks each program, Kubernetes
    web and worker, at start, while they live, and before they are given work."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert [name for name, one in services.items() if "healthcheck" not in one] == []
    for role in ("web", "worker"):
        text = (ROOT / "deploy" / "kubernetes" / f"{role}.yaml").read_text()
        (deployment,) = [
            one for one in yaml.safe_load_all(text) if one and one["kind"] == "Deployment"
        ]
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()


def test_the_image_installs_what_the_lock_names_and_nothing_else() -> None:
    """By hash, as wheels, and the package itself without a build environment from the network."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    locked, own = re.findall(r"pip --python \S+ install ([^&\n]*)", text)
    assert {"--require-hashes", "--only-binary", ":all:", "--no-deps"} <= set(locked.split())
    assert {"--no-build-isolation", "--no-deps"} <= set(own.split())


def test_a_later_debian_builds_the_image_too() -> None:
    """No package is pinned to a revision, which the archive drops at the next update."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    (*installs,) = re.findall(r"apt-get .*?install ([^&\n]*)", text)
    assert installs
    assert "=" not in " ".join(installs)


def test_a_reload_of_nginx_ends_its_old_workers() -> None:
    """They would live as long as the streams through them, and hold descriptors."""
    text = (ROOT / "nginx.conf").read_text()
    files, connections = (
        int(re.search(rf"{name} (\d+);", text)[1])  # type: ignore[index]
        for name in ("worker_rlimit_nofile", "worker_connections")
    )
    assert files >= 2 * connections
    assert re.search(r"^worker_shutdown_timeout \d+m;", text, re.MULTILINE)


def test_grace_is_longer_than_the_services() -> None:
    """Kubernetes kills a pod only after the service's own grace has passed, with 20 s to spare."""
    config = (ROOT / "deploy" / "kubernetes" / "config.yaml").read_text()
    own = int(re.search(r'SHUTDOWN_GRACE_S: "(\d+)"', config)[1])  # type: ignore[index]
    for role in ("web", "worker"):
        text = (ROOT / "deploy" / "kubernetes" / f"{role}.yaml").read_text()
        given = int(re.search(r"terminationGracePeriodSeconds: (\d+)", text)[1])  # type: ignore[index]
        assert given >= own + 20
