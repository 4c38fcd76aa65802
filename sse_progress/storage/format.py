"""Which releases may use a data directory.

The file `format` has the number of what manifests, records and directories look like in it; without
that file it is 1, as in every release so far. A change that leaves it as it is adds only what older
releases do not need: they read past members that they do not know. A release that changes more
raises FORMAT and writes the file before anything else.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["FORMAT", "format_of"]

FORMAT = 1


def format_of(root: Path) -> int:
    """Raises ValueError where the file has no number."""
    try:
        return int((root / "format").read_bytes())
    except OSError:  # not there, or nothing of the directory can be used, which its use will tell
        return 1
