"""Directories below the data directory: their names, and the moves between them.

    incoming/<digest>.<random>/   a body is arriving: `original`, its flock held by the receiver
    partial/<digest>/             a body that may rest: `original`, `announced.json`; flock as above
    open/<digest>/                stored, work not finished: `original`, `manifest.json`
    objects/<dd>/<digest>/        published: the same, `record.json` and `files/<name>`; where the
    objects/<prefix>/<dd>/…       kind has a prefix, below that (the manifest has it)
    prefixes/<prefix>             empty files: below which prefixes there may be something; `:` for
                                  `/` in their names
    retentions/<kind>=<days>      empty files: what kinds have promised (`promises`)
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
from collections.abc import Iterator
from pathlib import Path

from sse_progress.storage.durable import open_private, sync_directory, write_synced
from sse_progress.storage.format import raise_format
from sse_progress.storage.kept import Kept
from sse_progress.storage.manifest import Manifest, digest_of
from sse_progress.storage.promises import PROMISES, Promise, parsed, promise_of

__all__ = ["Layout", "identity_of"]


class Layout:
    """The directories of one storage. No other module joins paths of uploads.

    What each upload asks is answered by strings (`new_incoming`, `names`): pathlib takes 20 calls
    to join a path, and each upload asks ten times.
    """

    def __init__(self, root: Path, *, quota_bytes: int | None = None) -> None:
        self.root = root
        self.kept = Kept(root / "owners", limit_bytes=quota_bytes)
        self.incoming = root / "incoming"
        self.partial = root / "partial"
        self.open = root / "open"
        self.objects = root / "objects"
        self.prefixes = root / "prefixes"
        self._promises = root / PROMISES
        self._noted: set[Promise] = set()
        self.trash = root / "trash"
        self._incoming, self._open, self._objects, self._prefixes = map(
            str, (self.incoming, self.open, self.objects, self.prefixes)
        )

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

    def new_incoming(self, upload_id: str) -> str:
        return f"{self._incoming}/{digest_of(upload_id)}.{os.urandom(8).hex()}"

    def incoming_of(self, upload_id: str) -> list[Path]:
        prefix = f"{digest_of(upload_id)}."
        return [path for path in self.incoming.iterdir() if path.name.startswith(prefix)]

    def partial_of(self, upload_id: str) -> Path:
        return self.partial / digest_of(upload_id)

    def stored(self, upload_id: str) -> str:
        """Where an upload is until it is published."""
        return f"{self._open}/{digest_of(upload_id)}"

    def names(self, upload_id: str) -> Iterator[tuple[str, bool]]:
        """Where it may be, in the order in which it moves, and whether it is published there."""
        yield self.stored(upload_id), False
        for name in self.published_names(upload_id):  # read only now, when it has left `open/`
            yield name, True

    def published_names(self, upload_id: str) -> Iterator[str]:
        """Those at which it may be published."""
        for below in self._published_below():
            yield _by_digest(below, upload_id)

    def places(self, upload_id: str) -> Iterator[tuple[Path, bool]]:
        for name, done in self.names(upload_id):
            yield Path(name), done

    def published(self) -> Iterator[Path]:
        """Directories of published uploads, and others that have no record."""
        for below in self._published_below():
            yield from Path(below).glob("*/*")

    def publish(self, directory: Path, manifest: Manifest) -> None:
        """Move an open upload's directory to where its files are published."""
        self._note_promise(promise_of(manifest))
        if manifest.storage_prefix:
            self._register(manifest.storage_prefix)
        below = self.objects / manifest.storage_prefix
        place = Path(_by_digest(str(below), manifest.upload_id))
        for parent in reversed(self._above(place)):
            parent.mkdir(mode=0o700, exist_ok=True)
        directory.rename(place)
        self.sync_published(place)

    def sync_published(self, directory: Path) -> None:
        for parent in (*self._above(directory), self.open):
            sync_directory(parent)

    def _above(self, published: Path) -> list[Path]:
        """The directories above it, up to `objects/`."""
        depth = len(published.relative_to(self.objects).parts)
        return list(published.parents[:depth])

    def _published_below(self) -> list[str]:
        """The directories that are divided by digests. A kind's prefix may change: these stay."""
        try:
            names = os.listdir(self._prefixes)  # noqa: PTH208
        except FileNotFoundError:
            return [self._objects]
        return [self._objects, *(f"{self._objects}/{name.replace(':', '/')}" for name in names)]

    def _register(self, prefix: str) -> None:
        """Durable before anything is published there: nothing else tells where to look."""
        name = self.prefixes / prefix.replace("/", ":")
        if not name.exists():
            raise_format(self.root)
        self._note(name)

    def promises(self) -> list[Promise]:
        try:
            return parsed(path.name for path in self._promises.iterdir())
        except FileNotFoundError:
            return []

    def _note_promise(self, promise: Promise | None) -> None:
        if promise is not None and promise not in self._noted:
            self._note(self._promises / promise.name)
            self._noted.add(promise)

    def _note(self, name: Path) -> None:
        """An empty file in a directory below the root, durable."""
        if not name.exists():
            name.parent.mkdir(mode=0o700, exist_ok=True)
            sync_directory(self.root)
            os.close(open_private(name, os.O_WRONLY | os.O_CREAT))
        sync_directory(name.parent)  # whoever made it may not have come so far

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


def _by_digest(below: str, upload_id: str) -> str:
    digest = digest_of(upload_id)
    return f"{below}/{digest[:2]}/{digest}"


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
