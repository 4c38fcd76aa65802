"""Work that the caller does itself, and reports to the service."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import msgspec

from sse_progress.client._async.backend import sleep
from sse_progress.client.answers import upload_path
from sse_progress.client.failures import Busy, JobFailed, NotFound, Unreachable
from sse_progress.client.shapes import JobOpened
from sse_progress.model.ids import new_upload_id

if TYPE_CHECKING:
    from sse_progress.client._async.client import AsyncClient

__all__ = ["AsyncJob"]

INTERVAL_S = 0.1
"""Between two reports of one stage that are sent."""


class AsyncJob:
    """A job under way; made by `AsyncClient.job`.

    `id` names it for whoever follows. `result` is what it came to: at most 32 KiB as JSON.
    """

    def __init__(self, client: AsyncClient, announced: dict[str, Any]) -> None:
        self.id = announced.get("id") or new_upload_id()
        self.result: dict[str, Any] | None = None
        self._client, self._announced = client, {**announced, "id": self.id}
        self._path = upload_path(self.id, "/progress")
        self._writer = ""
        self._waiting: dict[str, Any] | None = None
        self._stage: str | None = None
        self._sent_at = 0.0

    async def report(
        self,
        stage: str | None = None,
        stage_progress: float | None = None,
        message: str = "",
        *,
        progress: float | None = None,
        bytes: int | None = None,
        total: int | None = None,
        items: tuple[int, int] | None = None,
        eta_s: float | None = None,
    ) -> None:
        """Say how far it is: `stage_progress` percent of a stage, or `progress` of the whole;
        `items` are (done, total). Call it as often as you like: what comes too fast is left out,
        and where the service is away the latest report waits.

        Raises Conflict if the work is to stop: its code is `cancelled`, `replaced` or
        `already_finished`. Raises NotAllowed, or Refused for a stage that is none of the kind's.
        """
        report = {
            "stage": stage,
            "stageProgress": stage_progress,
            "progress": progress,
            "message": message or None,
            "bytes": bytes,
            "total": total,
            "items": {"done": items[0], "total": items[1]} if items else None,
            "etaSeconds": eta_s,
        }
        self._waiting = {name: value for name, value in report.items() if value is not None}
        same = stage == self._stage and time.monotonic() - self._sent_at < INTERVAL_S
        if same and stage_progress != 100:
            return
        self._stage, self._sent_at = stage, time.monotonic()
        try:
            await self._send(self._waiting, secrets.token_hex(8))
        except (Unreachable, Busy):
            return  # the next report tells more
        self._waiting = None

    # ---- for AsyncClient

    async def open(self) -> None:
        body = msgspec.json.encode(self._announced)
        opened = await self._client._post_json(JobOpened, "/jobs", body)
        self._writer = opened.writer

    async def complete(self) -> None:
        if self._waiting is not None:
            await self._send_surely(self._waiting)
        end: dict[str, Any] = {"stage": "complete"}
        await self._send_surely(end if self.result is None else {**end, "result": self.result})

    async def fail(self, failure: JobFailed) -> None:
        error = {"code": failure.code, "detail": failure.detail}
        await self._send_surely({"stage": "error", "error": error})

    # ---- inside

    async def _send_surely(self, report: dict[str, Any]) -> None:
        """Until the service has it, or for `pace.give_up_s`."""
        pace, key = self._client._pace, secrets.token_hex(8)
        pause_s, give_up_at = 0.5, time.monotonic() + pace.give_up_s
        while True:
            try:
                await self._send(report, key)
            except (Unreachable, Busy):
                if time.monotonic() + pause_s > give_up_at:
                    raise
            else:
                return
            await sleep(pause_s)
            pause_s = min(2 * pause_s, pace.retry_limit_s)

    async def _send(self, report: dict[str, Any], key: str) -> None:
        body = msgspec.json.encode(report)
        try:
            await self._post(body, key)
        except NotFound:  # the service has lost its memory: announced again, it goes on
            await self.open()
            await self._post(body, key)

    async def _post(self, body: bytes, key: str) -> None:
        headers = {"X-Writer": self._writer, "Idempotency-Key": key}
        await self._client._post_json(dict[str, Any], self._path, body, headers)
