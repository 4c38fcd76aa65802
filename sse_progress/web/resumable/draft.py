"""The IETF's resumable uploads (draft-ietf-httpbis-resumable-upload): creation and append."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sse_progress.ingest.body import coding_refused
from sse_progress.ingest.labelling import Labelling
from sse_progress.ingest.part_headers import claimed_type_of
from sse_progress.ingest.resumable.parts import Extent, Part
from sse_progress.model.errors import BadRequest, Problem, UnsupportedMediaType, UploadIdInUse
from sse_progress.model.filenames import clean_filename
from sse_progress.model.timestamps import rfc3339
from sse_progress.model.urls import url_of
from sse_progress.storage.announced import Announced
from sse_progress.web.dialects import draft
from sse_progress.web.dialects.draft import DraftPart
from sse_progress.web.request_headers import access_of, content_length, context_of
from sse_progress.web.upload_answers import (
    body_chunks,
    content_coding,
    id_in_use,
    join_batch,
    labelling_of,
    named_file,
    stored_answer,
)
from sse_progress.web.upload_resource import fields_of, limits_of, refusal

__all__ = ["append", "create"]

_PROXY_HEADERS = ("via", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")


async def create(request: Request, upload_id: str) -> Response:
    """A `POST` with `Upload-Complete`: 201 and the upload's address, or the answer to the whole."""
    context, given = context_of(request), None
    location = url_of(upload_id, prefix=context.settings.prefix)
    try:
        given = draft.read_part(fields_of(request), content_length=content_length(request))
        if problem := coding_refused(content_coding(request)):
            raise problem
        principal = await access_of(request).writer(request)
        labelling = labelling_of(request, principal)
        labelling.settle()
        announced = _announced(request, upload_id, principal.sub, given, labelling)
        inform = _Informs(request, given, {"Location": location})
        part = _part(request, given, offset=0, on_offset=inform.offset)
        await join_batch(request, labelling, upload_id, owner=principal.sub)
        async with context.limits.uploads(principal.sub):
            extent = await context.resumable.create(announced, part, begun=inform.begun)
    except UploadIdInUse as problem:
        return await id_in_use(context, upload_id, principal.sub, problem)
    except Problem as problem:
        return refusal(problem, upload_id, context.settings, _flag(given, complete=False))
    if extent.complete and given.complete:
        headers = {**_flag(given, complete=True), "Location": location}
        return await stored_answer(request, upload_id, owner=principal.sub, headers=headers)
    headers = {"Location": location, **_told(request, upload_id, given, extent)}
    return Response(status_code=201, headers=headers)


async def append(request: Request, upload_id: str) -> Response:
    """A `PATCH`: 204 and the new offset, or with the last part the answer to the whole."""
    context, given = context_of(request), None
    fields = fields_of(request)
    try:
        given = draft.read_part(fields, content_length=content_length(request))
        if problem := coding_refused(content_coding(request)):
            raise problem
        kind = claimed_type_of(request.headers.get("content-type", "").encode("latin-1"))
        if given.needs_type and kind != draft.APPEND_TYPE:
            raise UnsupportedMediaType(f"Send the bytes as {draft.APPEND_TYPE}.")
        if given.offset is None or not draft.is_part(fields):
            raise BadRequest("Upload-Offset and Upload-Complete are needed.")
        principal = await access_of(request).writer(request)
        inform = _Informs(request, given, {})
        part = _part(request, given, offset=given.offset, on_offset=inform.offset)
        async with context.limits.uploads(principal.sub):
            extent = await context.resumable.append(upload_id, part, owner=principal.sub)
    except Problem as problem:
        # ?1 would make it the answer to the whole (the draft's section on append), ?0 is not true.
        flag = {} if problem.whole else _flag(given, complete=False)
        return refusal(problem, upload_id, context.settings, flag)
    if extent.complete and given.complete:
        headers = {**_flag(given, complete=True), "Upload-Offset": str(extent.offset)}
        return await stored_answer(request, upload_id, owner=principal.sub, headers=headers)
    return Response(status_code=204, headers=_told(request, upload_id, given, extent))


def _part(
    request: Request, given: DraftPart, *, offset: int, on_offset: Callable[[int], None]
) -> Part:
    return Part(
        chunks=body_chunks(request),
        offset=offset,
        size=content_length(request),
        length=given.length,
        last=given.complete,
        completes_at_length=given.completes_at_length,
        checksum=given.content_digests,
        digests=given.representation_digests,
        on_offset=on_offset if _may_inform(request, given) else None,
    )


def _announced(
    request: Request, upload_id: str, owner: str, given: DraftPart, labelling: Labelling
) -> Announced:
    return Announced(
        upload_id=upload_id,
        owner=owner,
        token=secrets.token_hex(8),
        filename=clean_filename(named_file(request)),
        claimed_type=claimed_type_of(request.headers.get("content-type", "").encode("latin-1")),
        fields={},
        length=given.length,
        created_at=rfc3339(time.time()),
        digests=given.representation_digests,
        labels=labelling.labels,
        priority=labelling.priority,
    )


def _flag(given: DraftPart | None, *, complete: bool) -> dict[str, str]:
    name, value = draft.flag(complete=complete, interop=given.interop if given else None)
    return {name.title(): value}


def _told(request: Request, upload_id: str, given: DraftPart, extent: Extent) -> dict[str, str]:
    return {
        "X-Upload-ID": upload_id,
        **_flag(given, complete=extent.complete),
        "Upload-Offset": str(extent.offset),
        "Upload-Limit": limits_of(context_of(request).settings),
    }


# ---- interim responses


def _may_inform(request: Request, given: DraftPart) -> bool:
    """Only a client that named a version of the draft knows what a 104 is, and a proxy between may
    take it for the response, or wait for ever."""
    if context_of(request).settings.interim == "off" or given.interop is None:
        return False
    return not any(name in request.headers for name in _PROXY_HEADERS)


class _Informs:
    """104 (Upload Resumption Supported): where the upload is, and what of it is on the disk."""

    def __init__(self, request: Request, given: DraftPart, headers: dict[str, str]) -> None:
        extension: dict[Any, Any] = request.scope.get("extensions", {}).get("sse_progress", {})
        self._inform = extension.get("inform") if _may_inform(request, given) else None
        self._headers = {**headers, "Upload-Draft-Interop-Version": str(given.interop)}
        self._limits = limits_of(context_of(request).settings)

    def begun(self) -> None:
        self._send({"Upload-Limit": self._limits})

    def offset(self, offset: int) -> None:
        self._send({"Upload-Offset": str(offset)})

    def _send(self, more: dict[str, str]) -> None:
        if self._inform is not None:
            headers = {**self._headers, **more}
            self._inform(104, [(name.encode(), text.encode()) for name, text in headers.items()])
