"""Many journals at a glance: what their meta hashes say, read in one pipeline without the logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from sse_progress.model.events import decode_json
from sse_progress.model.stage_table import Status, status_of_stage
from sse_progress.runtime.redis.keys import journal_keys

__all__ = ["Glance", "glances"]

FIELDS = ("owner", "stage", "term", "ts", "tags", "producer")
BATCH = 100
"""Journals in one pipeline: other callers' commands come between."""


@dataclass(frozen=True, slots=True)
class Glance:
    """`age_ms`: since its latest event, by Redis' clock. `tags`: what every event has. `begun`: it
    is more than an id that a stream waits for."""

    owner: str
    status: Status
    begun: bool
    terminal: bool
    age_ms: int
    tags: dict[str, Any]


async def glances(redis: Redis, upload_ids: Sequence[str]) -> list[Glance | None]:
    """One for each id in its order; None: there is no such journal. Raises `redis.RedisError`."""
    found: list[Glance | None] = []
    for start in range(0, len(upload_ids), BATCH):
        async with redis.pipeline(transaction=False) as pipe:
            pipe.time()
            for upload_id in upload_ids[start : start + BATCH]:
                pipe.hmget(journal_keys(upload_id)[0], FIELDS)
            (seconds, micros), *rows = await pipe.execute()
        now_ms = seconds * 1000 + micros // 1000
        for owner, stage, term, ts, tags, producer in rows:
            if owner is None:
                found.append(None)
                continue
            status = status_of_stage(stage.decode() or None)
            found.append(
                Glance(
                    owner.decode(),
                    status,
                    begun=bool(stage or term or producer),
                    terminal=bool(term),
                    age_ms=now_ms - int(ts),
                    tags=decode_json(b"{%b}" % (tags or b"")),
                )
            )
    return found
