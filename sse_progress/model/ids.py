"""Upload ids, and positions in a journal."""

from __future__ import annotations

import os
import re
import time
import uuid
from typing import NamedTuple

__all__ = ["GONE", "UPLOAD_ID_PATTERN", "Position", "new_upload_id", "valid_upload_id"]

UPLOAD_ID_PATTERN = "[A-Za-z0-9][A-Za-z0-9_.~-]{0,127}"
"""As in the contract and in texts; the whole id has to match."""

_UPLOAD_ID = re.compile(UPLOAD_ID_PATTERN)


def new_upload_id() -> str:
    """`upload_` and a UUIDv7 (RFC 9562 §5.7): 48 bits of milliseconds, then random."""
    value = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return f"upload_{uuid.UUID(int=value)}"


def valid_upload_id(text: str) -> bool:
    return _UPLOAD_ID.fullmatch(text) is not None


class Position(NamedTuple):
    """A place in a journal, `<epoch>-<seq>` on the wire; clients treat it as opaque."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read what a client presents. Anything unreadable is a position in no journal at all."""
        epoch, _, seq = text.rpartition("-")
        if epoch and seq.isascii() and seq.isdigit() and len(seq) <= 15 and len(epoch) <= 64:
            return cls(epoch, int(seq))
        return cls("", 0)


GONE = Position("gone", 0)
