"""Running a Lua script by its digest, and by its source where the server does not know it yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

__all__ = ["run_script"]


async def run_script(
    redis: Redis,
    sha: str,
    source: Any,
    keys: Sequence[Any],
    arguments: Sequence[Any],
    *,
    writes: bool = True,
) -> Any:
    """The script's reply; where it does not write, a replica may run it too. Raises RedisError.

    redis-py's Script tests the class of its client on each call, which is half of the call's cost.
    """
    known, unknown = (redis.evalsha, redis.eval) if writes else (redis.evalsha_ro, redis.eval_ro)
    words = (len(keys), *keys, *arguments)
    try:
        return await known(sha, *words)
    except NoScriptError:
        return await unknown(source, *words)
