"""Which releases may use a data directory, or a bucket.

The file `format` of the directory, or the object of that name below the bucket's prefix, has the
number of what manifests, records and names look like there; without it that is 1, as in every
release so far. A change that leaves it as it is adds only what older releases do not need: they
read past members that they do not know. A release that changes more raises FORMAT and writes the
number before anything else.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["FORMAT", "FORMAT_NAME", "format_of"]

FORMAT = 1
FORMAT_NAME = "format"


def format_of(root: Path) -> int:
    """Raises ValueError where the file has no number."""
    try:
        return int((root / FORMAT_NAME).read_bytes())
    except OSError:  # not there, or nothing of the directory can be used, which its use will tell
        return 1
