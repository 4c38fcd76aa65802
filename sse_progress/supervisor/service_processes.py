"""The processes that a service is made of: their commands and environments."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

from sse_progress.supervisor.launch_plan import Plan
from sse_progress.supervisor.managed_process import ManagedProcess
from sse_progress.supervisor.private_redis import PrivateRedis
from sse_progress.supervisor.redis_binaries import ENVIRONMENT

__all__ = ["default_commands", "redis_process", "service_processes"]

WEB_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "268435456", "MALLOC_TRIM_THRESHOLD_": "536870912"}
"""Keeps glibc from giving body buffers back and faulting them in again, once per read."""


def default_commands() -> dict[str, list[str]]:
    here = [sys.executable, "-m", "sse_progress"]
    return {"web": [*here, "web"], "worker": [*here, "worker"]}


def redis_process(redis: PrivateRedis) -> ManagedProcess:
    return ManagedProcess(
        role="redis",
        name="redis",
        command=redis.command,
        environment=ENVIRONMENT,
        directory=redis.directory,
        descriptors=(redis.lock.descriptor,),
        says_ready=False,
        told=redis.configuration,
    )


def service_processes(
    plan: Plan,
    commands: Mapping[str, Sequence[str]],
    environment: Mapping[str, str],
    listening: int,
) -> Iterator[ManagedProcess]:
    """Web processes, which share the descriptor `listening`, then workers."""
    for number in range(1, plan.web_processes + 1):
        yield ManagedProcess(
            role="web",
            name=f"web {number}",
            command=[*commands["web"], "--fd", str(listening)],
            environment={**environment, **WEB_MEMORY},
            descriptors=(listening,),
        )
    for number in range(1, plan.worker_processes + 1):
        yield ManagedProcess(
            role="worker",
            name=f"worker {number}",
            command=commands["worker"],
            environment=_without_keys(environment),
        )


def _without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """What a worker gets: it opens files of strangers, and never looks at a token."""
    return {k: v for k, v in environment.items() if not k.startswith("SSE_PROGRESS_JWT_")}
