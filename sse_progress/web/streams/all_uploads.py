"""One stream for all of a user's uploads, so that a browser needs a single connection.

Which uploads these are is found by `user_uploads`; each one's own channel and journal hold its
events. Its frames have no id: a reconnect begins with the states again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from sse_progress.emitter.emitter import Emitter
from sse_progress.journal.frames import Frame
from sse_progress.model.events import decode_json, encode_json
from sse_progress.model.labels import Labels
from sse_progress.model.sse import retry
from sse_progress.uploads.components import Components
from sse_progress.uploads.recent import RecentUploads
from sse_progress.web.streams.frames import reset_frame, retry_ms
from sse_progress.web.streams.sse_response import Stream
from sse_progress.web.streams.user_uploads import UserUploads

__all__ = ["UserStream"]


def _data(frame: Frame) -> bytes:
    """The frame without its id line."""
    return frame.raw[frame.raw.index(b"\n") + 1 :]


class _Member:
    """The follower of one of the uploads: begins with a reset, then every live event."""

    def __init__(self, stream: UserStream, upload_id: str, emitter: Emitter) -> None:
        self.stream, self.upload_id, self._emitter = stream, upload_id, emitter
        self.begun = asyncio.Event()
        self._read_waits = False
        self._topic = emitter.open(upload_id)
        self._following = emitter.follow(self._topic, self, owner=stream.owner, from_latest=True)

    @property
    def waits(self) -> bool:
        """For a worker."""
        heard = self._topic.tail
        return self._shown_waits(heard[-1]) if heard else self._read_waits

    def _shown_waits(self, frame: Frame) -> bool:
        return frame.waits and self.stream.shows(frame)

    def leave(self) -> None:
        self.begun.set()
        self._emitter.leave(self._following)
        self._emitter.release(self._topic)

    def push(self, frame: Frame) -> Awaitable[None] | None:
        if frame.terminal:
            self.stream.drop(self)
        return self.stream.emit(_data(frame)) if self.stream.shows(frame) else None

    async def write(self, frames: Sequence[Frame]) -> None:
        self._read_waits = self._shown_waits(frames[-1])
        if frames[-1].terminal:
            self.stream.drop(self)
        if shown := [_data(frame) for frame in frames if self.stream.shows(frame)]:
            await self.stream.deliver(b"".join(shown))

    async def reset(self, frame: Frame) -> None:
        self.begun.set()
        self._read_waits = self._shown_waits(frame)
        if frame.terminal:
            self.stream.drop(self)
        if self.stream.shows(frame):
            await self.stream.deliver(reset_frame(frame.data))

    async def gone(self) -> None:
        self.stream.drop(self)

    def at_end(self) -> None:
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
        self.owner, self._labels, self._on_left = owner, labels, on_left
        emitter = components.emitter
        self._uploads = UserUploads(
            owner,
            lambda upload_id: _Member(self, upload_id, emitter),
            emitter=emitter,
            recent=recent,
            background=components.background,
            wants=lambda upload_id: not only or upload_id in only,
            taken=self._outlet.free,
        )

    def began(self) -> None:
        self._uploads.begin()

    def left(self) -> None:
        self._uploads.end()
        self._on_left()

    def waiting(self) -> Sequence[str]:
        return [member.upload_id for member in self._uploads.members if member.waits]

    def shows(self, frame: Frame) -> bool:
        """Whether the stream is for the upload of this frame, by its labels."""
        return not self._labels or self._labels.match(decode_json(frame.data))

    def drop(self, member: _Member) -> None:
        self._uploads.drop(member)
