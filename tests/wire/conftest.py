"""One service for wire tests, and short words for what they do with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.helpers.service import Service


@pytest.fixture
def running(usual_service: Service) -> Service:
    return usual_service


@pytest.fixture(scope="package")
def narrow(session_dir: Path) -> Iterator[Service]:
    """One with a prefix, a low limit and quick heartbeats, for the tests of each."""
    env = {
        "SSE_PROGRESS_HEARTBEAT_S": "0.3",
        "SSE_PROGRESS_MAX_UPLOAD_BYTES": "100000",
        "SSE_PROGRESS_PREFIX": "/api/media",
    }
    with Service(session_dir / "narrow", env) as service:
        yield service


@pytest.fixture
def client(running: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, timeout=60) as client:
        yield client
