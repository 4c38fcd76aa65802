"""Which of a user's uploads a connection follows: those open or ended lately, then what begins.

An index and a notice channel per user list the uploads; the connection decides how to follow one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import anyio
import structlog
from redis.exceptions import RedisError

from sse_progress.emitter.emitter import Emitter
from sse_progress.runtime.concurrency import BackgroundTasks
from sse_progress.runtime.redis_keys import owner_channel
from sse_progress.uploads.recent import UPLOADS, RecentUploads

__all__ = ["Member", "UserUploads"]

log = structlog.get_logger(__name__)

RETRY_LOOK_S = 0.5
GROUP = 8
"""Uploads that a connection begins to follow at a time."""
GROUP_WAIT_S = 1.0


class Member(Protocol):
    """The follower of one upload. `begun` is set once its first frame is there, or it left."""

    @property
    def upload_id(self) -> str: ...
    @property
    def begun(self) -> asyncio.Event: ...
    def leave(self) -> None: ...


M = TypeVar("M", bound=Member)


class UserUploads(Generic[M]):
    """`follow` makes the follower of an upload, for those that `wants` names."""

    def __init__(
        self,
        owner: str,
        follow: Callable[[str], M],
        *,
        emitter: Emitter,
        recent: RecentUploads,
        background: BackgroundTasks,
        wants: Callable[[str], bool],
    ) -> None:
        self._owner, self._make, self._wants = owner, follow, wants
        self._emitter, self._recent, self._background = emitter, recent, background
        self._members: dict[str, M] = {}
        self._shown: set[str] = set()
        self._look: asyncio.Task[None] | None = None
        self._look_again = False
        self._ended = False

    def begin(self) -> None:
        self._emitter.listen(owner_channel(self._owner), self._noticed)

    def end(self) -> None:
        """Follow none any more."""
        self._ended = True
        self._emitter.unlisten(owner_channel(self._owner), self._noticed)
        if self._look is not None:
            self._look.cancel()
        for member in tuple(self._members.values()):
            self.drop(member)

    def drop(self, member: M) -> None:
        """Follow one no more; harmless twice."""
        if self._members.get(member.upload_id) is member:
            del self._members[member.upload_id]
            member.leave()

    def leave(self, upload_id: str) -> None:
        if (member := self._members.get(upload_id)) is not None:
            self.drop(member)

    def _noticed(self, message: bytes) -> None:
        """An upload began; or (empty) notices may have been missed, so the index is read."""
        if upload_id := message.decode():
            self._add(upload_id)
            return
        if self._look is not None:
            self._recent.forget(self._owner)
        self._look_again = True
        if self._look is None or self._look.done():
            self._look = self._background.start(self._looking())

    async def _looking(self) -> None:
        while self._look_again and not self._ended:
            self._look_again = False
            try:
                await self._follow(await self._recent.current(self._owner))
            except (RedisError, OSError):
                self._look_again = True
                await asyncio.sleep(RETRY_LOOK_S)
            except Exception:
                log.exception("uploads of a connection could not be looked up")

    async def _follow(self, upload_ids: list[str]) -> None:
        """Follow those that are new, a few at a time."""
        new = [one for one in upload_ids if one not in self._shown and self._wants(one)]
        for start in range(0, len(new), GROUP):
            group = new[start : start + GROUP]
            async with self._recent.opening:
                for upload_id in group:
                    self._add(upload_id)
                with anyio.move_on_after(GROUP_WAIT_S):
                    for upload_id in group:
                        if (member := self._members.get(upload_id)) is not None:
                            await member.begun.wait()

    def _add(self, upload_id: str) -> None:
        if self._ended or upload_id in self._members or not self._wants(upload_id):
            return
        if len(self._members) < UPLOADS:
            self._shown.add(upload_id)
            self._members[upload_id] = self._make(upload_id)
