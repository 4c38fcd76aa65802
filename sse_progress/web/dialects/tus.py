"""Headers of tus 1.0 (tus.io/protocols/resumable-upload): creation, append, checksum.

Every function raises BadRequest for what the protocol does not allow.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from sse_progress.ingest.checksums import TUS_ALGORITHMS
from sse_progress.model.errors import BadRequest
from sse_progress.web.dialects.fields import HeaderFields, number_of_bytes

__all__ = [
    "APPEND_TYPE",
    "EXTENSIONS",
    "METADATA_LIMIT_BYTES",
    "VERSION",
    "TusAppend",
    "TusCreation",
    "TusFinal",
    "read_append",
    "read_creation",
    "read_final",
]

VERSION = "1.0.0"
EXTENSIONS = (
    "creation,creation-with-upload,creation-defer-length,expiration,termination,checksum,"
    "concatenation"
)
APPEND_TYPE = "application/offset+octet-stream"
METADATA_LIMIT_BYTES = 32 * 1024
MOST_PARTS = 1000


@dataclass(frozen=True, slots=True)
class TusCreation:
    """`length` None: it follows later. `metadata` is decoded; a key alone has an empty value.

    `partial`: it will be a part of another upload.
    """

    length: int | None
    metadata: dict[str, str]
    metadata_header: str
    partial: bool = False


@dataclass(frozen=True, slots=True)
class TusFinal:
    """An upload that is made of partial ones: their addresses, as they were given."""

    urls: tuple[str, ...]
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class TusAppend:
    """`length` tells one that was deferred. `checksum`: of this request's body, by algorithm."""

    offset: int
    length: int | None
    checksum: dict[str, bytes]


def read_creation(fields: HeaderFields) -> TusCreation:
    """`Upload-Length`, or `Upload-Defer-Length: 1`; `Upload-Metadata`."""
    length, deferred = number_of_bytes(fields, "upload-length"), fields("upload-defer-length")
    if deferred not in (None, "1"):
        raise BadRequest("Upload-Defer-Length must be 1.")
    if (length is None) == (deferred is None):
        raise BadRequest("Send either Upload-Length or Upload-Defer-Length: 1.")
    header, concat = fields("upload-metadata") or "", fields("upload-concat")
    if concat not in (None, "partial"):
        raise BadRequest("Upload-Concat must be partial, or final; and the partial uploads.")
    return TusCreation(length, _metadata(header), header, partial=concat == "partial")


def read_final(fields: HeaderFields) -> TusFinal | None:
    """`Upload-Concat: final;/upload/a /upload/b`; None: it is another creation."""
    kind, semicolon, urls = (fields("upload-concat") or "").partition(";")
    if kind.strip(" ") != "final" or not semicolon:
        return None
    if fields("upload-length") is not None or fields("upload-defer-length") is not None:
        raise BadRequest("A final upload has the length of its parts; send no Upload-Length.")
    given = tuple(urls.split())
    if not 0 < len(given) <= MOST_PARTS:
        raise BadRequest(f"Upload-Concat has {len(given)} partial uploads, 1 to {MOST_PARTS} go.")
    if len(set(given)) < len(given):
        raise BadRequest("A partial upload came twice in Upload-Concat.")
    return TusFinal(given, _metadata(fields("upload-metadata") or ""))


def read_append(fields: HeaderFields) -> TusAppend:
    """Of a PATCH: where its bytes go."""
    offset = number_of_bytes(fields, "upload-offset")
    if offset is None:
        raise BadRequest("Upload-Offset is missing.")
    return TusAppend(offset, number_of_bytes(fields, "upload-length"), read_checksum(fields))


def read_checksum(fields: HeaderFields) -> dict[str, bytes]:
    """`Upload-Checksum: sha1 <base64>`; empty if it was not sent."""
    value = fields("upload-checksum")
    if value is None:
        return {}
    algorithm, _, encoded = value.strip(" ").partition(" ")
    if algorithm not in TUS_ALGORITHMS:
        names = ", ".join(TUS_ALGORITHMS)
        raise BadRequest(f"The algorithm of Upload-Checksum is one of {names}.")
    return {algorithm: _base64(encoded, "Upload-Checksum")}


def _metadata(header: str) -> dict[str, str]:
    if len(header) > METADATA_LIMIT_BYTES:
        raise BadRequest(
            f"Upload-Metadata has {len(header)} bytes, the limit is {METADATA_LIMIT_BYTES}."
        )
    found: dict[str, str] = {}
    for pair in header.split(",") if header.strip(" ") else ():
        key, _, encoded = pair.strip(" ").partition(" ")
        if not key or not (key.isascii() and key.isprintable()):
            raise BadRequest("A key of Upload-Metadata is empty or not printable ASCII.")
        if key in found:
            raise BadRequest("A key of Upload-Metadata came twice.")
        try:
            found[key] = _base64(encoded, "Upload-Metadata").decode()
        except UnicodeDecodeError:
            raise BadRequest("A value of Upload-Metadata is not UTF-8.") from None
    return found


def _base64(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise BadRequest(f"A value of {name} is not base64.") from None
