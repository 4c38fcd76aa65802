"""What a file is, by its bytes: libmagic's word, made precise where libmagic stops."""

from __future__ import annotations

import functools
import importlib
import zipfile
from pathlib import Path
from typing import Any

from sse_progress.stages.formats.media_types import canonical, extension_of, is_zip_based

__all__ = ["detect", "text_encoding"]

_HEAD_BYTES = 64 * 1024


@functools.lru_cache(maxsize=2)
def _magic(*, encoding: bool) -> Any:
    try:
        import magic
    except ImportError:  # no libmagic on this system: this import makes the wheel's findable
        importlib.import_module("pylibmagic")
        import magic
    return magic.Magic(mime_encoding=True) if encoding else magic.Magic(mime=True)


def detect(path: Path, filename: str) -> str:
    """The canonical media type of the file at `path`.

    `filename` decides only between kinds of text that no byte tells apart (Markdown, a table of
    one column, long JSON); everything else comes from the bytes.
    """
    found = canonical(_magic(encoding=False).from_file(str(path)))
    if is_zip_based(found):
        return _inside_zip(path) or found
    if found == "application/octet-stream" and _is_transport_stream(path):
        return "video/mp2t"
    if found == "text/plain":
        return _kind_of_text(path, filename)
    return found


def text_encoding(path: Path) -> str:
    """libmagic's guess at a text's encoding, such as `iso-8859-1`; `binary` if it is no text."""
    return str(_magic(encoding=True).from_file(str(path)))


def _kind_of_text(path: Path, filename: str) -> str:
    with path.open("rb") as file:
        if file.read(2) == b"#!":
            return "text/x-shellscript"  # whatever its interpreter: made to be run
    extension = extension_of(filename)
    if extension in ("md", "markdown"):
        return "text/markdown"
    if extension in ("csv", "tsv"):
        return "text/csv"
    if extension in ("json", "geojson"):  # libmagic parses the head alone
        return "application/json"
    return "text/plain"


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
