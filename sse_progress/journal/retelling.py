"""Events that a shortened journal no longer has in Redis, from where they are kept."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from sse_progress.journal.frames import Foreign, Frame, Page
from sse_progress.journal.journal import Journal
from sse_progress.model.errors import Unavailable
from sse_progress.model.ids import Position

__all__ = ["NoPast", "Past", "WholeJournal"]


class Past(Protocol):
    """Where the events of ended uploads are kept."""

    async def events(self, upload_id: str, *, after: Position, limit: int) -> Sequence[Frame]:
        """Events of an epoch after a position, in order, as they were said. Raises Unavailable."""


class NoPast:
    """Nothing is kept."""

    async def events(
        self,
        upload_id: str,  # noqa: ARG002
        *,
        after: Position,  # noqa: ARG002
        limit: int,  # noqa: ARG002
    ) -> Sequence[Frame]:
        return ()


class WholeJournal:
    """Reads a journal, with the events that were taken out of it."""

    def __init__(self, journal: Journal, past: Past) -> None:
        self._journal, self._past = journal, past

    async def read(
        self,
        upload_id: str,
        *,
        owner: str = "",
        claim: bool = False,
        after: Position | None = None,
        limit: int,
        strict: bool = False,
    ) -> Page | Foreign | None:
        """As `Journal.read`, with all events after the position.

        Where they cannot be had, a reader with a position has to begin again with the whole state
        (`unknown`), and one without begins with the last event; if `strict`, Unavailable is raised.
        """
        page = await self._journal.read(
            upload_id, owner=owner, claim=claim, after=after, limit=limit
        )
        if not isinstance(page, Page) or not page.misses(after):
            return page
        start = Position(page.end.epoch, after.seq if after else 0)
        if frames := await self._kept(upload_id, start, limit):
            return replace(page, frames=frames)
        if strict:
            raise Unavailable
        return page if start.seq == 0 else replace(page, frames=(), unknown=True)

    async def _kept(self, upload_id: str, start: Position, limit: int) -> tuple[Frame, ...]:
        """Events that follow each other from the one after `start` on."""
        try:
            found = await self._past.events(upload_id, after=start, limit=limit)
        except Unavailable:
            return ()
        following = itertools.count(start.seq + 1)
        return tuple(
            itertools.takewhile(
                lambda frame: frame.position == Position(start.epoch, next(following)), found
            )
        )
