"""Events as they are read, each once, and where that leaves off. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from sse_progress.model.events import Error, Event

__all__ = ["E", "Reader", "members"]

E = TypeVar("E", bound=Event)

_SEEN_LIMIT = 65_536


class Reader(Generic[E]):
    """Events of the type `kind` after `position`, about what `subject` names, in whatever way they
    come. `done`: the last one was read."""

    def __init__(self, kind: type[E], subject: Mapping[str, str] | None, position: str) -> None:
        if position and not _is_position(position):
            raise ValueError(f"{position!r} is not an event id")
        self.done = False
        self.position = position
        self._kind, self._subject = kind, subject
        self._seen: dict[str, None] = {}

    def event(self, fields: Mapping[str, Any], position: str) -> E | None:
        """One of the journal; None where it was read before, or is none. Raises ValueError."""
        if fields["type"] not in ("progress", "reset"):
            return None
        event = msgspec.convert(fields, self._kind)
        if event.type == "reset":
            self._seen.clear()
        if position:
            if position in self._seen:
                return None
            self._moved(position)
        if self._subject is not None:
            gone = event.error is not None and event.error.code == "unknown_upload"
            self.done = event.terminal or gone
        return event

    def state(self, fields: Mapping[str, Any], position: str) -> E | None:
        """The latest one, from a state; None where it was read before, or there is none yet.

        Raises ValueError.
        """
        event = msgspec.convert({**fields, "type": "progress"}, self._kind)
        if event.stage is None or position in self._seen:
            return None
        self._moved(position)
        self.done = event.terminal
        return event

    def forgotten(self) -> E:
        """What stands for the rest of something that is not known any more."""
        self.done = True
        text = "Upload not found or expired."
        fields = {
            **(self._subject or {}),
            "type": "reset",
            "progress": 0,
            "stage": "error",
            "message": text,
            "error": Error("unknown_upload", text, "error"),
        }
        return msgspec.convert(fields, self._kind)

    def _moved(self, position: str) -> None:
        if not _is_position(position):
            return
        self.position = position
        self._seen[position] = None
        if len(self._seen) > _SEEN_LIMIT:
            del self._seen[next(iter(self._seen))]


def members(data: str | bytes) -> dict[str, Any]:
    """What an event or a message says, with its type. Raises ValueError for anything else."""
    fields = msgspec.json.decode(data, type=dict[str, Any])
    if not isinstance(fields.get("type"), str):
        raise ValueError("no type")  # noqa: TRY004  # what came is wrong, not what was called
    return fields


def _is_position(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable()
