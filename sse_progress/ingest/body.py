"""A body that arrives: what its headers say, and how it is stopped while it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import anyio

from sse_progress.ingest.labelling import Labelling
from sse_progress.ingest.limits import ReceiveLimits, declared_too_large, least_file_bytes
from sse_progress.ingest.multipart import MultipartForm
from sse_progress.ingest.part_headers import claimed_type_of, content_type_boundary
from sse_progress.ingest.plain import Form, PlainFile
from sse_progress.model.errors import Problem, TooLarge, Unavailable, UnsupportedMediaType
from sse_progress.model.filenames import clean_filename
from sse_progress.runtime.metrics import Metrics

__all__ = ["Body", "OpenBody", "PlainBody", "Receivers", "coding_refused"]


def coding_refused(coding: str) -> Problem | None:
    """The refusal of a Content-Encoding: none is decoded, bytes are counted and hashed as sent."""
    if not coding or coding.strip().lower() in ("", "identity"):
        return None
    return UnsupportedMediaType(
        "Content-Encoding is not supported. Please send the body without a coding."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """multipart/form-data as it arrives: its header, its bytes, and how many the client announced
    (None: not said). `concat`: of which uploads it is made, as tus' `Upload-Concat` says it."""

    content_type: str
    chunks: AsyncIterator[bytes]
    total: int | None
    labelling: Labelling
    coding: str = ""
    concat: str = ""

    @property
    def known_name(self) -> str:
        """The file's name, cleaned, where headers tell it; else empty."""
        return ""

    def form(self, limits: ReceiveLimits) -> Form:
        """What takes its chunks apart. Raises UnsupportedMediaType."""
        return MultipartForm(
            content_type_boundary(self.content_type),
            limits,
            on_file=self.labelling.settle_by_form,
        )

    def least_file_bytes(self, limits: ReceiveLimits) -> int:
        """How large its file is at the least, bytes."""
        return least_file_bytes(self.total, limits)

    def refused_by_headers(self, limits: ReceiveLimits) -> Problem | None:
        """The refusal that follows from the headers, besides those of `form`; None: the body has
        to be read."""
        if (refusal := coding_refused(self.coding)) is not None:
            return refusal
        most = self.labelling.most_bytes
        return declared_too_large(self.total or 0, limits, most_bytes=most)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainBody(Body):
    """A body that is the file. `filename` is as it came."""

    filename: str
    fields: Mapping[str, str] = field(default_factory=dict)
    digests: Sequence[Mapping[str, bytes]] = ()
    """Those announced for the file, by algorithm."""

    @property
    def known_name(self) -> str:
        return clean_filename(self.filename)

    def form(self, limits: ReceiveLimits) -> Form:
        return PlainFile(
            filename=self.filename,
            claimed_type=claimed_type_of(self.content_type.encode("latin-1")),
            fields=self.fields,
            digests=self.digests,
            limits=replace(limits, max_upload_bytes=self.labelling.most_bytes),
        )

    def least_file_bytes(self, limits: ReceiveLimits) -> int:  # noqa: ARG002
        return self.total or 0

    def refused_by_headers(self, limits: ReceiveLimits) -> Problem | None:  # noqa: ARG002
        if (refusal := coding_refused(self.coding)) is not None:
            return refusal
        limit = self.labelling.most_bytes
        if self.total is not None and self.total > limit:
            return TooLarge(f"The file is {self.total} bytes, limit {limit}.")
        return None


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


class _Receiving:
    __slots__ = ("_receivers", "_under_way")

    def __init__(self, receivers: Receivers) -> None:
        self._receivers, self._under_way = receivers, OpenBody()

    def __enter__(self) -> OpenBody:
        self._receivers.begun(self._under_way)
        return self._under_way

    def __exit__(self, *_: object) -> None:
        self._receivers.over(self._under_way)


class Receivers:
    """The bodies that this process receives now."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._open: set[OpenBody] = set()
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._draining = False

    def one(self) -> _Receiving:
        """A block for whose length one is counted. Raises Unavailable once the process is to
        end."""
        if self._draining:
            raise Unavailable("The server is restarting.", retry_after_s=1)
        return _Receiving(self)

    def begun(self, under_way: OpenBody) -> None:
        self._open.add(under_way)
        self._metrics.bodies.inc()
        self._none_open.clear()

    def over(self, under_way: OpenBody) -> None:
        self._metrics.bodies.dec()
        self._open.discard(under_way)
        if not self._open:
            self._none_open.set()

    async def drain(self, grace_s: float) -> None:
        """Wait until none is open, at most `grace_s`; then stop what is left and take no more.

        Until then a connection from before may still bring one.
        """
        with anyio.move_on_after(grace_s):
            await self._none_open.wait()
        self._draining = True
        for under_way in tuple(self._open):
            under_way.stop(Unavailable("The server is restarting. Please send the file again."))
        await self._none_open.wait()
