"""What is read from a journal: frames and pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sse_progress.model.events import decode_json
from sse_progress.model.ids import Position
from sse_progress.model.stage_table import Status, status_of_stage
from sse_progress.model.timestamps import rfc3339

__all__ = ["Foreign", "Frame", "Page", "chunk_of", "page_of"]

TIMESTAMP = re.compile(rb'"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"')


def chunk_of(data: bytes) -> bytes:
    """A chunk of HTTP/1.1 (RFC 9112 §7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Frame:
    """One event as it is sent (`id: <position>`, `data: <JSON>`), with its place in the journal."""

    __slots__ = ("_chunk", "position", "raw", "terminal")

    def __init__(self, raw: bytes, *, terminal: bool) -> None:
        self.raw, self.terminal = raw, terminal
        self._chunk = b""
        id_line = raw[: raw.index(b"\n")]
        self.position = Position.parse(id_line.removeprefix(b"id: ").decode())

    @classmethod
    def published(cls, message: bytes) -> Frame:
        """From a pub/sub message: one flag byte (`1`: terminal), then the frame."""
        return cls(message[1:], terminal=message[:1] == b"1")

    @property
    def data(self) -> bytes:
        """The event's JSON."""
        return self.raw.partition(b"\ndata: ")[2].removesuffix(b"\n\n")

    @property
    def chunk(self) -> bytes:
        """The frame as a chunk, made once for all who get it live."""
        if not self._chunk:
            self._chunk = chunk_of(self.raw)
        return self._chunk

    @property
    def message(self) -> bytes:
        """The event's JSON with its position as first member, `id`."""
        return b'{"id":"%b",%b' % (str(self.position).encode(), self.data[1:])

    @property
    def at(self) -> float | None:
        """The event's timestamp in seconds since 1970; None if it has none."""
        found = TIMESTAMP.search(self.raw)  # no quote within a JSON string is bare
        return datetime.fromisoformat(found[1].decode()).timestamp() if found else None

    @property
    def waits(self) -> bool:
        """Whether its upload is stored, and no worker had begun with it."""
        return b'"stage":"file_received"' in self.raw and not self.terminal

    @property
    def stage(self) -> str:
        """The event's stage."""
        return str(decode_json(self.data)["stage"])


@dataclass(frozen=True, slots=True)
class Page:
    """A journal's head, and a range of its frames, read in one step.

    `end` is the position of the latest event (seq 0: none yet). `unknown` says that the position
    asked for is not in this journal, so that `frames` is empty and `last` is the whole state.
    Times are milliseconds of Redis' clock; `changed_ms` is the latest event's, `lease_ms` how long
    the lease was made for.
    """

    end: Position
    owner: str
    term: str
    fence: int
    lease_until_ms: int
    lease_ms: int
    created_ms: int
    changed_ms: int
    stage: str
    unknown: bool
    last: Frame | None
    frames: tuple[Frame, ...]
    now_ms: int
    about: bytes = b""
    """JSON that describes the file (`state_about`), where it was asked for and is known."""
    producer: str = ""
    """Who reports the progress, if it is another service's work: there is no file of it then."""
    tags: bytes = b""
    """What every event has: JSON members without braces."""
    queue_position: int | None = None
    """The place of its job among those that wait, from 1."""
    deleted: bool = False
    """The upload is complete, and its files have been deleted since."""
    offset: int | None = None
    """Bytes of the body that are on the storage, if it can be resumed, or is complete."""
    length: int | None = None
    """How many there are to be in all, if that is known."""
    live: bool = True
    """Whether it is the journal's; else it was archived, as of `now_ms`."""

    @property
    def claimed_only(self) -> bool:
        """A stream waits for this id, and that is all there is of it."""
        return not (self.stage or self.term or self.producer)

    def misses(self, after: Position | None) -> bool:
        """Of a journal that was shortened: events between `after` and the first of `frames`."""
        if not self.frames:
            return False
        return self.frames[0].position.seq > (after.seq if after else 0) + 1

    @property
    def resumable(self) -> bool:
        """Its body may rest."""
        return self.live and self.offset is not None and self.stage == "receiving"

    @property
    def when(self) -> dict[str, Any]:
        """What an answer says of what is not the journal's; nothing of what is."""
        return {} if self.live else {"live": False, "asOf": rfc3339(self.now_ms / 1000)}

    @property
    def partial(self) -> bool:
        """Its bytes become a part of another upload's."""
        return decode_json(b"{%b}" % self.tags).get("partial") is True

    @property
    def status(self) -> Status:
        return status_of_stage(self.stage or None)

    @property
    def terminal(self) -> bool:
        return bool(self.term)


@dataclass(frozen=True, slots=True)
class Foreign:
    """The journal belongs to another owner; it has no other fields."""


def page_of(reply: list[Any]) -> Page | Foreign | None:
    """What read.lua has replied."""
    if reply[0] == 0:
        return None
    if len(reply) < 5:
        return Foreign()
    _, epoch, seq, owner, term, fence, lease, span, created, changed, stage, unknown, *rest = reply
    last, raw, now, about, producer, tags = rest
    done = bool(term)
    ending = b"id: %b-%d\n" % (epoch, seq)
    return Page(
        end=Position(epoch.decode(), seq),
        owner=owner.decode(),
        term=term.decode(),
        fence=fence,
        lease_until_ms=lease,
        lease_ms=span,
        created_ms=created,
        changed_ms=changed,
        stage=stage.decode(),
        unknown=bool(unknown),
        last=Frame(last, terminal=done) if last else None,
        frames=tuple(Frame(frame, terminal=done and frame.startswith(ending)) for frame in raw),
        now_ms=now,
        about=about,
        producer=producer.decode(),
        tags=tags,
    )
