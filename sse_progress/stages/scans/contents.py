"""What moderation sees inside archives, documents and PDFs: the pictures and texts among them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from sse_progress.model.errors import Rejected
from sse_progress.model.stage_api import Upload
from sse_progress.model.text import clean_text
from sse_progress.stages.formats.documents.archives import Budget, Entry, walk_file
from sse_progress.stages.formats.media_types import (
    extension_of,
    kind_of,
    types_of_extension,
)
from sse_progress.stages.formats.text.text_types import readable
from sse_progress.stages.scans import nsfw
from sse_progress.stages.scans.picture_samples import picture_in, picture_type

__all__ = ["Contents"]

_PICTURES = 16
"""Pictures inside a file that are looked at, at most."""
_HEAD_BYTES = 32 * 1024 * 1024
_TEXT_BYTES = 100_000
"""So much of all texts inside is looked at."""
_ZIP = b"PK\x03\x04"
_DOCUMENTS = ("pdf", "office")


class Contents:
    """The first pictures among the files are looked at, texts are kept, the rest is counted."""

    def __init__(self, upload: Upload, *, with_texts: bool) -> None:
        self.viewer = nsfw.Viewer(upload.options)
        self.pictures = 0
        self.texts: list[tuple[str, str]] = []
        self._max_pixels = upload.options.max_pixels
        self._with_texts = with_texts
        self._broken = self._unread = 0
        self._left = _TEXT_BYTES

    @property
    def not_checked(self) -> list[str]:
        notes = []
        if self._broken:
            notes.append(f"{self._broken} pictures inside that cannot be decoded")
        if self._unread:
            notes.append(f"words in {self._unread} texts and documents inside")
        return notes

    def entries(self, walked: Iterator[Entry], *, is_document: bool = False) -> None:
        """Look at the entries of an archive or document; the words of a document are not read."""
        self._unread += is_document
        for entry in walked:
            if entry.skipped:
                continue
            head = bytearray()
            for chunk in entry.content:
                head += chunk[: max(_HEAD_BYTES - len(head), 0)]
            self.file(entry.name, entry.path, bytes(head))

    def attachment(self, name: str, content: bytes, scratch: Path) -> None:
        """Look at a file attached to a PDF, and at the entries of one that is an archive."""
        where = clean_text(f"attachment {name}", 60)
        if not content.startswith(_ZIP):
            self.file(name, where, content)
            return
        budget = Budget(packed_bytes=len(content))
        walked = walk_file(io.BytesIO(content), scratch, budget, prefix=f"{where}!", depth=1)
        try:
            self.entries(walked, is_document=True)
        except Rejected:  # damage within an attachment is its owner's affair
            self._unread += 1

    def file(self, name: str, where: str, content: bytes) -> None:
        """Look at one file; `where` names its place for people."""
        media_type = picture_type(content)
        if media_type is not None:
            self._picture(content, media_type, where)
            return
        extension = extension_of(name.rpartition("/")[2])
        kinds = {kind_of(promised) for promised in types_of_extension(extension)}
        if kinds.intersection(_DOCUMENTS):
            self._unread += 1
        elif self._with_texts and (not kinds or "text" in kinds):
            self._text(content, where, named="text" in kinds)

    def _picture(self, content: bytes, media_type: str, where: str) -> None:
        self.pictures += 1
        if self.viewer.looked_at >= _PICTURES or not nsfw.available():
            return
        picture = picture_in(content, media_type, max_pixels=self._max_pixels)
        if picture is None:
            self._broken += 1
            return
        self.viewer.look(picture, f"the picture {where}")

    def _text(self, content: bytes, where: str, *, named: bool) -> None:
        text = readable(content[: self._left])
        if text is None:
            self._unread += named and bool(content)
            return
        self._unread += len(content) > self._left
        self.texts.append((where, text))
        self._left -= len(text)
