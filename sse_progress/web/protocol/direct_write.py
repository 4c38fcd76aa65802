"""Frames of a stream straight to the transport: the fast path of our HTTP protocol.

ASGI's `send` is a coroutine and a dictionary per frame and reader, and each makes the same chunk
anew. Here one chunk, made once, is written to every reader that keeps up. Measured with 1,000
readers: docs/decisions/direct-write. Under another server, to HTTP/1.0, and for a reader that has
fallen behind, frames take `send`, which waits for it.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["DirectWrite"]


class DirectWrite:
    """Writes whole chunks (RFC 9112 §7.1) of one response that has begun."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def __call__(self, chunk: bytes) -> bool:
        """Write one; False where only `send` knows what to do."""
        cycle = self._cycle
        if (
            cycle.flow.write_paused
            or not cycle.chunked_encoding
            or cycle.response_complete
            or cycle.disconnected
        ):
            return False
        cycle.transport.write(chunk)
        return True
