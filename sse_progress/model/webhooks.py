"""Webhooks as Standard Webhooks 1.0 has them: secrets, signatures, and the time until a retry.

No I/O, and nothing of what a message says.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

__all__ = ["RETRIES_S", "is_signed", "secrets_of", "signed_headers"]

RETRIES_S = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds from one failed attempt to the next; after the last one the delivery has failed."""

PREFIX = "whsec_"
SECRET_BYTES = range(24, 65)
MOST_SECRETS = 2
TOLERANCE_S = 300


def secrets_of(text: str) -> tuple[bytes, ...]:
    """The keys in `whsec_…`, or in two of them while one replaces the other. Raises ValueError."""
    words = [word for word in re.split(r"[\s,]+", text) if word]
    if not 0 < len(words) <= MOST_SECRETS:
        raise ValueError(f"has {len(words)} secrets, needs one, or two while they are changed")
    return tuple(_key(word) for word in words)


def _key(word: str) -> bytes:
    if not word.startswith(PREFIX):
        raise ValueError(f"must begin with {PREFIX}")
    try:
        key = base64.b64decode(word.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"must be base64 after {PREFIX}") from None
    if len(key) not in SECRET_BYTES:
        raise ValueError(
            f"is {len(key)} bytes, needs {SECRET_BYTES.start} to {SECRET_BYTES.stop - 1}"
        )
    return key


def is_signed(
    headers: Mapping[str, str], body: bytes, *, keys: Sequence[bytes], now_s: int
) -> bool:
    """Whether a message is signed by one of `keys`, at most TOLERANCE_S before or after `now_s`."""
    message_id, sent, given = (
        headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
    )
    if not (message_id and sent.isascii() and sent.isdigit() and len(sent) <= 12):
        return False
    if abs(int(sent) - now_s) > TOLERANCE_S:
        return False
    marks = [_mark(key, message_id, int(sent), body) for key in keys]
    return any(
        hmac.compare_digest(f"v1,{mark}".encode(), word.encode())
        for mark in marks
        for word in given.split()
    )


def _mark(key: bytes, message_id: str, sent_s: int, body: bytes) -> str:
    signed = b"%b.%d.%b" % (message_id.encode(), sent_s, body)
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def signed_headers(
    message_id: str, body: bytes, *, keys: Sequence[bytes], now_s: int
) -> dict[str, str]:
    """Headers of one attempt; receivers refuse an old `now_s` (Unix time), so each has its own."""
    marks = (_mark(key, message_id, now_s, body) for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": " ".join(f"v1,{mark}" for mark in marks),
    }
