"""Upload ids, and positions in a journal."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["GONE", "Position", "valid_upload_id"]

_UPLOAD_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.~-]{0,127}")


def valid_upload_id(text: str) -> bool:
    return _UPLOAD_ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Position:
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
