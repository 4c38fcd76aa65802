"""The command `sse-progress list`: the caller's uploads, a line each."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping

import msgspec

from sse_progress.cli.client_session import (
    COMPLETED,
    FAILED,
    advice,
    complain,
    error_text,
    run_session,
)
from sse_progress.cli.words import words
from sse_progress.client import AsyncClient, ClientError, State
from sse_progress.model.events import encode_json
from sse_progress.model.text import clean_text

__all__ = ["list_command"]

PAGE = 200


def list_command(
    chosen: Mapping[str, str | None],
    *,
    limit: int,
    url: str,
    token: str | None = None,
    as_json: bool = False,
) -> int:
    """At most `limit`, newest first; `chosen` are filters of `AsyncClient.uploads`."""

    async def run(client: AsyncClient) -> int:
        try:
            async for state in _states(client, chosen, limit):
                print(_json(state) if as_json else _line(state))
        except ClientError as error:
            return complain(advice(error), FAILED)
        sys.stdout.flush()
        return COMPLETED

    return run_session(run, url=url, token=token, pace=None)


async def _states(
    client: AsyncClient, chosen: Mapping[str, str | None], limit: int
) -> AsyncIterator[State]:
    after: str | None = None
    while limit > 0:
        page = await client.uploads(**chosen, limit=min(limit, PAGE), after=after)  # type: ignore[arg-type]
        for state in page.uploads:
            yield state
        limit -= len(page.uploads)
        after = page.next
        if after is None:
            return


def _json(state: State) -> str:
    members: dict[str, object] = msgspec.to_builtins(state)
    return encode_json({key: each for key, each in members.items() if each is not None}).decode()


def _line(state: State) -> str:
    size = "" if state.size is None else words().size(state.size)
    columns = [
        f"{clean_text(state.upload_id):<44}",
        f"{clean_text(words().status(state.status)):<{words().status_width}}",
        f"{state.progress or 0:>3} %",
        f"{size:>9}",
        clean_text(state.filename or state.title or ""),
    ]
    if state.status == "error" and state.error:
        columns.append(clean_text(error_text(state.error.code, state.error.detail)))
    return "  ".join(columns).rstrip()
