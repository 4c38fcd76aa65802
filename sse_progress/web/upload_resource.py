"""An upload as a resource that can be appended to: its extent, its limits, and its refusals.

The headers here are the same for every dialect that has them.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sse_progress.journal.frames import Page
from sse_progress.model.errors import (
    BadRequest,
    InconsistentLength,
    MismatchingOffset,
    Problem,
)
from sse_progress.settings import Settings
from sse_progress.web.dialects import draft
from sse_progress.web.dialects.fields import HeaderFields
from sse_progress.web.problem_details import answer
from sse_progress.web.request_fields import first_header
from sse_progress.web.request_headers import context_of

__all__ = [
    "begins_draft",
    "expires",
    "extent_headers",
    "fields_of",
    "limits_of",
    "refusal",
    "taken_over",
]

_TYPES = "https://iana.org/assignments/http-problem-types#"


def fields_of(request: Request) -> HeaderFields:
    """The request's headers as the dialects read them."""

    def value(name: str) -> str | None:
        lines = request.headers.getlist(name)
        return ", ".join(lines) if lines else None

    return value


def begins_draft(request: Request) -> bool:
    """Whether it begins an upload of the IETF draft; a form is an upload of its own kind, which the
    draft lets a server take as ever."""
    given = first_header(request.scope, b"content-type") or ""
    kind = given.partition(";")[0].strip().lower()
    return kind != "multipart/form-data" and draft.is_part(fields_of(request))


def limits_of(settings: Settings) -> str:
    """`Upload-Limit` (draft-ietf-httpbis-resumable-upload §4.1.4)."""
    return f"max-size={settings.max_upload_bytes}, min-size=0, max-age={settings.resume_s}"


def expires(seconds: float) -> str:
    """`Upload-Expires` of tus: a date of HTTP."""
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


def extent_headers(page: Page, settings: Settings) -> dict[str, str]:
    """Where a body stands, for a caller that only looks; nothing where that is not known."""
    if page.offset is None or not page.live:
        return {}
    headers = {
        "Upload-Offset": str(page.offset),
        "Upload-Complete": "?0" if page.resumable else "?1",
        "Upload-Limit": limits_of(settings),
    }
    if page.length is not None:
        headers["Upload-Length"] = str(page.length)
    return headers


async def taken_over(request: Request, upload_id: str, *, owner: str) -> Response | None:
    """The answer to a HEAD: an offset that the next append may begin at. An older request that
    still sends is ended. None: this upload's body comes in one request."""
    for name in ("upload-offset", "upload-complete"):
        if name in request.headers:  # the draft's §4.3.1: it would be an append
            raise BadRequest(f"A HEAD has no {name.title()}.")
    context = context_of(request)
    extent = await context.resumable.extent(upload_id, owner=owner)
    if extent is None:
        return None
    interop = draft.interop_version(fields_of(request))
    flag, value = draft.flag(complete=extent.complete, interop=interop)
    headers = {
        "X-Upload-ID": upload_id,
        "Cache-Control": "no-store",
        "Upload-Offset": str(extent.offset),
        flag.title(): value,
        "Upload-Limit": limits_of(context.settings),
    }
    if extent.length is None:
        headers["Upload-Defer-Length"] = "1"
    else:
        headers["Upload-Length"] = str(extent.length)
    if extent.metadata:
        headers["Upload-Metadata"] = extent.metadata
    if extent.concat:
        headers["Upload-Concat"] = extent.concat
    if extent.expires_s is not None:
        headers["Upload-Expires"] = expires(extent.expires_s)
    return Response(status_code=200 if interop is None else 204, headers=headers)


def refusal(
    problem: Problem, upload_id: str, settings: Settings, more: Mapping[str, str] | None = None
) -> Response:
    """A refused request for a body that may rest, with what its sender needs to go on."""
    headers = {"X-Upload-ID": upload_id, "Upload-Limit": limits_of(settings), **(more or {})}
    members: dict[str, Any] = {}
    match problem:
        case MismatchingOffset():
            headers["Upload-Offset"] = str(problem.expected)
            members = {
                "type": f"{_TYPES}mismatching-upload-offset",
                "expected-offset": problem.expected,
                "provided-offset": problem.provided,
            }
        case InconsistentLength():
            members = {"type": f"{_TYPES}inconsistent-upload-length"}
    return answer(problem, headers=headers, **members)
