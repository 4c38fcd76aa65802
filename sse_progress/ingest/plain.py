"""A body that is the file itself, without a form around it: sans-I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from sse_progress.ingest.checksums import Checked
from sse_progress.ingest.limits import ReceiveLimits
from sse_progress.model.errors import DigestMismatch, TooLarge
from sse_progress.model.filenames import clean_filename

__all__ = ["Form", "PlainFile"]


class Form(Protocol):
    """What a body is made of: fed with its chunks, it gives out the file's bytes.

    `filename` is cleaned, and empty until it is known; `body_bytes` counts what was fed.
    """

    filename: str
    claimed_type: str
    fields: dict[str, str | list[str]]
    body_bytes: int

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next chunk; returns what of the file it held, in order."""

    def finish(self) -> None:
        """Say that the body is over; raises if it is not whole."""


class PlainFile:
    """`Form` of a body that is the file: its name and type come from the request's headers."""

    def __init__(
        self,
        *,
        filename: str,
        claimed_type: str,
        limits: ReceiveLimits,
        fields: Mapping[str, str] | None = None,
        digests: Sequence[Mapping[str, bytes]] = (),
    ) -> None:
        self.filename = clean_filename(filename)
        self.claimed_type = claimed_type
        self.fields: dict[str, str | list[str]] = {**(fields or {})}
        self.body_bytes = 0
        self._limit = limits.max_upload_bytes
        self._checked = [Checked(announced) for announced in digests if announced]

    def feed(self, chunk: bytes) -> list[bytes]:
        self.body_bytes += len(chunk)
        if self.body_bytes > self._limit:
            raise TooLarge(f"The file has {self.body_bytes} bytes or more, limit {self._limit}.")
        for checked in self._checked:
            checked.update(chunk)
        return [chunk]

    def finish(self) -> None:
        """Its end is the request's: a body that was cut off raises where its chunks come from."""
        for checked in self._checked:
            if (algorithm := checked.wrong()) is not None:
                raise DigestMismatch(f"The file does not have the {algorithm} announced.")
