"""What the archive knows of a journal: where it is gone, or cannot be asked."""

from __future__ import annotations

from sse_progress.archive.archive import NoArchive
from sse_progress.journal.frames import Page
from sse_progress.model.errors import Forbidden

__all__ = ["Past"]


class Past:
    """Every method raises Unavailable while the archive does not answer."""

    def __init__(self, archive: NoArchive) -> None:
        self._archive = archive

    async def page(self, name: str, *, owner: str) -> Page | None:
        """A journal's head as it was archived; None: it is not there. Raises Forbidden."""
        found = await self._archive.find(name)
        if found is None:
            return None
        if found.owner != owner:
            raise Forbidden("This upload belongs to another user.")
        return found.page()

    async def whole(self, name: str, page: Page) -> Page:
        """The journal that tells more of the same upload.

        One that was written again from the storage has the end alone; the archive may have it all.
        """
        if not (page.live and page.terminal and page.end.seq == 1):
            return page
        found = await self._archive.find(name)
        if found is None or not found.terminal or found.owner != page.owner:
            return page
        return found.page() if found.position.seq > 1 else page
