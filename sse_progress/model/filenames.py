"""A client's file name, made into a plain base name that is safe to show, offer and store.

A name decides nothing here: the kind of a file is detected, and the original lies under a name of
ours. So a bad name is repaired, not refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

__all__ = ["LIMIT_BYTES", "clean_filename", "distinct_filename"]

LIMIT_BYTES = 150
"""Longest cleaned name, bytes of UTF-8."""

_SUFFIX_LIMIT_BYTES = 20
_NAMELESS = "file"

# Characters that end or split a name somewhere: Windows paths and streams, header parameters.
_FORBIDDEN = str.maketrans(dict.fromkeys('<>:"|?*\ufffd', "_"))

# Nothing to repair, but for the names of devices.
_PLAIN = re.compile(r"[0-9A-Za-z_](?:[0-9A-Za-z_.-]{0,98}[0-9A-Za-z_-])?")

# Device names on Windows, with any extension (Microsoft, "Naming Files, Paths, and Namespaces").
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"}
)


def clean_filename(name: str) -> str:
    """The base name of `name`: NFC, 1 to 150 bytes of UTF-8, its extension kept.

    No separators, no control, format or bidirectional characters, no leading dot or dash, no
    trailing dot or space, no Windows device name. Cleaning twice changes nothing.
    """
    if _PLAIN.fullmatch(name) and name.partition(".")[0].upper() not in _DEVICES:
        return name
    name = name.replace("\\", "/").rpartition("/")[2]
    if not (name.isascii() and name.isprintable()):
        name = "".join(" " if c.isspace() else c for c in name if _visible(c))
    # NFC can make a letter of what stood apart, but never a separator or a control character.
    name = unicodedata.normalize("NFC", name).translate(_FORBIDDEN)
    name = " ".join(name.split()).lstrip(" .-").rstrip(" .")
    if name.partition(".")[0].rstrip().upper() in _DEVICES:
        name = f"_{name}"
    return _cut(name) or _NAMELESS


def distinct_filename(name: str, taken: Container[str]) -> str:
    """`name`, or if that is taken `stem-2.ext`, `stem-3.ext`…: cleaned as `clean_filename` does."""
    found = clean_filename(name)
    stem, suffix = _split(found)
    number = 1
    while found in taken:
        number += 1
        ending = f"-{number}{suffix}"
        room = LIMIT_BYTES - len(ending.encode())
        found = clean_filename(stem.encode()[:room].decode("utf-8", "ignore") + ending)
    return found


def _visible(c: str) -> bool:
    return c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Cs")


def _cut(name: str) -> str:
    """At most LIMIT_BYTES of UTF-8; what goes is the end of the stem, not the extension."""
    if len(name.encode()) <= LIMIT_BYTES:
        return name
    stem, suffix = _split(name)
    room = LIMIT_BYTES - len(suffix.encode())
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip(" .") + suffix


def _split(name: str) -> tuple[str, str]:
    """Stem, and the extension with its dot, or none where that would be too long for one."""
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix.encode()) >= _SUFFIX_LIMIT_BYTES:
        return name, ""
    return stem, dot + suffix
