"""Files inside a file that is no archive: OLE objects of office documents, attachments of PDFs."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from sse_progress.stages.formats.documents import pdfs

__all__ = ["embedded_in"]

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_STREAMS = 1000
_PDF = b"%PDF-"
_PDF_HEAD_BYTES = 1024
_NATIVE = "\x01Ole10Native"


def embedded_in(data: bytes) -> Iterator[tuple[str, bytes | None]]:
    """(name, content) of each file inside; content is None where it cannot be read."""
    if data.startswith(_OLE):
        yield from _ole(data)
    elif _PDF in data[:_PDF_HEAD_BYTES] and pdfs.available():
        yield from pdfs.attachments(data)


def _ole(data: bytes) -> Iterator[tuple[str, bytes | None]]:
    """Streams of a compound file ([MS-CFB]), and the file that an OLE package holds."""
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(data)) as compound:
            for path in compound.listdir()[:_STREAMS]:
                stream = compound.openstream(path).read()
                yield "/".join(path), stream
                if path[-1] == _NATIVE:
                    yield "package", _native(stream)
    except Exception:  # olefile raises nearly anything on a broken file; nothing is read from disk
        yield "object", None


def _native(stream: bytes) -> bytes | None:
    """The file in an `Ole10Native` stream: three names, then its size and bytes ([MS-OLEDS])."""
    at = 6  # the size of what follows, and a flag
    for _ in range(2):  # label and file name, each ended by a zero
        at = stream.index(b"\0", at) + 1
    (length,) = struct.unpack_from("<I", stream, at + 4)
    at += 8 + length  # the path it came from
    (size,) = struct.unpack_from("<I", stream, at)
    return stream[at + 4 : at + 4 + size]
