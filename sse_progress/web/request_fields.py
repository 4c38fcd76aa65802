"""The fields of a request's head and its query, read once for all who look at them."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.types import Scope

from sse_progress.model.errors import BadRequest

__all__ = [
    "BODY_FIELDS",
    "fields_of",
    "first_header",
    "forget_fields",
    "has_body",
    "joined_header",
    "query_value",
    "query_values",
    "single_header",
]

FIELDS = "sse_progress.fields"
BODY_FIELDS = {b"transfer-encoding", b"content-length"}
"""A request without them has no body (RFC 9112 §6.3)."""
_NO_LENGTH = [b"0"]


def fields_of(scope: Scope) -> dict[bytes, list[bytes]]:
    """All values of each header in their order, by its name in lower case. A stream's opening looks
    for fourteen of them."""
    found: dict[bytes, list[bytes]]
    try:
        found = scope[FIELDS]
    except KeyError:
        found = scope[FIELDS] = {}
        for name, value in scope["headers"]:
            if name in found:
                found[name].append(value)
            else:
                found[name] = [value]
    return found


def forget_fields(scope: Scope) -> None:
    """The next call reads them again."""
    scope.pop(FIELDS, None)


def single_header(scope: Scope, name: bytes) -> str | None:
    """The value of a header that may come once (RFC 9110 §5.3); raises BadRequest for two."""
    values = fields_of(scope).get(name)
    if values is None:
        return None
    if len(values) > 1:
        raise BadRequest(f"The header {name.decode().title()} came {len(values)} times.")
    return values[0].decode("latin-1")


def first_header(scope: Scope, name: bytes) -> str | None:
    """A header's value, of several the first."""
    values = fields_of(scope).get(name)
    return None if values is None else values[0].decode("latin-1")


def joined_header(scope: Scope, name: bytes) -> str | None:
    """All values of a header as the one list that they are (RFC 9110 §5.3)."""
    values = fields_of(scope).get(name)
    return None if values is None else b", ".join(values).decode("latin-1")


def has_body(scope: Scope) -> bool:
    fields = fields_of(scope)
    if b"content-length" in fields and fields[b"content-length"] != _NO_LENGTH:
        return True
    return b"transfer-encoding" in fields


def query_values(request: HTTPConnection, name: str) -> list[str]:
    """All values of a parameter. Starlette's parser takes 25 calls to find nothing."""
    return request.query_params.getlist(name) if request.scope["query_string"] else []


def query_value(request: HTTPConnection, name: str) -> str | None:
    """The last value of a parameter."""
    return request.query_params.get(name) if request.scope["query_string"] else None
