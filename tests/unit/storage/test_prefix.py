"""Published files below the prefix of their kind, in a data directory and in a bucket."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from sse_progress.model.errors import Unavailable, UnknownUpload, UploadIdInUse
from sse_progress.model.ids import Position
from sse_progress.storage import disk_objects
from sse_progress.storage.bucket.storage import BucketStorage
from sse_progress.storage.disk import DiskStorage
from sse_progress.storage.format import format_of
from sse_progress.storage.layout import Layout
from sse_progress.storage.manifest import ORIGINAL, Manifest, digest_of
from tests.helpers.s3_server import S3Server
from tests.unit.storage import bucket_place
from tests.unit.storage.bucket_place import Place
from tests.unit.storage.test_disk import RECORD, descriptor_path, left, manifest, publish

PREFIX = "media/courses"
DIGEST = digest_of("u1")
HOME = f"objects/{PREFIX}/{DIGEST[:2]}"


@pytest.fixture
def storage(tmp_path: Path) -> DiskStorage:
    return DiskStorage.open(tmp_path / "data")


@pytest.fixture
def place(s3_server: S3Server, tmp_path: Path) -> Place:
    return Place(s3_server, tmp_path)


def stored(
    storage: DiskStorage, prefix: str = PREFIX, content: bytes = b"content", upload_id: str = "u1"
) -> None:
    incoming = storage.bodies.incoming(upload_id)
    incoming.write(content)
    incoming.store(manifest(incoming, upload_id, storage_prefix=prefix))


# ---- in a data directory


def test_files_lie_below_the_prefix(storage: DiskStorage) -> None:
    """Once they are published, not before; found, marked as expired and removed by the id alone."""
    stored(storage)
    assert not (storage.root / "objects/media").exists()
    assert not (storage.root / "format").exists()
    assert publish(storage, thumb=b"small") == RECORD
    home = storage.root / HOME / DIGEST
    assert (home / ORIGINAL).read_bytes() == b"content"
    assert not (storage.root / "objects" / DIGEST[:2]).exists()
    assert format_of(storage.root) == 2
    for path in home.parents[:4]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
    again = DiskStorage.open(storage.root)
    found = again.objects.find("u1")
    assert found is not None
    assert found.original() == home / ORIGINAL
    assert found.file("thumb") == home / "files/thumb"
    assert list(again.objects.expired(-1)) == ["u1"]
    again.objects.mark("u1", Position("e", 1))
    assert again.objects.marked("u1") == Position("e", 1)
    assert again.objects.publish("u1", b"later") == RECORD
    again.remove("u1")
    assert left(again) == []
    assert again.objects.find("u1") is None
    assert again.kept_bytes("somebody") == 0


def test_each_expires_once_whatever_prefixes_there_are(storage: DiskStorage) -> None:
    """Also where one is below the other, or has a segment of two hex digits."""
    prefixes = ["", "media", "media/ab", "media/ab/courses", "films", "films"]
    for number, prefix in enumerate(prefixes):
        stored(storage, prefix, upload_id=f"u{number}")
        publish(storage, f"u{number}")
    assert sorted(storage.objects.expired(-1)) == [f"u{number}" for number in range(6)]
    for number in range(6):
        storage.remove(f"u{number}")
    assert list(storage.objects.expired(-1)) == []
    assert left(storage) == []


def test_nothing_changes_where_no_kind_has_a_prefix(storage: DiskStorage) -> None:
    """An older release may go on with what is there."""
    stored(storage, "")
    publish(storage)
    assert not (storage.root / "format").exists()
    assert not (storage.root / "prefixes").exists()


@pytest.mark.parametrize("prefix", [PREFIX, "other", ""])
def test_an_id_is_taken_whatever_the_prefix(storage: DiskStorage, prefix: str) -> None:
    """Another upload under it is refused when it is stored, and nothing is replaced."""
    stored(storage)
    publish(storage)
    with pytest.raises(UploadIdInUse):
        stored(storage, prefix, content=b"another")
    found = DiskStorage.open(storage.root).objects.find("u1")
    assert found is not None
    assert found.original().read_bytes() == b"content"


def test_a_removal_while_it_is_published_leaves_nothing(
    storage: DiskStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the prefix becoming known and the rename."""
    stored(storage)
    real = Layout._register

    def removed(self: Layout, prefix: str) -> None:
        real(self, prefix)
        storage.remove("u1")

    monkeypatch.setattr(Layout, "_register", removed)
    with pytest.raises(UnknownUpload):
        storage.objects.publish("u1", RECORD)
    assert left(storage) == []


