"""A body that arrives: what its headers say, and how it is stopped while it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import anyio

from sse_progress.ingest.limits import ReceiveLimits, declared_too_large
from sse_progress.ingest.part_headers import content_type_boundary
from sse_progress.model.errors import Problem, UnsupportedMediaType

__all__ = ["Body", "OpenBody"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What arrives: its header, its bytes, and how many the client announced (None: not said)."""

    content_type: str
    chunks: AsyncIterator[bytes]
    total: int | None
    coding: str = ""
    """Content-Encoding of the request. None is decoded: bytes are counted and hashed as sent."""

    def refused_by_headers(self, limits: ReceiveLimits) -> Problem | None:
        """The refusal that follows from the headers; None: the body has to be read."""
        if self.coding.strip().lower() not in ("", "identity"):
            return UnsupportedMediaType(
                "Content-Encoding is not supported. Please send the body without a coding."
            )
        try:
            content_type_boundary(self.content_type)
        except Problem as problem:
            return problem
        return declared_too_large(self.total or 0, limits)


@dataclass(slots=True, eq=False)
class OpenBody:
    """A body under way, and why it was stopped if it was."""

    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    why: Problem | None = None
    stored: bool = False

    def stop(self, why: Problem) -> None:
        """Stop the body. One that is stored belongs to a worker and goes on."""
        if self.stored or self.why is not None:
            return
        self.why = why
        self.scope.cancel()
