"""What a web process does for its callers, without HTTP: find, watch, list and cancel uploads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from redis.exceptions import RedisError

from sse_progress.access.limits import Limits
from sse_progress.access.tokens import Authenticator, from_settings
from sse_progress.emitter.waiter import Watch, watching
from sse_progress.ingest.ingest import Intake
from sse_progress.ingest.multipart import ReceiveLimits
from sse_progress.journal.frames import Foreign, Page
from sse_progress.model.errors import AlreadyFinished, Forbidden, Unavailable, UnknownUpload
from sse_progress.model.events import Draft, with_status
from sse_progress.model.ids import Position
from sse_progress.model.messages import END
from sse_progress.model.timestamps import rfc3339
from sse_progress.runtime.concurrency import beside, blocking, first_of
from sse_progress.settings import Settings
from sse_progress.uploads.components import Core, opened
from sse_progress.web.streams.sse_response import Stream
from sse_progress.web.streams.timer_wheel import Wheel

__all__ = ["Service", "serving", "state_of"]

ASK_WAIT_S = 5.0
SLOTS_PER_HEARTBEAT = 40


def state_of(upload_id: str, page: Page) -> dict[str, Any]:
    """An upload's state: `status`, and the fields of its latest event."""
    if page.last is None:
        return {
            "status": "pending",
            "uploadId": upload_id,
            "progress": 0,
            "message": "Waiting for the upload to begin",
            "timestamp": rfc3339(page.created_ms / 1000),
        }
    return with_status(page.last.data)


@dataclass(frozen=True, kw_only=True)
class Service:
    core: Core
    settings: Settings
    intake: Intake
    limits: Limits
    authenticator: Authenticator
    wheel: Wheel
    draining: asyncio.Event

    async def page(self, upload_id: str, *, owner: str) -> Page:
        """The head of the caller's journal. Raises UnknownUpload, Forbidden or Unavailable."""
        try:
            with anyio.fail_after(ASK_WAIT_S):
                page = await self.core.journal.read(upload_id, owner=owner)
                if page is None:
                    page = await self._remembered(upload_id, owner=owner)
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable from exc
        if isinstance(page, Foreign):
            raise Forbidden("This upload belongs to somebody else.")
        if page is None:
            raise UnknownUpload
        return page

    async def _remembered(self, upload_id: str, *, owner: str) -> Page | Foreign | None:
        found = await blocking(self.core.storage.find, upload_id)
        if found is None:
            return None
        if not found.done:
            raise Unavailable("The state of this upload is being found again.", retry_after_s=2)
        await self.core.revive(found)
        return await self.core.journal.read(upload_id, owner=owner)

    async def cancel(self, upload_id: str, *, owner: str) -> None:
        """End an upload, and remove what there is of it. Raises AlreadyFinished among others."""
        draft = Draft(stage="cancelled", stage_progress=0, message=END["cancelled"])
        try:
            with anyio.fail_after(ASK_WAIT_S):
                answer = await self.core.journal.cancel(upload_id, owner=owner, draft=draft)
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable from exc
        match answer.status:
            case "forbidden":
                raise Forbidden("This upload belongs to somebody else.")
            case "ended":
                raise AlreadyFinished
            case "unknown":
                await self.page(upload_id, owner=owner)
                raise AlreadyFinished
        await blocking(self.core.storage.remove, upload_id)

    async def drain(self) -> None:
        """End every stream whole, let waiting requests go, give bodies their grace."""
        self.draining.set()
        for stream in self.wheel.items():
            if isinstance(stream, Stream):
                stream.finish()
        await self.intake.drain(self.settings.shutdown_grace_s)

    async def states(
        self, owner: str, *, status: str | None, limit: int, before_us: int | None
    ) -> tuple[list[dict[str, Any]], int | None]:
        """The owner's uploads, newest first, and the moment to go on before (None: no more)."""
        states: list[dict[str, Any]] = []
        try:
            with anyio.fail_after(ASK_WAIT_S):
                while True:
                    rows = await self.core.index.owned(owner, before_us=before_us, limit=limit)
                    for upload_id, began_us in rows:
                        page = await self.core.journal.read(upload_id, owner=owner)
                        before_us = began_us
                        if isinstance(page, Foreign):
                            continue
                        if page is None:
                            await self.core.index.forget(upload_id, owner=owner)
                            continue
                        state = state_of(upload_id, page)
                        if status is None or state["status"] == status:
                            states.append(state)
                        if len(states) == limit:
                            return states, before_us
                    if len(rows) < limit:
                        return states, None
        except (TimeoutError, RedisError, OSError) as exc:
            raise Unavailable from exc

    async def changed(self, upload_id: str, *, owner: str, since: Position, wait_s: float) -> None:
        """Wait until the journal has something after `since`, at most `wait_s`."""
        watch = Watch()
        with watching(self.core.emitter, upload_id, watch, owner=owner, cursor=since):
            await first_of(watch.changed(), self.draining.wait(), timeout_s=wait_s)


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Service]:
    """A web process' service, with its background work running for the length of the block."""
    authenticator = from_settings(settings)
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(opened(settings))
        limits = Limits(core.redis, settings)
        wheel = Wheel(
            slot_s=min(0.25, settings.heartbeat_s / SLOTS_PER_HEARTBEAT * 4),
            clock=asyncio.get_running_loop().time,
        )
        intake = Intake(
            journal=core.journal,
            storage=core.storage,
            queue=core.queue,
            index=core.index,
            emitter=core.emitter,
            background=core.background,
            metrics=core.metrics,
            limits=ReceiveLimits.of(settings),
            lease_s=settings.lease_s,
            redis_wait_s=settings.redis_wait_s,
        )
        for work in (authenticator.run(), limits.run(), wheel.run()):
            await stack.enter_async_context(beside(work))
        yield Service(
            core=core,
            settings=settings,
            intake=intake,
            limits=limits,
            authenticator=authenticator,
            wheel=wheel,
            draining=asyncio.Event(),
        )


def now_rfc3339() -> str:
    return rfc3339(time.time())
