"""The list of a user's uploads: those of the journals, and among and behind them those of the
archive.

An upload that has a journal is told from it. What the archive does not answer is left out, and the
list says that it is not all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import anyio
from redis.exceptions import RedisError

from sse_progress.archive.records import ArchivedUpload, Wanted
from sse_progress.journal.frames import Page
from sse_progress.journal.glances import Glance, glances
from sse_progress.model.errors import Problem, Unavailable
from sse_progress.uploads.components import Components

__all__ = ["Listed", "Listing"]

WAIT_S = 15.0
SCAN_ROWS = 2000
SCAN_STEP = 200


class Listed(NamedTuple):
    """States, newest first; the time to go on before (None: no more); whether the archive could not
    be asked, so that there may be others."""

    states: list[dict[str, Any]]
    before_us: int | None
    partial: bool = False


class _Row(NamedTuple):
    """An upload, by when it began: whether Redis lists it, and what the archive has of it."""

    began_us: int
    upload_id: str
    is_listed: bool
    kept: ArchivedUpload | None


class Listing:
    """`live` makes a state of an upload with a journal, `archived` of one without; both raise a
    Problem where there is none for its owner."""

    def __init__(
        self,
        components: Components,
        *,
        live: Callable[[str, str], Awaitable[dict[str, Any]]],
        archived: Callable[[str, Page], Awaitable[dict[str, Any]]],
    ) -> None:
        self._index, self._archive = components.index, components.archive
        self._live, self._archived = live, archived

    async def read(self, wanted: Wanted, *, limit: int) -> Listed:
        """At most `limit` uploads; fewer although there are more to come after `SCAN_ROWS` were
        looked at. Raises Unavailable if neither Redis nor the archive answers."""
        try:
            with anyio.fail_after(WAIT_S):
                return await self._read(wanted, limit)
        except (TimeoutError, RedisError, OSError) as exc:
            kept = await self._archive.listed(wanted, limit=limit)
            if not kept:
                raise Unavailable from exc
        states = [await self._archived(one.upload_id, one.page()) for one in kept]
        return Listed(states, kept[-1].began_us if len(kept) == limit else None)

    async def _read(self, wanted: Wanted, limit: int) -> Listed:
        states: list[dict[str, Any]] = []
        goes_on_before, partial = wanted.before_us, False
        step = SCAN_STEP if wanted.status is not None or wanted.labels else limit
        for _ in range(max(SCAN_ROWS // step, 1)):
            part = wanted.before(goes_on_before)
            rows, horizon, answers = await self._rows(part, step)
            partial = partial or not answers
            if partial and not rows and not states and wanted.before_us is not None:
                raise Unavailable(retry_after_s=5)  # what is older is in the archive
            seen = await glances(self._index.redis, [row.upload_id for row in rows])
            for row, glance in zip(rows, seen, strict=True):
                goes_on_before = row.began_us
                if wanted.after_us is not None and row.began_us <= wanted.after_us:
                    return Listed(states, None, partial)
                if (state := await self._state(row, glance, wanted)) is not None:
                    states.append(state)
                if len(states) == limit:
                    return Listed(states, goes_on_before, partial)
            if horizon is None:
                return Listed(states, None, partial)
            goes_on_before = horizon
        return Listed(states, goes_on_before, partial)

    async def _rows(self, wanted: Wanted, step: int) -> tuple[list[_Row], int | None, bool]:
        """The next uploads of both lists, each once, newest first; the time down to which these
        are all (None: there are no more), and whether the archive answers."""
        listed = await self._index.owned(wanted.owner, before_us=wanted.before_us, limit=step)
        answers, kept = True, list[ArchivedUpload]()
        try:
            kept = await self._archive.listed(wanted, limit=step)
        except Unavailable:
            answers = False
        ends = [listed[-1][1]] if len(listed) == step else []
        ends += [kept[-1].began_us] if len(kept) == step else []
        horizon = max(ends, default=None)
        rows = {one.upload_id: _Row(one.began_us, one.upload_id, False, one) for one in kept}
        for name, began_us in listed:
            known = rows.get(name)
            rows[name] = _Row(began_us, name, True, known.kept if known else None)
        found = [row for row in rows.values() if horizon is None or row.began_us >= horizon]
        return sorted(found, key=lambda row: row.began_us, reverse=True), horizon, answers

    async def _state(
        self, row: _Row, glance: Glance | None, wanted: Wanted
    ) -> dict[str, Any] | None:
        """Of its journal; without one, as it was archived. None: it is not wanted."""
        name, owner = row.upload_id, wanted.owner
        if glance is None:
            if row.is_listed:
                await self._index.forget(name, owner=owner)
            return None if row.kept is None else await self._archived(name, row.kept.page())
        if glance.owner != owner or not _is_wanted(glance, wanted):
            return None
        if not row.is_listed and await self._index.began_us(name, owner=owner) is not None:
            return None  # it stands at another place of the list
        try:
            state = await self._live(name, owner)
        except Problem:
            return None
        return state if wanted.status in (None, state["status"]) else None


def _is_wanted(glance: Glance, wanted: Wanted) -> bool:
    return wanted.status in (None, glance.status) and wanted.labels.match(glance.tags)
