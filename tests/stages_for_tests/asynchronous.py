"""`async def` stages, which run on the loop of whoever calls the pool."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import anyio

from sse_progress.model.stage_api import Rejected, Report, Upload


async def here(upload: Upload, report: Report) -> dict[str, Any]:
    """Ordinary work, with odd fractions in its reports."""
    for fraction in (0.5, 0.2, float("nan"), 9.0, -1.0):
        report(fraction, f"gave {fraction}")
        await anyio.lowlevel.checkpoint()
    _kept.append(report)
    return {"pid": os.getpid(), "tuple": (1, 2)}


_kept: list[Report] = []


async def report_late(upload: Upload, report: Report) -> None:
    """Use a report whose stage has ended."""
    _kept[-1](0.9, "from the past")


async def hang(upload: Upload, report: Report) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        report(0.1, "cleaned up")


async def refuse(upload: Upload, report: Report) -> None:
    async def one() -> None:
        raise Rejected("too_loud", "The sound\nis too loud.")

    async with anyio.create_task_group() as group:
        group.start_soon(one)


async def fail(upload: Upload, report: Report) -> None:
    raise RuntimeError("secret path /srv/private")


async def cancel_itself(upload: Upload, report: Report) -> None:
    raise asyncio.CancelledError


async def returns_bytes(upload: Upload, report: Report) -> Any:
    return b"no dict"


async def reports_once(upload: Upload, report: Report) -> None:
    report(0.5)


class Caller:
    """An object that is called like an `async def`."""

    async def __call__(self, upload: Upload, report: Report) -> dict[str, Any]:
        return {"called": True}
