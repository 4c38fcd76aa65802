# Made from sse_progress/client/_async/many.py by scripts/generate: change that.
"""Many uploads at once: the list of them, their one stream, batches, and bulk work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import msgspec

from sse_progress.client._sync.batches import Batch
from sse_progress.client._sync.requests import Requests
from sse_progress.client._sync.streams import Follow
from sse_progress.client.answers import batch_path
from sse_progress.client.base import bulk_choice, labels
from sse_progress.client.failures import ClientError, Conflict
from sse_progress.client.following import Phase
from sse_progress.client.shapes import BatchEvent, BatchMade, BatchState, Page, QueuePlace
from sse_progress.model.events import Event

__all__ = ["Many"]


class Many(Requests):
    """What a client does with more than one upload."""

    def uploads(
        self,
        *,
        status: str | None = None,
        kind: str | None = None,
        context: Mapping[str, str] | None = None,
        batch_id: str | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Page:
        """The caller's uploads, newest first; `after` takes the `next` of the page before."""
        given = {"status": status, "limit": limit, "after": after}
        params = [(name, str(value)) for name, value in given.items() if value is not None]
        return self._get(Page, "/uploads", [*params, *labels(kind, context, batch_id)])

    def config(self) -> dict[str, Any]:
        """What the service accepts, and its kinds of upload: the answer of `GET /config`."""
        return self._get(dict[str, Any], "/config")

    def follow_all(
        self,
        ids: Iterable[str] = (),
        *,
        on_phase: Callable[[Phase], None] | None = None,
        on_place: Callable[[QueuePlace], None] | None = None,
    ) -> Follow[Event]:
        """Events of all the caller's uploads (or of `ids`), for as long as it is iterated.

        First a `reset` with the state of each; after a reconnect these come again. `on_place` is
        called for each of those that wait for a worker, every few seconds.
        """
        return Follow(self, self._following_all(ids, on_phase, on_place))

    # ---- batches

    @contextmanager
    def batch(
        self,
        id: str | None = None,
        *,
        total: int | None = None,
        title: str | None = None,
        kind: str | None = None,
        context: Mapping[str, str] | None = None,
    ) -> Iterator[Batch]:
        """Treat many uploads and jobs as one.

        `with client.batch(title="Lectures") as batch: batch.upload("one.mp4")`

        The block's end closes the batch: it ends with its last item. If the block raises, what is
        open is cancelled. With the `id` of a batch of the caller's it goes on with that one. A
        batch whose `total` is told ends by itself. Raises Conflict if it has ended.
        """
        asked = {"id": id, "total": total, "title": title, "kind": kind}
        about = {name: value for name, value in asked.items() if value is not None}
        body = msgspec.json.encode({**about, **({"context": dict(context)} if context else {})})
        made = self._post_json(BatchMade, "/batches", body)
        batch = Batch(self, made.batch_id)
        try:
            yield batch
        except BaseException:
            with suppress(ClientError):
                batch.cancel()
            raise
        with suppress(Conflict):  # it has ended by itself
            batch.close()

    def follow_batch(
        self,
        id: str,
        *,
        last_event_id: str | None = None,
        on_phase: Callable[[Phase], None] | None = None,
    ) -> Follow[BatchEvent]:
        """Every event of a batch, as `follow` gives those of an upload."""
        return Follow(self, self._following_batch(id, last_event_id, on_phase))

    def batch_state(self, id: str) -> BatchState:
        """How far a batch is. Raises NotFound."""
        return self._get(BatchState, batch_path(id))

    def close_batch(self, id: str) -> None:
        """Say that no more items join. Raises NotFound, Conflict once it ended."""
        self._call("POST", batch_path(id, "/close"))

    def cancel_batch(self, id: str) -> None:
        """Cancel what is open of a batch. Raises NotFound, Conflict once it ended."""
        self._call("DELETE", batch_path(id))

    # ---- bulk work

    def cancel_many(
        self,
        ids: Iterable[str] | None = None,
        *,
        status: str | None = None,
        kind: str | None = None,
        context: Mapping[str, str] | None = None,
        batch_id: str | None = None,
    ) -> str:
        """Cancel open uploads, by ids or by a filter, at most 10,000; the id of a batch.

        That batch's items are the work: `follow_batch` tells how far it is.
        """
        choice = bulk_choice(ids, status, kind, context, batch_id)
        return self._bulk("/uploads/cancel", choice)

    def delete_many(
        self,
        ids: Iterable[str] | None = None,
        *,
        status: str | None = None,
        kind: str | None = None,
        context: Mapping[str, str] | None = None,
        batch_id: str | None = None,
    ) -> str:
        """Delete the files of finished uploads, as `cancel_many` cancels open ones."""
        choice = bulk_choice(ids, status, kind, context, batch_id)
        return self._bulk("/uploads/delete", choice)

    def _bulk(self, path: str, choice: dict[str, object]) -> str:
        made = self._post_json(BatchMade, path, msgspec.json.encode(choice))
        return made.batch_id
