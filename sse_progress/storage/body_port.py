"""What is asked of a storage about bodies that arrive: in one request, in several, elsewhere.

The half of the port (`port`) that ends when a body is *stored*. Every function blocks, but for
those that say otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from sse_progress.storage.announced import Announced, Partial
from sse_progress.storage.manifest import Manifest

__all__ = [
    "Bodies",
    "Body",
    "BodyHeld",
    "DirectPart",
    "DirectParts",
    "ResumableBody",
    "SignedPart",
    "WrongOffset",
]


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

    @property
    def exclusive(self) -> bool:
        """Whether `resumable` keeps all others from a body until it is closed.

        Else whose turn it is to write is known by the journal alone.
        """

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
