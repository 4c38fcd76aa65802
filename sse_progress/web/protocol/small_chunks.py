"""Bodies in chunks of a few bytes: they cost by the chunk, so they are joined and slowed down."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.flow_control import FlowControl

__all__ = ["PacedFlow", "SmallChunks"]

SMALL_BYTES = 512
LONGEST_HOLD_S = 5.0
"""Less than the time after which a client that sends nothing is taken for gone."""


class SmallChunks:
    """Small pieces of a body that come in one read, until they are taken as one. `count`: of those
    that came in this read; whoever reads sets it back."""

    def __init__(self) -> None:
        self.count = 0
        self._pieces: list[bytes] = []

    def keeps(self, piece: bytes) -> bool:
        """Whether `piece` is small, and kept; else it is to be passed on after `take`."""
        if len(piece) >= SMALL_BYTES:
            return False
        self._pieces.append(piece)
        self.count += 1
        return True

    def take(self) -> bytes:
        """What was kept."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class PacedFlow(FlowControl):
    """uvicorn's flow control of one connection, and a time in which nothing is read whatever the
    application wants."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self.read_paused = self.write_paused = False
        self._held: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """uvicorn makes the event, 0.8 KB, for each connection, though hardly any is ever full."""
        if not self.write_paused:
            self.write_paused, self._is_writable_event = True, asyncio.Event()

    def hold(self, seconds: float) -> None:
        if self._held is None:
            if not self.read_paused:
                self._transport.pause_reading()
            self._held = self._loop.call_later(min(seconds, LONGEST_HOLD_S), self._release)

    def close(self) -> None:
        """The connection is lost."""
        if self._held is not None:
            self._held.cancel()

    def pause_reading(self) -> None:
        if self._held is None:
            super().pause_reading()
        self.read_paused = True

    def resume_reading(self) -> None:
        if self._held is None:
            super().resume_reading()
        self.read_paused = False

    def _release(self) -> None:
        self._held = None
        if not self.read_paused and not self._transport.is_closing():
            self._transport.resume_reading()
