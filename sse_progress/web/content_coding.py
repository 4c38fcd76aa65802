"""Which coding a client accepts (RFC 9110 §12.5.3), and gzip that a stream can be sent in."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from starlette.types import Scope

__all__ = ["BlockGzip", "accepts_gzip", "takes_blocks", "weighed"]

REPLAY_BYTES = 4096
"""What is sent at once and is at least so long is worth compressing."""
LEVEL = 3
STORED_BYTES = 0xFFFF
_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LAST_BLOCK = b"\x03\x00"


def weighed(values: Iterable[str]) -> dict[str, float]:
    """The members of a header and their weights, `q` (RFC 9110 §12.4.2), in lower case."""
    weights: dict[str, float] = {}
    for part in ",".join(values).split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights[name] = _weight(parameters)
    return weights


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def accepts_gzip(scope: Scope) -> bool:
    headers = scope["headers"]
    weights = weighed(
        value.decode("latin-1") for name, value in headers if name == b"accept-encoding"
    )
    return weights.get("gzip", weights.get("*", 0)) > 0


def takes_blocks(scope: Scope, *, compress: str) -> bool:
    """Whether a stream is to be sent as `BlockGzip`."""
    return compress == "replay" and scope["method"] == "GET" and accepts_gzip(scope)


class BlockGzip:
    """A gzip stream whose pieces are complete as they are sent, and which keeps no window.

    A long piece, the replay, is compressed by itself; a live frame is a stored block (RFC 1951
    §3.2.4): 5 bytes more than plain, and no work.
    """

    def __init__(self) -> None:
        self._head, self._crc, self._size = _HEAD, 0, 0

    def __call__(self, body: bytes, *, final: bool = False) -> bytes:
        """`body` as the next blocks; `final` ends the stream."""
        self._crc, self._size = zlib.crc32(body, self._crc), self._size + len(body)
        head, self._head = self._head, b""
        blocks = _deflated(body) if len(body) >= REPLAY_BYTES else _stored(body)
        if not final:
            return head + blocks
        tail = self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")
        return head + blocks + _LAST_BLOCK + tail


def _deflated(body: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush(zlib.Z_SYNC_FLUSH)


def _stored(body: bytes) -> bytes:
    blocks = b""
    for start in range(0, len(body), STORED_BYTES):
        part = body[start : start + STORED_BYTES]
        size = len(part)
        blocks += (
            b"\x00" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + part
        )
    return blocks
