"""Which kind of text a file is: its name, libmagic and its beginning decide together.

libmagic guesses from words anywhere in a text, so prose about HTML is HTML to it. Here a text is
active only if it begins as a page or script does, or if its name does not say that it is a text
and libmagic takes it for one.
"""

from __future__ import annotations

import codecs
import re

from sse_progress.stages.formats.media_types import (
    extension_of,
    is_active,
    kind_of,
    types_of_extension,
)
from sse_progress.stages.formats.text.encodings import BYTE_FOR_BYTE, bomless_utf16
from sse_progress.stages.formats.text.tables import is_regular_table

__all__ = ["readable", "text_type"]

_NAMED = {
    "md": "text/markdown",
    "markdown": "text/markdown",
    "mdown": "text/markdown",
    "mkd": "text/markdown",
    "csv": "text/csv",
    "tsv": "text/csv",
    "tab": "text/csv",
}
_JSON = ("json", "geojson")
_JSON_LINES = ("jsonl", "ndjson")
_ACTIVE_NAMES = frozenset(
    (
        *("html", "htm", "xhtml", "shtml", "hta", "svg", "xml", "xsl", "xslt", "css", "rtf"),
        *("js", "mjs", "cjs", "jse", "php", "phtml", "php5", "sh", "bash", "zsh", "bat", "cmd"),
        *("ps1", "vbs", "vbe", "wsf", "eml", "mht", "mhtml", "ps", "eps", "url", "desktop"),
        *("reg", "inf", "jar", "exe", "dll", "com", "scr"),
    )
)
"""Names of what is run, rendered or opened by something: libmagic's word about it stays."""
_TEXT_TOO = frozenset(("ts", "mts"))
"""Names of clips that are names of TypeScript as well."""

_OPENINGS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.I), media_type)
    for pattern, media_type in (
        (r"<!doctype\s+html", "text/html"),
        (r"<(html|head|body|script|iframe|frameset|title)[\s>/]", "text/html"),
        (r"<!doctype\s+svg|<svg[\s>/]", "image/svg+xml"),
        (r"<\?php|<\?=", "text/x-php"),
        (r"<\?xml|<!doctype|<!entity", "text/xml"),
        (r"@echo\s+off", "text/x-msdos-batch"),
    )
)
_SKIPPED = re.compile(r"(\ufeff|\s|\0|<!--.*?-->)*", re.S)
_SHEBANG = "#!"
_PAGE_NAMES = ("html", "htm", "xhtml", "shtml")
_TAG = re.compile(r"<[a-z]", re.I)


def text_type(head: bytes, filename: str, found: str) -> str:
    """The media type of a file that begins with `head`; `found` (canonical) if it is no text."""
    extension = extension_of(filename)
    text = _readable(head, found)
    if text is None or found in ("application/pdf", "application/postscript", "text/rtf"):
        return found
    opening = _opening(text)
    if opening is not None:
        return found if is_active(found) else opening
    if extension in _PAGE_NAMES and _TAG.match(text, _skip(text)):
        return "text/html"
    if not _may_be_text(extension):
        return found
    return _by_name(extension, text, found)


def readable(head: bytes) -> str | None:
    """The beginning of a text in UTF-8 or UTF-16, what is cut off at its end left out, or None."""
    for bom, codec in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if head.startswith(bom):
            return _plain(head.decode(codec, "ignore"))
    wide = bomless_utf16(head)
    if wide is not None:
        return _plain(head.decode(wide, "ignore"))
    try:
        return _plain(codecs.getincrementaldecoder("utf-8-sig")().decode(head))
    except UnicodeDecodeError:
        return None


def _readable(head: bytes, found: str) -> str | None:
    """The same, and bytes in another encoding where libmagic takes them for text."""
    text = readable(head)
    if text is None and (kind_of(found) == "text" or is_active(found)):
        return _plain(head.decode(BYTE_FOR_BYTE))
    return text


_CONTROL = re.compile(r"[\0-\x06\x0e-\x1a\x1c-\x1f\x7f]")
_CONTROL_SHARE = 0.01


def _plain(text: str) -> str | None:
    """`text` if it has hardly any control characters; a last one ends old texts (Ctrl-Z)."""
    odd = _CONTROL.findall(text.rstrip("\x1a"))
    return None if "\0" in odd or len(odd) > _CONTROL_SHARE * len(text) else text


def _skip(text: str) -> int:
    found = _SKIPPED.match(text)
    return found.end() if found else 0


def _opening(text: str) -> str | None:
    """The active type that a text begins as, behind white space and comments."""
    if text.removeprefix("\ufeff").startswith(_SHEBANG):
        return "text/x-shellscript"  # whatever its interpreter: made to be run
    at = _skip(text)
    return next((kind for pattern, kind in _OPENINGS if pattern.match(text, at)), None)


def _may_be_text(extension: str) -> bool:
    if extension in _ACTIVE_NAMES:
        return False
    promised = types_of_extension(extension)
    return extension in _TEXT_TOO or not promised or any(kind_of(t) == "text" for t in promised)


def _by_name(extension: str, text: str, found: str) -> str:
    if extension in _JSON:
        return "text/plain" if _is_json_lines(text) else "application/json"
    if found == "application/json" and extension not in (*_JSON_LINES, "md", "markdown"):
        return found
    if extension in _NAMED:
        return _NAMED[extension]
    unnamed = not types_of_extension(extension)
    if found == "text/csv" and unnamed and is_regular_table(text):
        return found
    return "text/plain"


def _is_json_lines(text: str) -> bool:
    """Whether each of the first two lines is a JSON object or array of its own."""
    import msgspec

    lines = [line for line in text.splitlines()[:10] if line.strip()][:2]
    try:
        return len(lines) == 2 and all(
            isinstance(msgspec.json.decode(line), dict | list) for line in lines
        )
    except (msgspec.DecodeError, RecursionError):
        return False
