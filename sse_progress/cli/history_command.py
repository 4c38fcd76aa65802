"""The command `sse-progress history`: the events of one upload, a line each."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any

import msgspec

from sse_progress.cli.client_session import (
    COMPLETED,
    FAILED,
    WRONG_USE,
    advice,
    complain,
    invalid_id,
    run_session,
)
from sse_progress.cli.stage_titles import StageTitles
from sse_progress.cli.words import words
from sse_progress.client import AsyncClient, ClientError, Event
from sse_progress.model.text import clean_text

__all__ = ["history_command"]


def history_command(
    upload_id: str, *, url: str, token: str | None = None, as_json: bool = False
) -> int:
    """Print every event, oldest first: time, percent, stage, message. With JSON as they came."""
    if wrong := invalid_id(upload_id):
        return complain(wrong, WRONG_USE)

    async def run(client: AsyncClient) -> int:
        since: str | None = None
        titles = StageTitles(client)
        while True:
            try:
                part = await client.history(upload_id, since=since)
            except ClientError as error:
                return complain(advice(error), FAILED)
            for told in part.events:
                print(json.dumps(told) if as_json else await _line(told, titles))
            since = part.next
            if since is None:
                sys.stdout.flush()
                return COMPLETED

    return run_session(run, url=url, token=token, pace=None)


async def _line(told: dict[str, Any], titles: StageTitles) -> str:
    event = msgspec.convert(told, Event)
    await titles.learn(event)
    moment = datetime.fromisoformat(told["timestamp"]).astimezone()
    time = moment.isoformat(sep=" ", timespec="milliseconds")
    stage, message = clean_text(titles.stage(event)), titles.message(event)
    if event.error:
        message = words().error(event.error.code, message)
    columns = [time, f"{event.progress or 0:>3} %", f"{stage:<{words().stage_width}}"]
    return "  ".join([*columns, clean_text(message)]).rstrip()
