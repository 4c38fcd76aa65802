"""One service for all wire tests of a module, and short words for what they do with it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.helpers.service import Service


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    """A service in open mode with its usual settings."""
    directory = Path(tempfile.mkdtemp(prefix="sp-wire-"))
    with Service(directory) as service:
        yield service
    shutil.rmtree(directory)


@pytest.fixture
def client(running: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, timeout=30) as client:
        yield client
