"""`Objects` in a bucket: stored uploads found, worked on, published. Every function blocks."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from sse_progress.model.errors import Internal, Unavailable, UnknownUpload
from sse_progress.model.ids import Position
from sse_progress.storage.bucket.attempts import WorkAttempt, begin, is_first
from sse_progress.storage.bucket.client import Bucket
from sse_progress.storage.bucket.files import BucketFile, Piece
from sse_progress.storage.bucket.keys import OPEN, RECORDS, Keys
from sse_progress.storage.bucket.publishing import publish, raise_format, tidy
from sse_progress.storage.bucket.stored import OpenUpload, PublishedUpload, decoded
from sse_progress.storage.bucket.workroom import Workroom
from sse_progress.storage.manifest import Manifest
from sse_progress.storage.port import Superseded
from sse_progress.storage.promises import (
    PROMISES,
    KeptS,
    Promise,
    kept_no_longer,
    parsed,
    promise_of,
)

__all__ = ["BucketObject", "BucketObjects"]

MARK_EVERY_S = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BucketObject:
    """A stored upload as it was when found; one of `open` and `published` is there."""

    bucket: Bucket
    open: OpenUpload | None
    published: PublishedUpload | None
    attempts: Mapping[Path, WorkAttempt]

    @property
    def manifest(self) -> Manifest:
        found = self.published or self.open
        assert found is not None
        return found.manifest

    @property
    def record(self) -> bytes | None:
        return bytes(self.published.record) if self.published is not None else None

    @property
    def done(self) -> bool:
        return self.published is not None

    @property
    def may_be_put(self) -> bool:
        """Whether an attempt may be publishing it: it is open, or was published by another than
        the first one."""
        if self.open is not None or self.published is None:
            return True
        return not is_first(self.published.files[0].path.split("/")[-2])

    def local(self, scratch: Path) -> Path:
        """Fetched into the attempt's directory. Raises Internal where its bytes are gone."""
        return self.attempts[scratch].fetch()

    def original(self) -> BucketFile:
        """The original as it was received, or as it is published."""
        if self.published is not None:
            file = self.file(self.manifest.filename)
            assert file is not None
            return file
        assert self.open is not None
        body = Keys(self.manifest.upload_id).body(self.open.body)
        pieces = [Piece(f"{body}/{chunk.name}", chunk.length) for chunk in self.open.path]
        created = datetime.fromisoformat(self.manifest.created_at)
        return BucketFile(self.bucket, pieces, f'"{self.manifest.sha256[:32]}"', created)

    def file(self, name: str) -> BucketFile | None:
        if self.published is None:
            return None
        for file in self.published.files:
            if file.name == name:
                found = self.bucket.head(file.path)
                if found is None:  # somebody else removed it
                    raise Internal("The stored file could not be found.")
                piece = Piece(file.path, found.size)
                return BucketFile(self.bucket, [piece], found.etag, found.modified)
        return None


