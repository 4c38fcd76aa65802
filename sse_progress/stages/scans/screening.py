"""Known-bad content, looked for before any decoder opens the file: malware rules and digests.

The file as it is comes first; entries of archives are looked at on the walk that inflates them,
then what is embedded in them or attached to a PDF, within the bounds of archives.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from sse_progress.model.errors import Rejected
from sse_progress.model.media import Reason
from sse_progress.model.stage_api import Upload
from sse_progress.model.text import clean_text
from sse_progress.stages.formats.documents.archives import DAMAGED, Budget, Entry, walk_file
from sse_progress.stages.scans.embedded import embedded_in
from sse_progress.stages.scans.malware import load_digests, load_rules

__all__ = ["DIGESTS", "ENTRIES", "ENTRY_LIMIT_BYTES", "RULES", "Screen"]

RULES = "malware rules"
ENTRIES = "malware rules on every entry"
DIGESTS = "list of refused files"
ENTRY_LIMIT_BYTES = 32 * 1024 * 1024
"""So much of one archive entry is scanned; the rest is noted as not checked."""
_DEPTH = 3
_REASONS = 20
_ZIP = b"PK\x03\x04"


class Screen:
    """The look at one upload. All methods raise Rejected: `malware`, `moderation_refused`."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._rules = load_rules(upload.options.yara_rules)
        self._digests = load_digests(upload.options.bad_sha256)
        self._budget = Budget(packed_bytes=upload.size)
        self._encrypted = self._cut = self._unread = 0
        self.reasons: list[Reason] = []
        self.checks = [DIGESTS] if self._digests else []

    @property
    def not_checked(self) -> list[str]:
        notes = []
        if self._encrypted:
            notes.append(f"content of {self._encrypted} encrypted entries")
        if self._cut:
            notes.append(f"{self._cut} entries beyond their first {ENTRY_LIMIT_BYTES} bytes")
        if self._unread:
            notes.append(f"{self._unread} embedded files (they cannot be read)")
        return notes

    def file(self) -> None:
        """Look at the file as it is."""
        self._digests.refuse(self._upload.sha256, "The file")
        self._keep(self._rules.check_file(Path(self._upload.path)))
        self.checks.append(RULES)

    def watch(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The same entries, each looked at once its content has been read to the end."""
        for entry in entries:
            if entry.skipped == "encrypted":
                self._encrypted += 1
            elif entry.skipped != DAMAGED:
                entry.content = self._watched(entry, entry.content)
            yield entry
        if ENTRIES not in self.checks:
            self.checks.append(ENTRIES)

    def attached(self, files: Iterable[tuple[str, bytes | None]]) -> None:
        """Look at files that are attached to the upload, and into them."""
        self._inside(files, "the attachment ", depth=1)

    def _watched(self, entry: Entry, content: Iterator[bytes]) -> Iterator[bytes]:
        head, length, digest = bytearray(), 0, hashlib.sha256()
        for chunk in content:
            head += chunk[: max(ENTRY_LIMIT_BYTES - len(head), 0)]
            length += len(chunk)
            if self._digests:
                digest.update(chunk)
            yield chunk
        where = clean_text(entry.path, 60)
        self._digests.refuse(digest.hexdigest(), f"The entry {where}")
        self._cut += length > len(head)
        self._keep(self._rules.check_bytes(bytes(head), where))
        if length == len(head):
            self._inside(embedded_in(bytes(head)), f"{where}!", depth=entry.depth + 1)

    def _inside(
        self, files: Iterable[tuple[str, bytes | None]], prefix: str, *, depth: int
    ) -> None:
        """Each of the files, what is embedded in it, and its entries if it is a zip archive."""
        for name, data in files:
            where = clean_text(prefix + name, 60)
            if data is None:
                self._unread += 1
                continue
            self._budget.take_entries(1)
            self._budget.take_bytes(len(data))
            self._digests.refuse(hashlib.sha256(data).hexdigest(), f"The entry {where}")
            self._keep(self._rules.check_bytes(data[:ENTRY_LIMIT_BYTES], where))
            if depth >= _DEPTH:
                self._unread += data.startswith(_ZIP)
                continue
            self._inside(embedded_in(data), f"{where}!", depth=depth + 1)
            if data.startswith(_ZIP):
                self._unpack(data, f"{where}!", depth)

    def _unpack(self, data: bytes, prefix: str, depth: int) -> None:
        walked = walk_file(
            io.BytesIO(data), Path(self._upload.scratch), self._budget, prefix=prefix, depth=depth
        )
        try:
            for entry in self.watch(walked):
                self._unread += entry.skipped is not None and entry.skipped != "encrypted"
        except Rejected as exc:
            if exc.code != "corrupt_file":
                raise
            self._unread += 1

    def _keep(self, reasons: list[Reason]) -> None:
        self.reasons += reasons[: max(_REASONS - len(self.reasons), 0)]
