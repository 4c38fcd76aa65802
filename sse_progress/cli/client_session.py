"""What `upload` and `watch` share: the session, exit codes, Ctrl-C, advice on a failure."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urljoin

from rich.filesize import decimal

from sse_progress.cli.display import quiet_stdout
from sse_progress.client import (
    AsyncClient,
    BadAnswer,
    Busy,
    ClientError,
    Conflict,
    Media,
    NotAllowed,
    NotFound,
    Pace,
    Unreachable,
    UploadFailed,
)
from sse_progress.model.ids import UPLOAD_ID_PATTERN, valid_upload_id
from sse_progress.model.text import clean_text

__all__ = [
    "COMPLETED",
    "FAILED",
    "INTERRUPTED",
    "WRONG_USE",
    "advice",
    "complain",
    "invalid_id",
    "on_interrupt",
    "result_text",
    "run_session",
    "wants_token",
]


TOKEN_VARIABLE = "SSE_PROGRESS_TOKEN"  # noqa: S105  # its name

COMPLETED, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


# ---- words


def result_text(media: Media, url: str) -> str:
    words = [media.content_type, decimal(media.size)]
    moderation = media.moderation or {}
    if moderation.get("verdict"):
        words.append(str(moderation["verdict"]))
    if moderation.get("notChecked"):
        words.append("not checked: " + " ".join(map(str, moderation["notChecked"])))
    words.append(urljoin(f"{url}/", media.url))
    return ", ".join(words)


def advice(error: ClientError) -> str:
    """What went wrong and what to do about it, on one line."""
    match error:
        case Unreachable():
            todo = "Is the service running? `sse-progress serve` starts one, --url names another."
        case BadAnswer():
            todo = "Is that the address of the service, with its prefix? --url names another."
        case NotAllowed(status=401):
            todo = f"Give a valid token in {TOKEN_VARIABLE} or --token."
        case NotAllowed():
            todo = "It belongs to another user, or the token lacks the scope."
        case Conflict(code="upload_id_in_use"):
            todo = "Choose another --id, or none."
        case Busy(retry_after_s=float() as wait_s) | UploadFailed(retry_after_s=float() as wait_s):
            todo = f"Try again in {wait_s:.0f} s."
        case NotFound():
            todo = "Is the address right, with its prefix? --url names another."
        case _:
            todo = ""
    return f"{str(error).rstrip('.')}. {todo}".rstrip()


def wants_token(error: ClientError) -> bool:
    return isinstance(error, NotAllowed) and error.status == 401


# ---- what both commands share


def invalid_id(upload_id: str | None) -> str | None:
    if upload_id is None or valid_upload_id(upload_id):
        return None
    return f"{clean_text(upload_id)!r} is not a valid upload id: {UPLOAD_ID_PATTERN}."


def complain(text: str, code: int) -> int:
    print(text, file=sys.stderr, flush=True)
    return code


@contextmanager
def on_interrupt(act: Callable[[], object]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGINT, act)
    except (ValueError, RuntimeError):  # not the main thread, which handles Ctrl-C
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def run_session(
    run: Callable[[AsyncClient], Awaitable[int]], *, url: str, token: str | None, pace: Pace | None
) -> int:
    token = token or os.environ.get(TOKEN_VARIABLE) or None
    try:
        client = AsyncClient(url, token=token, pace=pace)
    except ValueError as error:
        return complain(f"{error}.", WRONG_USE)

    async def main() -> int:
        async with client:
            return await run(client)

    broken = False
    code = FAILED
    try:
        code = asyncio.run(main())
    except* BrokenPipeError:
        broken = True
    except* KeyboardInterrupt:
        code = INTERRUPTED
    if broken:
        quiet_stdout()
    return code