def test_one_that_moves_below_a_new_prefix_meanwhile_is_found(
    storage: DiskStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process publishes it between the look at `open/` and those at the prefixes."""
    stored(storage)
    other, real = DiskStorage.open(storage.root), disk_objects.read_manifest

    def moving(directory: str) -> Manifest:
        if Path(directory).parent.name == "open":
            monkeypatch.setattr(disk_objects, "read_manifest", real)
            publish(other)
        return real(directory)

    monkeypatch.setattr(disk_objects, "read_manifest", moving)
    found = storage.objects.find("u1")
    assert found is not None
    assert found.done


def test_the_prefix_is_durable_before_anything_is_below_it(
    storage: DiskStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order, to the letter; also where another process has just made the prefix known."""
    told: list[str] = []
    real = os.rename

    def rename(old: Path, new: Path, **more: Any) -> None:
        told.append(f"-> {_named(storage, new)}")
        real(old, new, **more)

    def fsync(target: int | FileIO) -> None:
        told.append(f"sync {_named(storage, descriptor_path(target))}")

    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(os, "fsync", fsync)
    above = [f"sync {HOME}", "sync objects/media/courses", "sync objects/media", "sync objects"]
    for upload_id, first in (("u1", True), ("u2", False)):
        stored(storage, upload_id=upload_id)
        told.clear()
        storage.objects.publish(upload_id, RECORD)
        told[:] = [line.replace(f"/{digest_of(upload_id)[:2]}", f"/{DIGEST[:2]}") for line in told]
        raised = ["sync .format", "-> format", "sync .", "sync ."] if first else []
        assert told[2:] == [*raised, "sync prefixes", f"-> {HOME}/*", *above, "sync open"]


def _named(storage: DiskStorage, path: Path) -> str:
    """Without what is random, or an upload's digest."""
    name = str(Path(path).relative_to(storage.root))
    return re.sub(r"[0-9a-f]{32}", "*", re.sub(r"(\.format)\.[0-9a-f]{16}", r"\1", name))


@pytest.mark.parametrize("wrong", ["objects/media", "prefixes"])
def test_a_file_in_the_way_leaves_it_open(storage: DiskStorage, wrong: str) -> None:
    """It is published once that is gone."""
    stored(storage)
    (storage.root / wrong).write_bytes(b"")
    with pytest.raises(Unavailable):
        publish(storage)
    (storage.root / wrong).unlink()
    assert publish(storage) == RECORD
    storage.remove("u1")
    assert left(storage) == []


# ---- in a bucket


@pytest.fixture
def bucket(place: Place) -> Iterator[BucketStorage]:
    storage = place.open()
    bucket_place.store(storage, storage_prefix=PREFIX)
    yield storage
    storage.remove("u1")
    assert place.listed() in (["format"], [])


async def test_keys_have_the_prefix(place: Place, bucket: BucketStorage) -> None:
    """Those of published files alone; the record is where it always is."""
    assert not any(key.startswith(("objects/", "format")) for key in place.listed())
    bucket_place.publish(bucket, thumb=b"small")
    keys = place.listed()
    under = f"{HOME}/{DIGEST}/"
    assert [key.removeprefix(under).partition("/")[2] for key in keys if under in key] == [
        "files/0",
        "original",
    ]
    assert [key for key in keys if under not in key] == [
        "format",
        f"records/{DIGEST[:2]}/{DIGEST}",
    ]
    assert place.open().format() == 2
    found = place.open().objects.find("u1")
    assert found is not None
    original = found.file("photo.jpg")
    assert original is not None
    assert await bucket_place.read(original, 2, 4) == b"nt"


@pytest.mark.parametrize(("there", "then"), [(b"1\n", 2), (b"2\n", 2), (b"3\n", 3)])
def test_the_number_of_the_bucket_is_raised(
    place: Place, bucket: BucketStorage, there: bytes, then: int
) -> None:
    """Before a file is published below the prefix; a newer release's stays."""
    place.request("PUT", "format", there)
    put: list[int] = []
    bucket_place.publish(bucket, report=lambda *_: put.append(bucket.format()))
    assert set(put) == {then}


def test_what_a_dead_attempt_put_below_the_prefix_goes(place: Place, bucket: BucketStorage) -> None:
    """With the end of a later attempt; of one that had no successor, with the upload (`bucket`)."""
    bucket.objects.leave(bucket_place.worked_on(bucket))
    place.request("PUT", f"{HOME}/{DIGEST}/00000001-dead/original", b"content")
    bucket_place.publish(bucket)
    assert [key for key in place.listed() if "dead" in key] == []
    place.request("PUT", f"{HOME}/{DIGEST}/00000003-dead/original", b"content")


def test_an_open_uploads_files_below_the_prefix_go_with_it(
    place: Place, bucket: BucketStorage
) -> None:
    """A worker put them and died before the record."""
    place.request("PUT", f"{HOME}/{DIGEST}/00000001-dead/original", b"content")
    bucket.remove("u1")
    assert place.listed() == []
