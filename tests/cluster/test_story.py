"""The story of one upload again, on a Redis Cluster: nobody outside sees a difference."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.helpers.redis_cluster import RedisCluster
from tests.helpers.service import Service
from tests.story.test_one_upload import *  # noqa: F403  # its chapters are collected here again

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def server(shared_cluster: RedisCluster) -> Iterator[Service]:
    directory = Path(tempfile.mkdtemp(prefix="sp-story-"))
    env = {"SSE_PROGRESS_REDIS_URL": shared_cluster.url, "SSE_PROGRESS_WEB_PROCESSES": "2"}
    with Service(directory, env) as service:
        yield service
    shutil.rmtree(directory)


@pytest.fixture
async def http(server: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield client
