"""Clusters of three masters: one for all tests that leave it whole, others to be broken."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.redis_cluster import RedisCluster


@pytest.fixture(scope="package")
def shared_cluster() -> Iterator[RedisCluster]:
    yield from cluster_of(replicas=0)


@pytest.fixture(scope="module")
def failing_cluster() -> Iterator[RedisCluster]:
    """One whose first two masters may die once: they have a replica each."""
    yield from cluster_of(replicas=2)


def cluster_of(*, replicas: int) -> Iterator[RedisCluster]:
    directory = Path(tempfile.mkdtemp(prefix="sp-"))
    cluster = RedisCluster(directory, replicas=replicas)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(directory)
