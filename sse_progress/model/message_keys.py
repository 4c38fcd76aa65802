"""The built-in sentences and their keys, so that a client can say them in another language.

A sentence is found again by its words: whoever tells an event gives the sentence alone. What a
plug-in says is not listed, and has no key.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["SENTENCES", "key_of"]

SENTENCES: Final = {
    "begin.receiving": "Receiving the file",
    "begin.validating": "Checking format, size and safety",
    "begin.analyzing": "Analyzing the content",
    "begin.moderating": "Checking the content against the rules",
    "begin.processing": "Making derived files",
    "begin.finalizing": "Writing the record",
    "end.receiving": "All bytes have arrived",
    "end.file_received": "The file is stored and its work is queued",
    "end.validating": "The file is valid",
    "end.analyzing": "Content analysis is done",
    "end.moderating": "Content moderation is done",
    "end.processing": "Derived files are made",
    "end.finalizing": "The record is written",
    "end.complete": "Upload complete",
    "end.cancelled": "The upload was cancelled",
    "receiving.paused": "Connection lost, waiting for the rest",
    "receiving.resumed": "Upload resumed",
    "receiving.checksum": "Computing the checksum of what arrived",
    "receiving.stored": "{size} stored; its work is queued",
    "receiving.unserved": "{size} stored; no worker is running that could take it",
    "waiting.review": "Waiting for a person to look at it",
    "waiting.moderation": "Waiting for the moderation service",
    "decided.review": "A person has looked at it",
    "decided.moderation": "The moderation service has answered",
    "work.parked": "The work is paused until an operator resumes it; the file is kept",
    "work.retry": "The service could not do this now; trying again in {seconds} s",
    "storing": "Storing {done} of {total}",
    "reading": "Reading {done} of {total}",
    "reading.page": "Reading page {done} of {total}",
    "reading.row": "Reading row {done}",
    "decoding": "Decoding {done} of {total}",
    "decoding.frame": "Decoding frame {done} of {total}",
    "malware": "Scanning for malware",
    "first_bytes": "Looking at the first bytes",
    "language": "Recognizing the language",
    "metadata": "Removing metadata from the original",
    "approved": "Approved",
    "marked": "Marked for review",
}

_SIZE = r"[\d.]+(?: (?:bytes|kB|MB|GB|TB))?"
_FIXED = {text: key for key, text in SENTENCES.items() if "{" not in text}


def _pattern(text: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", text)
    named = [f"(?P<{part}>{_SIZE})" if at % 2 else re.escape(part) for at, part in enumerate(parts)]
    return re.compile("".join(named))


_PATTERNS = [(key, _pattern(text)) for key, text in SENTENCES.items() if "{" in text]


def key_of(message: str) -> tuple[str, dict[str, str]] | None:
    """The key of a built-in sentence, and what it was filled with; None for any other."""
    if (key := _FIXED.get(message)) is not None:
        return key, {}
    for key, pattern in _PATTERNS:
        if (found := pattern.fullmatch(message)) is not None:
            return key, found.groupdict()
    return None
