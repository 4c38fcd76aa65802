"""From the bytes of one request to chunk objects: collected, put two at a time, and counted.

Memory of all bodies of a process together stays below `MEMORY_BYTES`, or `LEAST_BYTES` times three
for each where there are more than that holds.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from sse_progress.storage.bucket.chain import Chunk
from sse_progress.storage.bucket.client import Bucket

__all__ = ["CHUNK_BYTES", "LEAST_BYTES", "MEMORY_BYTES", "ChunkWriter", "Putting"]

CHUNK_BYTES = 8 * 1024**2
LEAST_BYTES = 256 * 1024
MEMORY_BYTES = 192 * 1024**2
FLYING = 2
"""Chunks of one body on their way at once."""
PUTS = 16
"""Puts of one process at once."""
QUIET_S = 1.0
"""A slow body's bytes are put after this long, though they fill no chunk; twice as long after each
hundred chunks, so that a slow large file has thousands of them and no more."""
QUIET_MOST_S = 5.0
PER_STEP = 100


class Putting:
    """What the bodies of a process share: the threads that put, and how large chunks may be."""

    def __init__(self, bucket: Bucket, *, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.bucket = bucket
        self._chunk_bytes = chunk_bytes
        self._lock = threading.Lock()
        self._open = 0
        self.threads = ThreadPoolExecutor(PUTS, thread_name_prefix="s3-put")

    def begin(self) -> None:
        with self._lock:
            self._open += 1

    def end(self) -> None:
        with self._lock:
            self._open -= 1

    @property
    def chunk_bytes(self) -> int:
        """One chunk is filled while two are on their way."""
        share = MEMORY_BYTES // ((FLYING + 1) * max(self._open, 1))
        return min(self._chunk_bytes, max(share, LEAST_BYTES))


class _Flying(NamedTuple):
    chunk: Chunk
    done: Future[None]


class ChunkWriter:
    """Writes at the end of a body at `prefix`, of which `durable` bytes are there.

    Used by one thread at a time. `path` has the chunks that this writer has put, in order.
    After a failure it is over: `durable` says what holds.
    """

    def __init__(
        self,
        putting: Putting,
        prefix: str,
        *,
        writer: str,
        durable: int = 0,
        number: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._putting, self._prefix, self._clock = putting, prefix, clock
        self.writer = writer
        self.durable = self.end = durable
        self.path: list[Chunk] = []
        self._number = number
        self._pieces: list[bytes] = []
        self._pieces_bytes = 0
        self._since = clock()
        self._flying: deque[_Flying] = deque()
        self._open = True
        putting.begin()

    def write(self, data: bytes) -> None:
        """Take bytes; waits while two chunks are on their way. Raises Unavailable."""
        if not self._pieces:
            self._since = self._clock()
        self._pieces.append(data)
        self._pieces_bytes += len(data)
        self.end += len(data)
        self._gather()
        if self._pieces_bytes >= self._putting.chunk_bytes or self._waited():
            self._start()

    def _waited(self) -> bool:
        quiet_s = min(QUIET_S * 2.0 ** min(self._number // PER_STEP, 8), QUIET_MOST_S)
        return self._clock() - self._since >= quiet_s

    def settle(self) -> int:
        """Everything is in the bucket; returns its end. Raises Unavailable."""
        if self._pieces:
            self._start()
        while self._flying:
            self._land()
        return self.durable

    def close(self) -> None:
        """Nothing more is written: what is collected is forgotten, what flies has landed."""
        if not self._open:
            return
        self._open = False
        self._pieces.clear()
        for flying in self._flying:
            flying.done.exception()
        self._gather()
        self._flying.clear()
        self._putting.end()

    def _start(self) -> None:
        while len(self._flying) >= FLYING:
            self._land()
        data = b"".join(self._pieces)
        self._pieces, self._pieces_bytes = [], 0
        self._number += 1
        chunk = Chunk(self.end - len(data), self.writer, len(data))
        path = f"{self._prefix}/{chunk.name}"
        done = self._putting.threads.submit(self._putting.bucket.put, path, data)
        self._flying.append(_Flying(chunk, done))

    def _gather(self) -> None:
        """Count what has arrived meanwhile."""
        while self._flying and self._flying[0].done.done():
            if self._flying[0].done.exception() is not None:
                return
            self._land()

    def _land(self) -> None:
        chunk, done = self._flying[0]
        done.result()
        self._flying.popleft()
        self.path.append(chunk)
        self.durable = chunk.end
