"""One stream for all of a user's uploads, so that a browser needs a single connection.

An index and a notice channel per user list the uploads; each upload's own channel and journal hold
its events. Its frames have no id: a reconnect begins with the states again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import anyio
import structlog
from redis.exceptions import RedisError

from sse_progress.emitter.emitter import Emitter
from sse_progress.journal.frames import Frame
from sse_progress.model.events import decode_json, encode_json
from sse_progress.model.labels import Labels
from sse_progress.model.sse import retry
from sse_progress.runtime.redis_keys import owner_channel
from sse_progress.uploads.components import Components
from sse_progress.uploads.recent import UPLOADS, RecentUploads
from sse_progress.web.streams.frames import reset_frame, retry_ms
from sse_progress.web.streams.sse_response import Stream

__all__ = ["UserStream"]

log = structlog.get_logger(__name__)

RETRY_LOOK_S = 0.5
GROUP = 8
"""Uploads that a stream begins to follow at a time."""
GROUP_WAIT_S = 1.0


def _data(frame: Frame) -> bytes:
    """The frame without its id line."""
    return frame.raw[frame.raw.index(b"\n") + 1 :]


class _Member:
    """The follower of one of the uploads: begins with a reset, then every live event."""

    def __init__(self, stream: UserStream, upload_id: str, emitter: Emitter) -> None:
        self.stream, self.upload_id, self._emitter = stream, upload_id, emitter
        self.begun = asyncio.Event()
        self._topic = emitter.open(upload_id)
        self._following = emitter.follow(self._topic, self, owner=stream.owner, from_latest=True)

    def leave(self) -> None:
        self.begun.set()
        self._emitter.leave(self._following)
        self._emitter.release(self._topic)

    def push(self, frame: Frame) -> Awaitable[None] | None:
        if frame.terminal:
            self.stream.drop(self)
        return self.stream.emit(_data(frame)) if self.stream.shows(frame) else None

    async def write(self, frames: Sequence[Frame]) -> None:
        if frames[-1].terminal:
            self.stream.drop(self)
        if shown := [_data(frame) for frame in frames if self.stream.shows(frame)]:
            await self.stream.deliver(b"".join(shown))

    async def reset(self, frame: Frame) -> None:
        self.begun.set()
        if frame.terminal:
            self.stream.drop(self)
        if self.stream.shows(frame):
            await self.stream.deliver(reset_frame(frame.data))

    async def gone(self) -> None:
        self.stream.drop(self)

    def close(self) -> None:
        self.stream.drop(self)


class UserStream(Stream):
    """Follows every open upload of `owner`, and each new one.

    Only those of the ids in `only`, if there are any, and with all of `labels`.
    """

    def __init__(
        self,
        components: Components,
        recent: RecentUploads,
        *,
        owner: str,
        only: frozenset[str],
        labels: Labels,
        on_left: Any,
        **how: Any,
    ) -> None:
        hello = encode_json({"type": "connected", "message": "Connected to all upload progress"})
        super().__init__(retry(retry_ms())[:-1] + b"data: %b\n\n" % hello, **how)
        self.owner, self._components, self._only, self._on_left = owner, components, only, on_left
        self._recent, self._labels = recent, labels
        self._members: dict[str, _Member] = {}
        self._told: set[str] = set()
        self._look: asyncio.Task[None] | None = None
        self._look_again = False

    def began(self) -> None:
        self._components.emitter.listen(owner_channel(self.owner), self._noticed)

    def left(self) -> None:
        self._components.emitter.unlisten(owner_channel(self.owner), self._noticed)
        if self._look is not None:
            self._look.cancel()
        for member in tuple(self._members.values()):
            self.drop(member)
        self._on_left()

    def shows(self, frame: Frame) -> bool:
        """Whether the stream is for the upload of this frame, by its labels."""
        return not self._labels or self._labels.match(decode_json(frame.data))

    def drop(self, member: _Member) -> None:
        if self._members.pop(member.upload_id, None) is not None:
            member.leave()

    # ---- which uploads

    def _noticed(self, message: bytes) -> None:
        """An upload began; or (empty) notices may have been missed, so the index is read."""
        if upload_id := message.decode():
            self._add(upload_id)
            return
        if self._look is not None:
            self._recent.forget(self.owner)
        self._look_again = True
        if self._look is None or self._look.done():
            self._look = self._components.background.start(self._looking())

    async def _looking(self) -> None:
        while self._look_again and not self.ended:
            self._look_again = False
            try:
                await self._follow(await self._recent.current(self.owner))
            except (RedisError, OSError):
                self._look_again = True
                await asyncio.sleep(RETRY_LOOK_S)
            except Exception:
                log.exception("uploads of a stream could not be looked up")

    async def _follow(self, upload_ids: list[str]) -> None:
        """Follow those that are new, a few at a time."""
        new = [upload_id for upload_id in upload_ids if self._wants(upload_id)]
        for start in range(0, len(new), GROUP):
            group = new[start : start + GROUP]
            async with self._recent.opening:
                for upload_id in group:
                    self._add(upload_id)
                with anyio.move_on_after(GROUP_WAIT_S):
                    for upload_id in group:
                        if (member := self._members.get(upload_id)) is not None:
                            await member.begun.wait()

    def _wants(self, upload_id: str) -> bool:
        return upload_id not in self._told and (not self._only or upload_id in self._only)

    def _add(self, upload_id: str) -> None:
        if self.ended or upload_id in self._members or (self._only and upload_id not in self._only):
            return
        if len(self._members) >= UPLOADS:
            return
        self._told.add(upload_id)
        self._members[upload_id] = _Member(self, upload_id, self._components.emitter)
