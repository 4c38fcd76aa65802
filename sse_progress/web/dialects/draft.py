"""Headers of draft-ietf-httpbis-resumable-upload, interop versions 3 to 8, and of RFC 9530.

Later drafts have other names and stricter rules for the same things; a request tells by its interop
version which ones it means. A header whose value is not of its type is ignored, as the draft asks.
"""

from __future__ import annotations

from dataclasses import dataclass

from sse_progress.ingest.checksums import DIGEST_ALGORITHMS
from sse_progress.model.errors import BadRequest, InconsistentLength
from sse_progress.web.dialects.fields import HeaderFields
from sse_progress.web.dialects.structured_fields import (
    boolean,
    byte_sequences,
    non_negative_integer,
)

__all__ = [
    "APPEND_TYPE",
    "COMPLETE",
    "INCOMPLETE",
    "INTEROP",
    "DraftPart",
    "digests_of",
    "flag",
    "interop_version",
    "is_part",
    "read_part",
]

APPEND_TYPE = "application/partial-upload"
INTEROP = "upload-draft-interop-version"
COMPLETE, INCOMPLETE = "upload-complete", "upload-incomplete"
_VERSIONS = range(3, 9)
_WITH_INCOMPLETE = 3
_TYPED_SINCE = 6
_EXPLICIT_SINCE = 7


@dataclass(frozen=True, slots=True)
class DraftPart:
    """What one POST or PATCH says. `offset` None: not said, or not a number.

    `interop` None: not said, or not one that is known. `completes_at_length`: the last byte of a
    known length completes the upload, whatever `complete` says.
    """

    complete: bool
    offset: int | None
    length: int | None
    interop: int | None
    content_digests: dict[str, bytes]
    representation_digests: dict[str, bytes]

    @property
    def completes_at_length(self) -> bool:
        return self.interop is not None and self.interop < _EXPLICIT_SINCE

    @property
    def needs_type(self) -> bool:
        """Whether the media type of an append has to be the draft's."""
        return self.interop is None or self.interop >= _TYPED_SINCE


def interop_version(fields: HeaderFields) -> int | None:
    """One that is understood; None for any other, and where there is none."""
    version = non_negative_integer(fields(INTEROP))
    return version if version in _VERSIONS else None


def is_part(fields: HeaderFields) -> bool:
    """Whether the request begins, or goes on with, an upload of this dialect."""
    return _complete(fields) is not None


def read_part(fields: HeaderFields, *, content_length: int | None) -> DraftPart:
    """What the request says about the whole and about its place in it.

    Raises InconsistentLength where it gives two lengths, and BadRequest for digests that cannot be
    read: a sender that asks for a check learns that there is none.
    """
    complete = _complete(fields) or False
    offset = non_negative_integer(fields("upload-offset"))
    length = non_negative_integer(fields("upload-length"))
    if complete and content_length is not None:
        whole = (offset or 0) + content_length
        if length not in (None, whole):
            raise InconsistentLength(f"Upload-Length is {length}, the request ends at {whole}.")
        length = whole
    return DraftPart(
        complete,
        offset,
        length,
        interop_version(fields),
        digests_of(fields, "content-digest"),
        digests_of(fields, "repr-digest"),
    )


def flag(*, complete: bool, interop: int | None) -> tuple[str, str]:
    """Name and value of the response's header about completeness, for a client of `interop`."""
    if interop == _WITH_INCOMPLETE:
        return INCOMPLETE, "?0" if complete else "?1"
    return COMPLETE, "?1" if complete else "?0"


def _complete(fields: HeaderFields) -> bool | None:
    complete = boolean(fields(COMPLETE))
    if complete is None and interop_version(fields) == _WITH_INCOMPLETE:
        incomplete = boolean(fields(INCOMPLETE))
        return None if incomplete is None else not incomplete
    return complete


def digests_of(fields: HeaderFields, name: str) -> dict[str, bytes]:
    """By algorithm; those that are unknown are ignored (RFC 9530 §2). Raises BadRequest."""
    value = fields(name)
    given = byte_sequences(value)
    if value is not None and given is None:
        raise BadRequest(f"{name.title()} cannot be understood.")
    return {
        algorithm: digest
        for algorithm, digest in (given or {}).items()
        if algorithm in DIGEST_ALGORITHMS
    }
