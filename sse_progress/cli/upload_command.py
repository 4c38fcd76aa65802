"""The command `sse-progress upload`: files sent, each shown to its end, and cancelled on Ctrl-C.

What is shown is drawn by `display`; requests are made by the client.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sse_progress.cli.client_session import (
    COMPLETED,
    FAILED,
    INTERRUPTED,
    WRONG_USE,
    advice,
    complain,
    invalid_id,
    on_interrupt,
    result_text,
    run_session,
    wants_token,
)
from sse_progress.cli.display import Screen, screen_for
from sse_progress.client import (
    AsyncClient,
    BadAnswer,
    Busy,
    ClientError,
    Conflict,
    Media,
    Pace,
    Unreachable,
)
from sse_progress.model.ids import new_upload_id
from sse_progress.model.text import clean_text

__all__ = ["upload_command"]

PARALLEL = 4
"""Files that are sent at once."""


STANDARD_INPUT = Path("-")

CANCEL_WAIT_S = 10.0
"""How long Ctrl-C waits for the service to confirm."""


TRIES = 3
"""How often a file is offered to a service that says it is busy."""


def upload_command(
    files: Sequence[Path],
    *,
    url: str,
    token: str | None = None,
    upload_id: str | None = None,
    resume: bool = False,
    fields: Sequence[str] = (),
    as_json: bool = False,
    pace: Pace | None = None,
) -> int:
    """Send files, four at a time, and show each until its end.

    Ctrl-C cancels them on the service, a second one leaves at once. With `resume` an upload that
    was begun before goes on, and the first Ctrl-C leaves: what has arrived is kept. Exit code: 0
    all completed, 1 one was refused, failed or cancelled, 2 wrong use (then nothing was sent), 130
    left. `fields` are `name=value`; the file `-` is standard input.
    """
    wrong = _invalid_files(files, upload_id) or invalid_id(upload_id) or _invalid_fields(fields)
    if not wrong and resume and STANDARD_INPUT in files:
        wrong = "Standard input cannot be resumed."
    if wrong:
        return complain(wrong, WRONG_USE)
    wishes = Wishes(_values(fields), resume=resume)

    async def run(client: AsyncClient) -> int:
        screen = screen_for(as_json=as_json)
        with screen.on():
            code = await Uploads(client, screen, wishes).run(files, upload_id)
        if code == INTERRUPTED:
            # At once: not after a thread that still waits for the next byte of a pipe.
            sys.stdout.flush()
            os._exit(code)
        return code

    return run_session(run, url=url, token=token, pace=pace)


@dataclass(frozen=True)
class Wishes:
    """How each file is to be sent."""

    fields: dict[str, str | list[str]]
    resume: bool


class Uploads:
    """Some files on their way, and what Ctrl-C does to them."""

    def __init__(self, client: AsyncClient, screen: Screen, wishes: Wishes) -> None:
        self._client, self._screen, self._wishes = client, screen, wishes
        self._slots = asyncio.Semaphore(PARALLEL)
        self._under_way: dict[str, asyncio.Task[Any]] = {}
        self._stopping = self._left = False

    async def run(self, files: Sequence[Path], upload_id: str | None) -> int:
        pressed: asyncio.Queue[None] = asyncio.Queue()
        with on_interrupt(lambda: pressed.put_nowait(None)):
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
            raise  # stdout is closed; the file is not at fault
        except OSError as error:
            return f"cannot be read: {error.strerror or error}", False
        except ClientError as error:
            if isinstance(error, Unreachable | BadAnswer) or wants_token(error):
                if self._stopping:
                    return "not sent", False  # why is said once, for the first
                self._stopping = True
            return advice(error), False
        return result_text(media, self._client.url), True

    async def _send(self, file: Path, key: str) -> Media:
        for left in reversed(range(TRIES)):
            try:
                return await self._client.upload(
                    sys.stdin.buffer if file == STANDARD_INPUT else file,
                    id=key,
                    filename="stdin" if file == STANDARD_INPUT else None,
                    fields=self._wishes.fields,
                    resume=self._wishes.resume or None,
                    on_event=lambda event: self._screen.event(key, event),
                    on_phase=lambda phase: self._screen.phase(key, phase),
                )
            except Busy as error:
                if not left or self._stopping:
                    raise
                await asyncio.sleep(1.0 if error.retry_after_s is None else error.retry_after_s)
        raise AssertionError("the last try returns or raises")

    async def _guard(self, pressed: asyncio.Queue[None], group: asyncio.TaskGroup) -> None:
        """The first Ctrl-C cancels on the service, the second (or no confirmation) leaves; what can
        be resumed is left by the first."""
        await pressed.get()
        self._stopping = True
        if self._wishes.resume:
            for key in self._under_way:
                self._screen.remark(f"Paused. Go on with the same file and --resume --id {key}")
            self._leave()
            return
        self._screen.remark("Cancelling on the service. Ctrl-C again leaves at once.")
        asking = [group.create_task(self._cancel(key)) for key in self._under_way]
        try:
            async with asyncio.timeout(CANCEL_WAIT_S):
                await pressed.get()
        except TimeoutError:
            pass
        self._leave(*asking)

    def _leave(self, *asking: asyncio.Task[None]) -> None:
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


def _invalid_files(files: Sequence[Path], upload_id: str | None) -> str | None:
    if not files:
        return "Name at least one file."
    if upload_id is not None and len(files) > 1:
        return f"--id names one upload, and these are {len(files)} files."
    for file in files:
        if file == STANDARD_INPUT:
            continue
        if file.is_dir():
            return f"{clean_text(str(file))} is a directory: name the files in it."
        if not file.exists():
            return f"No such file: {clean_text(str(file))}"
        if not os.access(file, os.R_OK):
            return f"{clean_text(str(file))} cannot be read: permission denied."
    return None


def _invalid_fields(fields: Sequence[str]) -> str | None:
    for field in fields:
        if not field.partition("=")[0] or "=" not in field:
            return f"{clean_text(field)} is no field: --field NAME=VALUE"
    return None


def _values(fields: Sequence[str]) -> dict[str, str | list[str]]:
    """By name; one that is given several times has a list."""
    found: dict[str, list[str]] = {}
    for field in fields:
        name, _, value = field.partition("=")
        found.setdefault(name, []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}
