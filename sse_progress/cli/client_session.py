"""What `upload` and `watch` share: the session, exit codes, Ctrl-C, advice on a failure."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urljoin

from sse_progress.cli.display import quiet_stdout
from sse_progress.cli.sentences import SENTENCES
from sse_progress.cli.words import words
from sse_progress.client import (
    AsyncClient,
    BadAnswer,
    Busy,
    ClientError,
    Conflict,
    FileChanged,
    Media,
    NotAllowed,
    NotFound,
    Pace,
    Refused,
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
    "error_text",
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
    say = words().say
    media_type = words().media_type(media.content_type)
    parts = [*([media_type] if media_type else []), words().size(media.size)]
    moderation = media.moderation or {}
    verdict = str(moderation.get("verdict", ""))
    if verdict:
        parts.append(say(verdict) if verdict in SENTENCES else verdict)
    if moderation.get("notChecked"):
        notes = (words().unchecked(str(note)) for note in moderation["notChecked"])
        parts.append(say("not checked: {what}", what=", ".join(notes)))
    parts.append(urljoin(f"{url}/", media.url))
    return ", ".join(parts)


def advice(error: ClientError) -> str:
    """What went wrong and what to do about it, on one line."""
    say = words().say
    match error:
        case Unreachable():
            todo = say(
                "Is the service running? `sse-progress serve` starts one, --url names another."
            )
        case BadAnswer():
            todo = say("Is that the address of the service, with its prefix? --url names another.")
        case NotAllowed(status=401):
            todo = say("Give a valid token in {variable} or --token.", variable=TOKEN_VARIABLE)
        case NotAllowed():
            todo = say("It belongs to another user, or the token lacks the scope.")
        case Conflict(code="upload_id_in_use"):
            todo = say("Choose another --id, or none.")
        case Busy(retry_after_s=float() as wait_s) | UploadFailed(retry_after_s=float() as wait_s):
            todo = say("Try again in {seconds} s.", seconds=round(wait_s))
        case NotFound():
            todo = say("Is the address right, with its prefix? --url names another.")
        case _:
            todo = ""
    return f"{_what(error).rstrip('.')}. {todo}".rstrip()


def _what(error: ClientError) -> str:
    match error:
        case Refused() | UploadFailed():
            return error_text(error.code, error.detail)
        case Unreachable():
            sentence = "cannot reach {url}: {reason}"
        case BadAnswer():
            sentence = "{url} answered {status}: {reason}"
        case FileChanged():
            sentence = "{name} ended after {read} bytes, expected {expected}"
        case _:
            return str(error)
    return words().say(sentence, **vars(error))


def error_text(code: str, detail: str) -> str:
    return f"{words().error(code, detail).rstrip('.')} ({code})"


def wants_token(error: ClientError) -> bool:
    return isinstance(error, NotAllowed) and error.status == 401


# ---- what both commands share


def invalid_id(upload_id: str | None) -> str | None:
    if upload_id is None or valid_upload_id(upload_id):
        return None
    return words().say(
        "{id} is not a valid upload id: {pattern}.",
        id=repr(clean_text(upload_id)),
        pattern=UPLOAD_ID_PATTERN,
    )


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
