"""The headers of one request as the dialects read them."""

from __future__ import annotations

from collections.abc import Callable

from sse_progress.model.errors import BadRequest

__all__ = ["HeaderFields", "number_of_bytes"]

HeaderFields = Callable[[str], str | None]
"""The value of a header by its name in lower case; several lines are joined by `, ` (RFC 9110
§5.3), so that a number that came twice is none. None: it was not sent."""

_MAX_DIGITS = 18


def number_of_bytes(fields: HeaderFields, name: str) -> int | None:
    """A count of bytes in plain digits. Raises BadRequest for anything else."""
    value = fields(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS):
        raise BadRequest(f"{name.title()} must be a number of bytes.")
    return int(value)
