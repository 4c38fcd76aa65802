"""Asking a clamd about the file, where one is configured, and what its answer means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sse_progress.model.errors import Rejected
from sse_progress.model.stage_api import Report, Upload
from sse_progress.model.text import clean_text

__all__ = ["scan_with_clamd"]

CHECK = "malware scan by clamd"


async def scan_with_clamd(upload: Upload, report: Report) -> dict[str, Any]:
    """Have clamd scan the file; a part of the stage `moderating`, progress by bytes sent.

    Raises Rejected: `malware`; with `clamd_fail` closed also `unavailable` if clamd does not
    answer and `moderation_refused` if the file is larger than it accepts. Open, these are
    listed in `notChecked`. Without a configured clamd there is nothing to do.
    """
    options = upload.options
    if options.clamd is None:
        return {}
    from sse_progress.stages.scans import instream

    closed = options.clamd_fail != "open"
    try:
        reply = await instream.verdict(options.clamd, Path(upload.path), upload.size, report)
    except instream.TooLarge:
        if closed:
            raise Rejected(
                "moderation_refused", "The file is larger than the malware scanner accepts."
            ) from None
        return {"notChecked": [f"{CHECK} (the file is larger than it accepts)"]}
    except instream.Unreachable:
        if closed:
            raise Rejected(
                "unavailable", "The malware scanner does not answer. Please try again."
            ) from None
        return {"notChecked": [f"{CHECK} (it does not answer)"]}
    if reply.endswith(" FOUND"):
        name = clean_text(reply.removeprefix("stream: ").removesuffix(" FOUND"), 80)
        raise Rejected("malware", f"The malware scanner found {name}.")
    report(1.0, "The malware scanner found nothing")
    return {"checks": [CHECK]}
