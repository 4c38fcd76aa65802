"""What a stage child prints, as lines of the log: cleaned, cut, and so many for each task."""

from __future__ import annotations

from typing import Any

import structlog

from sse_progress.model.text import clean_text

__all__ = ["Printed"]

LINES = 100
"""That the log takes of what one task prints."""
LINE_LIMIT = 500
UNFINISHED_LIMIT_BYTES = 65536
"""A longer line without an end is taken for one."""


class Printed:
    """`last_line` is what was printed last."""

    def __init__(self) -> None:
        self.last_line = ""
        self._log: Any = structlog.get_logger(__name__)
        self._rest = b""
        self._lines = 0

    def begin(self, log: Any) -> None:
        """A new task begins, which `log` tells of."""
        self._log, self._lines = log, 0

    def take(self, data: bytes) -> None:
        if self._lines > LINES:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > UNFINISHED_LIMIT_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        self._keep(lines)

    def close(self) -> None:
        """Nothing more will come: what has no end yet is a line, too."""
        if self._rest:
            self._keep([self._rest])

    def _keep(self, lines: list[bytes]) -> None:
        for line in lines[: LINES - self._lines]:
            raw = line[: 4 * LINE_LIMIT].decode("utf-8", "replace")
            if text := clean_text(raw, LINE_LIMIT):
                self.last_line = text
                self._log.info("stage output", text=text)
        self._lines += len(lines)
        if self._lines > LINES:
            self._lines = LINES + 1
            self._rest = b""
            self._log.warning("a stage prints too much; the rest is left out", limit=LINES)
