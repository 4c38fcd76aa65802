"""A batch of files as one: its counts from the service, its bytes from what is heard of each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from sse_progress.cli.display import Screen
from sse_progress.cli.wishes import STANDARD_INPUT
from sse_progress.client import AsyncBatch, BatchEvent, ClientError, Event

__all__ = ["Overall"]

END_WAIT_S = 30.0
"""From the end of the last file to that of its batch."""


class Overall:
    """What `upload --batch` shows of all files together."""

    def __init__(self, batch: AsyncBatch, screen: Screen, files: Iterable[Path]) -> None:
        self.id = batch.id
        self._batch, self._screen = batch, screen
        named = [file for file in files if file != STANDARD_INPUT]
        self._whole = sum(file.stat().st_size for file in named if file.is_file())
        self._arrived: dict[str, int] = {}
        self._latest: BatchEvent | None = None

    def heard(self, key: str, event: Event) -> None:
        """Of one of the files."""
        if event.bytes is not None and event.stage == "receiving":
            self._arrived[key] = event.bytes
            self._show()

    async def follow(self) -> None:
        """The batch to its end, or as long as it can be followed: the files say how they ended."""
        with suppress(ClientError):
            async for event in self._batch.follow():
                self._latest = event
                self._show()

    async def end(self, following: asyncio.Task[None]) -> None:
        """All files have ended: the batch does, too."""
        with suppress(TimeoutError):
            await asyncio.wait_for(following, END_WAIT_S)

    async def cancel(self) -> None:
        with suppress(ClientError):
            await self._batch.cancel()

    def _show(self) -> None:
        if self._latest is not None:
            there = min(sum(self._arrived.values()), self._whole)
            self._screen.overall(self._latest, there, self._whole)
