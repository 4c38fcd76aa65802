"""Asking a clamd about the file, by its INSTREAM command (clamd(8)), where one is configured.

The reply is read while the file is still being sent: past its StreamMaxLength clamd answers and
resets the connection, and who only sends never learns why.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import anyio

from sse_progress.model.errors import Rejected
from sse_progress.model.stage_api import Report, Upload
from sse_progress.model.text import clean_text
from sse_progress.runtime.concurrency import blocking
from sse_progress.stages.progress import megabytes

__all__ = ["scan_with_clamd"]

CHECK = "malware scan by clamd"
_CHUNK_BYTES = 256 * 1024
_CONNECT_S = 5.0
_SEND_S = 60.0
_REPLY_S = 300.0
_REPLY_BYTES = 4096


class _Unreachable(Exception):
    """clamd did not answer, or answered that it could not do it."""


class _TooLarge(Exception):
    """The file is beyond clamd's StreamMaxLength."""


async def scan_with_clamd(upload: Upload, report: Report) -> dict[str, Any]:
    """Have clamd scan the file; a part of the stage `moderating`, progress by bytes sent.

    Raises Rejected: `malware`; with `clamd_fail` closed also `unavailable` if clamd does not
    answer and `moderation_refused` if the file is larger than it accepts. Open, these are
    listed in `notChecked`. Without a configured clamd there is nothing to do.
    """
    options = upload.options
    if options.clamd is None:
        return {}
    closed = options.clamd_fail != "open"
    try:
        reply = await _ask(options.clamd, Path(upload.path), upload.size, report)
    except _TooLarge:
        if closed:
            raise Rejected(
                "moderation_refused", "The file is larger than the malware scanner accepts."
            ) from None
        return {"notChecked": [f"{CHECK} (the file is larger than it accepts)"]}
    except _Unreachable:
        if closed:
            raise Rejected(
                "unavailable", "The malware scanner does not answer. Please try again."
            ) from None
        return {"notChecked": [f"{CHECK} (it does not answer)"]}
    if reply.endswith(" FOUND"):
        name = clean_text(reply.removeprefix("stream: ").removesuffix(" FOUND"), 80)
        raise Rejected("malware", f"The malware scanner found {name}.")
    report(1.0, "clamd found nothing")
    return {"checks": [CHECK]}


async def _ask(address: str, path: Path, size: int, report: Report) -> str:
    """clamd's verdict: `stream: OK` or `stream: <name> FOUND`."""
    report(0.0, "Asking clamd")
    try:
        async with asyncio.timeout(_CONNECT_S):
            reader, writer = await _connect(address)
    except (OSError, ValueError) as exc:
        raise _Unreachable from exc
    reply = asyncio.ensure_future(_read_reply(reader))
    try:
        await _send(writer, path, size, report, reply)
        async with asyncio.timeout(_REPLY_S):
            text = await reply
    except (OSError, EOFError, asyncio.LimitOverrunError) as exc:  # TimeoutError is an OSError
        raise _Unreachable from exc
    finally:
        writer.transport.abort()
        reply.cancel()
        with anyio.CancelScope(shield=True):  # a cancelled scope cancels every later wait again
            await asyncio.wait([reply])
        if not reply.cancelled():
            reply.exception()  # fetched, or asyncio complains about it
    if "size limit exceeded" in text:
        raise _TooLarge
    if not (text == "stream: OK" or text.endswith(" FOUND")):
        raise _Unreachable(text)
    return text


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """`unix:/run/clamav/clamd.ctl` or `host:port`."""
    if address.startswith("unix:"):
        return await asyncio.open_unix_connection(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host.strip("[]"), int(port))


async def _read_reply(reader: asyncio.StreamReader) -> str:
    answer = await reader.readuntil(b"\0")
    return answer[:_REPLY_BYTES].rstrip(b"\0").decode("utf-8", "replace")


async def _send(
    writer: asyncio.StreamWriter,
    path: Path,
    size: int,
    report: Report,
    reply: asyncio.Future[str],
) -> None:
    """Send the file in chunks, each after its length; stop early once there is a reply."""
    writer.write(b"zINSTREAM\0")
    sent = 0
    with contextlib.ExitStack() as files:  # entered in the thread: closed also if cancelled there
        file = await blocking(lambda: files.enter_context(path.open("rb")))
        while not reply.done() and (chunk := await blocking(file.read, _CHUNK_BYTES)):
            writer.write(len(chunk).to_bytes(4, "big") + chunk)
            try:
                async with asyncio.timeout(_SEND_S):
                    await writer.drain()
            except ConnectionError:
                break  # the reply says why, if one came
            sent += len(chunk)
            report(sent / max(size, sent), f"Sent {megabytes(sent, size)} to clamd")
        writer.write(bytes(4))
