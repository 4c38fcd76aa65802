"""What the stages of an upload are called: by its kind, as `GET /config` tells it.

The page has the same rules, in `browser/client/state/kinds.js`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from sse_progress.cli.words import words
from sse_progress.client import AsyncClient, ClientError, Event
from sse_progress.model.stage_table import DEFAULT_TABLE

__all__ = ["StageTitles"]

DEFAULT_KIND = "upload"
WAIT_S = 3.0
"""Names of stages have to do where the service does not answer by then."""


class StageTitles:
    """Asks the service once, and only for an upload that has a kind or stages of its own."""

    def __init__(self, client: AsyncClient | None = None) -> None:
        self._client = client
        self._rows: dict[tuple[str, str], dict[str, Any]] = {}
        self._turn = asyncio.Lock()

    async def learn(self, event: Event) -> None:
        """Ask, if this event has a stage whose title is not known."""
        if event.kind is None and event.stage in DEFAULT_TABLE:
            return
        async with self._turn:
            if self._client is None:
                return
            client, self._client = self._client, None
            try:
                async with asyncio.timeout(WAIT_S):
                    told = await client.config()
            except (ClientError, TimeoutError):
                return
            for kind, about in told.get("kinds", {}).items():
                for row in about.get("stages", ()):
                    self._rows[kind, row["name"]] = row

    def stage(self, event: Event) -> str:
        """In the reader's language; by its name where the service has not told its title."""
        name = event.stage or ""
        row = self._row(event)
        if row is None or (name in DEFAULT_TABLE and not _renamed(row)):
            return words().stage(name)
        return str(row.get("titles", {}).get(words().language, row["title"]))

    def message(self, event: Event) -> str:
        """A stage of its own says its title as it begins and ends."""
        row = self._row(event)
        if row is not None and not event.message_key:
            if event.message == row["title"]:
                return self.stage(event)
            if event.message == f"{row['title']} is done":
                return words().say("{stage} is done", stage=self.stage(event))
        return words().message(event)

    def _row(self, event: Event) -> dict[str, Any] | None:
        return self._rows.get((event.kind or DEFAULT_KIND, event.stage or ""))


def _renamed(row: dict[str, Any]) -> bool:
    """A usual stage with a title of the operator's."""
    name = row["name"]
    usual = (DEFAULT_TABLE[name].title, name.replace("_", " ").capitalize())
    return "titles" in row or row["title"] not in usual
