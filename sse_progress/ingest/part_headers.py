"""Header values of a multipart body: types, boundaries, dispositions and file names."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from sse_progress.model.errors import UnsupportedMediaType

__all__ = ["claimed_type_of", "content_type_boundary", "disposition_of", "filename_of"]

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_MEDIA_TYPE = re.compile(rb"%b(?>(?:/%b)?)" % (_TOKEN, _TOKEN))
# Possessive or atomic throughout: one pass over the header, whatever it holds. (No possessive
# quantifier of a group: CPython before 3.11.5 gets those wrong, gh-106052.)
_PARAMETER = re.compile(
    rb'[ \t]*+;[ \t]*+(?>(?:(%b)=(?:"((?>(?:[^"\\]|\\.)*))"|([^\x00-\x20";\x7f]++)))?)' % _TOKEN
)
_ESCAPED = re.compile(rb'\\(["\\])')
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_CONTENT_TYPE_LIMIT_BYTES = 1024
# As nearly every client writes them: understood by one match instead of parameter by parameter.
_USUAL_TYPE = re.compile(r"multipart/form-data; ?boundary=([0-9A-Za-z'()+_./:?-]{1,70})")
_USUAL_FILE = re.compile(rb'form-data; name="([^"\\]*+)"; filename="([^"\\]*+)"')


def _parameters(header: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """`type; name=value; name="value"` (RFC 9110 §5.6.6), names and type in lower case.

    Raises ValueError on anything else and on a name given twice: two readers could understand it
    in two ways. In a quoted value only `\\"` and `\\\\` are escapes, since browsers send a
    backslash as it is (WHATWG HTML §4.10.21.8).
    """
    header = header.strip(b" \t")
    kind = _MEDIA_TYPE.match(header)
    if kind is None:
        raise ValueError("no type")
    found: dict[bytes, bytes] = {}
    at = kind.end()
    while at < len(header):
        match = _PARAMETER.match(header, at)
        if match is None:
            raise ValueError("not a parameter")
        at = match.end()
        name, quoted, plain = match.groups()
        if name is None:
            continue
        name = name.lower()
        if name in found:
            raise ValueError("a parameter is given twice")
        found[name] = plain if quoted is None else _ESCAPED.sub(rb"\1", quoted)
    return kind.group().lower(), found


def content_type_boundary(header: str) -> bytes:
    """The boundary that a request's Content-Type names: 1 to 70 characters (RFC 2046 §5.1.1).

    Raises UnsupportedMediaType if the header is anything but multipart/form-data with one boundary.
    """
    if (usual := _USUAL_TYPE.fullmatch(header)) is not None:
        return usual[1].encode("ascii")
    try:
        raw = header.encode("latin-1")
        if len(raw) > _CONTENT_TYPE_LIMIT_BYTES:
            raise UnsupportedMediaType
        kind, parameters = _parameters(raw)
    except ValueError:
        raise UnsupportedMediaType from None
    boundary = parameters.get(b"boundary", b"")
    if kind != b"multipart/form-data" or _BOUNDARY.fullmatch(boundary) is None:
        raise UnsupportedMediaType
    return boundary


def disposition_of(header: bytes) -> tuple[str, str | None]:
    """Name and file name of a part; no file name (None) makes it a text field.

    Raises ValueError unless the header is form-data with a name, in UTF-8.
    """
    if (usual := _USUAL_FILE.fullmatch(header)) is not None:
        return usual[1].decode(), usual[2].decode("utf-8", "replace")
    kind, parameters = _parameters(header)
    if kind != b"form-data" or b"name" not in parameters:
        raise ValueError("not form-data with a name")
    extended = parameters.pop(b"filename*", None)
    if any(b"*" in name for name in parameters):
        raise ValueError("an extended parameter")
    filename = parameters.get(b"filename", b"").decode("utf-8", "replace")
    if extended is not None:
        filename = _extended(extended) or filename
    elif b"filename" not in parameters:
        return parameters[b"name"].decode(), None
    return parameters[b"name"].decode(), filename


def filename_of(header: bytes) -> str | None:
    """The file name in the Content-Disposition of a request, whatever its type (RFC 6266 §4).

    None if there is none. Raises ValueError for a header that cannot be understood.
    """
    _, parameters = _parameters(header)
    extended = parameters.get(b"filename*")
    plain = parameters.get(b"filename")
    if extended is not None:
        return _extended(extended)
    return None if plain is None else plain.decode("utf-8", "replace")


def _extended(value: bytes) -> str:
    """charset'language'percent-encoded (RFC 8187 §3.2)."""
    charset, _language, encoded = value.split(b"'", 2)
    if charset.lower() not in (b"utf-8", b"iso-8859-1"):
        raise ValueError("not RFC 8187")
    return unquote_to_bytes(encoded).decode(charset.decode())


def claimed_type_of(header: bytes) -> str:
    """What a part says it is, without parameters; nonsense claims nothing."""
    kind = header.partition(b";")[0].strip(b" \t").lower()
    if b"/" in kind and len(kind) <= 127 and _MEDIA_TYPE.fullmatch(kind):
        return kind.decode("ascii")
    return "application/octet-stream"
