"""How much of everything one body may hold, and how slowly it may come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sse_progress.model.errors import TooLarge
from sse_progress.model.events import encode_json

__all__ = ["ReceiveLimits", "declared_too_large", "ensure_fields", "least_file_bytes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveLimits:
    """How much of everything one body may hold, and how slowly it may come."""

    max_upload_bytes: int = 1024**3
    """The file, bytes."""
    max_fields_bytes: int = 16 * 1024
    """Names and values of all text fields together, bytes."""
    max_fields_json_bytes: int = 36 * 1024
    """The same as JSON, bytes: control characters take six there, and all are in `complete`."""
    max_parts: int = 100
    """The file and the text fields, count."""
    max_part_headers: int = 8
    """Headers of one part, count."""
    max_part_headers_bytes: int = 8 * 1024
    """Headers of one part, names and values together, bytes."""
    max_preamble_bytes: int = 1024
    """What may stand before the first delimiter, bytes."""
    max_overhead_bytes: int = 64 * 1024
    """All of the body that is neither the file nor a field's value, bytes."""
    stall_s: float = 30
    """Seconds without a byte after which a body is aborted."""
    min_rate_bytes_s: int = 1024
    """Average that the body must keep over any `stall_s`, bytes a second; 0 is no limit."""

    @property
    def max_body_bytes(self) -> int:
        """The largest body that could still be accepted, bytes."""
        return self.max_upload_bytes + self.max_fields_bytes + self.max_overhead_bytes


def least_file_bytes(content_length: int | None, limits: ReceiveLimits) -> int:
    """How large the file of such a body is at the least, bytes."""
    around = limits.max_body_bytes - limits.max_upload_bytes
    return max((content_length or 0) - around, 0)


def declared_too_large(
    content_length: int, limits: ReceiveLimits, *, most_bytes: int
) -> TooLarge | None:
    """The refusal of a body whose Content-Length shows that its file is over `most_bytes`."""
    if content_length <= limits.max_body_bytes - limits.max_upload_bytes + most_bytes:
        return None
    return TooLarge(f"The body is {content_length} bytes, the limit for a file {most_bytes}.")


def ensure_fields(fields: Mapping[str, str], limits: ReceiveLimits) -> None:
    """Raise TooLarge for text fields that are more than a form's may be."""
    count = sum(len(name.encode()) + len(value.encode()) for name, value in fields.items())
    if count > limits.max_fields_bytes:
        raise TooLarge(f"The text fields have {count} bytes, limit {limits.max_fields_bytes}.")
    if (count := len(encode_json(dict(fields)))) > limits.max_fields_json_bytes:
        raise TooLarge(
            f"The text fields have {count} bytes as JSON, limit {limits.max_fields_json_bytes}."
        )
    if len(fields) >= limits.max_parts:
        raise TooLarge(f"There are {len(fields)} text fields, limit {limits.max_parts - 1}.")
