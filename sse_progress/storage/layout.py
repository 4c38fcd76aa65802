"""Directories below the data directory: their names, and the moves between them.

    incoming/<digest>.<random>/   a body is arriving: `original`, its flock held by the receiver
    partial/<digest>/             a body that may rest: `original`, `announced.json`; flock as above
    open/<digest>/                stored, work not finished: `original`, `manifest.json`
    objects/<dd>/<digest>/        published: the same, `record.json` and `files/<name>`
    owners/                       what each user keeps: `kept`
    trash/                        renamed away, being deleted

An upload moves only downward, each time by one rename of its directory, so it is whole and in one
place. `digest` is 32 hex digits of the SHA-256 of the upload's id, `<dd>` its first two: no path
holds anything that a client chose, except the derived files' names, which are checked.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from sse_progress.storage.durable import sync_directory, write_synced
from sse_progress.storage.kept import Kept
from sse_progress.storage.manifest import digest_of

__all__ = ["Layout", "identity_of"]


class Layout:
    """The directories of one storage. No other module joins paths of uploads."""

    def __init__(self, root: Path, *, quota_bytes: int | None = None) -> None:
        self.root = root
        self.kept = Kept(root / "owners", limit_bytes=quota_bytes)
        self.incoming = root / "incoming"
        self.partial = root / "partial"
        self.open = root / "open"
        self.objects = root / "objects"
        self.trash = root / "trash"

    def make(self) -> None:
        for directory in (
            self.incoming,
            self.partial,
            self.open,
            self.objects,
            self.kept.root,
            self.trash,
        ):
            directory.mkdir(mode=0o700, exist_ok=True)
        sync_directory(self.root)

    def new_incoming(self, upload_id: str) -> Path:
        return self.incoming / f"{digest_of(upload_id)}.{secrets.token_hex(8)}"

    def incoming_of(self, upload_id: str) -> list[Path]:
        prefix = f"{digest_of(upload_id)}."
        return [path for path in self.incoming.iterdir() if path.name.startswith(prefix)]

    def partial_of(self, upload_id: str) -> Path:
        return self.partial / digest_of(upload_id)

    def stored(self, upload_id: str) -> Path:
        return self.open / digest_of(upload_id)

    def published(self, upload_id: str) -> Path:
        digest = digest_of(upload_id)
        return self.objects / digest[:2] / digest

    def places(self, upload_id: str) -> tuple[tuple[Path, bool], ...]:
        """Where it may be, in the order in which it moves, and whether it is published there."""
        return (self.stored(upload_id), False), (self.published(upload_id), True)

    def sync_published(self, directory: Path) -> None:
        for parent in (directory.parent, self.objects, self.open):
            sync_directory(parent)

    def discard(self, path: Path) -> bool:
        """Rename `path` away at once, then delete it; False if it is not there."""
        away = self.trash / f"{path.name}.{secrets.token_hex(8)}"
        try:
            path.rename(away)
        except FileNotFoundError:
            return False
        shutil.rmtree(away, ignore_errors=True)  # what cannot be deleted stays for `empty_trash`
        return True

    def empty_trash(self) -> None:
        for path in self.trash.iterdir():
            shutil.rmtree(path, ignore_errors=True)


def identity_of(root: Path) -> str:
    """The random id of this storage, made by the first process that uses it."""
    path = root / "storage-id"
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        draft = root / f".storage-id.{secrets.token_hex(8)}"
        write_synced(draft, secrets.token_hex(8).encode())
    try:
        os.link(draft, path)  # unlike a rename, it does not replace an existing one
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text("ascii")
