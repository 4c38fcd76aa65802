"""Whether the parts that uploads need can be used."""

from __future__ import annotations

import anyio
from redis.exceptions import RedisError

from sse_progress.runtime.concurrency import blocking
from sse_progress.uploads.components import Components

__all__ = ["health"]

WAIT_S = 2.0


async def health(components: Components) -> dict[str, str]:
    """Each part, and `ok` or what is wrong with it in one word."""
    checks = {"redis": "ok", "journal": "ok", "queue": "ok", "storage": "ok"}
    try:
        with anyio.fail_after(WAIT_S):
            await components.redis.ping()
    except (TimeoutError, RedisError, OSError):
        checks["redis"] = "unreachable"
    if not (components.journal.writer.connected and components.emitter.connected):
        checks["journal"] = "disconnected"
    try:
        with anyio.fail_after(WAIT_S):
            await components.queue.depth()
    except (TimeoutError, RedisError, OSError):
        checks["queue"] = "unreachable"
    try:
        if await blocking(components.storage.free_bytes) <= 0:
            checks["storage"] = "full"
    except Exception:
        checks["storage"] = "unusable"
    return checks
