"""`POST /jobs` and `POST /upload/<id>/progress`: another service reports its own work."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sse_progress.model.errors import BadRequest, InvalidUploadId, RateLimited
from sse_progress.model.events import encode_json
from sse_progress.model.ids import new_upload_id, valid_upload_id
from sse_progress.model.labels import PREFIX, Labels
from sse_progress.model.reports import Report
from sse_progress.model.stage_table import TERMINAL
from sse_progress.model.text import clean_text
from sse_progress.uploads.jobs import REPORTS_PER_S, Told
from sse_progress.web.description.operations import (
    LABELS,
    DescribedRoute,
    header,
    json_answer,
    operation,
)
from sse_progress.web.json_body import json_body, lines_of, raw_body
from sse_progress.web.request_headers import (
    access_of,
    context_of,
    labels_of,
    path_upload_id,
)

__all__ = ["ROUTES", "Described"]

LEASE_S = 60
LONGEST_LEASE_S = 24 * 3600
NDJSON = "application/x-ndjson"
KEY_LIMIT = 255


class Described(msgspec.Struct, rename="camel", kw_only=True):
    """Labels and title, as members of a body."""

    id: str | None = None
    kind: str | None = None
    context: dict[str, str] = {}
    batch_id: str | None = None
    title: str = ""

    def labels(self) -> Labels:
        """Raises what `Labels.of` does."""
        pairs = [(PREFIX + key, value) for key, value in self.context.items()]
        if self.kind is not None:
            pairs.append(("kind", self.kind))
        if self.batch_id is not None:
            pairs.append(("batch", self.batch_id))
        return Labels.of(pairs)


class _Job(Described, rename="camel", kw_only=True):
    owner: str | None = None
    lease_s: Annotated[float, msgspec.Meta(ge=1, le=LONGEST_LEASE_S)] = LEASE_S


async def post_job(request: Request) -> Response:
    context = context_of(request)
    principal = await access_of(request).producer(request)
    job = await json_body(request, _Job)
    upload_id = job.id if job.id is not None else new_upload_id()
    if not valid_upload_id(upload_id):
        raise InvalidUploadId("The id of a job has to match that of an upload.")
    request.state.upload_id = upload_id
    labels = job.labels().over(labels_of(request))
    context.kinds.check(labels, allowed=principal.kinds, file=False)
    owner = principal.producing_for(job.owner)
    if labels.batch_id is not None:
        await context.batches.join(labels.batch_id, upload_id, owner=owner)
    opened = await context.jobs.open(
        upload_id,
        owner=owner,
        producer=principal.account,
        labels=labels,
        title=clean_text(job.title),
        lease_s=job.lease_s,
    )
    return Response(
        encode_json({"uploadId": upload_id, "writer": opened.writer}),
        201 if opened.new else 200,
        headers={
            "Cache-Control": "no-store",
            "X-Upload-ID": upload_id,
            "Location": f"{context.settings.prefix}/upload/{upload_id}",
        },
        media_type="application/json",
    )


async def post_progress(request: Request) -> Response:
    upload_id = path_upload_id(request)
    principal = await access_of(request).producer(request, counted=False)
    reporter = _Reporter(request, upload_id, producer=principal.account)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == NDJSON:
        told = await reporter.lines()
    else:
        told = await reporter.one(await raw_body(request))
    return Response(
        encode_json({"position": str(told.position), "merged": told.merged}),
        headers={"Cache-Control": "no-store", "X-Upload-ID": upload_id},
        media_type="application/json",
    )


class _Reporter:
    """The reports of one request."""

    def __init__(self, request: Request, upload_id: str, *, producer: str) -> None:
        self._request, self._upload_id, self._producer = request, upload_id, producer
        self._jobs = context_of(request).jobs
        self._writer = request.headers.get("x-writer")
        self._key = request.headers.get("idempotency-key", "")
        if len(self._key) > KEY_LIMIT:
            raise BadRequest(f"Idempotency-Key has {len(self._key)} characters, limit {KEY_LIMIT}.")

    async def one(self, data: bytes) -> Told:
        return await self._tell(Report.decode(data), self._key)

    async def lines(self) -> Told:
        """Every line of the body as it arrives; what a later line of the same stage makes
        superfluous is left out, and the sender is slowed down rather than refused."""
        told: Told | None = None
        async for lines in lines_of(self._request):
            for report in _latest([Report.decode(line) for line in lines]):
                told = await self._tell_patiently(report)
        if told is None:
            raise BadRequest("The body has no report.")
        return told

    async def _tell_patiently(self, report: Report) -> Told:
        while True:
            try:
                return await self._tell(report, "")
            except RateLimited:
                await asyncio.sleep(1 / REPORTS_PER_S)

    async def _tell(self, report: Report, key: str) -> Told:
        return await self._jobs.report(
            self._upload_id, report, producer=self._producer, writer=self._writer, nonce=key
        )


def _latest(reports: list[Report]) -> list[Report]:
    """Without those that are followed by another of the same stage."""
    kept = [
        report
        for report, after in pairwise(reports)
        if report.stage != after.stage or report.stage in TERMINAL
    ]
    return [*kept, reports[-1]]


_PERCENT = {"type": "number", "minimum": 0, "maximum": 100}
_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}

_JOB = {
    "type": "object",
    "properties": {
        "id": {**_TEXT, "description": "Names the job; without it the server makes an id."},
        "owner": {**_TEXT, "description": "Whose job it is; without it the caller's."},
        "kind": _TEXT,
        "context": {"type": "object", "additionalProperties": _TEXT},
        "batchId": _TEXT,
        "title": _TEXT,
        "leaseS": {
            "type": "number",
            "minimum": 1,
            "maximum": LONGEST_LEASE_S,
            "default": LEASE_S,
            "description": "Without a report for so many seconds the job ends with "
            "`producer_lost`.",
        },
    },
}

_REPORT = {
    "type": "object",
    "properties": {
        "stage": {**_TEXT, "description": "A stage of the kind, or `complete` or `error`."},
        "stageProgress": _PERCENT,
        "progress": {**_PERCENT, "description": "Of the whole, instead of stageProgress."},
        "message": _TEXT,
        "bytes": _COUNT,
        "total": _COUNT,
        "items": {
            "type": "object",
            "properties": {"done": _COUNT, "total": _COUNT},
            "required": ["done", "total"],
        },
        "etaSeconds": {"type": "number", "minimum": 0},
        "result": {"type": "object", "description": "With `complete`: at most 32 KiB."},
        "error": {
            "type": "object",
            "properties": {"code": _TEXT, "detail": _TEXT},
            "required": ["code"],
        },
    },
}

ROUTES = [
    DescribedRoute(
        "/jobs",
        post_job,
        method="POST",
        operation={
            **operation(
                "Announce work that you do yourself, or take it over",
                "Jobs",
                {
                    "201": json_answer("Job", "Announced", id_header=True),
                    "200": json_answer("Job", "Taken over: the earlier writer is refused"),
                },
                parameters=LABELS,
                problems=(400, 401, 403, 409, 413, 429, 503),
            ),
            "requestBody": {"content": {"application/json": {"schema": _JOB}}},
        },
    ),
    DescribedRoute(
        "/upload/{upload_id}/progress",
        post_progress,
        method="POST",
        operation={
            **operation(
                "Report how far a job is, or its end",
                "Jobs",
                {"200": json_answer("Told", "Taken", id_header=True)},
                parameters=[
                    header("X-Writer", "The `writer` of the announcement: 409 once replaced."),
                    header("Idempotency-Key", "A retry with the same key counts only once."),
                ],
                problems=(400, 401, 403, 404, 409, 413, 422, 429, 503),
            ),
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _REPORT}, NDJSON: {"schema": _REPORT}},
            },
        },
    ),
]
