"""The archive for code on the event loop: calls with a deadline, in threads.

The database is opened, and SQLAlchemy imported, by the first call. Where it cannot be asked, calls
raise Unavailable, and for a moment after that at once, so that not every caller waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import structlog

from sse_progress.archive.records import ArchivedUpload, Copy, Wanted
from sse_progress.archive.threads import Threads
from sse_progress.journal.frames import Frame
from sse_progress.model.errors import Unavailable
from sse_progress.model.ids import Position

if TYPE_CHECKING:
    from sse_progress.archive.database import Database
    from sse_progress.archive.transaction import Transaction

__all__ = ["Archive", "ArchiveWriter", "NoArchive"]

log = structlog.get_logger(__name__)

T = TypeVar("T")

OPEN_S = 30.0
READ_S = 5.0
WRITE_S = 30.0
MIGRATION_S = 600.0
CLOSE_S = 2.0
PAUSE_S = 2.0
"""After a failure."""
AT_ONCE = 4


class NoArchive:
    """What there is where the archive is switched off: nothing."""

    async def aclose(self) -> None:
        """Close its connections."""

    async def find(self, upload_id: str) -> ArchivedUpload | None:  # noqa: ARG002
        """An upload; None: it is not there."""
        return None

    async def events(
        self,
        upload_id: str,  # noqa: ARG002
        *,
        after: Position,  # noqa: ARG002
        limit: int,  # noqa: ARG002
    ) -> tuple[Frame, ...]:
        """Events of an epoch after a position, in order."""
        return ()

    async def listed(self, wanted: Wanted, *, limit: int) -> list[ArchivedUpload]:  # noqa: ARG002
        """Uploads of an owner, newest first."""
        return []


class _Asked:
    """The database at a URL, asked in threads."""

    def __init__(self, url: str, *, writes: bool) -> None:
        self._url, self._writes = url, writes
        self._opened: Database | None = None
        self._threads = Threads(AT_ONCE)
        self._away_until = -math.inf

    async def call(self, work: Callable[[Database], T], *, wait_s: float) -> T:
        """Raises Unavailable."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._away_until:
            raise Unavailable(retry_after_s=math.ceil(PAUSE_S))
        try:
            if self._opened is None:
                await self._threads.run(self._open, wait_s=OPEN_S)
            return await self._threads.run(lambda: work(self._open()), wait_s=wait_s)
        except Exception as error:
            self._away_until = loop.time() + PAUSE_S
            log.warning("archive cannot be asked", error=_named(error))
            raise Unavailable(retry_after_s=5) from error

    async def aclose(self) -> None:
        """Close connections; does not wait for calls that hang."""
        if (database := self._opened) is not None:
            with contextlib.suppress(Exception):
                await self._threads.run(database.close, wait_s=CLOSE_S)

    def _open(self) -> Database:
        """The first time this takes as long as importing SQLAlchemy does: a second, or several on a
        busy machine."""
        from sse_progress.archive.database import Database

        if self._opened is None:
            self._opened = Database(self._url, writes=self._writes)
        return self._opened


def _named(error: Exception) -> str:
    """Its kind and the driver's below it; their texts may hold addresses and what was written."""
    original = getattr(error, "orig", None)
    return type(error).__name__ + (f" ({type(original).__name__})" if original else "")


class Archive(NoArchive):
    """For readers. Every method raises Unavailable; where there are no tables yet nothing is
    there."""

    def __init__(self, url: str, *, wait_s: float = READ_S) -> None:
        self._asked, self._wait_s = _Asked(url, writes=False), wait_s

    async def aclose(self) -> None:
        await self._asked.aclose()

    async def find(self, upload_id: str) -> ArchivedUpload | None:
        return await self._read(lambda archive: archive.found([upload_id]).get(upload_id), None)

    async def events(self, upload_id: str, *, after: Position, limit: int) -> tuple[Frame, ...]:
        return await self._read(
            lambda archive: archive.events(upload_id, after=after, limit=limit), ()
        )

    async def listed(self, wanted: Wanted, *, limit: int) -> list[ArchivedUpload]:
        return await self._read(lambda archive: archive.listed(wanted, limit=limit), [])

    async def _read(self, work: Callable[[Transaction], T], nothing: T) -> T:
        def read(database: Database) -> T:
            if not database.is_current():
                return nothing
            with database.transaction() as archive:
                return work(archive)

        return await self._asked.call(read, wait_s=self._wait_s)


class ArchiveWriter:
    """For the one who writes. Every method raises Unavailable."""

    def __init__(self, url: str, *, wait_s: float = WRITE_S) -> None:
        self._asked, self._wait_s = _Asked(url, writes=True), wait_s

    async def aclose(self) -> None:
        """Close its connections."""
        await self._asked.aclose()

    async def upgrade(self) -> bool:
        """Make or change the tables; whether there was anything to do."""
        if await self._asked.call(lambda database: database.is_current(), wait_s=self._wait_s):
            return False
        return await self._asked.call(lambda database: database.upgrade(), wait_s=MIGRATION_S)

    async def found(self, upload_ids: Sequence[str]) -> dict[str, ArchivedUpload]:
        """Those of `upload_ids` that are there."""
        return await self._ask(lambda archive: archive.found(upload_ids))

    async def write(self, copies: Iterable[Copy]) -> list[str]:
        """Write copies whose basis is still what is there; the ids of those."""
        return await self._ask(lambda archive: archive.write(copies))

    async def forget(self, *, before_ms: int, limit: int) -> int:
        """Remove uploads that last changed before a moment; how many."""
        return await self._ask(lambda archive: archive.forget(before_ms=before_ms, limit=limit))

    async def noted(self, name: str) -> str | None:
        return await self._ask(lambda archive: archive.noted(name))

    async def note(self, name: str, value: str) -> None:
        await self._ask(lambda archive: archive.note(name, value))

    async def _ask(self, work: Callable[[Transaction], T]) -> T:
        def ask(database: Database) -> T:
            with database.transaction() as archive:
                return work(archive)

        return await self._asked.call(ask, wait_s=self._wait_s)
