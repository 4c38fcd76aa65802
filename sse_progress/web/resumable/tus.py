"""tus 1.0: creation, append and concatenation (tus.io/protocols/resumable-upload).

Of an upload whose parts come side by side, `X-Upload-ID` names the whole: partial uploads have ids
of their own and stand in no list.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from sse_progress.ingest.body import PlainBody
from sse_progress.ingest.checksums import TUS_ALGORITHMS
from sse_progress.ingest.labelling import Labelling
from sse_progress.ingest.limits import ReceiveLimits, ensure_fields
from sse_progress.ingest.part_headers import claimed_type_of
from sse_progress.ingest.resumable.concatenation import bytes_of, whole_parts
from sse_progress.ingest.resumable.parts import Extent, Part
from sse_progress.model.errors import (
    BadRequest,
    Problem,
    UnsupportedMediaType,
    UnsupportedTusVersion,
    UploadIdInUse,
)
from sse_progress.model.filenames import clean_filename
from sse_progress.model.ids import new_upload_id, valid_upload_id
from sse_progress.model.labels import NO_LABELS
from sse_progress.model.timestamps import rfc3339
from sse_progress.model.urls import url_of
from sse_progress.settings import Settings
from sse_progress.storage.announced import Announced
from sse_progress.web.dialects import tus
from sse_progress.web.request_headers import access_of, content_length, context_of
from sse_progress.web.upload_answers import body_chunks, id_in_use, join_batch, labelling_of
from sse_progress.web.upload_resource import expires, fields_of, limits_of, refusal

__all__ = ["APPEND_TYPE", "append", "create", "options"]

APPEND_TYPE = tus.APPEND_TYPE


async def create(request: Request, upload_id: str) -> Response:
    """`POST /upload`: 201, and the upload's address."""
    _check_version(request)
    context, fields = context_of(request), fields_of(request)
    if (final := tus.read_final(fields)) is not None:
        return await _concatenate(request, upload_id, final)
    creation = tus.read_creation(fields)
    principal = await access_of(request).writer(request)
    if creation.partial:
        upload_id = request.state.upload_id = new_upload_id()
        labelling = Labelling(NO_LABELS, context.kinds, allowed=principal.kinds)
    else:
        labelling = labelling_of(request, principal)
        labelling.settle(creation.metadata.items())
    kind = labelling.kind
    limits = replace(context.ingest.limits, max_upload_bytes=kind.max_bytes or 0)
    part = Part(
        chunks=_creation_chunks(request),
        size=content_length(request) or 0,
        completes_at_length=True,
        checksum=tus.read_checksum(fields),
    )
    try:
        announced = _announced(creation, upload_id, principal.sub, limits, labelling)
        await join_batch(request, labelling, upload_id, owner=principal.sub)
        async with context.limits.uploads(principal.sub):
            extent = await context.resumable.create(announced, part)
    except UploadIdInUse as problem:
        return await id_in_use(context, upload_id, principal.sub, problem)
    except Problem as problem:
        return refusal(problem, upload_id, context.settings)
    location = url_of(upload_id, prefix=context.settings.prefix)
    return Response(status_code=201, headers={"Location": location, **_told(upload_id, extent)})


async def _concatenate(request: Request, upload_id: str, final: tus.TusFinal) -> Response:
    """`POST /upload` with `Upload-Concat: final;…`: 201 once the whole is stored."""
    context = context_of(request)
    principal = await access_of(request).writer(request)
    owner, bodies = principal.sub, context.components.storage.bodies
    labelling = labelling_of(request, principal)
    labelling.settle(final.metadata.items())
    named = dict(final.metadata)
    filename, filetype = named.pop("filename", ""), named.pop("filetype", "")
    ensure_fields(named, context.ingest.limits)
    upload_ids = [_id_in(url, context.settings) for url in final.urls]
    parts = await whole_parts(bodies, upload_ids, owner=owner)
    body = PlainBody(
        filename=filename,
        content_type=filetype.encode("ascii", "replace").decode(),
        chunks=bytes_of(bodies, parts),
        total=sum(part.offset for part in parts),
        labelling=labelling,
        fields=named,
        concat=f"final;{' '.join(final.urls)}",
    )
    await join_batch(request, labelling, upload_id, owner=owner)
    try:
        async with context.limits.uploads(owner):
            await context.ingest.take_in(upload_id, body, owner=owner)
    except UploadIdInUse as problem:
        return await id_in_use(context, upload_id, owner, problem)
    for part in parts:  # what is left of one expires
        with contextlib.suppress(Problem):
            await context.uploads.cancel(part.announced.upload_id, owner=owner)
    location = url_of(upload_id, prefix=context.settings.prefix)
    return Response(status_code=201, headers={"Location": location, "X-Upload-ID": upload_id})


