"""An `async def` stage: runs on the worker's loop, since all it does is wait for a service."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
import stamina

from sse_progress import Rejected, Report, Upload

PIECE_BYTES = 64 * 1024
NAME = "paper rules"


@dataclass(frozen=True)
class Service:
    """Where the service is and what it may cost us, from the environment.

    `timeout_s` bounds each attempt, `patience_s` all of them together; `fail` says what an
    unreachable service means: `closed` refuses the file, `open` marks it for review.
    """

    url: str
    timeout_s: float
    patience_s: float
    fail: str

    @classmethod
    def from_environment(cls) -> Service:
        return cls(
            url=os.environ["PAPER_RULES_URL"],
            timeout_s=float(os.environ.get("PAPER_RULES_TIMEOUT_S", "5")),
            patience_s=float(os.environ.get("PAPER_RULES_PATIENCE_S", "20")),
            fail=os.environ.get("PAPER_RULES_FAIL", "closed"),
        )


async def ask_service(upload: Upload, report: Report) -> dict[str, Any]:
    """Send the file to a moderation service and take its verdict."""
    service = Service.from_environment()
    try:
        answer = await _ask(service, upload, report)
    except httpx.HTTPError as error:
        if service.fail != "open":
            raise Rejected("not_moderated", "The moderation service does not answer.") from error
        return {"verdict": "review", "notChecked": [f"{NAME} (the service does not answer)"]}
    if answer["verdict"] == "refused":
        raise Rejected("moderation_refused", str(answer["reason"]))
    return {"verdict": answer["verdict"], "checks": [NAME]}


def _passing(error: Exception) -> bool:
    """A retry may help: no answer, an answer too late, or a failure of the service itself."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in (429, 500, 502, 503, 504)
    return isinstance(error, httpx.TransportError)


async def _ask(service: Service, upload: Upload, report: Report) -> dict[str, Any]:
    async with httpx.AsyncClient(timeout=service.timeout_s) as client:
        async for attempt in stamina.retry_context(
            on=_passing, attempts=4, timeout=service.patience_s, wait_initial=0.1, wait_jitter=0.2
        ):
            with attempt:
                report(0, f"Asking the moderation service, attempt {attempt.num}")
                response = await client.post(
                    service.url,
                    content=_pieces(upload, report),
                    headers={"X-Upload-ID": upload.id, "Content-Length": str(upload.size)},
                )
                response.raise_for_status()
                answer: dict[str, Any] = response.json()
    return answer


async def _pieces(upload: Upload, report: Report) -> AsyncIterator[bytes]:
    """The file, with progress by bytes sent; the last tenth is the service's own work."""
    sent = 0
    async with await anyio.open_file(upload.path, "rb") as file:
        while piece := await file.read(PIECE_BYTES):
            yield piece
            sent += len(piece)
            report(0.9 * sent / upload.size)
