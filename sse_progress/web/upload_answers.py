"""How a request that brought a whole body is answered: by the upload's end, or by a 202."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, cast, get_args

from starlette.requests import Request
from starlette.responses import Response

from sse_progress.access.principal import PRIORITY, Principal
from sse_progress.emitter.waiter import Waiter, watching
from sse_progress.ingest.labelling import Labelling
from sse_progress.ingest.part_headers import filename_of
from sse_progress.journal.frames import Frame
from sse_progress.model.errors import BadRequest, ClientDisconnected, UploadIdInUse, problem_for
from sse_progress.model.events import decode_json, encode_json
from sse_progress.model.kinds import Priority
from sse_progress.model.urls import url_of
from sse_progress.runtime.concurrency import first_of
from sse_progress.uploads.queries import state_of
from sse_progress.web.context import WebContext
from sse_progress.web.problem_details import answer
from sse_progress.web.request_fields import joined_header, query_value
from sse_progress.web.request_headers import context_of, labels_of, preference

__all__ = [
    "body_chunks",
    "content_coding",
    "id_in_use",
    "labelling_of",
    "named_file",
    "stored_answer",
]


def content_coding(request: Request) -> str:
    return joined_header(request.scope, b"content-encoding") or ""


def named_file(request: Request) -> str:
    """Of a body that is the file: `?filename=`, or the name in Content-Disposition."""
    if (named := request.query_params.get("filename")) is not None:
        return named
    try:
        header = request.headers.get("content-disposition", "")
        return (filename_of(header.encode("latin-1")) if header else None) or ""
    except ValueError:
        raise BadRequest("Content-Disposition cannot be understood.") from None


class body_chunks:  # noqa: N801  # reads as a function
    """The request's body as it comes. Raises ClientDisconnected where it is cut off.

    A class, since two generators (this one and Starlette's) cost a small upload 15 calls.
    """

    __slots__ = ("_more", "_receive")

    def __init__(self, request: Request) -> None:
        self._receive, self._more = request.receive, True

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while self._more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._more = False
                raise ClientDisconnected
            self._more = message.get("more_body", False)
            chunk: bytes = message.get("body", b"")
            if chunk:
                return chunk
        raise StopAsyncIteration


def labelling_of(request: Request, principal: Principal) -> Labelling:
    """The labels and the priority in the query of a request that begins an upload.

    Raises UnknownKind, InvalidContext, InvalidUploadId, Forbidden or BadRequest.
    """
    priority = query_value(request, "priority")
    if priority is not None:
        if priority not in get_args(Priority):
            raise BadRequest("The query parameter priority is one of high, normal, low.")
        principal.require(PRIORITY)
    return Labelling(
        labels_of(request),
        context_of(request).kinds,
        allowed=principal.kinds,
        priority=cast("Priority | None", priority),
    )


async def join_batch(request: Request, labelling: Labelling, upload_id: str, *, owner: str) -> None:
    """The upload becomes an item of the batch that it is labelled with.

    Raises Forbidden, BatchClosed or Unavailable.
    """
    if (batch_id := labelling.labels.batch_id) is not None:
        await context_of(request).batches.join(batch_id, upload_id, owner=owner)


async def stored_answer(
    request: Request, upload_id: str, *, owner: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Of an upload that is stored: its end, if the client waits for it and it comes in time.

    Else 202: so the client wishes, it takes too long, or the server is about to leave.
    """
    context = context_of(request)
    more = {"X-Upload-ID": upload_id, **(headers or {})}
    if preference(request, "respond-async") is not None:
        return _accepted(context, upload_id, {**more, "Preference-Applied": "respond-async"})
    waiter = Waiter()
    with watching(context.components.emitter, upload_id, waiter, owner=owner):
        await first_of(
            waiter.end(), context.draining.wait(), timeout_s=context.settings.answer_wait_s
        )
    if waiter.latest is None or not waiter.latest.terminal:
        return _accepted(context, upload_id, more)
    return _ended(upload_id, waiter.latest, more)


def _ended(upload_id: str, frame: Frame, headers: Mapping[str, str]) -> Response:
    event: dict[str, Any] = decode_json(frame.data)
    if event["stage"] == "complete":
        body = {"success": True, "uploadId": upload_id, "data": {"media": event["media"]}}
        return Response(encode_json(body), headers=headers, media_type="application/json")
    error = event.get("error") or {"code": "cancelled", "detail": None}
    return answer(problem_for(error["code"], error["detail"]), headers=headers)


def _accepted(context: WebContext, upload_id: str, headers: Mapping[str, str]) -> Response:
    body = {"success": True, "uploadId": upload_id, "status": "processing"}
    location = url_of(upload_id, prefix=context.settings.prefix)
    return Response(
        encode_json(body),
        202,
        headers={**headers, "Location": location},
        media_type="application/json",
    )


async def id_in_use(
    context: WebContext, upload_id: str, owner: str, problem: UploadIdInUse
) -> Response:
    """The refusal of an id that has an upload already, with that one's state."""
    page = await context.uploads.page(upload_id, owner=owner)
    return answer(problem, headers={"X-Upload-ID": upload_id}, upload=state_of(upload_id, page))
