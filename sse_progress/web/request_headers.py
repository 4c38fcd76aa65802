"""What a request asks for in its headers: Accept, Prefer, If-None-Match, positions, ids."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from sse_progress.model.errors import BadRequest, InvalidUploadId
from sse_progress.model.ids import Position, valid_upload_id
from sse_progress.model.labels import Labels
from sse_progress.web.callers import Access
from sse_progress.web.content_coding import weighed
from sse_progress.web.context import WebContext
from sse_progress.web.request_fields import fields_of, first_header, joined_header, query_value

__all__ = [
    "accepts",
    "access_of",
    "content_length",
    "context_of",
    "etag_matches",
    "etag_of",
    "etag_of_content",
    "labels_of",
    "path_upload_id",
    "position_of",
    "preference",
    "wants_json",
]

MAX_WAIT_S = 60
MAX_DIGITS = 18
"""Of any number that is asked with: beyond all that is meant, within what int() reads."""


def context_of(request: Request) -> WebContext:
    context: WebContext = request.scope["app"].state.context
    return context


def access_of(request: Request) -> Access:
    access: Access = request.scope["app"].state.access
    return access


def path_upload_id(request: Request) -> str:
    """The id in the path, noted for the answer. Raises InvalidUploadId."""
    upload_id: str = request.scope["path_params"]["upload_id"]
    if not valid_upload_id(upload_id):
        raise InvalidUploadId
    request.scope.setdefault("state", {})["upload_id"] = upload_id
    return upload_id


def labels_of(request: Request) -> Labels:
    """Kind, context and batch in the query. Raises what `Labels.of` does."""
    return Labels.of(request.query_params.multi_items() if request.scope["query_string"] else ())


def content_length(request: Request) -> int | None:
    """Body bytes announced; None for a chunked body. Raises BadRequest for anything unreadable."""
    if (value := first_header(request.scope, b"content-length")) is None:
        return None
    if not (_is_digits(value) and len(value) <= MAX_DIGITS):
        raise BadRequest("Content-Length must be a number of bytes.")
    return int(value)


def wants_json(request: Request) -> bool:
    """Whether JSON was asked for by name and not for less than the stream (RFC 9110 §12.5.1)."""
    for value in fields_of(request.scope).get(b"accept", ()):
        if b"json" in value.lower():
            weights = _weights(request)
            return weights.get("application/json", 0) > weights.get("text/event-stream", 0)
    return False


def accepts(request: Request, media_type: str) -> bool:
    """Whether a media type was asked for by name, and not for less than JSON."""
    weights = _weights(request)
    asked = weights.get(media_type, 0)
    return asked > 0 and asked >= weights.get("application/json", 0)


def _weights(request: Request) -> dict[str, float]:
    return weighed(request.headers.getlist("accept"))


def preference(request: Request, name: str) -> str | None:
    """The value of a preference (RFC 7240), "" for one without; None if it was not sent."""
    if not (given := joined_header(request.scope, b"prefer")):
        return None
    for part in given.split(","):
        token, _, value = part.partition(";")[0].partition("=")
        if token.strip().lower() == name:
            return value.strip().strip('"')
    return None


def wait_s(request: Request) -> int:
    """Seconds of `Prefer: wait=…`, at most 60; 0 if it was not sent or makes no sense."""
    value = preference(request, "wait") or ""
    return min(int(value[:MAX_DIGITS]), MAX_WAIT_S) if _is_digits(value) else 0


def position_of(request: Request) -> Position | None:
    """The position a client presents: the header, else the query. Empty is none."""
    fields = fields_of(request.scope)
    given = fields[b"last-event-id"][0].decode("latin-1") if b"last-event-id" in fields else ""
    given = given or query_value(request, "lastEventId") or ""
    return Position.parse(given) if given else None


def etag_of(
    position: Position,
    *,
    live: bool = True,
    deleted: bool = False,
    offset: int | None = None,
    lines: bool = False,
) -> str:
    """Of a state: the journal's end and whether it is from there, whether the upload's files are
    gone since, how far a body is that may rest, and whether it is lines of JSON."""
    more = "-deleted" if deleted else "" if offset is None else f"+{offset}"
    more = more if live else f"{more}-archived"
    more = f"{more}-lines" if lines else more  # other bytes, another tag (RFC 9110 §8.8.3)
    return f'"{position}{more}"'


def etag_of_content(content: bytes) -> str:
    """Of what is served as it is."""
    return f'"{hashlib.sha256(content).hexdigest()[:16]}"'


def etag_matches(request: Request, etag: str) -> bool:
    """If-None-Match, compared weakly (RFC 9110 §13.1.2)."""
    given = [
        tag.strip().removeprefix("W/")
        for tag in ",".join(request.headers.getlist("if-none-match")).split(",")
    ]
    return etag in given or "*" in given


def integer(request: Request, name: str, *, default: int, check: Callable[[int], bool]) -> int:
    """A whole number from the query. Raises BadRequest."""
    value: Any = request.query_params.get(name)
    if value is None:
        return default
    if _is_digits(value) and len(value) <= MAX_DIGITS and check(int(value)):
        return int(value)
    raise BadRequest(f"The query parameter {name} is not a number in its range.")


def _is_digits(value: str) -> bool:
    return value.isascii() and value.isdigit()
