"""A batch under way, for whoever made it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sse_progress.client._async.streams import AsyncFollow
from sse_progress.client.following import Phase
from sse_progress.client.shapes import BatchEvent, BatchState

if TYPE_CHECKING:
    from sse_progress.client._async.many import AsyncMany

__all__ = ["AsyncBatch"]


class AsyncBatch:
    """Made by `AsyncClient.batch`. Uploads and jobs join it by `batch_id=batch.id`."""

    def __init__(self, client: AsyncMany, id: str) -> None:
        self.id = id
        self._client = client

    def follow(
        self,
        *,
        last_event_id: str | None = None,
        on_phase: Callable[[Phase], None] | None = None,
    ) -> AsyncFollow[BatchEvent]:
        """Every event of the batch, in order, to its end."""
        return self._client.follow_batch(self.id, last_event_id=last_event_id, on_phase=on_phase)

    async def state(self) -> BatchState:
        """How far it is: `items` has the counts."""
        return await self._client.batch_state(self.id)

    async def wait(self) -> BatchState:
        """Until it has ended, after its `total` of items or after `close` with the last of them."""
        async for _ in self.follow():
            pass
        return await self.state()

    async def close(self) -> None:
        """No more items join. Raises Conflict once it ended."""
        await self._client.close_batch(self.id)

    async def cancel(self) -> None:
        """Cancel what is open of it. Raises Conflict once it ended."""
        await self._client.cancel_batch(self.id)
