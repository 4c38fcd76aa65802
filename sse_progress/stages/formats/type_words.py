"""Media types in words for people: "JPEG picture", "jpg, png, pdf"."""

from __future__ import annotations

from collections.abc import Iterable

from sse_progress.stages.formats.media_types import Kind, canonical, extensions_of, kind_of

__all__ = ["type_text", "types_text"]

_KINDS: dict[Kind, tuple[str, str]] = {
    "image": ("picture", "pictures"),
    "video": ("video", "videos"),
    "audio": ("sound file", "sound"),
    "pdf": ("file", "PDF"),
    "office": ("document", "office documents"),
    "archive": ("archive", "archives"),
    "text": ("text", "text"),
}
_FORMATS = {
    "image/jpeg": "JPEG",
    "image/tiff": "TIFF",
    "video/quicktime": "QuickTime",
    "video/x-matroska": "Matroska",
    "video/webm": "WebM",
    "audio/ogg": "Ogg",
    "video/ogg": "Ogg",
}
"""Where the format's name is not its first extension in capitals."""
_NOUNS = {"text/html": "page", "application/xhtml+xml": "page", "image/svg+xml": "picture"}
"""Where what people see is not what the file is made of."""


def type_text(media_type: str) -> str:
    """What to call a file after "This": `JPEG picture`, `file (application/x-elf)`."""
    noun = _NOUNS.get(media_type) or _KINDS.get(kind_of(media_type), ("file", ""))[0]
    if media_type == "text/plain":
        return noun
    extensions = extensions_of(media_type)
    name = _FORMATS.get(media_type) or (extensions[0].upper() if extensions else "")
    return f"{name} {noun}" if name else f"{noun} ({media_type})"


def types_text(accepted: Iterable[str], limit: int = 100) -> str:
    """`jpg, png, pdf` for an allow-list; above `limit` characters `pictures, PDF`."""
    wanted = [canonical(name) for name in accepted]
    names = ", ".join(dict.fromkeys((extensions_of(name) or (name,))[0] for name in wanted))
    if len(names) <= limit and "*" not in names:
        return names
    kinds = (_KINDS.get(kind_of(name), ("", name))[1] for name in wanted)
    return ", ".join(dict.fromkeys(kinds))
