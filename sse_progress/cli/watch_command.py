"""The command `sse-progress watch`: one upload shown from its first event to its last."""

from __future__ import annotations

import asyncio

from sse_progress.cli.client_session import (
    COMPLETED,
    FAILED,
    INTERRUPTED,
    WRONG_USE,
    advice,
    complain,
    error_text,
    invalid_id,
    on_interrupt,
    result_text,
    run_session,
)
from sse_progress.cli.display import Screen, screen_for
from sse_progress.cli.words import words
from sse_progress.client import AsyncClient, ClientError, Event, NotFound, Pace
from sse_progress.client.shapes import media_of

__all__ = ["watch_command"]


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
    wrong = invalid_id(upload_id)
    if wrong:
        return complain(wrong, WRONG_USE)

    async def run(client: AsyncClient) -> int:
        screen = screen_for(client, as_json=as_json)
        with screen.on():
            return await _watch(client, screen, upload_id)

    return run_session(run, url=url, token=token, pace=pace)


async def _watch(client: AsyncClient, screen: Screen, upload_id: str) -> int:
    task = asyncio.current_task()
    assert task is not None
    last: Event | None = None
    screen.enter(upload_id, upload_id)
    with on_interrupt(task.cancel):
        try:
            # Fails at once on a wrong address or token, where a stream would retry.
            await client.state(upload_id)
        except NotFound:
            sentence = "This upload has not begun: waiting for it. Ctrl-C leaves."
            screen.remark(words().say(sentence))
        except ClientError as error:
            screen.leave(upload_id, well=False, text=advice(error))
            return FAILED
        try:
            events = client.follow(
                upload_id,
                on_phase=lambda phase: screen.phase(upload_id, phase),
                on_place=lambda place: screen.place(upload_id, place),
            )
            async with events:
                async for last in events:
                    await screen.learn(last)
                    screen.event(upload_id, last)
        except asyncio.CancelledError:
            text = words().say("no longer watched; the upload goes on")
            screen.leave(upload_id, well=False, text=text)
            return INTERRUPTED
        except ClientError as error:
            screen.leave(upload_id, well=False, text=advice(error))
            return FAILED
    well = last is not None and last.stage == "complete"
    screen.leave(upload_id, well=well, text=_end(last, client.url))
    return COMPLETED if well else FAILED


def _end(last: Event | None, url: str) -> str:
    if last is None:
        return words().say("ended; its journal has expired")
    if last.stage == "complete":
        try:
            return result_text(media_of(last), url)
        except ValueError:
            return words().message(last)
    if last.error is not None:
        return f"{error_text(last.error.code, last.error.detail or last.message)}."
    return words().message(last)
