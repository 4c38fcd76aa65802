"""What became of an upload whose journal Redis does not have."""

from __future__ import annotations

from sse_progress.emitter.follower import Absent
from sse_progress.journal.journal import Journal
from sse_progress.journal.redis_age import redis_age_s
from sse_progress.model.events import Draft, decode_json
from sse_progress.model.messages import END
from sse_progress.runtime.concurrency import blocking
from sse_progress.storage.port import Storage, StoredObject

__all__ = ["Recovery", "RecoveryElsewhere"]


class Recovery:
    """Answers what only storage and Redis together know.

    `lease_s`: Redis may have lost data if it is younger than this.
    """

    def __init__(self, journal: Journal, storage: Storage, *, lease_s: float) -> None:
        self._journal, self._storage, self._lease_s = journal, storage, lease_s

    async def revive(self, found: StoredObject) -> None:
        """Write the end of a finished upload again, from its record."""
        assert found.record is not None
        await self._journal.revive(
            found.manifest.upload_id,
            owner=found.manifest.owner,
            draft=Draft(
                stage="complete",
                stage_progress=100,
                message=END["complete"],
                media=decode_json(found.record),
            ),
            tags=found.manifest.tags,
        )

    async def held(self, upload_id: str) -> Absent | None:
        """What the storage has of it; None: nothing, so the id may be claimed.

        Finished long ago: its end is written again. Stored, arriving or paused: wait, its writer or
        the reconciler begins a new epoch.
        """
        found, waits = await blocking(self._look, upload_id)
        if found is not None and found.done:
            await self.revive(found)
            return "revived"
        return "wait" if waits else None

    def _look(self, upload_id: str) -> tuple[StoredObject | None, bool]:
        """The stored object, and whether there is that or a body. It blocks.

        Looked for in the order in which bytes move, so that what moves meanwhile is found.
        """
        bodies = self._storage.bodies
        arrives = bodies.receiving(upload_id) or bodies.partial(upload_id) is not None
        found = self._storage.objects.find(upload_id)
        return found, arrives or found is not None

    async def absent(self, upload_id: str) -> Absent:
        """The same; where the storage has nothing, a young Redis may have lost it: wait."""
        held = await self.held(upload_id)
        return await self._absent(upload_id) if held is None else held

    async def _absent(self, upload_id: str) -> Absent:
        young = await redis_age_s(self._journal.redis, upload_id) < self._lease_s
        return "wait" if young else "gone"


class RecoveryElsewhere(Recovery):
    """Without a storage: what Redis does not have may be there, so no id is claimed."""

    async def held(self, upload_id: str) -> Absent | None:  # noqa: ARG002
        return "wait"

    async def absent(self, upload_id: str) -> Absent:
        return await self._absent(upload_id)
