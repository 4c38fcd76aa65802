"""A bucket for a test: the session's server, a prefix of its own, and a look at what lies there."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sse_progress.storage.bucket.storage import BucketStorage
from sse_progress.storage.bucket.url import Credentials, parse_bucket_url
from sse_progress.storage.manifest import Manifest
from tests.helpers import s3_client
from tests.helpers.s3_server import ACCESS_KEY, SECRET_KEY, S3Server

RECORD = b'{"id":"u1","files":[]}'


class Place:
    """Storages on one prefix; each `open` is another process on another host."""

    def __init__(self, server: S3Server, directory: Path) -> None:
        self.server, self.prefix = server, f"t{secrets.token_hex(6)}"
        self._directory = directory
        self._opened = 0

    def open(
        self, *, endpoint: str | None = None, secret: str = SECRET_KEY, **more: Any
    ) -> BucketStorage:
        self._opened += 1
        url = self.server.setting("media", prefix=self.prefix, endpoint=endpoint)
        return BucketStorage(
            parse_bucket_url(url, environment={}),
            Credentials(ACCESS_KEY, secret),
            self._directory / f"work-{self._opened}",
            **{"work_bytes": 1024**3, **more},
        )

    def listed(self) -> list[str]:
        """What is there, below the prefix, but for notes of removals."""
        return [key for key in self.all_keys() if not key.startswith("removed/")]

    def notes(self) -> list[str]:
        """Of which uploads it is noted that they were removed."""
        return [key for key in self.all_keys() if key.startswith("removed/")]

    def all_keys(self) -> list[str]:
        found = s3_client.keys(self.server.endpoint, "media", prefix=f"{self.prefix}/")
        return [key.removeprefix(f"{self.prefix}/") for key in found]

    def uploads(self) -> list[str]:
        """Multipart uploads that nobody has ended."""
        found = s3_client.uploads(self.server.endpoint, "media")
        return [key for key in found if key.startswith(self.prefix)]

    def request(self, method: str, path: str, content: bytes = b"") -> bytes:
        answer = s3_client.request(
            self.server.endpoint, method, f"/media/{self.prefix}/{path}", content=content
        )
        assert answer.status_code in (200, 204), answer.text
        return answer.content


def manifest(content: bytes, upload_id: str = "u1", **changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "upload_id": upload_id,
        "owner": "somebody",
        "filename": "photo.jpg",
        "claimed_type": "image/jpeg",
        "fields": {"title": "a"},
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "epoch": "e1",
        "created_at": "2026-01-15T10:30:00.000Z",
    }
    return Manifest(**(values | changes))


def store(
    storage: BucketStorage, content: bytes = b"content", upload_id: str = "u1", **changes: Any
) -> Manifest:
    body = storage.bodies.incoming(upload_id)
    for at in range(0, len(content), 1000):
        body.write(content[at : at + 1000])
    stored = manifest(content, upload_id, **changes)
    body.store(stored)
    return stored


def worked_on(storage: BucketStorage, upload_id: str = "u1") -> Path:
    """An attempt's directory, with the original fetched."""
    found = storage.objects.find(upload_id)
    assert found is not None
    scratch = storage.objects.scratch(upload_id)
    found.local(scratch)
    return scratch


def publish(
    storage: BucketStorage,
    upload_id: str = "u1",
    *,
    report: Callable[[int, int], None] = lambda *_: None,
    **derived: bytes,
) -> bytes:
    scratch = worked_on(storage, upload_id)
    for name, content in derived.items():
        (scratch / name).write_bytes(content)
    storage.objects.keep_derived(upload_id, scratch, {name: name for name in derived})
    record = storage.objects.publish(upload_id, RECORD, scratch=scratch, report=report)
    storage.objects.leave(scratch)
    return record


async def read(file: Any, start: int = 0, end: int | None = None) -> bytes:
    """What is served of a file in the bucket."""
    stop = file.size if end is None else end
    return b"".join([piece async for piece in file.stream(start, stop)])