class BucketObjects:
    """`Objects` in a bucket; `now` is the wall clock, seconds since 1970."""

    def __init__(
        self,
        bucket: Bucket,
        workroom: Workroom,
        *,
        now: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bucket, self._workroom, self._now, self._clock = bucket, workroom, now, clock
        self._attempts: dict[Path, WorkAttempt] = {}
        self._marked_at: dict[str, float] = {}
        self._published: set[str] = set()
        self._format_raised = False
        self._noted: set[Promise] = set()
        self._lock = threading.Lock()

    def find(self, upload_id: str) -> BucketObject | None:
        """Looked for in the order in which it moves, so that one which moves meanwhile is found."""
        keys = Keys(upload_id)
        stored, published = self._bucket.get(keys.open), self._bucket.get(keys.record)
        if stored is None and published is None:
            return None
        return BucketObject(
            self._bucket,
            None if stored is None else decoded(stored, OpenUpload),
            None if published is None else decoded(published, PublishedUpload),
            self._attempts,
        )

    def open_uploads(self) -> Iterator[Manifest]:
        """Also those that were published when somebody died before it was tidied up."""
        for found in self._bucket.listing(OPEN):
            try:
                data = self._bucket.get(found.path)
                if data is not None:
                    yield decoded(data, OpenUpload).manifest
            except Unavailable:
                log.exception("manifest cannot be read", path=found.path)

    def expired(
        self,
        older_than_s: float,
        kept_s: KeptS = kept_no_longer,
        *,
        younger_than_s: float = math.inf,
    ) -> Iterator[str]:
        now = datetime.fromtimestamp(self._now(), UTC)
        for found in self._bucket.listing(RECORDS):
            age_s = (now - found.modified).total_seconds()
            if not older_than_s < age_s < younger_than_s:
                continue
            if (data := self._bucket.get(found.path)) is not None:
                manifest = decoded(data, PublishedUpload).manifest
                if (kept := kept_s(manifest)) is not None and age_s > kept:
                    yield manifest.upload_id

    def promises(self) -> list[Promise]:
        return parsed(found.name for found in self._bucket.listing(PROMISES))

    # ---- work

    def latest_attempt(self, upload_id: str) -> int:  # noqa: ARG002  # each has its own place
        return 0

    def scratch(self, upload_id: str, number: int | None = None) -> Path:  # noqa: ARG002  # so too
        keys = Keys(upload_id)
        data = self._bucket.get(keys.open)
        if data is None:
            raise UnknownUpload
        upload = decoded(data, OpenUpload)
        size = upload.manifest.size
        attempt = begin(self._bucket, keys, upload, lambda name: self._workroom.enter(name, size))
        self._attempts[attempt.place.scratch] = attempt
        return attempt.place.scratch

    def leave(self, scratch: Path) -> None:
        attempt = self._attempts.pop(scratch, None)
        if attempt is not None:
            self._published.discard(attempt.upload.manifest.upload_id)
            attempt.place.leave()

    def replace_original(self, upload_id: str, scratch: Path, name: str) -> dict[str, int | str]:
        attempt = self._attempt(upload_id, scratch)
        return {} if attempt is None else attempt.replace_original(scratch, name)

    def keep_derived(
        self, upload_id: str, scratch: Path, names: Mapping[str, str]
    ) -> dict[str, int]:
        attempt = self._attempt(upload_id, scratch)
        return {} if attempt is None else attempt.keep(scratch, names)

    def publish(
        self,
        upload_id: str,
        record: bytes,
        *,
        scratch: Path | None = None,
        report: Callable[[int, int], None] = lambda *_: None,
    ) -> bytes:
        """Publish original, derived files and record; returns the record that holds.

        What a crash leaves, step by step:

        1. files put below this attempt's name     an open upload, to be published again
        2. the record put                          a published upload; now it may be announced
        3. what led to it deleted                  the same; `sweep` deletes the rest
        """
        attempt = self._attempts.get(scratch) if scratch is not None else None
        if attempt is None:
            raise ValueError("publishing takes the scratch directory of an attempt")
        if attempt.upload.manifest.upload_id != upload_id:
            raise ValueError("the scratch directory is another upload's")
        if attempt.upload.manifest.storage_prefix and not self._format_raised:
            raise_format(self._bucket)
            self._format_raised = True
        self._note_promise(promise_of(attempt.upload.manifest))
        self._published.add(upload_id)  # no position is noted where all has just been deleted
        published = publish(attempt, record, report)
        tidy(self._bucket, published, alone=attempt.first)
        return bytes(published.record)

    def _note_promise(self, promise: Promise | None) -> None:
        if promise is not None and promise not in self._noted:
            self._bucket.put(f"{PROMISES}/{promise.name}", b"")
            self._noted.add(promise)

    def _attempt(self, upload_id: str, scratch: Path) -> WorkAttempt | None:
        """The attempt whose directory it is, or is in; None once the upload is published."""
        attempt = self._attempts.get(scratch) or self._attempts.get(scratch.parent)
        found = self.find(upload_id)
        if found is None:
            raise UnknownUpload
        if found.done:
            return None
        if attempt is None or attempt.upload.manifest.upload_id != upload_id:
            raise Superseded
        return attempt

    # ---- the journal's place

    def mark(
        self,
        upload_id: str,
        position: Position,
        *,
        first: bool = False,  # noqa: ARG002  # a worker's next one follows in seconds
    ) -> None:
        """A put every few seconds and no more: it is for a Redis that lost its memory."""
        with self._lock:
            now = self._clock()
            if upload_id in self._published:
                return
            if now - self._marked_at.get(upload_id, -MARK_EVERY_S) < MARK_EVERY_S:
                return
            self._marked_at = {
                name: at for name, at in self._marked_at.items() if now - at < MARK_EVERY_S
            }
            self._marked_at[upload_id] = now
        self._bucket.put(Keys(upload_id).mark, str(position).encode())

    def marked(self, upload_id: str) -> Position | None:
        data = self._bucket.get(Keys(upload_id).mark)
        if data is None:
            return None
        position = Position.parse(data.decode("ascii", "replace").strip())
        return position if position.epoch else None
