"""Text from files and clients, made safe to show on one line."""

from __future__ import annotations

import unicodedata
from typing import Any

__all__ = ["clean_text", "cut_to_bytes", "without_surrogates"]

MESSAGE_LIMIT = 200


_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def clean_text(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """One line for a person: no control characters, no line separators, no lone surrogates.

    At most `limit` characters; a longer text ends in an ellipsis.
    """
    if not (text.isascii() and text.isprintable()):
        text = text.encode("utf-8", "replace").decode("utf-8", "replace")
        text = "".join(
            " " if c in _BIDI or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c
            for c in text
        )
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def cut_to_bytes(text: str, limit_bytes: int) -> str:
    raw = text.encode()
    if len(raw) <= limit_bytes:
        return text
    return raw[: max(limit_bytes - 3, 0)].decode("utf-8", "ignore").rstrip() + "…"


def without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {without_surrogates(k): without_surrogates(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_surrogates(item) for item in value]
    return value
