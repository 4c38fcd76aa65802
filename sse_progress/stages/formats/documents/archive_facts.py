"""What a zip archive tells about itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

from sse_progress.model.media_analysis import ArchiveFacts
from sse_progress.model.stage_api import Report
from sse_progress.stages.formats.documents.archives import DAMAGED, Budget, walk
from sse_progress.stages.formats.media_types import extension_of

__all__ = ["archive_facts"]

_TYPES = 20


def archive_facts(path: Path, scratch: Path, report: Report) -> ArchiveFacts:
    """Count over every entry, nested archives included; nothing is unpacked to its name."""
    budget = Budget()
    files = nested = encrypted = unsafe = 0
    types: Counter[str] = Counter()
    for entry in walk(path, scratch, report, budget):
        if entry.skipped == DAMAGED:
            continue
        files += 1
        encrypted += entry.skipped == "encrypted"
        unsafe += _unsafe(entry.name)
        types[extension_of(PurePosixPath(entry.name).name)[:16] or "none"] += 1
        nested += entry.nested
    return ArchiveFacts(
        entries=budget.seen_entries,
        file_count=files,
        nested_archives=nested,
        encrypted_entries=encrypted,
        unsafe_names=unsafe,
        inflated_bytes=budget.seen_bytes,
        packed_bytes=budget.packed_bytes,
        types=dict(types.most_common(_TYPES)),
    )


def _unsafe(name: str) -> bool:
    """Whether unpacking to this name would leave the folder ("zip slip")."""
    plain = name.replace("\\", "/")
    return plain.startswith("/") or ".." in plain.split("/") or plain[1:2] == ":"
