"""How long an animated WebP takes: read from its frame headers, since Pillow decodes to know."""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = ["webp_duration"]

_DURATION_AT = 12


def webp_duration(path: Path) -> float | None:
    """Seconds of one round; None where no frame has a duration (RFC 9649 §2.7.1.1)."""
    total_ms = 0
    with path.open("rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", head)
            begin = file.tell()
            if name == b"ANMF":
                total_ms += int.from_bytes(file.read(_DURATION_AT + 3)[_DURATION_AT:], "little")
            file.seek(begin + length + length % 2)
    return total_ms / 1000 or None
