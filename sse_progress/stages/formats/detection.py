"""What a file is, by its bytes: libmagic's word, made precise where libmagic stops."""

from __future__ import annotations

import functools
import importlib
import zipfile
from pathlib import Path
from typing import Any

from sse_progress.stages.formats.media_types import canonical, is_zip_based
from sse_progress.stages.formats.text_types import text_type

__all__ = ["detect"]

_HEAD_BYTES = 64 * 1024


@functools.cache
def _magic() -> Any:
    try:
        import magic
    except ImportError:  # no libmagic on this system: this import makes the wheel's findable
        importlib.import_module("pylibmagic")
        import magic
    return magic.Magic(mime=True)


def detect(path: Path, filename: str) -> str:
    """The canonical media type of the file at `path`.

    `filename` decides only between kinds of text; everything else comes from the bytes.
    """
    found = canonical(_magic().from_file(str(path)))
    if is_zip_based(found):
        return _inside_zip(path) or found
    if found == "application/octet-stream" and _is_transport_stream(path):
        return "video/mp2t"
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return text_type(head, filename, found)


def _is_transport_stream(path: Path) -> bool:
    """MPEG-TS: a sync byte at the head of each 188-byte packet (ISO/IEC 13818-1 §2.4.3.2)."""
    with path.open("rb") as file:
        head = file.read(5 * 188)
    return len(head) == 5 * 188 and all(head[at] == 0x47 for at in range(0, len(head), 188))


_MAIN_PARTS = {
    "wordprocessingml.document.main+xml": "wordprocessingml.document",
    "spreadsheetml.sheet.main+xml": "spreadsheetml.sheet",
    "presentationml.presentation.main+xml": "presentationml.presentation",
}
_MACRO_PARTS = {
    "vnd.ms-word.document.macroEnabled.main+xml": "vnd.ms-word.document.macroenabled.12",
    "vnd.ms-excel.sheet.macroEnabled.main+xml": "vnd.ms-excel.sheet.macroenabled.12",
    "vnd.ms-powerpoint.presentation.macroEnabled.main+xml": (
        "vnd.ms-powerpoint.presentation.macroenabled.12"
    ),
}


def _inside_zip(path: Path) -> str | None:
    """Office and e-book types by the part that their standards prescribe, else None."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "mimetype" in names:  # ODF 1.3 part 2 §3.3, EPUB OCF 3.3 §4.3
                said = canonical(_head(archive, "mimetype").decode("ascii", "replace"))
                return said if is_zip_based(said) else None
            if "[Content_Types].xml" in names:  # ECMA-376 part 2 §7.2.3
                return _office_type(_head(archive, "[Content_Types].xml"))
            if "META-INF/MANIFEST.MF" in names:
                return "application/java-archive"
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError):
        return None
    return None


def _head(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as part:
        return part.read(_HEAD_BYTES)


def _office_type(content_types: bytes) -> str | None:
    text = content_types.decode("utf-8", "replace")
    for marker, name in _MACRO_PARTS.items():
        if marker in text:
            return f"application/{name}"
    for marker, name in _MAIN_PARTS.items():
        if marker in text:
            return f"application/vnd.openxmlformats-officedocument.{name}"
    return None
