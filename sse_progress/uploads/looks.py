"""Looks at the storage for what a state says of files: they hold up no answer for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio

from sse_progress.model.errors import Unavailable
from sse_progress.runtime.concurrency import reading

__all__ = ["Looks"]

PATIENCE_S = 3.0

T = TypeVar("T")


class Looks:
    """Those of one answer: for `patience_s` together, and none after one that failed.

    A list of many uploads would otherwise wait for each while the storage is away.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._left_s = patience_s

    async def at(self, look: Callable[[str], T], upload_id: str) -> T:
        """Raises Unavailable."""
        if self._left_s <= 0:
            raise Unavailable
        began = anyio.current_time()
        try:
            with anyio.fail_after(self._left_s):
                found = await reading(look, upload_id)
        except (TimeoutError, Unavailable) as error:
            self._left_s = 0
            raise Unavailable from error
        self._left_s -= anyio.current_time() - began
        return found
