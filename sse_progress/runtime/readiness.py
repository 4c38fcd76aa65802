"""Saying to the supervisor, if there is one, that this process can be used."""

from __future__ import annotations

import contextlib
import os

__all__ = ["READY_FD", "tell_ready"]

READY_FD = "SSE_PROGRESS_READY_FD"


def tell_ready() -> None:
    """Say to the supervisor, if there is one, that this process can be used now."""
    if (fd := os.environ.pop(READY_FD, None)) is not None:
        with contextlib.suppress(OSError):
            os.write(int(fd), b"1")
            os.close(int(fd))
