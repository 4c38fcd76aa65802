"""Where many journals stand: positions of their latest events, read in few round trips."""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis

from sse_progress.model.ids import Position
from sse_progress.runtime.redis.keys import journal_keys

__all__ = ["heads"]

BATCH = 200
"""Journals in one pipeline: other callers' commands come between."""


async def heads(redis: Redis, names: Sequence[str]) -> dict[str, Position]:
    """Of those journals that there are, by name; seq 0: no event yet. Raises `redis.RedisError`."""
    found: dict[str, Position] = {}
    for start in range(0, len(names), BATCH):
        some = names[start : start + BATCH]
        async with redis.pipeline(transaction=False) as pipe:
            for name in some:
                pipe.hmget(journal_keys(name)[0], "epoch", "seq")
            rows = await pipe.execute()
        for name, (epoch, seq) in zip(some, rows, strict=True):
            if epoch is not None:
                found[name] = Position(epoch.decode(), int(seq))
    return found