def _id_in(url: str, settings: Settings) -> str:
    """The upload that an address is of. Raises BadRequest."""
    path = urlsplit(url).path
    upload_id = path.rpartition("/")[2]
    if not valid_upload_id(upload_id) or path != url_of(upload_id, prefix=settings.prefix):
        raise BadRequest("An address in Upload-Concat is of no upload here.")
    return upload_id


async def append(request: Request, upload_id: str) -> Response:
    """`PATCH /upload/<id>`: 204, and the new offset."""
    _check_version(request)
    if _media_type(request) != tus.APPEND_TYPE:
        raise UnsupportedMediaType(f"Send the bytes as {tus.APPEND_TYPE}.")
    context = context_of(request)
    given = tus.read_append(fields_of(request))
    principal = await access_of(request).writer(request)
    part = Part(
        chunks=body_chunks(request),
        offset=given.offset,
        size=content_length(request),
        length=given.length,
        completes_at_length=True,
        checksum=given.checksum,
    )
    try:
        async with context.limits.uploads(principal.sub):
            extent = await context.resumable.append(upload_id, part, owner=principal.sub)
    except Problem as problem:
        return refusal(problem, upload_id, context.settings)
    return Response(status_code=204, headers=_told(upload_id, extent))


def options(settings: Settings) -> Response:
    """What is spoken here, for a client that asks before it sends."""
    return Response(
        status_code=204,
        headers={
            "Tus-Resumable": tus.VERSION,
            "Tus-Version": tus.VERSION,
            "Tus-Extension": tus.EXTENSIONS,
            "Tus-Max-Size": str(settings.max_upload_bytes),
            "Tus-Checksum-Algorithm": ",".join(TUS_ALGORITHMS),
            "Upload-Limit": limits_of(settings),
        },
    )


def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != tus.VERSION:
        raise UnsupportedTusVersion


def _media_type(request: Request) -> str:
    return claimed_type_of(request.headers.get("content-type", "").encode("latin-1"))


def _creation_chunks(request: Request) -> AsyncIterator[bytes]:
    """The first bytes, of a creation-with-upload."""
    brings = content_length(request) != 0 and (
        "content-length" in request.headers or "transfer-encoding" in request.headers
    )
    if brings and _media_type(request) != tus.APPEND_TYPE:
        raise UnsupportedMediaType(f"Send the first bytes as {tus.APPEND_TYPE}.")
    return body_chunks(request)


def _announced(
    creation: tus.TusCreation,
    upload_id: str,
    owner: str,
    limits: ReceiveLimits,
    labelling: Labelling,
) -> Announced:
    named = dict(creation.metadata)
    filename, filetype = named.pop("filename", ""), named.pop("filetype", "")
    ensure_fields(named, limits)
    return Announced(
        upload_id=upload_id,
        owner=owner,
        token=secrets.token_hex(8),
        filename=clean_filename(filename),
        claimed_type=claimed_type_of(filetype.encode("ascii", "replace")),
        fields={**named},
        length=creation.length,
        created_at=rfc3339(time.time()),
        metadata=creation.metadata_header,
        labels=labelling.labels,
        priority=labelling.priority,
        partial=creation.partial,
    )


def _told(upload_id: str, extent: Extent) -> dict[str, str]:
    headers = {"X-Upload-ID": upload_id, "Upload-Offset": str(extent.offset)}
    if extent.expires_s is not None:
        headers["Upload-Expires"] = expires(extent.expires_s)
    return headers
