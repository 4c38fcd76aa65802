"""Which of a user's uploads a connection follows: those open or ended lately, then what begins.

An index and a notice channel per user list the uploads; the connection decides how to follow one.
Of each it tells the state. Where more are open than it can follow at once, it follows those with
the latest events, and looks again and again for the ends of the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Generic, Protocol, TypeVar

import anyio
import structlog
from redis.exceptions import RedisError

from sse_progress.emitter.emitter import Emitter
from sse_progress.runtime.concurrency import BackgroundTasks
from sse_progress.runtime.redis.keys import owner_channel
from sse_progress.uploads.recent import RecentUploads, Seen

__all__ = ["Member", "UserUploads"]

log = structlog.get_logger(__name__)

FOLLOWED = 500
"""Uploads that one connection follows at once."""
LOOK_AGAIN_S = 10.0
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
    """`follow` makes the follower of an upload, for those that `wants` names; `taken` waits until
    the client has taken what was sent."""

    def __init__(
        self,
        owner: str,
        follow: Callable[[str], M],
        *,
        emitter: Emitter,
        recent: RecentUploads,
        background: BackgroundTasks,
        wants: Callable[[str], bool],
        taken: Callable[[], Awaitable[None]],
    ) -> None:
        self._owner, self._make, self._wants, self._taken = owner, follow, wants, taken
        self._emitter, self._recent, self._background = emitter, recent, background
        self._members: dict[str, M] = {}
        self._shown: set[str] = set()
        self._left_open: set[str] = set()
        """Shown while open, and not followed for want of room."""
        self._look: asyncio.Task[None] | None = None
        self._look_again = False
        self._later: asyncio.TimerHandle | None = None
        self._ended = False

    @property
    def members(self) -> Collection[M]:
        """Those that are followed."""
        return self._members.values()

    def begin(self) -> None:
        self._emitter.listen(owner_channel(self._owner), self._noticed)

    def end(self) -> None:
        """Follow none any more."""
        self._ended = True
        self._emitter.unlisten(owner_channel(self._owner), self._noticed)
        if self._look is not None:
            self._look.cancel()
        if self._later is not None:
            self._later.cancel()
        for member in tuple(self._members.values()):
            self.drop(member)

    def drop(self, member: M) -> None:
        """Follow one no more; harmless twice."""
        if self._members.get(member.upload_id) is member:
            del self._members[member.upload_id]
            member.leave()

    def leave(self, upload_id: str) -> None:
        self._left_open.discard(upload_id)
        if (member := self._members.get(upload_id)) is not None:
            self.drop(member)

    # ---- looks

    def _noticed(self, message: bytes) -> None:
        """An upload began; or (empty) notices may have been missed, so the index is read."""
        if (upload_id := message.decode()) and len(self._members) < FOLLOWED:
            self._add(upload_id)
            return
        if upload_id and self._left_open:
            return  # the next look finds it
        if not upload_id and self._look is not None:
            self._recent.forget(self._owner)
        self._look_soon()

    def _look_soon(self) -> None:
        self._look_again = True
        if self._look is None or self._look.done():
            self._look = self._background.start(self._looking())

    async def _looking(self) -> None:
        if self._later is not None:
            self._later.cancel()
        while self._look_again and not self._ended:
            self._look_again = False
            try:
                await self._follow(await self._recent.current(self._owner))
            except (RedisError, OSError):
                self._look_again = True
                await asyncio.sleep(RETRY_LOOK_S)
            except Exception:
                log.exception("uploads of a connection could not be looked up")
        if self._left_open:
            loop = asyncio.get_running_loop()
            self._later = loop.call_later(LOOK_AGAIN_S, self._look_soon)

    async def _follow(self, seen: Sequence[Seen]) -> None:
        """Tell the state of each that was not told, or has ended unseen; keep following some."""
        wanted = [one for one in seen if self._wants(one.upload_id)]
        running = sorted((one for one in wanted if not one.ended), key=lambda one: one.age_ms)
        others = {one.upload_id for one in running[FOLLOWED:]}
        for upload_id in others:
            self._let_go(upload_id)
        untold = [one.upload_id for one in wanted if one.upload_id not in self._shown]
        changed = self._left_open - others  # there is room for it now, or it has ended
        self._left_open -= changed
        new = [*changed, *untold]
        for start in range(0, len(new), GROUP):
            await self._taken()
            group = new[start : start + GROUP]
            async with self._recent.opening:
                for upload_id in group:
                    self._add(upload_id)
                with anyio.move_on_after(GROUP_WAIT_S):
                    for upload_id in group:
                        if (member := self._members.get(upload_id)) is not None:
                            await member.begun.wait()
            for upload_id in others.intersection(group):
                self._let_go(upload_id)

    def _add(self, upload_id: str) -> None:
        if self._ended or upload_id in self._members or not self._wants(upload_id):
            return
        self._shown.add(upload_id)
        self._members[upload_id] = self._make(upload_id)

    def _let_go(self, upload_id: str) -> None:
        member = self._members.get(upload_id)
        if member is not None and member.begun.is_set():
            self.drop(member)
            self._left_open.add(upload_id)
