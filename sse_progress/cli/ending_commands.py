"""The commands `sse-progress cancel` and `delete`: uploads by their ids, or those of a batch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from sse_progress.cli.client_session import (
    COMPLETED,
    FAILED,
    WRONG_USE,
    advice,
    complain,
    invalid_id,
    run_session,
)
from sse_progress.cli.words import words
from sse_progress.client import AsyncClient, ClientError

__all__ = ["cancel_command", "delete_command"]


def cancel_command(
    ids: Sequence[str], *, batch_id: str | None, url: str, token: str | None = None
) -> int:
    async def whole(client: AsyncClient, batch: str) -> str:
        await client.cancel_batch(batch)
        return words().say("cancelled")

    return _command("cancelled", ids, batch_id, AsyncClient.cancel, whole, url=url, token=token)


def delete_command(
    ids: Sequence[str], *, batch_id: str | None, url: str, token: str | None = None
) -> int:
    async def whole(client: AsyncClient, batch: str) -> str:
        items: dict[str, int] = {}
        async for event in client.follow_batch(await client.delete_many(batch_id=batch)):
            items = event.items or items
        done, total = items.get("complete", 0), items.get("total", 0)
        return words().say("{done} of {total} deleted", done=done, total=total)

    return _command("deleted", ids, batch_id, AsyncClient.delete, whole, url=url, token=token)


def _command(
    done: str,
    ids: Sequence[str],
    batch_id: str | None,
    one: Callable[[AsyncClient, str], Awaitable[None]],
    whole: Callable[[AsyncClient, str], Awaitable[str]],
    *,
    url: str,
    token: str | None,
) -> int:
    """`one` for each id, or `whole` for the batch, which says what was done; a line for each."""
    if bool(ids) == (batch_id is not None):
        return complain(words().say("Name either uploads, or a --batch."), WRONG_USE)
    for name in (*ids, batch_id):
        if wrong := invalid_id(name):
            return complain(wrong, WRONG_USE)

    async def run(client: AsyncClient) -> int:
        code = COMPLETED
        for name in [batch_id] if batch_id is not None else ids:
            try:
                if batch_id is None:
                    await one(client, name)
                    told = words().say(done)
                else:
                    told = await whole(client, name)
            except ClientError as error:
                code = complain(f"{name}: {advice(error)}", FAILED)
            else:
                print(f"{name}: {told}")
        return code

    return run_session(run, url=url, token=token, pace=None)
