"""Webhook messages: what each is about and when there is one.

They are made from the list of ends, which also has notes of other moments (`Index.note`). How they
are sent, and when again, is the worker's; where they wait, `deliveries`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, NamedTuple

import structlog

from sse_progress.journal.frames import Frame, Page
from sse_progress.journal.upload_index import WEBHOOKS
from sse_progress.model.errors import Unavailable
from sse_progress.model.events import decode_json, encode_json, with_status
from sse_progress.model.ids import Position
from sse_progress.model.timestamps import rfc3339
from sse_progress.runtime.concurrency import blocking
from sse_progress.uploads.components import Components
from sse_progress.uploads.queries import state_of

__all__ = ["Message", "end_message", "make_deliveries"]

log = structlog.get_logger(__name__)

MOST_WAITING = 10_000
"""Deliveries that wait; further ends stay in their list, as ids."""
AT_ONCE = 100
PAGE_EVENTS = 500
REMOVAL_S = 60.0
"""From the note that files are removed until they are."""
THIN_ABOVE_BYTES = 20 * 1024
THIN = ("status", "uploadId", "kind", "context", "batchId", "timestamp")
"""Members of a state that is left out for its size."""
STORED = b'"stage":"file_received"'
"""As an event has it; no quote within a JSON string is bare."""


class Message(NamedTuple):
    """`id` names the moment, so that it is sent once. `subject` is the upload or batch."""

    id: str
    type: str
    subject: str
    body: bytes


async def make_deliveries(components: Components) -> int:
    """Make a delivery of each moment that has none yet; how many entries were dealt with.

    Raises `redis.RedisError`, or Unavailable while the storage cannot be asked.
    """
    room = MOST_WAITING - await components.deliveries.waiting()
    if room <= 0:
        return 0
    done = []
    for entry, noted_ms in await components.index.ended(WEBHOOKS, limit=min(AT_ONCE, room)):
        what, _, name = entry.rpartition(":")
        if what == "deleted" and await _is_there(components, name, noted_ms):
            continue
        async for message in _messages(components, what, name):
            await components.deliveries.add(
                message.id, type=message.type, upload_id=message.subject, body=message.body
            )
        done.append(entry)
    await components.index.done(WEBHOOKS, done)
    return len(done)


async def _is_there(components: Components, upload_id: str, noted_ms: int) -> bool:
    """Whether its files, which are to be removed, may still be."""
    if time.time() * 1000 - noted_ms > REMOVAL_S * 1000:
        return False
    return await blocking(components.storage.objects.find, upload_id) is not None


async def _messages(components: Components, what: str, name: str) -> AsyncIterator[Message]:
    journal = components.journal
    if what == "b":
        page = await journal.read(f"b:{name}", about=True)
        if isinstance(page, Page) and page.terminal:
            yield _batch_message(name, page)
    elif what == "deleted":
        if await blocking(components.storage.objects.find, name) is None:
            yield await _deleted_message(components, name)
    else:
        page = await _page(components, name)
        if page is None or decode_json(b"{%b}" % page.tags).get("partial"):
            return
        if what == "review":
            state = state_of(name, page)
            if state.get("waiting") == "review":
                yield _message(f"{name}.{page.end}", "review.waiting", name, state)
            return
        if not page.producer and (stored := await _stored(components, name, page)) is not None:
            at = replace(page, end=stored.position, stage="file_received", term="", last=stored)
            yield _message(f"{name}.{at.end}", "upload.stored", name, state_of(name, at))
        if not what and page.terminal:
            yield end_message(name, page)


async def _page(components: Components, upload_id: str) -> Page | None:
    """Its journal; None also for an id that was claimed and never used."""
    journal = components.journal
    page = await journal.read(upload_id, about=True, limit=PAGE_EVENTS)
    if page is None:
        found = await blocking(components.storage.objects.find, upload_id)
        if found is None or not found.done:
            log.warning("webhook left out: nothing is known of it", upload_id=upload_id)
            return None
        await components.recovery.revive(found)
        page = await journal.read(upload_id, about=True)
    return page if isinstance(page, Page) and page.end.seq else None


async def _stored(components: Components, upload_id: str, page: Page) -> Frame | None:
    """The event that says that the file is stored; None: its journal has none."""
    frames = page.frames
    while frames:
        for frame in frames:
            if STORED in frame.data:
                return frame
        after = Position(page.end.epoch, frames[-1].position.seq)
        further = await components.journal.read(upload_id, after=after, limit=PAGE_EVENTS)
        frames = further.frames if isinstance(further, Page) else ()
    return None


def end_message(upload_id: str, page: Page) -> Message:
    """Of an upload's or a job's end."""
    kind = f"{'job' if page.producer else 'upload'}.{page.term}"
    return _message(f"{upload_id}.{page.end}", kind, upload_id, state_of(upload_id, page))


def _batch_message(batch_id: str, page: Page) -> Message:
    assert page.last is not None, "it has ended"
    state = with_status(page.last.data) | decode_json(page.about or b"{}")
    return _message(f"{batch_id}.{page.end}", f"batch.{page.term}", batch_id, state)


async def _deleted_message(components: Components, upload_id: str) -> Message:
    """Of the removal of a finished upload's files; its journal may be gone for long."""
    page = await components.journal.read(upload_id, about=True)
    if page is None:
        try:
            found = await components.archive.find(upload_id)
            page = None if found is None else found.page()
        except Unavailable:
            pass
    if isinstance(page, Page) and page.last is not None:
        state, end = state_of(upload_id, replace(page, deleted=True)), str(page.end)
    else:
        state, end = {"status": "complete", "uploadId": upload_id, "deleted": True}, "files"
    state = {**state, "timestamp": rfc3339(time.time())}
    return _message(f"{upload_id}.{end}.deleted", "upload.deleted", upload_id, state)


def _message(message_id: str, kind: str, subject: str, state: dict[str, Any]) -> Message:
    """Above a size the state has no more than names."""
    message = {"type": kind, "timestamp": state["timestamp"], "data": state}
    body = encode_json(message)
    if len(body) > THIN_ABOVE_BYTES:
        thin = {name: state[name] for name in THIN if name in state}
        body = encode_json({**message, "data": thin})
    return Message(message_id, kind, subject, body)
