"""What the supervisor says on standard error: plain lines, or JSON objects."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime

__all__ = ["Output", "how_it_ended"]


class Output:
    def __init__(self, *, json_lines: bool) -> None:
        self._json_lines = json_lines

    def say(self, text: str, level: str = "info") -> None:
        if self._json_lines:
            moment = datetime.now(UTC).isoformat(timespec="milliseconds")
            text = json.dumps(
                {"timestamp": moment, "level": level, "logger": "supervisor", "event": text.strip()}
            )
        try:
            os.write(2, f"{text}\n".encode())
        except OSError:
            pass  # nothing reads it; that is no reason to end


def how_it_ended(code: int) -> str:
    """An exit code in words; a negative one is a signal's number."""
    if code >= 0:
        return f"ended with {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
