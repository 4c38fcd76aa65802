"""Whether Redis may evict what it is given is looked at and told."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from sse_progress.runtime.redis.client import connect
from sse_progress.worker.redis_policy import _policies, watch_policy
from tests.helpers.redis_server import RedisServer
from tests.helpers.waiting import eventually


async def test_a_redis_that_evicts_is_told_once(own_redis: RedisServer) -> None:
    """Also when it is set so later; one that does not is not mentioned."""
    redis, looks = connect(own_redis.url), []
    info = redis.info

    async def noted(section: str) -> Any:
        answer = await info(section)
        looks.append(section)
        return answer

    redis.info = noted  # type: ignore[method-assign,assignment]
    try:
        with capture_logs() as logs:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: watch_policy(redis, every_s=0.02))
                await eventually(lambda: len(looks) > 1, "it has looked")
                own_redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
                await eventually(lambda: logs, "it is told")
                own_redis.command("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
                await eventually(lambda: len(logs) == 2, "the other one is told")
                group.cancel_scope.cancel()
    finally:
        await redis.aclose()
    assert [entry["maxmemory_policy"] for entry in logs] == ["allkeys-lru", "volatile-ttl"]
    assert {entry["log_level"] for entry in logs} == {"warning"}


@pytest.mark.parametrize(
    ("info", "found"),
    [
        ({"maxmemory_policy": "noeviction", "used_memory": 1}, {"noeviction"}),
        ({"a:1": {"maxmemory_policy": "x"}, "b:1": {"maxmemory_policy": "y"}}, {"x", "y"}),
        ({"used_memory": 1}, set()),
    ],
)
def test_every_node_counts(info: dict[str, object], found: set[str]) -> None:
    """Those of a cluster answer each for itself, and a managed Redis may keep it to itself."""
    assert _policies(info) == found
