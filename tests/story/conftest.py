"""One service for the whole story, started as a user starts it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.helpers.service import Service


@pytest.fixture(scope="package")
def server() -> Iterator[Service]:
    """`scripts/serve` in a terminal of its own."""
    directory = Path(tempfile.mkdtemp(prefix="sp-story-"))
    with Service(directory, {"SSE_PROGRESS_ARCHIVE_URL": ""}) as service:
        yield service
    shutil.rmtree(directory)


@pytest.fixture
async def http(server: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A second terminal, for `curl`."""
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield client
