"""Moments on the wire: RFC 3339, UTC, milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["parse_rfc3339", "rfc3339"]


def parse_rfc3339(text: str) -> float:
    """Unix time of an RFC 3339 time, which has a zone. Raises ValueError."""
    moment = datetime.fromisoformat(text.upper())
    if len(text) < len("2026-01-15T10:30:00Z") or moment.tzinfo is None:
        raise ValueError("not an RFC 3339 time")
    try:
        return moment.timestamp()
    except OverflowError as error:
        raise ValueError("the time is out of range") from error


def rfc3339(seconds: float) -> str:
    """Unix time as UTC with milliseconds."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
