"""Uploads that wait until a person, or a service that takes long, has looked at them.

What waits, and what for, is in its journal: the latest event says `waiting`, and the stage's result
is kept. The list of what waits for a person may name too much. A decision is one step of the
journal, so two persons cannot decide differently; the worker that takes the job then acts on it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import anyio
from redis.exceptions import RedisError

from sse_progress.journal.frames import Page
from sse_progress.journal.upload_index import WEBHOOKS
from sse_progress.model.errors import (
    AlreadyFinished,
    NotFound,
    Unavailable,
    UnknownUpload,
)
from sse_progress.model.events import Draft, decode_json, encode_json
from sse_progress.model.ids import Position
from sse_progress.model.kinds import DEFAULT_KIND
from sse_progress.model.messages import DECIDED
from sse_progress.model.stage_table import DEFAULT_TABLE, StageTable
from sse_progress.model.text import clean_text
from sse_progress.model.timestamps import rfc3339
from sse_progress.model.verdicts import Verdict
from sse_progress.runtime.concurrency import blocking
from sse_progress.runtime.redis.keys import reviews_key
from sse_progress.storage.port import StoredObject
from sse_progress.uploads.components import Components
from sse_progress.uploads.review_leases import Reviewer, ReviewLeases

__all__ = ["DECISION", "HELD", "Answered", "Decision", "Reviews", "WaitsFor", "waits_for"]

WaitsFor = Literal["review", "moderation"]
"""A person, or the moderation hook."""

HELD = "held"
"""Result field: [stage, its result, whom it waits for], of an upload that waits or has waited."""
DECISION = "decision"
"""Result field: what was decided, as `moderation.review` has it, and by whom it was (`for`)."""

NO_ANSWER = "The moderation service did not answer. Please try again."

TOLD = ("reasons", "scores", "notChecked")
"""Members of the stage's result that a reviewer sees."""
REDIS_WAIT_S = 5.0
LIST_TTL_S = 30 * 24 * 3600
LOOKED_AT = 1000
"""Uploads at the head of the list among which a reviewer's next one is looked for."""
TRIES = 5


