"""How many bytes each user keeps, and the limit on it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sse_progress.model.errors import QuotaExceeded, UploadIdInUse
from sse_progress.storage.disk import DiskStorage
from sse_progress.storage.incoming import Incoming
from sse_progress.storage.manifest import Manifest
from tests.unit.storage.test_resumable import opened, resting


@pytest.fixture
def storage(tmp_path: Path) -> DiskStorage:
    return DiskStorage.open(tmp_path / "data", quota_bytes=100)


def begun(storage: DiskStorage, upload_id: str, size: int) -> Incoming:
    incoming = storage.bodies.incoming(upload_id)
    incoming.write(b"x" * size)
    return incoming


def manifest(upload_id: str, size: int, owner: str) -> Manifest:
    return Manifest(
        upload_id=upload_id,
        owner=owner,
        filename="f",
        claimed_type="a/b",
        fields={},
        size=size,
        sha256=hashlib.sha256(b"x" * size).hexdigest(),
        epoch="e1",
        created_at="2026-01-15T10:30:00.000Z",
    )


def store(storage: DiskStorage, upload_id: str, size: int, owner: str = "ann") -> None:
    begun(storage, upload_id, size).store(manifest(upload_id, size, owner))


def names(storage: DiskStorage) -> Iterator[Path]:
    return (storage.root / "owners").glob("*/*")


def test_what_is_stored_counts_until_it_is_removed(storage: DiskStorage) -> None:
    """From stored over published to removed, for its owner only, also in another process."""
    assert storage.kept_bytes("ann") == 0
    store(storage, "u1", 60)
    store(storage, "u2", 5)
    store(storage, "u3", 70, owner="bob")
    storage.objects.publish("u1", b"{}")
    assert storage.kept_bytes("ann") == 65
    other = DiskStorage.open(storage.root)
    assert (other.id, other.kept_bytes("ann"), other.kept_bytes("bob")) == (storage.id, 65, 70)
    storage.remove("u1")
    assert storage.kept_bytes("ann") == 5
    storage.remove("u2")
    storage.remove("u3")
    assert list(names(storage)) == []


def test_a_user_over_the_limit_is_refused_and_nobody_else(storage: DiskStorage) -> None:
    """With all three numbers; nothing of the refused upload is left; deleting makes room again."""
    store(storage, "u1", 60)
    storage.ensure_quota("ann", 40)
    with pytest.raises(QuotaExceeded, match="60 bytes, with this file 101, limit 100"):
        storage.ensure_quota("ann", 41)
    with pytest.raises(QuotaExceeded):
        store(storage, "u2", 41)
    assert storage.objects.find("u2") is None
    assert list((storage.root / "incoming").iterdir()) == []
    assert storage.kept_bytes("ann") == 60
    store(storage, "u3", 100, owner="bob")
    store(storage, "u4", 40)
    storage.remove("u1")
    store(storage, "u5", 60)


def test_of_bodies_that_do_not_fit_together_some_do(storage: DiskStorage) -> None:
    """Stored at once, exactly as many are taken as the limit allows."""
    together = threading.Barrier(6)
    bodies = [begun(storage, f"u{n}", 30) for n in range(6)]

    def finish(number: int) -> bool:
        together.wait()
        try:
            bodies[number].store(manifest(f"u{number}", 30, "ann"))
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(finish, range(6))) == [False] * 3 + [True] * 3
    assert storage.kept_bytes("ann") == 90


def test_what_was_not_stored_does_not_count(storage: DiskStorage) -> None:
    """An id in use is no second upload; a name that a crash left counts no more and is removed."""
    store(storage, "u1", 10)
    with pytest.raises(UploadIdInUse):
        store(storage, "u1", 20)
    assert len(list(names(storage))) == 1
    assert storage.kept_bytes("ann") == 10
    found = storage.objects.find("u1")
    assert found is not None
    (found.directory / "manifest.json").unlink()  # as far as a removal came
    assert storage.kept_bytes("ann") == 0
    assert list(names(storage)) == []


def test_resumable_bodies_count_as_well(storage: DiskStorage) -> None:
    """One that does not fit is refused in the end, and nothing of it is left."""
    body = opened(storage)
    body.append(b"x" * 101, offset=0)
    with pytest.raises(QuotaExceeded):
        body.store(manifest("u1", 101, "ann"))
    assert resting(storage) == []
    body = opened(storage)
    body.append(b"x" * 100, offset=0)
    body.store(manifest("u1", 100, "ann"))
    assert storage.kept_bytes("ann") == 100
