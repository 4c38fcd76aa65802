"""What a web process works with: the shared parts, and what belongs to serving HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property

from starlette.types import Scope

from sse_progress.access.authentication import Authenticator, from_settings
from sse_progress.access.limits import Limits
from sse_progress.access.tickets import Tickets
from sse_progress.ingest.ingest import Ingest, IngestConfig
from sse_progress.ingest.limits import ReceiveLimits
from sse_progress.ingest.resumable.direct import Direct
from sse_progress.ingest.resumable.resumable import Resumable
from sse_progress.model.ids import Position
from sse_progress.model.kinds import Kinds
from sse_progress.runtime.concurrency import first_of
from sse_progress.runtime.descriptors import UNLIMITED, Descriptors
from sse_progress.runtime.metrics import Metrics
from sse_progress.runtime.traces import Traces
from sse_progress.settings import Settings
from sse_progress.uploads.batches import Batches
from sse_progress.uploads.components import Components, hook_keys, opened
from sse_progress.uploads.jobs import Jobs
from sse_progress.uploads.kinds import load_kinds
from sse_progress.uploads.places import Places
from sse_progress.uploads.queries import Uploads
from sse_progress.uploads.recent import RecentUploads
from sse_progress.uploads.reviews import Reviews
from sse_progress.web.streams.sse_response import Pace, StreamParts
from sse_progress.web.streams.timer_wheel import Wheel

__all__ = ["WebContext", "ingest_config", "metrics_of", "serving", "traces_of"]

SLOTS_PER_HEARTBEAT = 40
NO_TRACES = Traces()


def metrics_of(scope: Scope) -> Metrics | None:
    """The process' metrics, for a middleware; None outside of the application."""
    context = _context_of(scope)
    return context.components.metrics if context is not None else None


def traces_of(scope: Scope) -> Traces:
    """Where the process' spans go, for a middleware."""
    context = _context_of(scope)
    return context.components.traces if context is not None else NO_TRACES


def _context_of(scope: Scope) -> WebContext | None:
    state = getattr(scope.get("app"), "state", None)
    context: WebContext | None = getattr(state, "context", None)
    return context


@dataclass(frozen=True, kw_only=True)
class WebContext:
    components: Components
    settings: Settings
    uploads: Uploads
    recent: RecentUploads
    ingest: Ingest
    resumable: Resumable
    direct: Direct
    batches: Batches
    reviews: Reviews
    hook_keys: Sequence[bytes]
    jobs: Jobs
    kinds: Kinds
    limits: Limits
    tickets: Tickets
    authenticator: Authenticator
    streams: StreamParts
    descriptors: Descriptors
    draining: asyncio.Event = field(default_factory=asyncio.Event)

    @cached_property
    def pace(self) -> Pace:
        """Of a stream whose reader asks for nothing else."""
        settings = self.settings
        return Pace(
            heartbeat_s=settings.heartbeat_s,
            lifetime_s=settings.stream_lifetime_s,
            slow_s=settings.slow_reader_s,
            claim_s=settings.claim_ttl_s / 3,
        )

    @property
    def busy(self) -> bool:
        """The descriptors that are left are reserved for requests other than streams."""
        return self.descriptors.refuses_streams

    async def changed(self, upload_id: str, *, owner: str, since: Position, wait_s: float) -> None:
        """Wait until the journal has something after `since`, for `wait_s`, or until draining."""
        await first_of(
            self.uploads.changed(upload_id, owner=owner, since=since),
            self.draining.wait(),
            timeout_s=wait_s,
        )

    async def drain(self) -> None:
        """End streams after a whole frame, release waiting requests, give bodies their grace."""
        self.draining.set()
        for stream in tuple(self.streams.open):
            stream.finish()
        await self.ingest.drain(self.settings.shutdown_grace_s)


def ingest_config(settings: Settings, kinds: Kinds) -> IngestConfig:
    return IngestConfig(
        limits=ReceiveLimits(
            max_upload_bytes=settings.max_upload_bytes,
            max_fields_bytes=settings.max_fields_bytes,
            stall_s=settings.receive_stall_s,
            min_rate_bytes_s=settings.receive_min_rate,
        ),
        kinds=kinds,
        lease_s=settings.lease_s,
        redis_wait_s=settings.redis_wait_s,
        resume_s=settings.resume_s,
        max_paused=settings.paused_per_user,
    )


@asynccontextmanager
async def serving(
    settings: Settings, descriptors: Descriptors = UNLIMITED
) -> AsyncIterator[WebContext]:
    """A web process's context, with its background work running for the length of the block."""
    authenticator, kinds = from_settings(settings), load_kinds(settings)
    async with AsyncExitStack() as stack:
        components = await stack.enter_async_context(opened(settings))
        limits = Limits(components.redis, settings, backlog=components.queue.backlog)
        wheel = Wheel(
            slot_s=min(0.25, settings.heartbeat_s / SLOTS_PER_HEARTBEAT * 4),
            clock=asyncio.get_running_loop().time,
        )
        running = components.tasks.running
        await stack.enter_async_context(
            running("authenticator", authenticator.run(), may_finish=True)
        )
        await stack.enter_async_context(running("limits", limits.run()))
        await stack.enter_async_context(running("timer_wheel", wheel.run()))
        config = ingest_config(settings, kinds)
        ingest = Ingest(components, config)
        resumable = Resumable(
            components, config, receivers=ingest.receivers, journaling=ingest.journaling
        )
        yield WebContext(
            components=components,
            settings=settings,
            uploads=Uploads(components),
            recent=RecentUploads(components.index, components.background),
            ingest=ingest,
            resumable=resumable,
            direct=Direct(resumable),
            reviews=Reviews(components, {name: kind.table for name, kind in kinds.items()}),
            hook_keys=hook_keys(settings),
            batches=Batches(components, most=settings.max_batch),
            jobs=Jobs(components, kinds),
            kinds=kinds,
            limits=limits,
            tickets=Tickets(components.redis),
            authenticator=authenticator,
            streams=StreamParts(
                wheel,
                components.background.spawn,
                components.metrics,
                Places(components.queue, components.background, clock=time.monotonic),
                compress=settings.compress,
            ),
            descriptors=descriptors,
        )
