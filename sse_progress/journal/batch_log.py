"""The journals of batches: their items, and the events that count them.

One Lua script is the only writer, so that counts hold whichever process notes what, in
any order and however often. To readers a batch's journal is one like any other, under `batch_name`.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from redis.asyncio import Redis

from sse_progress.journal.journal import TTL_OPEN_S, new_epoch
from sse_progress.journal.scripts import BATCH, Script
from sse_progress.runtime.redis.client import script_for
from sse_progress.runtime.redis.keys import (
    batch_items_key,
    batch_name,
    journal_channel,
    journal_keys,
)
from sse_progress.runtime.redis.scripts import run_script

__all__ = ["BatchAnswer", "BatchLog"]


class BatchAnswer(NamedTuple):
    """`status` as in batch.lua, and where the journal stands after it."""

    status: str
    epoch: str
    seq: int
    term: str
    wait_ms: int


class BatchLog:
    """Every method raises `redis.RedisError`."""

    def __init__(self, redis: Redis, *, journal_ttl_s: int) -> None:
        self._redis, self._ttl_done_s = redis, journal_ttl_s
        self._script = Script("batch", BATCH, prepared=partial(script_for, redis))

    async def do(
        self,
        op: str,
        batch_id: str,
        *,
        owner: str = "",
        item: str = "",
        status: str = "",
        total: int = 0,
        most: int = 0,
        work: str = "",
        tags: bytes = b"",
        about: bytes = b"",
    ) -> BatchAnswer:
        """One call of batch.lua; without `owner` it is not asked whose the batch is."""
        name = batch_name(batch_id)
        keys = (*journal_keys(name), batch_items_key(batch_id))
        arguments = self._script.arguments(
            {
                "op": op,
                "epoch": new_epoch(),
                "owner": owner,
                "channel": journal_channel(name),
                "id": batch_id,
                "item": item,
                "status": status,
                "total": total,
                "most": most,
                "work": work,
                "tags": tags,
                "about": about,
                "ttl_open_s": TTL_OPEN_S,
                "ttl_done_s": self._ttl_done_s,
            }
        )
        reply = await run_script(
            self._redis, self._script.sha, self._script.source, keys, arguments
        )
        what, epoch, seq, term, wait_ms = reply
        return BatchAnswer(what.decode(), epoch.decode(), seq, term.decode(), wait_ms)

    async def add(self, batch_id: str, items: list[str]) -> None:
        """Items of a batch whose purpose is to do something to them."""
        if items:
            await self._redis.hset(
                batch_items_key(batch_id), mapping=dict.fromkeys(items, "running")
            )

    async def running(self, batch_id: str) -> list[str]:
        """Items that have not ended."""
        found: Any = await self._redis.hgetall(batch_items_key(batch_id))
        return [item.decode() for item, status in found.items() if status == b"running"]

    async def work(self, batch_id: str) -> tuple[str, str]:
        """(owner, what is done to its items); of a batch that is gone both are empty."""
        meta = journal_keys(batch_name(batch_id))[0]
        found: Any = await self._redis.hmget(meta, "owner", "work")
        owner, work = found
        return (owner or b"").decode(), (work or b"").decode()
