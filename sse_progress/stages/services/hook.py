"""Asking an HTTP hook of the operator: one signed request with samples in, a verdict out.

The request is signed as webhooks are (Standard Webhooks 1.0). A hook that needs long answers 202,
and sends its verdict to `POST /upload/<id>/moderation`, signed with the same key; the upload waits
until then and holds no worker.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from sse_progress.model.errors import Rejected
from sse_progress.model.events import encode_json
from sse_progress.model.stage_api import Report, Upload
from sse_progress.model.timestamps import rfc3339
from sse_progress.model.verdicts import Verdict
from sse_progress.model.webhooks import signed_headers
from sse_progress.runtime.concurrency import blocking
from sse_progress.stages.services.asking import NoAnswer, Service
from sse_progress.stages.services.samples import TAKE, Samples, picture_bytes

__all__ = ["ModerationHook"]

TYPE = "moderation.requested"
LATER = 202


class ModerationHook:
    """A function of `moderating`. `keys`: of the signature; two while one replaces the other."""

    sampler = TAKE

    def __init__(self, service: Service, *, url: str, keys: Sequence[bytes]) -> None:
        self._service, self._url, self._keys = service, url, keys

    async def __call__(self, upload: Upload, report: Report) -> dict[str, Any]:
        """Raises Rejected: `moderation_refused`, `unavailable`; NoAnswer to be tried again."""
        body = await blocking(_request, upload, Path(upload.scratch))
        message_id = f"{upload.id}.moderation"
        report(0.0, "Asking the moderation service")
        try:
            async with self._service.client() as client:
                asked = await self._service.ask(
                    client,
                    self._url,
                    body,
                    lambda: signed_headers(
                        message_id, body, keys=self._keys, now_s=int(time.time())
                    ),
                )
            if asked.status == LATER:
                report(1.0, "The moderation service will answer later")
                return {"waiting": "moderation"}
            verdict = _verdict(asked.body)
        except NoAnswer as no_answer:
            return self._service.unanswered(upload.id, str(no_answer))
        report(1.0, "The moderation service has answered")
        if verdict.verdict == "refused":
            raise Rejected("moderation_refused", verdict.reason or None)
        return {**verdict.result(), "checks": [self._service.name]}


def _verdict(body: bytes) -> Verdict:
    try:
        return msgspec.json.decode(body, type=Verdict)
    except msgspec.DecodeError:
        raise NoAnswer("an answer that is no verdict") from None


def _request(upload: Upload, directory: Path) -> bytes:
    samples = Samples.load(directory)
    data = {
        "uploadId": upload.id,
        "filename": upload.filename,
        "contentType": upload.content_type,
        "size": upload.size,
        "sha256": upload.sha256,
        "kind": upload.kind,
        "context": upload.context,
        "fields": upload.fields,
        "analysis": upload.results.get("analyzing", {}),
        "text": samples.text,
        "pictures": [
            {
                "where": picture.where,
                "contentType": "image/jpeg",
                "data": base64.b64encode(picture_bytes(directory, picture)).decode(),
            }
            for picture in samples.pictures
        ],
        "notTaken": samples.not_taken,
    }
    return encode_json({"type": TYPE, "timestamp": rfc3339(time.time()), "data": data})
