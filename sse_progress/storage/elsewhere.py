"""The storage of a process that has none: everything that is asked of it is `Unavailable`."""

from __future__ import annotations

from typing import NoReturn

from sse_progress.model.errors import Unavailable

__all__ = ["Elsewhere"]


class Elsewhere:
    """Uploads are kept by other hosts; nothing is made, read or written here."""

    id = "elsewhere"

    def __getattr__(self, name: str) -> NoReturn:
        raise Unavailable("Files are kept by another host.")
