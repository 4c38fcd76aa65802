"""`Storage` in a bucket, with a local directory for attempts. Knows no HTTP, Redis or stages."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sse_progress.storage.body_port import DirectParts
from sse_progress.storage.bucket.bodies import BucketBodies
from sse_progress.storage.bucket.chunks import CHUNK_BYTES, Putting
from sse_progress.storage.bucket.client import Bucket
from sse_progress.storage.bucket.direct import BucketParts
from sse_progress.storage.bucket.keys import Keys
from sse_progress.storage.bucket.objects import BucketObjects
from sse_progress.storage.bucket.publishing import end_leftovers, format_of
from sse_progress.storage.bucket.stored import Kept
from sse_progress.storage.bucket.sweeping import Sweeper
from sse_progress.storage.bucket.url import BucketUrl, Credentials
from sse_progress.storage.bucket.workroom import Workroom
from sse_progress.storage.port import StorageState

__all__ = ["BucketStorage"]

SWEEP_EVERY_S = 600.0
STATE_S = 2.0
"""How long an answer about the state holds."""


class BucketStorage:
    """Uploads in a bucket. Any number of processes on any hosts may use it at the same time."""

    def __init__(
        self,
        url: BucketUrl,
        credentials: Credentials,
        work_dir: Path,
        *,
        work_bytes: int,
        reserve_bytes: int = 0,
        quota_bytes: int | None = None,
        chunk_bytes: int = CHUNK_BYTES,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.id = url.id
        self._bucket = Bucket(url, credentials)
        self._kept = Kept(self._bucket, limit_bytes=quota_bytes)
        self._workroom = Workroom(work_dir, limit_bytes=work_bytes, reserve_bytes=reserve_bytes)
        self._now = now
        self.bodies = BucketBodies(Putting(self._bucket, chunk_bytes=chunk_bytes), self._kept)
        self.objects = BucketObjects(self._bucket, self._workroom, now=now)
        self.direct: DirectParts | None = BucketParts(self._bucket)
        self._swept_at = -SWEEP_EVERY_S
        self._state: tuple[float, StorageState] | None = None

    def free_bytes(self) -> int | None:
        return None

    def free_inodes(self) -> int | None:
        return None

    def ensure_room(self, size_bytes: int) -> None:
        """A bucket is never full."""

    def kept_bytes(self, owner: str) -> int:
        return self._kept.bytes_of(owner)

    def ensure_quota(self, owner: str, size_bytes: int) -> None:
        self._kept.ensure(owner, size_bytes)

    def state(self) -> StorageState:
        """Asked by a write, once in two seconds."""
        now = time.monotonic()
        if self._state is None or now - self._state[0] > STATE_S:
            self._state = now, self._bucket.state()
        return self._state[1]

    def format(self) -> int:
        """Which releases may use it. Raises Unavailable, and ValueError where it is no number."""
        return format_of(self._bucket)

    def remove(self, upload_id: str) -> None:
        """Its bytes go first and what names them last, so that a removal can be repeated.

        Before all that it is noted where files may still be put, by an attempt that does not know
        of the removal and may die before it does: `Sweeper` looks there again.
        """
        keys = Keys(upload_id)
        found = self.objects.find(upload_id)
        prefix = found.manifest.storage_prefix if found is not None else ""
        published = keys.published(prefix)
        if found is not None and found.may_be_put:
            self._bucket.put(keys.removed, prefix.encode())
        paths: list[str] = []
        for prefix in (published, keys.work, keys.parts):
            paths += [found.path for found in self._bucket.listing(prefix)]
        self._bucket.delete(paths)
        for upload in (found.open, found.published) if found is not None else ():
            if upload is not None:
                self._kept.forget(upload.manifest, upload.body)
        self._bucket.delete([keys.resting, keys.open, keys.record])
        end_leftovers(self._bucket, published)

    def take_back(self, upload_id: str) -> bool:
        """A worker that publishes it within these requests loses it, as by any removal."""
        found = self.objects.find(upload_id)
        if found is not None and found.done:
            return False
        self.remove(upload_id)
        return True

    # ---- what dead processes left

    def sweep(self) -> None:
        """Every ten minutes; the work goes by what is in the bucket alone."""
        if time.monotonic() - self._swept_at < SWEEP_EVERY_S:
            return
        self._swept_at = time.monotonic()
        self._workroom.sweep_alone()
        Sweeper(self._bucket, now=self._now).sweep()
