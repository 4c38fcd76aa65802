"""Whether the parts that uploads need can be used."""

from __future__ import annotations

import anyio
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from sse_progress.runtime.concurrency import blocking
from sse_progress.runtime.redis.client import servers
from sse_progress.runtime.redis.connections import ClusterNode, ReadOnly
from sse_progress.runtime.redis.keys import health_key
from sse_progress.uploads.components import Components

__all__ = ["DEGRADED", "health"]

WAIT_S = 2.0
KEY_TTL_S = 60
DEGRADED = frozenset({"full", "out_of_inodes", "no_worker", "nats_unreachable", "may_evict"})
"""States in which uploads that exist are served all the same."""
NO_EVICTION = "noeviction"


async def health(components: Components) -> dict[str, str]:
    """Each part, and `ok` or what is wrong with it in one word.

    `tasks` names the background tasks that have ended, separated by commas.
    """
    found = {
        "redis": await _redis(components),
        "journal": _journal(components),
        "tasks": ",".join(components.tasks.dead()) or "ok",
    }
    if components.settings.web_role != "streams":  # streams need neither
        found |= {"queue": await _queue(components), "storage": await _storage(components)}
    return found


async def _redis(components: Components) -> str:
    """By a write, on every master: a replica and a full server answer reads all the same."""
    try:
        with anyio.fail_after(WAIT_S):
            evicts = False
            for tag, server in await servers(components.redis):
                key = health_key(components.storage.id, tag)
                await components.redis.set(key, b"", ex=KEY_TTL_S)
                evicts = evicts or await _may_evict(server)
    except ReadOnly:
        return "read_only"
    except ClusterNode:
        return "is_a_cluster"
    except ResponseError:
        return "refuses_writes"  # out of memory, disk full, too few replicas
    except (TimeoutError, RedisError, OSError):
        return "unreachable"
    return "may_evict" if evicts else "ok"


async def _may_evict(server: Redis) -> bool:
    """Whether it gives up journals when its memory is full; one that does not tell is believed."""
    try:
        about = await server.info("memory")
    except ResponseError:
        return False
    return str(about.get("maxmemory_policy", NO_EVICTION)) != NO_EVICTION


def _journal(components: Components) -> str:
    connected = components.journal.appends.connected and components.emitter.connected
    return "ok" if connected else "disconnected"


async def _queue(components: Components) -> str:
    try:
        with anyio.fail_after(WAIT_S):
            return "ok" if await components.queue.workers_alive() else "no_worker"
    except ConnectionError:
        return "nats_unreachable"  # bodies are received, and worked on when it is back
    except (TimeoutError, RedisError, OSError):
        return "unreachable"


async def _storage(components: Components) -> str:
    try:
        return await blocking(components.storage.state)
    except Exception:
        return "unusable"
