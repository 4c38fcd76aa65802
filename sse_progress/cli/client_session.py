"""The commands `upload` and `watch`: what they do, how they end, and what they say of a failure.

How it looks is screen.py's business, how it travels the client's.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from rich.filesize import decimal

from sse_progress.cli.display import Screen, quiet_stdout, screen_for
from sse_progress.client import (
    AsyncClient,
    BadAnswer,
    Busy,
    ClientError,
    Conflict,
    Event,
    Media,
    NotAllowed,
    NotFound,
    Pace,
    Unreachable,
    UploadFailed,
)
from sse_progress.client.shapes import media_of
from sse_progress.model.ids import UPLOAD_ID_PATTERN, new_upload_id, valid_upload_id
from sse_progress.model.text import clean_text

__all__ = ["upload_command", "watch_command"]

PARALLEL = 4
"""Files that are sent at once."""

CANCEL_WAIT_S = 10.0
"""How long Ctrl-C waits for the service to confirm."""

TRIES = 3
"""How often a file is offered to a service that says it is busy."""

TOKEN_VARIABLE = "SSE_PROGRESS_TOKEN"  # noqa: S105  # its name

COMPLETED, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


def upload_command(
    files: Sequence[Path],
    *,
    url: str,
    token: str | None = None,
    upload_id: str | None = None,
    as_json: bool = False,
    pace: Pace | None = None,
) -> int:
    """Send files, four at a time, and show each until its end.

    Ctrl-C cancels them on the service, a second one leaves at once. Exit code: 0 all completed,
    1 one was refused, failed or cancelled, 2 wrong use (then nothing was sent), 130 left.
    """
    wrong = _wrong_files(files, upload_id) or _wrong_id(upload_id)
    if wrong:
        return _say(wrong, WRONG_USE)

    async def run(client: AsyncClient) -> int:
        screen = screen_for(as_json=as_json)
        with screen.on():
            code = await Uploads(client, screen).run(files, upload_id)
        if code == INTERRUPTED:
            # At once: not after a thread that still waits for the next byte of a pipe.
            sys.stdout.flush()
            os._exit(code)
        return code

    return _run(run, url=url, token=token, pace=pace)


def watch_command(
    upload_id: str,
    *,
    url: str,
    token: str | None = None,
    as_json: bool = False,
    pace: Pace | None = None,
) -> int:
    """Show one upload from its first event to its last; it may not have begun yet.

    Ctrl-C stops watching and leaves the upload alone (130). Other exit codes are those of
    `upload_command`.
    """
    wrong = _wrong_id(upload_id)
    if wrong:
        return _say(wrong, WRONG_USE)

    async def run(client: AsyncClient) -> int:
        screen = screen_for(as_json=as_json)
        with screen.on():
            return await _watch(client, screen, upload_id)

    return _run(run, url=url, token=token, pace=pace)


# ---- upload


class Uploads:
    """Some files on their way, and what Ctrl-C does to them."""

    def __init__(self, client: AsyncClient, screen: Screen) -> None:
        self._client, self._screen = client, screen
        self._slots = asyncio.Semaphore(PARALLEL)
        self._under_way: dict[str, asyncio.Task[Any]] = {}
        self._stopping = self._left = False

    async def run(self, files: Sequence[Path], upload_id: str | None) -> int:
        pressed: asyncio.Queue[None] = asyncio.Queue()
        with _on_interrupt(lambda: pressed.put_nowait(None)):
            async with asyncio.TaskGroup() as group:
                guard = group.create_task(self._guard(pressed, group))
                tasks = [
                    group.create_task(self._one(file, upload_id or new_upload_id()))
                    for file in files
                ]
                await asyncio.wait(tasks)
                guard.cancel()
        if self._left:
            return INTERRUPTED
        return (
            COMPLETED if all(not task.cancelled() and task.result() for task in tasks) else FAILED
        )

    async def _one(self, file: Path, key: str) -> bool:
        async with self._slots:
            task = asyncio.current_task()
            assert task is not None
            self._under_way[key] = task
            self._screen.enter(key, file.name)
            try:
                text, well = await self._ending(file, key)
            except asyncio.CancelledError:
                self._screen.leave(key, well=False, text="left")
                raise
            finally:
                del self._under_way[key]
            self._screen.leave(key, well=well, text=text)
            return well

    async def _ending(self, file: Path, key: str) -> tuple[str, bool]:
        """How one file ended, in words, and whether well."""
        if self._stopping:
            return "not sent", False
        try:
            media = await self._send(file, key)
        except BrokenPipeError:
            raise  # nobody reads what we say; that is not the file's fault
        except OSError as error:
            return f"cannot be read: {error.strerror or error}", False
        except ClientError as error:
            if isinstance(error, Unreachable | BadAnswer) or _wants_token(error):
                if self._stopping:
                    return "not sent", False  # why is said once, for the first
                self._stopping = True
            return _advice(error), False
        return _result(media, self._client.url), True

    async def _send(self, file: Path, key: str) -> Media:
        for left in reversed(range(TRIES)):
            try:
                return await self._client.upload(
                    file,
                    id=key,
                    on_event=lambda event: self._screen.event(key, event),
                    on_phase=lambda phase: self._screen.phase(key, phase),
                )
            except Busy as error:
                if not left or self._stopping:
                    raise
                await asyncio.sleep(1.0 if error.retry_after_s is None else error.retry_after_s)
        raise AssertionError("the last try returns or raises")

    async def _guard(self, pressed: asyncio.Queue[None], group: asyncio.TaskGroup) -> None:
        """The first Ctrl-C cancels on the service, the second (or no confirmation) leaves."""
        await pressed.get()
        self._stopping = True
        self._screen.remark("Cancelling on the service. Ctrl-C again leaves at once.")
        asking = [group.create_task(self._cancel(key)) for key in self._under_way]
        try:
            async with asyncio.timeout(CANCEL_WAIT_S):
                await pressed.get()
        except TimeoutError:
            pass
        self._left = True
        for task in (*asking, *self._under_way.values()):
            task.cancel()

    async def _cancel(self, key: str) -> None:
        try:
            await self._client.cancel(key)
        except Conflict:
            pass  # it has just ended, and its journal says how
        except ClientError:
            task = self._under_way.get(key)
            if task is not None:
                task.cancel()


# ---- watch


async def _watch(client: AsyncClient, screen: Screen, upload_id: str) -> int:
    task = asyncio.current_task()
    assert task is not None
    last: Event | None = None
    screen.enter(upload_id, upload_id)
    with _on_interrupt(task.cancel):
        try:
            # A wrong address or token is told at once, where a stream would try again.
            await client.state(upload_id)
        except NotFound:
            screen.remark("This upload has not begun: waiting for it. Ctrl-C leaves.")
        except ClientError as error:
            screen.leave(upload_id, well=False, text=_advice(error))
            return FAILED
        try:
            events = client.follow(upload_id, on_phase=lambda phase: screen.phase(upload_id, phase))
            async with events:
                async for last in events:
                    screen.event(upload_id, last)
        except asyncio.CancelledError:
            screen.leave(upload_id, well=False, text="no longer watched; the upload goes on")
            return INTERRUPTED
        except ClientError as error:
            screen.leave(upload_id, well=False, text=_advice(error))
            return FAILED
    well = last is not None and last.stage == "complete"
    screen.leave(upload_id, well=well, text=_end(last, client.url))
    return COMPLETED if well else FAILED


def _end(last: Event | None, url: str) -> str:
    if last is None:
        return "ended, and nobody remembers how"
    if last.stage == "complete":
        try:
            return _result(media_of(last), url)
        except ValueError:
            return last.message
    if last.error is not None:
        return f"{(last.error.detail or last.message).rstrip('.')} ({last.error.code})."
    return last.message


# ---- words


def _result(media: Media, url: str) -> str:
    words = [media.content_type, decimal(media.size)]
    moderation = media.moderation or {}
    if moderation.get("verdict"):
        words.append(str(moderation["verdict"]))
    if moderation.get("notChecked"):
        words.append("not checked: " + " ".join(map(str, moderation["notChecked"])))
    words.append(urljoin(f"{url}/", media.url))
    return ", ".join(words)


def _advice(error: ClientError) -> str:
    """What went wrong and what to do about it, on one line."""
    match error:
        case Unreachable():
            todo = "Is the service running there? scripts/serve starts one, --url names another."
        case BadAnswer():
            todo = "Is that the address of the service, with its prefix? --url names another."
        case NotAllowed(status=401):
            todo = f"Give a valid token in {TOKEN_VARIABLE} or --token."
        case NotAllowed():
            todo = "It belongs to somebody else, or the token lacks the scope."
        case Conflict(code="upload_id_in_use"):
            todo = "Choose another --id, or none."
        case Busy(retry_after_s=float() as wait_s) | UploadFailed(retry_after_s=float() as wait_s):
            todo = f"Try again in {wait_s:.0f} s."
        case NotFound():
            todo = "Is the address right, with its prefix? --url names another."
        case _:
            todo = ""
    return f"{str(error).rstrip('.')}. {todo}".rstrip()


def _wants_token(error: ClientError) -> bool:
    return isinstance(error, NotAllowed) and error.status == 401


# ---- what both commands share


def _wrong_files(files: Sequence[Path], upload_id: str | None) -> str | None:
    if not files:
        return "Name at least one file."
    if upload_id is not None and len(files) > 1:
        return f"--id names one upload, and these are {len(files)} files."
    for file in files:
        if file.is_dir():
            return f"{clean_text(str(file))} is a directory: name the files in it."
        if not file.exists():
            return f"There is no file {clean_text(str(file))}."
        if not os.access(file, os.R_OK):
            return f"{clean_text(str(file))} cannot be read: permission denied."
    return None


def _wrong_id(upload_id: str | None) -> str | None:
    if upload_id is None or valid_upload_id(upload_id):
        return None
    return f"{clean_text(upload_id)!r} is no upload id: {UPLOAD_ID_PATTERN}."


def _say(text: str, code: int) -> int:
    print(text, file=sys.stderr, flush=True)
    return code


@contextmanager
def _on_interrupt(act: Callable[[], object]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGINT, act)
    except (ValueError, RuntimeError):  # not the main thread: somebody else's Ctrl-C
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _run(
    run: Callable[[AsyncClient], Awaitable[int]], *, url: str, token: str | None, pace: Pace | None
) -> int:
    token = token or os.environ.get(TOKEN_VARIABLE) or None
    try:
        client = AsyncClient(url, token=token, pace=pace)
    except ValueError as error:
        return _say(f"{error}.", WRONG_USE)

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
