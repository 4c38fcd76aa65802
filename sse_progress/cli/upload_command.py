"""The command `sse-progress upload`: what is asked for is looked at, then sent and shown.

What is shown is drawn by `display`; requests are made by the client.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sse_progress.cli.client_session import (
    FAILED,
    INTERRUPTED,
    WRONG_USE,
    advice,
    complain,
    invalid_id,
    run_session,
)
from sse_progress.cli.display import Screen, screen_for
from sse_progress.cli.overall import Overall
from sse_progress.cli.uploads import Uploads
from sse_progress.cli.wishes import STANDARD_INPUT, Wishes
from sse_progress.cli.words import words
from sse_progress.client import AsyncClient, ClientError, Pace
from sse_progress.model.text import clean_text

__all__ = ["Wishes", "upload_command"]


def upload_command(
    files: Sequence[Path],
    *,
    url: str,
    token: str | None = None,
    upload_id: str | None = None,
    as_batch: bool = False,
    wishes: Wishes | None = None,
    as_json: bool = False,
    pace: Pace | None = None,
) -> int:
    """Send files, four at a time, and show each until its end; the file `-` is standard input.

    `upload_id` names the only file, or the batch. Ctrl-C cancels on the service, a second one
    leaves at once. Where the wish is to resume, an upload that was begun before goes on, and the
    first Ctrl-C leaves: what has arrived is kept. Exit code: 0 all completed, 1 one was refused,
    failed or cancelled, 2 wrong use (then nothing was sent), 130 stopped by Ctrl-C.
    """
    wishes = wishes or Wishes()
    wrong = (
        _invalid_files(files, None if as_batch else upload_id)
        or invalid_id(upload_id)
        or wishes.wrong()
    )
    if not wrong and wishes.resume and as_batch:
        wrong = words().say("--resume goes on with one upload, so not with a --batch.")
    if not wrong and wishes.resume and STANDARD_INPUT in files:
        wrong = words().say("Standard input cannot be resumed.")
    if wrong:
        return complain(wrong, WRONG_USE)

    async def run(client: AsyncClient) -> int:
        screen = screen_for(client, as_json=as_json)
        with screen.on():
            if as_batch:
                code = await _as_batch(client, screen, wishes, files, upload_id)
            else:
                code = await Uploads(client, screen, wishes).run(files, upload_id)
        if code == INTERRUPTED:
            # At once: not after a thread that still waits for the next byte of a pipe.
            sys.stdout.flush()
            os._exit(code)
        return code

    return run_session(run, url=url, token=token, pace=pace)


async def _as_batch(
    client: AsyncClient, screen: Screen, wishes: Wishes, files: Sequence[Path], name: str | None
) -> int:
    code = FAILED
    try:
        async with asyncio.TaskGroup() as group:
            async with client.batch(name, total=len(files), kind=wishes.kind) as batch:
                overall = Overall(batch, screen, files)
                following = group.create_task(overall.follow())
                code = await Uploads(client, screen, wishes, overall).run(files)
            if code != INTERRUPTED:
                await overall.end(following)
            following.cancel()
    except* ClientError as errors:
        [error] = errors.exceptions
        assert isinstance(error, ClientError)
        complain(advice(error), FAILED)
    return code


def _invalid_files(files: Sequence[Path], upload_id: str | None) -> str | None:
    say = words().say
    if not files:
        return say("Name at least one file.")
    if upload_id is not None and len(files) > 1:
        return say("--id names one upload, and these are {count} files.", count=len(files))
    for file in files:
        if file == STANDARD_INPUT:
            continue
        name = clean_text(str(file))
        if file.is_dir():
            return say("{file} is a directory: name the files in it.", file=name)
        if not file.exists():
            return say("No such file: {file}", file=name)
        if not os.access(file, os.R_OK):
            return say("{file} cannot be read: permission denied.", file=name)
    return None
