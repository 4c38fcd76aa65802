"""What is known of a body before its first byte, as it is kept beside one that may rest."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from sse_progress.model.events import tags_of
from sse_progress.model.kinds import Priority
from sse_progress.model.labels import NO_LABELS, Labels

__all__ = ["ANNOUNCED", "UNVERIFIED", "Announced", "Partial"]

ANNOUNCED = "announced.json"
UNVERIFIED = "unverified"
"""Where bytes begin that their sender may still take back: a checksum of theirs is not compared."""


class Announced(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who sends what. It lasts for as long as the body is not stored.

    `token` is random, so that two bodies under one id are never taken for each other. `length` in
    bytes, None while it is not said; `digests` of the whole file by algorithm, where the sender
    gave some; `metadata` as tus' header had it; `created_at` RFC 3339 with milliseconds, UTC.
    `partial`: it is never stored by itself, its bytes become a part of another upload's.
    `direct`: its sender puts the bytes on the storage itself.
    """

    upload_id: str
    owner: str
    token: str
    filename: str
    claimed_type: str
    fields: dict[str, str | list[str]]
    length: int | None
    created_at: str
    digests: dict[str, bytes] = {}
    metadata: str = ""
    labels: Labels = NO_LABELS
    priority: Priority = "normal"
    partial: bool = False
    direct: bool = False

    @property
    def tags(self) -> bytes:
        """What every event of the upload has (`tags_of`)."""
        return tags_of(filename=self.filename, labels=self.labels, partial=self.partial)

    @property
    def listed_for(self) -> str | None:
        """In whose list of uploads it stands; None: in nobody's."""
        return None if self.partial else self.owner


class Partial(NamedTuple):
    """A body that may rest, as it was found. `held`: a living process has it open. `there`: bytes
    that are there, where parts may come in any order; None: up to the offset."""

    announced: Announced
    offset: int
    held: bool
    there: int | None = None

    @property
    def arrived(self) -> int:
        """Bytes that are there."""
        return self.offset if self.there is None else self.there
