"""What a worker and one stage child say to each other, as the worker's loop hears it.

It bounds what a child may say, since a file may have taken it over: the size and number of
messages, fractions that only grow. It starts and ends no process.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator

import anyio
import msgspec

from sse_progress.sandbox.messages import (
    ANSWER_LIMIT_BYTES,
    READY,
    Answer,
    Ended,
    Frames,
    Outcome,
    Progress,
    Question,
    frame,
)

__all__ = ["READS", "READ_BYTES", "BrokenProtocol", "Conversation", "Report"]

READ_BYTES = 65536
READS = 64
"""Most reads from one descriptor in a row, so that a child that floods us cannot hold the loop."""
MESSAGES_AT_ONCE, MESSAGES_PER_S = 100, 100
"""Messages that a child may send at once; after that, twice the rate of its reports."""

Report = Callable[[Progress], None]


class BrokenProtocol(Exception):
    """The child said what no child of ours says."""


class Conversation:
    """Over `channel`, which does not block. One question at a time."""

    def __init__(self, channel: socket.socket) -> None:
        self.ready = anyio.Event()
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._messages = 0
        self._frames = Frames(ANSWER_LIMIT_BYTES)
        self._unsent = memoryview(b"")
        self._answer: asyncio.Future[Outcome | Ended | None] | None = None
        self._report: Report | None = None
        self._fraction = 0.0

    async def ask(self, question: Question, report: Report | None = None) -> Outcome | Ended | None:
        """Send `question` and wait for its answer; None if the child ended instead.

        An exception raised by `report` is raised here, and the child goes on.
        """
        unsent = memoryview(frame(msgspec.json.encode(question)))
        answer: asyncio.Future[Outcome | Ended | None] = self._loop.create_future()
        self._answer = answer
        self._report, self._fraction = report, 0.0
        self._messages, self._began = 0, self._loop.time()
        self._unsent = unsent
        self._loop.add_writer(self._channel.fileno(), self._send)
        try:
            return await answer
        finally:
            self._answer = self._report = None

    def hear(self) -> bool:
        """Take what the child has said; False once it has closed the channel.

        Of many reports at once only the last is passed on. Raises BrokenProtocol.
        """
        progress: Progress | None = None
        try:
            for data in self._received():
                if not data:
                    return False
                for body in self._frames.feed(data):
                    self._count()
                    if body == READY:
                        self.ready.set()
                        continue
                    message: Answer = msgspec.json.decode(body, type=Answer)
                    if isinstance(message, Progress):
                        progress = message
                        continue
                    self._pass_on(progress)
                    progress = None
                    self._settle(message)
        except (ValueError, RecursionError) as error:  # msgspec's own are ValueErrors
            raise BrokenProtocol(str(error)) from None
        finally:
            self._pass_on(progress)
        return True

    def close(self) -> None:
        """The child has ended: nothing more will be said."""
        self._loop.remove_writer(self._channel.fileno())
        self._settle(None)
        self.ready.set()

    def _send(self) -> None:
        """Send what fits of the question."""
        try:
            self._unsent = self._unsent[self._channel.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self._unsent = memoryview(b"")  # it is ending, and what it has still said counts
        if not self._unsent:
            self._loop.remove_writer(self._channel.fileno())

    def _received(self) -> Iterator[bytes]:
        for _ in range(READS):
            try:
                yield self._channel.recv(READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                yield b""

    def _count(self) -> None:
        """ValueError for more messages than a stage has a reason to send: decoding takes time."""
        self._messages += 1
        limit = MESSAGES_AT_ONCE + MESSAGES_PER_S * (self._loop.time() - self._began)
        if self._messages > limit:
            raise ValueError(f"{self._messages} messages, limit {limit:.0f} by now")

    def _pass_on(self, progress: Progress | None) -> None:
        if progress is None or self._report is None:
            return
        self._fraction = min(max(progress.fraction, self._fraction), 1.0)
        try:
            self._report(msgspec.structs.replace(progress, fraction=self._fraction))
        except Exception as error:
            self._report = None
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(error)

    def _settle(self, answer: Outcome | Ended | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)
