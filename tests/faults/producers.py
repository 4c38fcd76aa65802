"""Producers for fault runs: other services that report their own work, as well as they can."""

from __future__ import annotations

import asyncio
import random
import secrets
from dataclasses import dataclass, field
from typing import Any

import httpx

__all__ = ["Produced", "close_batch", "open_batch", "produce"]

STAGES = ("validating", "analyzing", "processing")
AGAIN = frozenset({408, 429, 500, 502, 503, 504})
LEASE_S = 30


@dataclass
class Produced:
    """One job as its producer knows it. `end`: what it means to say last, `complete` or `error`;
    `told`: the end that was acknowledged; `stopped`: why it had to stop before."""

    upload_id: str
    end: str
    told: str = ""
    taken_over: int = 0
    stopped: str = ""
    refusals: list[str] = field(default_factory=list)


async def _ask(client: httpx.AsyncClient, method: str, path: str, **options: Any) -> httpx.Response:
    """The answer, however often it takes: no answer and 5xx are asked again."""
    while True:
        try:
            answer = await client.request(method, path, **options)
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.status_code not in AGAIN:
            return answer
        await asyncio.sleep(0.2)


async def open_batch(url: str, batch_id: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=20) as client:
        answer = await _ask(client, "POST", "/batches", json={"id": batch_id})
        assert answer.status_code in (200, 201), answer.text


async def close_batch(url: str, batch_id: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=20) as client:
        answer = await _ask(client, "POST", f"/batches/{batch_id}/close")
        assert answer.status_code < 300, answer.text


async def produce(url: str, job: Produced, batch_id: str, rng: random.Random) -> None:
    """Announce, report through the stages, say the end; take over where another one wrote.

    A report that may or may not have arrived is repeated under its key.
    """
    async with httpx.AsyncClient(base_url=url, timeout=20) as client:
        writer = await _announce(client, job, batch_id)
        for stage in STAGES:
            for percent in range(0, 100, 20):
                report = {"stage": stage, "stageProgress": percent}
                writer = await _report(client, job, batch_id, writer, report)
                if job.stopped:
                    return
                await asyncio.sleep(rng.uniform(0.05, 0.4))
        end: dict[str, Any] = {"stage": "complete", "result": {"by": job.upload_id}}
        if job.end == "error":
            end = {"stage": "error", "error": {"code": "no_sound", "detail": "It has no sound."}}
        await _report(client, job, batch_id, writer, end)
        if not job.stopped:
            job.told = job.end


async def _announce(client: httpx.AsyncClient, job: Produced, batch_id: str) -> str:
    asked = {"id": job.upload_id, "batchId": batch_id, "leaseS": LEASE_S}
    answer = await _ask(client, "POST", "/jobs", json=asked)
    if answer.status_code == 409:
        job.stopped = answer.json()["code"]
        return ""
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["writer"])


async def _report(
    client: httpx.AsyncClient, job: Produced, batch_id: str, writer: str, report: dict[str, Any]
) -> str:
    """The writer to go on with."""
    key = secrets.token_hex(8)
    while not job.stopped:
        headers = {"X-Writer": writer, "Idempotency-Key": key}
        answer = await _ask(
            client, "POST", f"/upload/{job.upload_id}/progress", json=report, headers=headers
        )
        if answer.status_code == 200:
            return writer
        code = answer.json()["code"]
        job.refusals.append(code)
        if code in ("replaced", "unknown_upload"):
            job.taken_over += 1
            writer = await _announce(client, job, batch_id)
        else:
            job.stopped = code
    return writer
