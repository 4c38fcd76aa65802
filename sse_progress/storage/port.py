"""What the rest of the service asks of a storage, whatever it is made of.

`disk` is one implementation, `bucket` the other. Every function blocks, but for
`RemoteFile.stream`; the event loop calls them through `blocking`. All of them raise
InsufficientStorage if there is no room and Unavailable if the storage cannot be used; what a
removed upload is asked for raises UnknownUpload. Of bodies that arrive `body_port` says more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from sse_progress.model.ids import Position
from sse_progress.storage.body_port import Bodies, DirectParts
from sse_progress.storage.manifest import Manifest
from sse_progress.storage.promises import KeptS, Promise

__all__ = [
    "Objects",
    "RemoteFile",
    "Storage",
    "StorageState",
    "StoredObject",
    "Superseded",
]

StorageState = Literal[
    "ok", "full", "out_of_inodes", "unreachable", "denied", "no_bucket", "clock_skew"
]
"""Whether a storage can be used; `full` and `out_of_inodes` affect new uploads only."""


class RemoteFile(Protocol):
    """A file that is not on this host."""

    @property
    def size(self) -> int: ...

    @property
    def etag(self) -> str:
        """Quoted, as in the header."""

    @property
    def modified(self) -> datetime: ...

    def stream(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes `start` to `end` (exclusive), as they come. Does not block. Raises Unavailable."""

    def url(self, *, disposition: str, media_type: str) -> str:
        """A URL at which a published file can be fetched for a minute, with these headers."""


class StoredObject(Protocol):
    """A stored upload as it was when found."""

    @property
    def manifest(self) -> Manifest: ...

    @property
    def record(self) -> bytes | None:
        """What was published with it; None while it is not published."""

    @property
    def done(self) -> bool:
        """Whether it is published."""

    def local(self, scratch: Path) -> Path:
        """The original as a local file, for the attempt whose directory is `scratch`.

        Raises Internal where the storage has it no more, or damaged.
        """

    def original(self) -> Path | RemoteFile:
        """The original, to be served."""

    def file(self, name: str) -> Path | RemoteFile | None:
        """A published file by the name that clients know; None: no such file."""


class Superseded(ValueError):
    """A later attempt at the same upload has begun: this one may change nothing."""

    def __init__(self) -> None:
        super().__init__("the scratch directory is not of the latest attempt")


class Objects(Protocol):
    """Uploads from *stored* on: found, worked on, published.

    An attempt at its work begins with `scratch`, keeps files as its stages finish, and ends with
    `publish`. Of two attempts the later one holds; the earlier one's calls raise Superseded.
    """

    def find(self, upload_id: str) -> StoredObject | None:
        """The upload, wherever it is; None if it is not stored, or removed."""

    def open_uploads(self) -> Iterator[Manifest]:
        """Manifests of all uploads that are stored and not published, in no order.

        One that was published in this moment may be among them.
        """

    def expired(
        self, older_than_s: float, kept_s: KeptS = ..., *, younger_than_s: float = ...
    ) -> Iterator[str]:
        """Ids of uploads that were published more than `older_than_s` seconds ago, and less than
        `younger_than_s`.

        Of those, `kept_s` is asked for each manifest: only what is older than that, too, is told.
        """

    def promises(self) -> list[Promise]:
        """Each that a published upload may have in its manifest, once; others may be among them."""

    def latest_attempt(self, upload_id: str) -> int:
        """A number that the next attempt's is to be above, so that it is the later one."""

    def scratch(self, upload_id: str, number: int | None = None) -> Path:
        """A new, empty local directory for one attempt; those of earlier attempts are removed.

        `number` says which attempt is the later one (None: this one). Raises Superseded if it is
        not the highest.
        """

    def leave(self, scratch: Path) -> None:
        """The attempt is over: what is local of it may go. What it has kept stays."""

    def replace_original(self, upload_id: str, scratch: Path, name: str) -> dict[str, int | str]:
        """Put the file `name` of `scratch` in place of the original, atomically.

        Returns its `size` in bytes and `sha256`, or nothing if the upload is published.
        """

    def keep_derived(
        self, upload_id: str, scratch: Path, names: Mapping[str, str]
    ) -> dict[str, int]:
        """Keep files of `scratch` under the names that clients will know; returns their sizes.

        `names` maps old names to new ones, none of them the original's. From then on the files
        outlive their attempt. ValueError if one is no regular file of its own.
        """

    def publish(
        self,
        upload_id: str,
        record: bytes,
        *,
        scratch: Path | None = None,
        report: Callable[[int, int], None] = ...,
    ) -> bytes:
        """Publish original, derived files and record; returns the record that holds.

        `scratch` is the attempt's directory; raises Superseded if a later attempt has one. Where
        bytes have to travel, `report` gets, in this thread, how many are in place and how many
        they will be.
        """

    def mark(self, upload_id: str, position: Position, *, first: bool = False) -> None:
        """Note the journal position acknowledged last; nothing happens unless it is stored, with
        `first` nor where one is noted already."""

    def marked(self, upload_id: str) -> Position | None:
        """The position noted last."""


class Storage(Protocol):
    """Where the files of uploads are, from their first byte to their removal."""

    @property
    def id(self) -> str:
        """The same for all processes that see the same files, and for no others."""

    @property
    def bodies(self) -> Bodies: ...

    @property
    def objects(self) -> Objects: ...

    @property
    def direct(self) -> DirectParts | None:
        """None where nobody but this service can write."""

    def free_bytes(self) -> int | None:
        """What may still be written, bytes: without the reserve, never negative.

        None where there is no limit.
        """

    def free_inodes(self) -> int | None:
        """Files that may still be made, without the reserve; None where they are not counted."""

    def ensure_room(self, size_bytes: int) -> None:
        """Raise InsufficientStorage if one more upload of `size_bytes` would not fit now."""

    def kept_bytes(self, owner: str) -> int:
        """Sizes of the originals that this owner has stored, together, bytes."""

    def ensure_quota(self, owner: str, size_bytes: int) -> None:
        """Raise QuotaExceeded if the owner may not keep `size_bytes` more."""

    def state(self) -> StorageState:
        """Whether it can be used now; looked at, and answered within seconds."""

    def remove(self, upload_id: str) -> None:
        """Take everything of this upload away; a body that is still arriving comes to nothing."""

    def take_back(self, upload_id: str) -> bool:
        """The same for one that was stored just now, unless a worker has published it since: then
        it stays, and False is returned."""

    def sweep(self) -> None:
        """Remove what dead processes left."""
