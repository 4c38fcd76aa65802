"""The built-in sentences and their keys, so that a client can say them in another language.

A sentence is found again by its words: whoever tells an event gives the sentence alone. What a
plug-in says is not listed, and has no key.
"""

from __future__ import annotations

import re
from functools import cache
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
    "reading.characters": "Reading {done} of {total} characters",
    "reading.second": "Reading second {done} of {total}",
    "reading.seconds": "Reading second {done}",
    "reading.rows": "Read {done} rows",
    "reading.name": "Reading the name and fields",
    "reading.camera": "Reading what the camera wrote",
    "decoding.key_frame": "Decoding key frame {done} of {total}",
    "opening.page": "Opening page {done} of {total}",
    "timing.frame": "Timing frame {done} of {total}",
    "listening.second": "Listening to second {done} of {total}",
    "inflating.entry": "Inflating entry {done} of {total}",
    "inflating.bytes": "Inflating entry {done} of {total}, {bytes} of {size}",
    "looked.frame": "Looked at frame {done} of {total}",
    "looked.page": "Looked at page {done} of {total}",
    "looked.picture": "Looked at picture {done} of {total}",
    "colors": "Finding the dominant colors",
    "hash": "Making a perceptual hash",
    "password": "The PDF asks for a password",
    "clamd.asking": "Connecting to the malware scanner",
    "clamd.sent": "Sent {done} of {total} to the malware scanner",
    "clamd.clean": "The malware scanner found nothing",
    "asking.moderation": "Asking the moderation service",
    "asking.moderation.part": "Asking the moderation service, {done} of {total}",
    "later.moderation": "The moderation service will answer later",
    "type.no_decoder": "This kind of file cannot be opened here",
    "type.not_analyzed": "This kind of file is not analyzed here",
    "derived": "Made {done} derived files",
    "derived.one": "Made {done} derived file",
    "picture.video": "Taking a picture from the video",
    "picture.page": "Drawing the first page",
    "picture.writing": "Writing a picture of {width} x {height} pixels",
    "checksum.rewritten": "Computing the checksum of the rewritten original",
    "approved": "Approved",
    "marked": "Marked for review",
}

_SIZE = r"[0-9]+(?:\.[0-9]+)?(?: (?:bytes|kB|MB|GB|TB))?"
_FIXED = {text: key for key, text in SENTENCES.items() if "{" not in text}


@cache  # made when it is first looked for: all of them take 4 ms, and most processes need few
def _pattern(text: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", text)
    named = [f"(?P<{part}>{_SIZE})" if at % 2 else re.escape(part) for at, part in enumerate(parts)]
    return re.compile("".join(named))


def _by_word() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for key, text in SENTENCES.items():
        word = text.partition(" ")[0]
        if "{" in text:
            found.setdefault("" if "{" in word else word, []).append((key, text))
    return found


_BY_WORD = _by_word()
"""Sentences by the first word, under "" those whose first word varies: every event is looked up."""


def key_of(message: str) -> tuple[str, dict[str, str]] | None:
    """The key of a built-in sentence, and what it was filled with; None for any other."""
    if (key := _FIXED.get(message)) is not None:
        return key, {}
    for key, text in _BY_WORD.get(message.partition(" ")[0], _BY_WORD[""]):
        if (found := _pattern(text).fullmatch(message)) is not None:
            return key, found.groupdict()
    return None
