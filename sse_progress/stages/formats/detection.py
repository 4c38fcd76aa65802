"""What a file is, by its bytes: libmagic's word, made precise where libmagic stops."""

from __future__ import annotations

import functools
import importlib
import zipfile
from pathlib import Path
from typing import Any

from sse_progress.stages.formats.disk_errors import is_disk_error
from sse_progress.stages.formats.documents.packages import office_type
from sse_progress.stages.formats.media_signatures import HEAD_BYTES, media_type_of
from sse_progress.stages.formats.media_types import canonical, is_zip_based
from sse_progress.stages.formats.text.text_types import text_type

__all__ = ["detect", "warm"]

_HEAD_BYTES = 64 * 1024
_ZIP = b"PK\x03\x04"


@functools.cache
def _magic() -> Any:
    try:
        import magic
    except ImportError:  # no libmagic on this system: this import makes the wheel's findable
        importlib.import_module("pylibmagic")
        import magic
    return magic.Magic(mime=True)


def warm() -> None:
    """Load the table of signatures."""
    _magic()


def detect(path: Path, filename: str) -> str:
    """The canonical media type of the file at `path`.

    `filename` decides only between kinds of text; everything else comes from the bytes.
    """
    found = canonical(_magic().from_file(str(path)))
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if found == "application/octet-stream" and head.startswith(_ZIP):
        found = "application/zip"  # libmagic knows office documents by the usual part names only
    if is_zip_based(found):
        return _inside_zip(path) or found
    found = media_type_of(head[:HEAD_BYTES], found)
    return text_type(head, filename, found)


def _inside_zip(path: Path) -> str | None:
    """Office and e-book types by the part that their standards prescribe, else None."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "mimetype" in names:  # ODF 1.3 part 2 §3.3, EPUB OCF 3.3 §4.3
                with archive.open("mimetype") as part:
                    said = canonical(part.read(_HEAD_BYTES).decode("ascii", "replace"))
                return said if is_zip_based(said) else None
            if any(name.lower() == "[content_types].xml" for name in names):
                return office_type(archive)
            if "META-INF/MANIFEST.MF" in names:
                return "application/java-archive"
    except Exception as exc:  # a broken archive is one all the same; its decoder finds the damage
        if is_disk_error(exc):
            raise
    return None
