"""Media types: one spelling for each, what the allow-list admits, what a file name promises.

Names only; what the bytes are is decided by `detection`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from typing import Literal

__all__ = [
    "Kind",
    "allowed",
    "canonical",
    "extension_matches",
    "extension_of",
    "extensions_of",
    "is_active",
    "is_ooxml",
    "is_zip_based",
    "kind_of",
    "types_of_extension",
]

Kind = Literal["image", "video", "audio", "pdf", "office", "archive", "text", "other"]

_ALIASES = {
    "application/csv": "text/csv",
    "application/ogg": "audio/ogg",
    "application/x-matroska": "video/x-matroska",
    "application/x-ndjson": "text/plain",
    "application/x-pdf": "application/pdf",
    "application/x-subrip": "text/plain",
    "application/x-zip": "application/zip",
    "application/x-zip-compressed": "application/zip",
    "audio/aacp": "audio/aac",
    "audio/mp3": "audio/mpeg",
    "audio/mpegapplication/octet-stream": "audio/mpeg",  # libmagic 5.44, MPEG ADTS after ID3
    "audio/opus": "audio/ogg",
    "audio/vnd.wave": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-aiff": "audio/aiff",
    "audio/x-flac": "audio/flac",
    "audio/x-hx-aac-adif": "audio/aac",
    "audio/x-hx-aac-adts": "audio/aac",
    "audio/x-m4a": "audio/mp4",
    "audio/x-mp4a-latm": "audio/mp4",
    "audio/x-mpeg": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/vnd.microsoft.icon": "image/x-icon",
    "image/x-bmp": "image/bmp",
    "image/x-ms-bmp": "image/bmp",
    "image/x-png": "image/png",
    "text/json": "application/json",
    "text/x-markdown": "text/markdown",
    "video/avi": "video/x-msvideo",
    "video/matroska": "video/x-matroska",
    "video/mpeg4-generic": "video/mp4",
    "video/vnd.avi": "video/x-msvideo",
    "video/x-m4v": "video/mp4",
    "video/x-mpeg": "video/mpeg",
}

_ACTIVE = frozenset(
    (
        "text/html",
        "text/xml",
        "text/css",
        "text/rtf",
        "text/javascript",
        "text/x-javascript",
        "text/vbscript",
        "text/x-php",
        "text/x-shellscript",
        "text/x-msdos-batch",
        "text/x-powershell",
        "image/svg+xml",
        "application/xhtml+xml",
        "application/xml",
        "application/javascript",
    )
)
"""What something would run, render or open with more than a reader: never plain text."""


_END = re.compile(r"[;,\s]")  # libmagic appends remarks, such as ", no program header"


def canonical(media_type: str) -> str:
    """One spelling of `media_type`: lower case, no parameters, aliases resolved.

    Source code and other harmless text that libmagic has a guess about is `text/plain`.
    """
    name = _END.split(media_type.strip().lower(), 1)[0]
    name = _ALIASES.get(name, name)
    if name in _ACTIVE or not name.startswith("text/"):
        return name
    known = ("text/csv", "text/markdown", "text/*")
    return name if name in known else "text/plain"


def is_active(media_type: str) -> bool:
    """Whether `media_type` (canonical) is a text that something would run, render or open."""
    return media_type in _ACTIVE


def allowed(media_type: str, allowed_types: Iterable[str]) -> bool:
    """Whether the allow-list admits `media_type` (canonical).

    `image/*` style wildcards work, yet what can carry a script (SVG, HTML, shell scripts) must
    be named in full; `*/*` admits everything.
    """
    for entry in allowed_types:
        wanted = canonical(entry)
        if wanted in ("*/*", "*", media_type):
            return True
        if "*" in wanted and media_type not in _ACTIVE and fnmatch.fnmatch(media_type, wanted):
            return True
    return False


# ---- what kind of decoder a type needs

_OOXML = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."


def is_ooxml(media_type: str) -> bool:
    """Office Open XML (ECMA-376), macro-enabled ones included."""
    return media_type.startswith(_OOXML) or media_type.endswith(".macroenabled.12")


def is_zip_based(media_type: str) -> bool:
    """Formats whose files are zip archives inside."""
    return kind_of(media_type) in ("office", "archive")


_KINDS: dict[str, Kind] = {
    "application/pdf": "pdf",
    "application/zip": "archive",
    "application/epub+zip": "office",
    "application/json": "text",
    "application/xml": "text",
    "application/javascript": "text",
    "image/svg+xml": "text",
    "text/rtf": "other",  # its words stand between control words, which nothing here reads
}
_FAMILIES: dict[str, Kind] = {
    "image": "image",
    "video": "video",
    "audio": "audio",
    "text": "text",
}


def kind_of(media_type: str) -> Kind:
    """Which decoder looks into a canonical `media_type`."""
    if is_ooxml(media_type) or media_type.startswith(_ODF):
        return "office"
    family = media_type.partition("/")[0]
    return _KINDS.get(media_type) or _FAMILIES.get(family, "other")


# ---- what a file name promises

_EXTENSIONS: dict[str, tuple[str, ...]] = {
    "image/jpeg": ("jpg", "jpeg", "jpe", "jfif"),
    "image/png": ("png", "apng"),
    "image/gif": ("gif",),
    "image/webp": ("webp",),
    "image/avif": ("avif",),
    "image/heic": ("heic", "heif", "hif"),
    "image/heif": ("heif", "heic", "hif"),
    "image/tiff": ("tif", "tiff"),
    "image/bmp": ("bmp", "dib"),
    "image/x-icon": ("ico",),
    "image/svg+xml": ("svg",),
    "video/mp4": ("mp4", "m4v"),
    "video/quicktime": ("mov", "qt"),
    "video/webm": ("webm",),
    "video/x-matroska": ("mkv",),
    "video/x-msvideo": ("avi",),
    "video/mpeg": ("mpg", "mpeg", "mpe", "vob"),
    "video/mp2t": ("ts", "m2ts", "mts"),
    "video/3gpp": ("3gp", "3gpp"),
    "video/3gpp2": ("3g2", "3gpp2", "3gp"),
    "video/x-flv": ("flv", "f4v"),
    "video/x-ms-asf": ("asf", "wmv"),
    "audio/x-ms-wma": ("wma", "asf"),
    "audio/3gpp": ("3gp", "3gpp", "3ga"),
    "audio/3gpp2": ("3g2", "3gpp2", "3ga"),
    "audio/mpeg": ("mp3", "mp2"),
    "audio/mp4": ("m4a", "m4b", "mp4"),
    "audio/aac": ("aac",),
    "audio/ogg": ("ogg", "oga", "opus"),
    "video/ogg": ("ogv", "ogg"),
    "audio/flac": ("flac",),
    "audio/wav": ("wav", "wave"),
    "audio/aiff": ("aif", "aiff"),
    "audio/webm": ("webm", "weba"),
    "audio/x-matroska": ("mka", "mkv"),
    "application/pdf": ("pdf",),
    "text/plain": (
        *("txt", "text", "log", "rst", "adoc", "org", "tex", "bib", "srt", "vtt", "ass", "ssa"),
        *("sbv", "lrc", "ini", "cfg", "conf", "toml", "yaml", "yml", "properties", "jsonl"),
        *("ndjson", "py", "c", "h", "cc", "cpp", "hpp", "java", "go", "rs", "rb", "sql", "ts"),
        *("tsx", "jsx", "vue", "kt", "swift", "lua", "r", "pl", "diff", "patch", "asc", "pem"),
    ),
    "text/csv": ("csv", "tsv", "tab"),
    "text/markdown": ("md", "markdown", "mdown", "mkd"),
    "text/html": ("html", "htm"),
    "application/json": ("json", "geojson"),
    "application/zip": ("zip",),
    "application/epub+zip": ("epub",),
    _OOXML + "wordprocessingml.document": ("docx",),
    _OOXML + "spreadsheetml.sheet": ("xlsx",),
    _OOXML + "presentationml.presentation": ("pptx",),
    _ODF + "text": ("odt",),
    _ODF + "spreadsheet": ("ods",),
    _ODF + "presentation": ("odp",),
}


def extension_of(filename: str) -> str:
    """The extension of `filename` in lower case, without its dot; empty if it has none."""
    stem, dot, extension = filename.rpartition(".")
    return extension.lower() if dot and stem else ""


def extension_matches(filename: str, media_type: str) -> bool | None:
    """Whether the extension is one that goes with `media_type`; None if that is unknown."""
    extension = extension_of(filename)
    if not extension or media_type not in _EXTENSIONS:
        return None
    return extension in _EXTENSIONS[media_type]


def extensions_of(media_type: str) -> tuple[str, ...]:
    """The extensions that go with a canonical `media_type`, the usual one first."""
    return _EXTENSIONS.get(media_type, ())


def types_of_extension(extension: str) -> tuple[str, ...]:
    """The media types that `extension` (lower case, no dot) goes with; empty if it is unknown."""
    return tuple(name for name, known in _EXTENSIONS.items() if extension in known)
