# Made from sse_progress/client/_async/batches.py by scripts/generate: change that.
"""A batch under way, for whoever made it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sse_progress.client._sync.streams import Follow
from sse_progress.client.following import Phase
from sse_progress.client.shapes import BatchEvent, BatchState

if TYPE_CHECKING:
    from sse_progress.client._sync.many import Many

__all__ = ["Batch"]


class Batch:
    """Made by `Client.batch`. Uploads and jobs join it by `batch_id=batch.id`."""

    def __init__(self, client: Many, id: str) -> None:
        self.id = id
        self._client = client

    def follow(
        self,
        *,
        last_event_id: str | None = None,
        on_phase: Callable[[Phase], None] | None = None,
    ) -> Follow[BatchEvent]:
        """Every event of the batch, in order, to its end."""
        return self._client.follow_batch(self.id, last_event_id=last_event_id, on_phase=on_phase)

    def state(self) -> BatchState:
        """How far it is: `items` has the counts."""
        return self._client.batch_state(self.id)

    def wait(self) -> BatchState:
        """Until it has ended, after its `total` of items or after `close` with the last of them."""
        for _ in self.follow():
            pass
        return self.state()

    def close(self) -> None:
        """No more items join. Raises Conflict once it ended."""
        self._client.close_batch(self.id)

    def cancel(self) -> None:
        """Cancel what is open of it. Raises Conflict once it ended."""
        self._client.cancel_batch(self.id)
