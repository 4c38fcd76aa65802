"""Checksums that senders announce: of one request's body, or of the whole file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import google_crc32c

__all__ = ["DIGEST_ALGORITHMS", "TUS_ALGORITHMS", "Checked"]

_HASHES: dict[str, Callable[[], Any]] = {
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
    "crc32c": google_crc32c.Checksum,
    "sha-256": hashlib.sha256,
    "sha-512": hashlib.sha512,
}

TUS_ALGORITHMS = ("sha1", "sha256", "crc32c")
"""Of tus' `Upload-Checksum`; sha1 is the one that every server has to know."""

DIGEST_ALGORITHMS = ("sha-256", "sha-512")
"""Of `Content-Digest` and `Repr-Digest`: the registry's active ones (RFC 9530 §5)."""


class Checked:
    """Bytes beside the digests that were announced for them, by algorithm."""

    def __init__(self, announced: Mapping[str, bytes]) -> None:
        self._announced = dict(announced)
        self._hashes = {name: _HASHES[name]() for name in announced}

    def __bool__(self) -> bool:
        """Whether there is anything to check."""
        return bool(self._announced)

    def update(self, data: bytes) -> None:
        for each in self._hashes.values():
            each.update(data)

    def wrong(self) -> str | None:
        """An algorithm whose digest is another one; None: all are as announced."""
        for name, digest in self._announced.items():
            if self._hashes[name].digest() != digest:
                return name
        return None
