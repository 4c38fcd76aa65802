"""What is stored with a file, and a stored upload as it is found."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from sse_progress.model.errors import Unavailable
from sse_progress.model.events import encode_json, tags_of
from sse_progress.model.kinds import DEFAULT_KIND, Priority
from sse_progress.model.labels import NO_LABELS, Labels
from sse_progress.storage.durable import read_private

__all__ = [
    "FILES",
    "MANIFEST",
    "ORIGINAL",
    "RECORD",
    "DiskObject",
    "Manifest",
    "digest_of",
    "read_manifest",
]

ORIGINAL = "original"
MANIFEST = "manifest.json"
RECORD = "record.json"
FILES = "files"


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was received, as it is kept with the file.

    `size` in bytes, `sha256` hex, both of the file as it came; `created_at` RFC 3339 with
    milliseconds, UTC; `epoch` is the journal's at that time. `concat`: of which uploads it was
    made, as tus' `Upload-Concat` had it; empty: of none. `traceparent` (W3C) is of the request
    that stored it, where traces are kept. `storage_prefix` and `retention_days` are those of its
    kind at that time.
    """

    upload_id: str
    owner: str
    filename: str
    claimed_type: str
    fields: dict[str, str | list[str]]
    size: int
    sha256: str
    epoch: str
    created_at: str
    labels: Labels = NO_LABELS
    priority: Priority = "normal"
    concat: str = ""
    traceparent: str = ""
    storage_prefix: str = ""
    retention_days: float | None = None

    @property
    def kind(self) -> str:
        """The name of its kind, which the labels leave out where it is the usual one."""
        return self.labels.kind or DEFAULT_KIND

    @property
    def tags(self) -> bytes:
        """What every event of the upload has (`tags_of`)."""
        return tags_of(filename=self.filename, labels=self.labels)

    @property
    def about(self) -> bytes:
        """What a state says of the file besides: its size, claimed type and fields, as JSON."""
        return encode_json(
            {"size": self.size, "contentType": self.claimed_type, "fields": self.fields}
        )


@dataclass(frozen=True, slots=True)
class DiskObject:
    """A stored upload as it was when found: `record` is set once it is published (`done`)."""

    directory: Path
    manifest: Manifest
    record: bytes | None

    @property
    def done(self) -> bool:
        return self.record is not None

    def local(self, scratch: Path) -> Path:  # noqa: ARG002  # it is local anyway
        """The original; it moves once, when the upload is published."""
        return self.original()

    def original(self) -> Path:
        return self.directory / ORIGINAL

    def file(self, name: str) -> Path | None:
        """A published file by the name that clients know: the original, or a derived one.

        `name` may be anything: it is compared with what is there and becomes part of no path.
        """
        if not self.done:
            return None
        if name == self.manifest.filename:
            return self.original()
        try:
            with os.scandir(self.directory / FILES) as entries:
                for entry in entries:
                    if entry.name == name and entry.is_file(follow_symlinks=False):
                        return Path(entry.path)
        except FileNotFoundError:
            pass
        return None


@lru_cache(256)
def digest_of(name: str) -> str:
    """32 hex digits that stand for an id in paths."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def read_manifest(directory: str | Path) -> Manifest:
    try:
        return msgspec.json.decode(read_private(f"{directory}/{MANIFEST}"), type=Manifest)
    except msgspec.DecodeError as exc:
        raise Unavailable("The storage cannot be used right now.") from exc
