"""One request's share of a body that may come in several, and where the body stands after it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from sse_progress.ingest.limits import ReceiveLimits
from sse_progress.model.errors import InconsistentLength, MismatchingOffset, Problem, TooLarge

__all__ = ["BodyEnds", "Extent", "Part", "ensure_within", "whole_length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a request brings: `chunks` for `offset`, `size` bytes if it said so.

    `length` of the whole, if this request tells it. `last`: the body is whole with it.
    `completes_at_length`: so it is as well where it reaches the whole's length. `checksum`: of
    these bytes, by algorithm; they count all or not at all. `digests`: of the whole. `on_offset` is
    called with offsets that are on disk, about every MiB, which costs a sync each.
    """

    chunks: AsyncIterator[bytes]
    offset: int = 0
    size: int | None = None
    length: int | None = None
    last: bool = False
    completes_at_length: bool = False
    checksum: Mapping[str, bytes] = field(default_factory=dict)
    digests: Mapping[str, bytes] = field(default_factory=dict)
    on_offset: Callable[[int], None] | None = None

    def completes(self, *, offset: int, length: int | None) -> bool:
        """Whether the body is whole when it ends at `offset` with this part."""
        return self.last or (self.completes_at_length and offset == length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Where a body stands: bytes that will not have to be sent again, of how many.

    `complete`: it is stored. `metadata` as it came with tus, `concat` its `Upload-Concat`;
    `expires_s`: how long it may rest from now on, seconds.
    """

    offset: int
    length: int | None
    complete: bool = False
    metadata: str = ""
    concat: str = ""
    expires_s: float | None = None


class BodyEnds(Exception):
    """The upload ends with `problem`: what is sent cannot become a file any more."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


def ensure_within(end: int, *, length: int | None, limits: ReceiveLimits) -> None:
    """Raise BodyEnds for a body that goes, or is to go, to `end`, beyond what it may be."""
    if length is not None and end > length:
        raise BodyEnds(InconsistentLength(f"The body goes to {end} bytes, its length is {length}."))
    if end > limits.max_upload_bytes:
        raise BodyEnds(TooLarge(f"The file is {end} bytes, limit {limits.max_upload_bytes}."))


def whole_length(part: Part, *, offset: int, length: int | None) -> int | None:
    """How long the whole is, by what was known and what `part` says, where the body ends at
    `offset`.

    Raises MismatchingOffset, or InconsistentLength where it tells another length.
    """
    if part.offset != offset:
        raise MismatchingOffset(
            f"The request begins at byte {part.offset}, the body ends at {offset}.",
            expected=offset,
            provided=part.offset,
        )
    if part.length is None:
        return length
    if length not in (None, part.length):
        raise InconsistentLength(f"The length was {length}, this request says {part.length}.")
    if part.length < offset:
        raise InconsistentLength(f"The length {part.length} is below the offset {offset}.")
    return part.length
