"""From what an attempt has made to files that clients may read; then what led there is deleted."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from sse_progress.model.errors import UnknownUpload
from sse_progress.storage.bucket.attempts import Made, WorkAttempt, copy_in
from sse_progress.storage.bucket.chunks import CHUNK_BYTES
from sse_progress.storage.bucket.client import Bucket
from sse_progress.storage.bucket.keys import Keys
from sse_progress.storage.bucket.stored import PublishedFile, PublishedUpload, decoded
from sse_progress.storage.format import FIRST_FORMAT, FORMAT, FORMAT_NAME

__all__ = ["end_leftovers", "format_of", "publish", "raise_format", "tidy"]

COPY_MOST_BYTES = 5 * 1024**3
"""The largest object that S3 copies by one request."""

Report = Callable[[int, int], None]


def publish(attempt: WorkAttempt, record: bytes, report: Report) -> PublishedUpload:
    """Put the files, then the record; returns what holds: an earlier record, if there is one.

    `report` gets the bytes that are in place, and how many they will be. Raises UnknownUpload if
    the upload was removed meanwhile.
    """
    bucket, keys, manifest = attempt.bucket, attempt.keys, attempt.upload.manifest
    try:
        published = PublishedUpload(
            manifest=manifest,
            body=attempt.upload.body,
            files=_put_files(attempt, report),
            record=msgspec.Raw(record),
        )
        if bucket.head(keys.open) is None:
            raise UnknownUpload
        if bucket.create(keys.record, msgspec.json.encode(published)):
            return published
    except UnknownUpload:
        pass  # removed meanwhile, or published by another attempt
    put = f"{keys.published(manifest.storage_prefix)}/{attempt.name}"
    bucket.delete([found.path for found in bucket.listing(put)])
    data = bucket.get(keys.record)
    if data is None:
        raise UnknownUpload
    return decoded(data, PublishedUpload)


def _put_files(attempt: WorkAttempt, report: Report) -> list[PublishedFile]:
    bucket, upload = attempt.bucket, attempt.upload
    place = attempt.keys.published(upload.manifest.storage_prefix)
    prefix = f"{place}/{attempt.name}"
    size = attempt.original.size if attempt.original is not None else upload.manifest.size
    total = size + sum(made.size for made in attempt.files.values())
    done = 0

    def tell(count: int) -> None:
        report(done + count, total)

    report(0, total)
    original = PublishedFile(name=upload.manifest.filename, path=f"{prefix}/original", size=size)
    _put_original(attempt, original, tell)
    done += size
    tell(0)
    files = [original]
    for number, (name, made) in enumerate(attempt.files.items()):
        path = f"{prefix}/files/{number}"
        _copied(bucket, made, path)
        files.append(PublishedFile(name=name, path=path, size=made.size))
        done += made.size
        tell(0)
    return files


def _put_original(attempt: WorkAttempt, file: PublishedFile, tell: Callable[[int], None]) -> None:
    """By a copy within the bucket where it is one object there, else from the local file."""
    if (whole := _one_object(attempt)) is not None:
        _copied(attempt.bucket, whole, file.path)
        return
    descriptor = os.open(attempt.place.original, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # What the writer has taken is on its way: up to three parts are not there yet.
        part = max(CHUNK_BYTES, file.size // 9000)
        copy_in(attempt.bucket, file.path, descriptor, lambda count: tell(max(count - 3 * part, 0)))
    finally:
        os.close(descriptor)


def _one_object(attempt: WorkAttempt) -> Made | None:
    if attempt.original is not None:
        return attempt.original if attempt.original.size <= COPY_MOST_BYTES else None
    if len(path := attempt.upload.path) != 1:
        return None
    chunk = path[0]
    if chunk.writer == attempt.upload.body:
        return None  # put by its sender, who may put it again: only the local file was looked at
    return Made(f"{attempt.keys.body(attempt.upload.body)}/{chunk.name}", chunk.length)


def _copied(bucket: Bucket, made: Made, path: str) -> None:
    if not bucket.copy(made.path, path):
        raise UnknownUpload  # removed meanwhile


def tidy(bucket: Bucket, published: PublishedUpload, *, alone: bool = False) -> None:
    """Delete what led to a published upload, and what other attempts have put; `alone`: there
    were none."""
    keys = Keys(published.manifest.upload_id)
    paths = [found.path for prefix in (keys.parts, keys.work) for found in bucket.listing(prefix)]
    if not alone:
        named = {file.path for file in published.files}
        place = keys.published(published.manifest.storage_prefix)
        paths += [one.path for one in bucket.listing(place) if one.path not in named]
        end_leftovers(bucket, place)
    bucket.delete([*paths, keys.resting, keys.open])


def format_of(bucket: Bucket) -> int:
    """Which releases may use it. Raises Unavailable, and ValueError where it is no number."""
    return int(bucket.get(FORMAT_NAME) or FIRST_FORMAT)


def raise_format(bucket: Bucket) -> None:
    """Put this release's number, unless it is there."""
    number = b"%d\n" % FORMAT
    if not bucket.create(FORMAT_NAME, number) and format_of(bucket) < FORMAT:
        bucket.put(FORMAT_NAME, number)


def end_leftovers(bucket: Bucket, prefix: str) -> None:
    """Abort the multipart uploads below `prefix`."""
    for leftover in bucket.leftovers(f"{prefix}/"):
        bucket.abort(leftover)
