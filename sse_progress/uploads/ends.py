"""Webhook messages: one of each upload's or job's end, made from the list of ended uploads.

How they are sent, and when again, is the worker's; where they wait, `deliveries`.
"""

from __future__ import annotations

from typing import Any

import structlog

from sse_progress.journal.frames import Page
from sse_progress.model.events import encode_json
from sse_progress.runtime.concurrency import blocking
from sse_progress.uploads.components import WEBHOOKS, Components
from sse_progress.uploads.queries import state_of

__all__ = ["make_deliveries", "message_of"]

log = structlog.get_logger(__name__)

MOST_WAITING = 10_000
"""Deliveries that wait; further ends stay in their list, as ids."""
AT_ONCE = 100
THIN_ABOVE_BYTES = 20 * 1024
THIN = ("status", "uploadId", "kind", "context", "batchId", "timestamp")
"""Members of a state that is left out for its size."""


async def make_deliveries(components: Components) -> int:
    """Make a delivery of each end that has none yet; how many ends were dealt with.

    Raises `redis.RedisError`, or Unavailable while the storage cannot be asked.
    """
    room = MOST_WAITING - await components.deliveries.waiting()
    if room <= 0:
        return 0
    done = []
    for upload_id, _ in await components.index.ended(WEBHOOKS, limit=min(AT_ONCE, room)):
        page = await _ended(components, upload_id)
        if page is not None and not page.partial:
            kind, body = message_of(upload_id, page)
            await components.deliveries.add(
                f"{upload_id}.{page.end}", type=kind, upload_id=upload_id, body=body
            )
        done.append(upload_id)
    await components.index.done(WEBHOOKS, done)
    return len(done)


async def _ended(components: Components, upload_id: str) -> Page | None:
    """Its journal, if that has an end; None also for an id that was claimed and never used."""
    journal = components.journal
    page = await journal.read(upload_id, about=True)
    if page is None:
        found = await blocking(components.storage.objects.find, upload_id)
        if found is None or not found.done:
            log.warning("webhook left out: nothing is known of it", upload_id=upload_id)
            return None
        await components.recovery.revive(found)
        page = await journal.read(upload_id, about=True)
    return page if isinstance(page, Page) and page.terminal else None


def message_of(upload_id: str, page: Page) -> tuple[str, bytes]:
    """Type and body of the message of an end; above a size its state has no more than names."""
    state: dict[str, Any] = state_of(upload_id, page)
    kind = f"{'job' if page.producer else 'upload'}.{page.term}"
    message = {"type": kind, "timestamp": state["timestamp"], "data": state}
    body = encode_json(message)
    if len(body) > THIN_ABOVE_BYTES:
        thin = {name: state[name] for name in THIN if name in state}
        body = encode_json({**message, "data": thin})
    return kind, body
