"""What the rest of the service asks of a storage, whatever it is made of.

`disk` is one implementation, `bucket` the other. Every function blocks, but for
`RemoteFile.stream`; the event loop calls them through `blocking`. All of them raise
InsufficientStorage if there is no room and Unavailable if the storage cannot be used; what a
removed upload is asked for raises UnknownUpload.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from sse_progress.model.ids import Position
from sse_progress.storage.announced import Announced, Partial
from sse_progress.storage.manifest import Manifest

__all__ = [
    "Bodies",
    "Body",
    "BodyHeld",
    "DirectPart",
    "DirectParts",
    "Objects",
    "RemoteFile",
    "ResumableBody",
    "SignedPart",
    "Storage",
    "StorageState",
    "StoredObject",
    "WrongOffset",
]

StorageState = Literal[
    "ok", "full", "out_of_inodes", "unreachable", "denied", "no_bucket", "clock_skew"
]
"""Whether a storage can be used; `full` and `out_of_inodes` affect new uploads only."""


class Body(Protocol):
    """A body on its way in: `write` in order, then either `store` or `discard`.

    Used by one thread at a time. If its process dies, what is left is removed by `sweep`.
    """

    @property
    def size(self) -> int:
        """Bytes written."""

    @property
    def sha256(self) -> str:
        """Hex digest of what was written so far."""

    @property
    def settled(self) -> int:
        """Bytes that are on the storage; those behind them are on their way."""

    def write(self, data: bytes) -> None:
        """Append; pieces of about 1 MiB are best. After a failure only `discard` is left."""

    def settle(self) -> None:
        """Wait until all that was written is on the storage."""

    def store(self, manifest: Manifest) -> None:
        """Make the upload *stored*: once this returns, it survives any crash.

        Raises UploadIdInUse if the id is stored already, and QuotaExceeded if the owner keeps too
        much with it. After any failure nothing is left.
        """

    def discard(self) -> None:
        """Remove it all; harmless twice, and without effect once stored."""


class WrongOffset(ValueError):
    """Bytes were to be appended at `given`, the body ends at `expected`."""

    def __init__(self, given: int, expected: int) -> None:
        super().__init__(f"offset is {given}, the body ends at {expected}")
        self.given, self.expected = given, expected


class BodyHeld(Exception):
    """Another request has this body open."""


class ResumableBody(Protocol):
    """A body that may come in several requests, on any process, one at a time.

    It stays where it is when it is closed, and when its process dies.
    """

    @property
    def offset(self) -> int:
        """Bytes that are there; those that `sync` returned survive any crash."""

    @property
    def settled(self) -> int:
        """Bytes that are on the storage; those behind them are on their way."""

    def append(self, data: bytes, *, offset: int) -> None:
        """Add `data` at the end. Raises WrongOffset if that is not at `offset`.

        After any failure the offset says what is there, and it can be tried again.
        """

    def sync(self) -> int:
        """Make all that is there durable; returns the offset."""

    @property
    def announced(self) -> Announced:
        """What its sender said of it."""

    def announce(self, length: int) -> None:
        """The sender has said now how long the whole will be."""

    def hold(self) -> None:
        """What follows may be taken back until `accept`, also by a crash or by `close`."""

    def accept(self) -> None:
        """It holds, and is durable."""

    def drop(self) -> None:
        """Take it back."""

    def read_again(self, most_bytes: int) -> int:
        """Go on with the digest over bytes that came to another process.

        Returns of how many bytes it is now; it is of all when that is the offset.
        """

    @property
    def sha256(self) -> str:
        """Hex digest of what is there; reads again what is left to be read."""

    def digest(self, algorithm: str) -> bytes:
        """Digest of what is there, `sha-256` or `sha-512` (RFC 9530); the latter reads it all."""

    def store(self, manifest: Manifest) -> None:
        """Make the upload *stored*, as `Body.store` does; where the manifest has no room, it stays.

        Raises UploadIdInUse if the id is stored already; then nothing of this body is left.
        """

    def discard(self) -> None:
        """Remove it all; harmless when it is closed or stored."""

    def close(self) -> None:
        """Let another request have it."""


class Bodies(Protocol):
    """Bodies that arrive."""

    def incoming(self, upload_id: str) -> Body:
        """A new place for a body, this process' until it is stored or discarded."""

    def begin(self, announced: Announced) -> ResumableBody:
        """A new body that may rest. Raises UploadIdInUse if there is one."""

    def resumable(self, upload_id: str) -> ResumableBody:
        """One that was begun; it is this caller's until it is closed.

        Raises UnknownUpload if there is none, and BodyHeld while it is another's.
        """

    def partial(self, upload_id: str) -> Partial | None:
        """What there is of a body that may rest; its offset is durable. None: nothing."""

    def read(self, upload_id: str, offset: int, most_bytes: int) -> bytes:
        """Bytes of a body that may rest; none at its end. Raises UnknownUpload."""

    def partials(self) -> Iterator[Partial]:
        """All of them; offsets need not be durable."""

    def receiving(self, upload_id: str) -> bool:
        """Whether a living process is receiving a body of this upload."""


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


class DirectPart(NamedTuple):
    """A part that the sender of a direct body puts: `length` bytes from `offset` on."""

    number: int
    offset: int
    length: int


class SignedPart(NamedTuple):
    """Where to put a part; `headers` have to be sent as they are."""

    number: int
    url: str
    headers: dict[str, str]


class DirectParts(Protocol):
    """Bodies whose senders put the bytes on the storage themselves."""

    def parts(self, announced: Announced) -> list[DirectPart]:
        """All parts of a body, in order. Does not block."""

    def signed(
        self, announced: Announced, parts: Sequence[DirectPart], sha256: Sequence[bytes]
    ) -> list[SignedPart]:
        """Where to put these; with checksums, no other bytes are taken. Does not block."""

    def is_there(self, announced: Announced, part: DirectPart) -> bool:
        """Whether a part is on the storage, whole."""

    def missing(self, announced: Announced, *, most: int) -> list[int]:
        """Numbers of the first parts that are not there; each is asked for that a listing lacks."""


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


class Objects(Protocol):
    """Uploads from *stored* on: found, worked on, published.

    An attempt at its work begins with `scratch`, keeps files as its stages finish, and ends with
    `publish`. Of two attempts the later one holds; the earlier one's calls raise ValueError.
    """

    def find(self, upload_id: str) -> StoredObject | None:
        """The upload, wherever it is; None if it is not stored, or removed."""

    def open_uploads(self) -> Iterator[Manifest]:
        """Manifests of all uploads that are stored and not published, in no order.

        One that was published in this moment may be among them.
        """

    def expired(self, older_than_s: float) -> Iterator[str]:
        """Ids of uploads that were published more than `older_than_s` seconds ago."""

    def scratch(self, upload_id: str) -> Path:
        """A new, empty local directory for one attempt; those of earlier attempts are removed."""

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

        `scratch` is the attempt's directory. Where bytes have to travel, `report` gets, in this
        thread, how many are in place and how many they will be.
        """

    def mark(self, upload_id: str, position: Position) -> None:
        """Note the journal position acknowledged last; nothing happens unless it is stored."""

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

    def sweep(self) -> None:
        """Remove what dead processes left."""
