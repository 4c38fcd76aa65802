"""Which releases may use a data directory, or a bucket.

The file `format` of the directory, or the object of that name below the bucket's prefix, has the
number of what manifests, records and names look like there; without it that is 1. A change that
leaves it as it is adds only what older releases do not need: they read past members that they do
not know. A release that changes more raises FORMAT and writes the number before anything else.

2: published files may lie below the prefix of their kind, where a release that knows only 1 does
not find them, or leaves them behind when it removes their upload. It is written before the first
file is published there, so nothing changes where no kind has a prefix.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from sse_progress.storage.durable import sync_directory, write_synced

__all__ = ["FIRST_FORMAT", "FORMAT", "FORMAT_NAME", "format_of", "raise_format"]

FIRST_FORMAT = 1
FORMAT = 2
FORMAT_NAME = "format"


def format_of(root: Path) -> int:
    """Raises ValueError where the file has no number."""
    try:
        return int((root / FORMAT_NAME).read_bytes())
    except OSError:  # not there, or nothing of the directory can be used, which its use will tell
        return FIRST_FORMAT


def raise_format(root: Path) -> None:
    """Write this release's number, unless it is there. Raises OSError."""
    if format_of(root) < FORMAT:
        draft = root / f".{FORMAT_NAME}.{secrets.token_hex(8)}"
        write_synced(draft, b"%d\n" % FORMAT)
        draft.rename(root / FORMAT_NAME)
    sync_directory(root)  # whoever wrote it may not have come so far
