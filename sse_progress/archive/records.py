"""What the archive keeps of a journal, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sse_progress.journal.frames import Frame, Page
from sse_progress.model.ids import Position
from sse_progress.model.labels import Labels
from sse_progress.model.stage_table import TERMINAL

__all__ = ["ArchivedUpload", "Copy", "Wanted", "frame_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedUpload:
    """A journal up to `position`: its head, and its event there (`last`, JSON).

    `began_us` is its place in its owner's list. `archived_ms` is when this was written; `revision`
    counts how often. Times are since 1970.
    """

    upload_id: str
    owner: str
    position: Position
    stage: str
    producer: str
    tags: bytes
    about: bytes
    last: bytes
    began_us: int
    created_ms: int
    changed_ms: int
    archived_ms: int
    revision: int = 0

    @property
    def terminal(self) -> bool:
        return self.stage in TERMINAL

    def page(self) -> Page:
        """As it would be read from its journal, but that it is not live."""
        return Page(
            end=self.position,
            owner=self.owner,
            term=self.stage if self.terminal else "",
            fence=0,
            lease_until_ms=0,
            lease_ms=0,
            created_ms=self.created_ms,
            changed_ms=self.changed_ms,
            stage=self.stage,
            unknown=False,
            last=frame_of(self.position, self.last, terminal=self.terminal),
            frames=(),
            now_ms=self.archived_ms,
            about=self.about,
            producer=self.producer,
            tags=self.tags,
            live=False,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A journal's events that are to be written with what the upload comes to by them.

    They follow those that `basis` had, the revision that was read before them (0: nothing was
    there). `whole`: they take the place of all that is kept of their epoch.
    """

    upload: ArchivedUpload
    events: Sequence[Frame]
    basis: int
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a list of an owner's uploads is narrowed to; times in us since 1970, exclusive."""

    owner: str
    status: str | None = None
    labels: Labels = Labels()  # noqa: RUF009  # frozen
    after_us: int | None = None
    before_us: int | None = None

    def before(self, moment_us: int | None) -> Wanted:
        """The same before another moment."""
        return replace(self, before_us=moment_us)


def frame_of(position: Position, event: bytes, *, terminal: bool) -> Frame:
    """The frame that an event was sent in."""
    raw = b"id: %b\ndata: %b\n\n" % (str(position).encode(), event)
    return Frame(raw, terminal=terminal)
