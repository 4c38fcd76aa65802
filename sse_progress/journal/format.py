"""Which releases may use a Redis.

The key FORMAT_KEY has the number of what keys, scripts' answers and events look like in it; without
that key it is 1, as in every release so far. Each process sends its own release's scripts, so a
change that leaves the number as it is may add only what older ones read past. A release that
changes more raises FORMAT and writes the key before anything else.
"""

from __future__ import annotations

import asyncio

from anyio import fail_after
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sse_progress.runtime.redis.keys import FORMAT_KEY

__all__ = ["FORMAT", "NewerFormat", "check_format", "watch_format"]

FORMAT = 1
LOOK_EVERY_S = 60.0
ANSWER_S = 2.0


class NewerFormat(Exception):
    """Redis is used by a release whose format this one does not know."""


async def check_format(redis: Redis) -> None:
    """Raise NewerFormat; a Redis that does not answer is looked at again by `watch_format`."""
    try:
        with fail_after(ANSWER_S):
            found = int(await redis.get(FORMAT_KEY) or 1)
    except (RedisError, OSError):
        return
    if found > FORMAT:
        raise NewerFormat(f"a newer release uses it: format {found}, this one knows {FORMAT}")


async def watch_format(redis: Redis, *, every_s: float = LOOK_EVERY_S) -> None:
    """Look again until cancelled. Raises NewerFormat: what goes on would do damage."""
    while True:
        await asyncio.sleep(every_s)
        await check_format(redis)
