"""Files on their way, four at a time, and what Ctrl-C does to them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sse_progress.cli.client_session import (
    COMPLETED,
    FAILED,
    INTERRUPTED,
    advice,
    on_interrupt,
    result_text,
    wants_token,
)
from sse_progress.cli.display import Screen
from sse_progress.cli.overall import Overall
from sse_progress.cli.wishes import STANDARD_INPUT, Wishes
from sse_progress.cli.words import words
from sse_progress.client import (
    AsyncClient,
    BadAnswer,
    Busy,
    ClientError,
    Conflict,
    Event,
    Media,
    Unreachable,
)
from sse_progress.model.ids import new_upload_id

__all__ = ["Uploads"]

PARALLEL = 4
"""Files that are sent at once."""

CANCEL_WAIT_S = 10.0
"""How long Ctrl-C waits for the service to confirm."""

TRIES = 3
"""How often a file is offered to a service that says it is busy."""


class Uploads:
    """Some files on their way, and what Ctrl-C does to them."""

    def __init__(
        self, client: AsyncClient, screen: Screen, wishes: Wishes, batch: Overall | None = None
    ) -> None:
        self._client, self._screen, self._wishes, self._batch = client, screen, wishes, batch
        self._slots = asyncio.Semaphore(PARALLEL)
        self._under_way: dict[str, asyncio.Task[Any]] = {}
        self._stopping = self._interrupted = False

    async def run(self, files: Sequence[Path], upload_id: str | None = None) -> int:
        """Send all of them; the exit code."""
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
        if self._interrupted:
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
                self._screen.leave(key, well=False, text=words().say("left"))
                raise
            finally:
                del self._under_way[key]
            self._screen.leave(key, well=well, text=text)
            return well

    async def _ending(self, file: Path, key: str) -> tuple[str, bool]:
        """How one file ended, in words, and whether well."""
        if self._stopping:
            return words().say("not sent"), False
        try:
            media = await self._send(file, key)
        except BrokenPipeError:
            raise  # stdout is closed; the file is not at fault
        except OSError as error:
            return words().say("cannot be read: {why}", why=error.strerror or error), False
        except ClientError as error:
            if isinstance(error, Unreachable | BadAnswer) or wants_token(error):
                if self._stopping:
                    return words().say("not sent"), False  # why is said once, for the first
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
                    fields=self._wishes.values,
                    kind=self._wishes.kind,
                    context=self._wishes.labels,
                    batch_id=self._batch.id if self._batch else None,
                    resume=self._wishes.resume or None,
                    on_event=lambda event: self._heard(key, event),
                    on_phase=lambda phase: self._screen.phase(key, phase),
                    on_place=lambda place: self._screen.place(key, place),
                )
            except Busy as error:
                if not left or self._stopping:
                    raise
                await asyncio.sleep(1.0 if error.retry_after_s is None else error.retry_after_s)
        raise AssertionError("the last try returns or raises")

    async def _heard(self, key: str, event: Event) -> None:
        await self._screen.learn(event)
        self._screen.event(key, event)
        if self._batch is not None:
            self._batch.heard(key, event)

    async def _guard(self, pressed: asyncio.Queue[None], group: asyncio.TaskGroup) -> None:
        """The first Ctrl-C cancels on the service, the second (or no confirmation) leaves; what can
        be resumed is left by the first."""
        await pressed.get()
        self._stopping = self._interrupted = True
        if self._wishes.resume:
            for key in self._under_way:
                sentence = "Paused. Go on with the same file and --resume --id {id}"
                self._screen.remark(words().say(sentence, id=key))
            self._leave()
            return
        sentence = "Cancelling on the service. Ctrl-C again leaves at once."
        self._screen.remark(words().say(sentence))
        if self._batch is not None:
            asking = [group.create_task(self._batch.cancel())]
        else:
            asking = [group.create_task(self._cancel(key)) for key in self._under_way]
        try:
            async with asyncio.timeout(CANCEL_WAIT_S):
                await pressed.get()
        except TimeoutError:
            pass
        self._leave(*asking)

    def _leave(self, *asking: asyncio.Task[None]) -> None:
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
