"""What dead processes left in a bucket, found by listings alone and removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby

import structlog

from sse_progress.storage.announced import Announced
from sse_progress.storage.bucket.client import Bucket, Found
from sse_progress.storage.bucket.keys import OPEN, PARTS, PUBLISHED, REMOVED, RESTING, WORK, Keys
from sse_progress.storage.bucket.publishing import tidy
from sse_progress.storage.bucket.stored import OpenUpload, PublishedUpload, decoded

__all__ = ["Sweeper"]

STALE_S = 3600.0
"""What nothing names is left alone for so long: somebody may be at it."""
LEFTOVER_S = 24 * 3600.0
"""The same of multipart uploads, which may be a large file on a slow line, and of removals: so long
may a worker take to notice one."""

log = structlog.get_logger(__name__)


class Sweeper:
    """`now` is the wall clock, seconds since 1970. All steps may be taken by many at once."""

    def __init__(self, bucket: Bucket, *, now: Callable[[], float]) -> None:
        self._bucket, self._now = bucket, now

    def sweep(self) -> None:
        self._published()
        self._resting()
        self._bodies()
        self._work()
        self._removed()
        limit = self._before(LEFTOVER_S)
        for leftover in self._bucket.leftovers(f"{PUBLISHED}/"):
            if leftover.began < limit:
                self._bucket.abort(leftover)
                log.info("a dead worker's multipart upload was aborted", key=leftover.key)

    def _before(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC) - timedelta(seconds=seconds)

    def _published(self) -> None:
        """Whoever published these died before it was tidied up."""
        for found in self._stale(OPEN):
            data = self._bucket.get(Keys(digest=found.name).record)
            if data is not None:
                tidy(self._bucket, decoded(data, PublishedUpload))

    def _resting(self) -> None:
        """Whoever stored these died before the announcement was deleted."""
        for found in self._stale(RESTING):
            data = self._bucket.get(found.path)
            if data is None:
                continue
            token, keys = decoded(data, Announced).token, Keys(digest=found.name)
            if token == self._stored_body(keys):
                self._bucket.delete([found.path])

    def _bodies(self) -> None:
        """Chunks that neither a stored upload nor an announcement names."""
        for (digest, body), group in groupby(self._bucket.listing(PARTS), key=_upload_and_name):
            listed = list(group)
            if max(found.modified for found in listed) > self._before(STALE_S):
                continue
            keys = Keys(digest=digest)
            # In the order in which a body moves.
            data = self._bucket.get(keys.resting)
            named = {decoded(data, Announced).token} if data is not None else set()
            if body not in named | {self._stored_body(keys)}:
                self._bucket.delete([found.path for found in listed])
                log.info("chunks of a lost body removed", count=len(listed))

    def _work(self) -> None:
        """What attempts have kept, of uploads that are not open any more."""
        for (digest, _), group in groupby(self._bucket.listing(WORK), key=_upload_and_name):
            listed = list(group)
            if max(found.modified for found in listed) > self._before(STALE_S):
                continue
            if self._bucket.head(Keys(digest=digest).open) is None:
                self._bucket.delete([found.path for found in listed])

    def _removed(self) -> None:
        """What attempts have put after their upload was removed, and died before they noticed."""
        for note in self._stale(REMOVED, LEFTOVER_S):
            if (prefix := self._bucket.get(note.path)) is None:
                continue
            keys = Keys(digest=note.name)
            # The listing first: an id may be used again, and what is put from now on is not in it.
            listed = [found.path for found in self._bucket.listing(keys.published(prefix.decode()))]
            if listed and self._bucket.head(keys.open) is not None:
                continue  # some may be those of an attempt at the new one
            if listed and (data := self._bucket.get(keys.record)) is not None:
                named = {file.path for file in decoded(data, PublishedUpload).files}
                listed = [path for path in listed if path not in named]
            if listed:
                log.info("files of a removed upload removed", count=len(listed))
            self._bucket.delete([*listed, note.path])

    def _stored_body(self, keys: Keys) -> str | None:
        if (data := self._bucket.get(keys.open)) is not None:
            return decoded(data, OpenUpload).body
        if (data := self._bucket.get(keys.record)) is not None:
            return decoded(data, PublishedUpload).body
        return None

    def _stale(self, prefix: str, seconds: float = STALE_S) -> Iterator[Found]:
        limit = self._before(seconds)
        return (found for found in self._bucket.listing(prefix) if found.modified < limit)


def _upload_and_name(found: Found) -> tuple[str, str]:
    """`<digest>` and what comes after it, in `<prefix>/<digest>/<name>/…`."""
    _, digest, name, *_ = found.path.split("/")
    return digest, name
