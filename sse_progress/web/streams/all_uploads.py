"""One stream for all of a user's uploads, so that a browser needs a single connection.

An index and a notice channel per user say which uploads there are; each upload's own channel and
journal say the rest. Its frames have no id: a reconnect begins with the states again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from redis.exceptions import RedisError

from sse_progress.emitter.emitter import Emitter
from sse_progress.journal.frames import Foreign, Frame
from sse_progress.journal.upload_index import notices_of
from sse_progress.model.events import encode_json
from sse_progress.model.sse import retry
from sse_progress.uploads.components import Components
from sse_progress.web.streams.frames import reset_frame, retry_ms
from sse_progress.web.streams.sse_response import Stream

__all__ = ["UserStream"]

RECENT_MS = 5 * 60 * 1000
"""Uploads that ended within so long are told once as well."""
LOOK_PAUSE_S = 0.5
MEMBERS = 500
"""Uploads followed at once, the newest."""


def _data(frame: Frame) -> bytes:
    """The frame without its id line."""
    return frame.raw[frame.raw.index(b"\n") + 1 :]


class _Member:
    """The follower of one of the uploads: begins with a reset, then every live event."""

    def __init__(self, stream: UserStream, upload_id: str, emitter: Emitter) -> None:
        self.stream, self.upload_id, self._emitter = stream, upload_id, emitter
        self._topic = emitter.open(upload_id)
        self._following = emitter.follow(self._topic, self, owner=stream.owner, from_latest=True)

    def leave(self) -> None:
        self._emitter.leave(self._following)
        self._emitter.release(self._topic)

    def push(self, frame: Frame) -> Awaitable[None] | None:
        if frame.terminal:
            self.stream.drop(self)
        return self.stream.emit(_data(frame))

    async def write(self, frames: Sequence[Frame]) -> None:
        if frames[-1].terminal:
            self.stream.drop(self)
        await self.stream.deliver(b"".join(_data(frame) for frame in frames))

    async def reset(self, frame: Frame) -> None:
        if frame.terminal:
            self.stream.drop(self)
        await self.stream.deliver(reset_frame(frame.data))

    async def gone(self) -> None:
        self.stream.drop(self)

    def close(self) -> None:
        self.stream.drop(self)


class UserStream(Stream):
    """Follows every open upload of `owner`, and each new one (`only`: of these ids alone)."""

    def __init__(
        self, components: Components, *, owner: str, only: frozenset[str], on_left: Any, **how: Any
    ) -> None:
        hello = encode_json({"type": "connected", "message": "Connected to all upload progress"})
        super().__init__(retry(retry_ms())[:-1] + b"data: %b\n\n" % hello, **how)
        self.owner, self._components, self._only, self._on_left = owner, components, only, on_left
        self._members: dict[str, _Member] = {}
        self._told: set[str] = set()
        self._looking = False
        self._look_again = False

    def began(self) -> None:
        self._components.emitter.listen(notices_of(self.owner), self._noticed)

    def left(self) -> None:
        self._components.emitter.unlisten(notices_of(self.owner), self._noticed)
        for member in tuple(self._members.values()):
            self.drop(member)
        self._on_left()

    def drop(self, member: _Member) -> None:
        if self._members.pop(member.upload_id, None) is not None:
            member.leave()

    # ---- which uploads

    def _noticed(self, message: bytes) -> None:
        """An upload began; or (empty) notices may have been missed, so the index is read."""
        upload_id = message.decode()
        if upload_id:
            self._add(upload_id)
        elif self._looking:
            self._look_again = True
        else:
            self._looking = True
            self._components.background.spawn(self._look())

    async def _look(self) -> None:
        self._look_again = True
        try:
            while self._look_again and not self.ended:
                self._look_again = False
                try:
                    for upload_id in await self._current():
                        self._add(upload_id)
                except (RedisError, OSError):
                    self._look_again = True
                    await asyncio.sleep(LOOK_PAUSE_S)
        finally:
            self._looking = False

    async def _current(self) -> list[str]:
        """Open uploads, and those that ended just now, oldest first."""
        rows = await self._components.index.owned(self.owner, before_us=None, limit=MEMBERS)
        current = []
        for upload_id, _ in rows:
            if upload_id in self._members or upload_id in self._told:
                continue
            page = await self._components.journal.read(upload_id, owner=self.owner)
            if page is None or isinstance(page, Foreign):
                continue
            if not page.terminal or page.now_ms - page.changed_ms < RECENT_MS:
                current.append(upload_id)
        return current[::-1]

    def _add(self, upload_id: str) -> None:
        if self.ended or upload_id in self._members or (self._only and upload_id not in self._only):
            return
        if len(self._members) >= MEMBERS:
            return
        self._told.add(upload_id)
        self._members[upload_id] = _Member(self, upload_id, self._components.emitter)
