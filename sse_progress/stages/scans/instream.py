"""clamd's INSTREAM command over its socket (clamd(8)): a file goes there, a verdict comes back.

The reply is read while the file is still being sent: past its StreamMaxLength clamd answers and
resets the connection, and who only sends never learns why. Only workers import this: asyncio would
be half of what each stage child loads.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import anyio

from sse_progress.model.stage_api import Report
from sse_progress.runtime.concurrency import blocking
from sse_progress.stages.progress import megabytes

__all__ = ["TooLarge", "Unreachable", "verdict"]

_CHUNK_BYTES = 256 * 1024
_CONNECT_S = 5.0
_SEND_S = 60.0
_REPLY_S = 300.0
_REPLY_BYTES = 4096


class Unreachable(Exception):
    """clamd did not answer, or answered that it could not do it."""


class TooLarge(Exception):
    """The file is beyond clamd's StreamMaxLength."""


async def verdict(address: str, path: Path, size: int, report: Report) -> str:
    """`stream: OK` or `stream: <name> FOUND`; progress by bytes sent. Raises TooLarge, Unreachable.

    `address`: `unix:/run/clamav/clamd.ctl` or `host:port`.
    """
    report(0.0, "Connecting to the malware scanner")
    try:
        async with asyncio.timeout(_CONNECT_S):
            reader, writer = await _connect(address)
    except (OSError, ValueError) as exc:
        raise Unreachable from exc
    reply = asyncio.ensure_future(_read_reply(reader))
    try:
        await _send(writer, path, size, report, reply)
        async with asyncio.timeout(_REPLY_S):
            text = await reply
    except (OSError, EOFError, asyncio.LimitOverrunError) as exc:  # TimeoutError is an OSError
        raise Unreachable from exc
    finally:
        writer.transport.abort()
        reply.cancel()
        with anyio.CancelScope(shield=True):  # a cancelled scope cancels every later wait again
            await asyncio.wait([reply])
        if not reply.cancelled():
            reply.exception()  # fetched, or asyncio complains about it
    if "size limit exceeded" in text:
        raise TooLarge
    if not (text == "stream: OK" or text.endswith(" FOUND")):
        raise Unreachable(text)
    return text


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
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
            report(sent / max(size, sent), f"Sent {megabytes(sent, size)} to the malware scanner")
        writer.write(bytes(4))