def waits_for(page: Page | None) -> WaitsFor | None:
    """Whom the upload waits for; None: it does not wait."""
    if page is None or page.terminal or page.last is None:
        return None
    waiting = decode_json(page.last.data).get("waiting")
    return waiting if waiting in get_args(WaitsFor) else None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided. `by`: the reviewer; None: it waited for too long."""

    decision: Literal["approve", "refuse"]
    by: str | None
    reason: str = ""

    @property
    def kept(self) -> dict[str, Any]:
        what = {"for": "review", "decision": self.decision, "at": rfc3339(time.time())}
        if self.by is not None:
            what["by"] = self.by
        if self.reason:
            what["reason"] = self.reason
        return what


@dataclass(frozen=True, slots=True)
class Answered:
    """What the moderation hook answered in the end; `verdict` None: nothing in time.

    `fail`: what is done with the file then.
    """

    verdict: Verdict | None
    fail: Literal["refuse", "review"] = "review"

    @property
    def kept(self) -> dict[str, Any]:
        what: dict[str, Any] = {"for": "moderation", "decision": "approve"}
        if self.verdict is None and self.fail == "refuse":
            return {**what, "decision": "refuse", "code": "unavailable", "reason": NO_ANSWER}
        if self.verdict is None:
            note = "moderation by the hook (it did not answer in time)"
            return {**what, "result": {"verdict": "review", "notChecked": [note]}}
        if self.verdict.verdict == "refused":
            return {**what, "decision": "refuse", "reason": clean_text(self.verdict.reason)}
        return {**what, "result": {**self.verdict.result(), "checks": ["moderation by the hook"]}}


class Reviews:
    """`tables`: the stages of each kind. Every method raises Unavailable while Redis is away."""

    def __init__(self, components: Components, tables: Mapping[str, StageTable]) -> None:
        self._components, self._tables = components, tables
        self._key = reviews_key(components.storage.id)
        self._leases = ReviewLeases(components.redis, components.storage.id)

    async def held(self, upload_id: str) -> None:
        """It waits from now on. Raises `redis.RedisError`."""
        async with self._components.redis.pipeline(transaction=False) as pipe:
            pipe.zadd(self._key, {upload_id: time.time()}, nx=True)
            pipe.expire(self._key, LIST_TTL_S)
            await pipe.execute()
        await self._components.index.note("review", upload_id, consumer=WEBHOOKS)

    async def waiting(self, *, limit: int) -> list[dict[str, Any]]:
        """What waits, oldest first: each with why, and since when."""
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                return await self._waiting(limit)
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable(retry_after_s=2) from exc

    async def next(
        self, reviewer: Reviewer, *, lease_s: float, skipped: Collection[str] = ()
    ) -> dict[str, Any] | None:
        """The oldest upload that waits and that nobody else looks at, for `lease_s` theirs alone;
        None if there is none. Until then, the same again. Those in `skipped` are let go."""
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                for upload_id in skipped:
                    await self._leases.release(upload_id, reviewer)
                ids = [one for one in await self._ids(LOOKED_AT) if one not in skipped]
                for upload_id in await self._leases.mine_first(ids, reviewer):
                    if not await self._leases.take(upload_id, reviewer, lease_s=lease_s):
                        continue
                    if (found := await self._review(upload_id)) is not None:
                        until = time.time() + lease_s
                        return {**found, "leasedUntil": rfc3339(until)}
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable(retry_after_s=2) from exc
        return None

    async def file_of(self, upload_id: str, name: str) -> StoredObject:
        """The stored upload, if it waits and its original has this name. Raises NotFound."""
        found = None
        if waits_for(await self._head(upload_id)) == "review":
            found = await blocking(self._components.storage.objects.find, upload_id)
        if found is None or found.manifest.filename != name:
            raise NotFound("No upload that waits has a file of this name.")
        return found

    async def is_waiting(self, upload_id: str) -> bool:
        return waits_for(await self._head(upload_id)) == "review"

    async def decide(self, upload_id: str, decision: Decision | Answered) -> None:
        """The work goes on, or ends. Raises UnknownUpload, or AlreadyFinished where it does not
        wait for this decision (any more)."""
        what = decision.kept
        for _ in range(TRIES):
            page = await self._head(upload_id)
            if page is None:
                raise UnknownUpload
            if waits_for(page) != what["for"]:
                break
            if await self._decided(upload_id, page, what):
                return
        raise AlreadyFinished("This upload does not wait for a decision.")

    # ---- within

    async def _head(self, upload_id: str) -> Page | None:
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                return await self._components.journal.head(upload_id)
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable(retry_after_s=2) from exc

    async def _decided(self, upload_id: str, page: Page, what: dict[str, Any]) -> bool:
        """Keep a decision, if the journal is still where `page` saw it."""
        kind = decode_json(b"{%b}" % page.tags).get("kind", DEFAULT_KIND)
        try:
            with anyio.fail_after(REDIS_WAIT_S):
                answer = await self._components.journal.operation(
                    "tell",
                    upload_id,
                    owner="",
                    fence=page.fence,
                    seen=Position("", page.end.seq),
                    draft=Draft(stage=page.stage, stage_progress=99, message=DECIDED[what["for"]]),
                    table=self._tables.get(kind, DEFAULT_TABLE),
                    result=(DECISION, encode_json(what)),
                )
                if answer.status != "ok":
                    await asyncio.sleep(answer.wait_ms / 1000)
                    return False
                await self._components.redis.zrem(self._key, upload_id)
                await self._enqueue(upload_id)  # else the reconciler does
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable(retry_after_s=2) from exc
        return True

    async def _enqueue(self, upload_id: str) -> None:
        found = await blocking(self._components.storage.objects.find, upload_id)
        if found is not None:
            manifest = found.manifest
            await self._components.queue.enqueue(
                upload_id, owner=manifest.owner, priority=manifest.priority
            )

    async def _ids(self, limit: int) -> list[str]:
        rows: Any = await self._components.redis.zrange(self._key, 0, limit - 1)
        return [row.decode() for row in rows]

    async def _waiting(self, limit: int) -> list[dict[str, Any]]:
        found = [await self._review(upload_id) for upload_id in await self._ids(limit)]
        return [one for one in found if one is not None]

    async def _review(self, upload_id: str) -> dict[str, Any] | None:
        """What is told of an upload that waits; one that does not leaves the list."""
        page = await self._components.journal.read(upload_id, about=True)
        if not isinstance(page, Page) or waits_for(page) != "review":
            await self._components.redis.zrem(self._key, upload_id)
            return None
        results = await self._components.journal.results(upload_id)
        stage, result, *_ = decode_json(results.get(HELD, b'["",{}]'))
        told = {name: result[name] for name in TOLD if name in result}
        return {
            "uploadId": upload_id,
            "owner": page.owner,
            "since": rfc3339(page.changed_ms / 1000),
            "stage": stage,
            **decode_json(b"{%b}" % page.tags),
            **decode_json(page.about or b"{}"),
            **told,
        }
