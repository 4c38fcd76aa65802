"""Bodies in a bucket that come in several requests, on any host, and what is swept of them."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import pytest

from sse_progress.model.errors import Unavailable, UnknownUpload, UploadIdInUse
from sse_progress.model.labels import Labels
from sse_progress.storage.announced import Announced
from sse_progress.storage.body_port import WrongOffset
from sse_progress.storage.bucket.chain import Chunk
from sse_progress.storage.bucket.client import Bucket
from sse_progress.storage.bucket.keys import Keys
from sse_progress.storage.bucket.storage import BucketStorage
from sse_progress.storage.manifest import Manifest
from tests.helpers.s3_proxy import S3Proxy, Seen
from tests.helpers.s3_server import S3Server
from tests.unit.storage.bucket_place import Place, manifest, publish, read, store, worked_on

HOUR_S = 3600.0


@pytest.fixture
def place(s3_server: S3Server, tmp_path: Path) -> Place:
    return Place(s3_server, tmp_path)


def announced(upload_id: str = "u1", **more: Any) -> Announced:
    given: dict[str, Any] = {
        "owner": "somebody",
        "token": "00000000000000aa",
        "filename": "photo.jpg",
        "claimed_type": "image/jpeg",
        "fields": {},
        "length": None,
        "created_at": "2026-01-15T10:30:00.000Z",
    }
    return Announced(upload_id=upload_id, **(given | more))


def offset_of(storage: BucketStorage) -> int:
    found = storage.bodies.partial("u1")
    assert found is not None
    return found.offset


async def content_of(storage: BucketStorage) -> tuple[Manifest, bytes]:
    found = storage.objects.find("u1")
    assert found is not None
    return found.manifest, await read(found.original())


async def test_a_body_comes_in_several_requests_to_several_hosts(place: Place) -> None:
    """Each goes on where the one before ended; digest and stored file are those of the whole."""
    hosts = [place.open(), place.open(), place.open()]
    body = hosts[0].bodies.begin(announced())
    body.append(b"one", offset=0)
    assert body.sync() == 3
    body.close()
    for host, piece in zip(hosts[1:], (b" two", b" three"), strict=True):
        assert offset_of(host) in (3, 7)
        body = host.bodies.resumable("u1")
        with pytest.raises(WrongOffset):
            body.append(b"x", offset=body.offset + 1)
        body.append(piece[:2], offset=body.offset)
        body.append(piece[2:], offset=body.offset)
        body.close()
    body = hosts[0].bodies.resumable("u1")
    body.announce(13)
    assert hosts[1].bodies.resumable("u1").announced.length == 13
    assert (body.offset, body.sha256) == (13, hashlib.sha256(b"one two three").hexdigest())
    assert body.digest("sha-512") == hashlib.sha512(b"one two three").digest()
    body.store(told := manifest(b"one two three"))
    assert await content_of(hosts[1]) == (told, b"one two three")
    assert hosts[1].bodies.partial("u1") is None
    publish(hosts[2])
    assert {key.partition("/")[0] for key in place.listed()} == {"objects", "records"}


def test_an_offset_survives_its_process(place: Place) -> None:
    """What was synced is there for another process; what was not is not told."""
    first = place.open()
    body = first.bodies.begin(announced())
    body.append(b"synced", offset=0)
    body.sync()
    body.append(b"not", offset=6)
    assert body.settled == 6
    assert offset_of(place.open()) == 6


def test_a_resting_body_can_be_read(place: Place) -> None:
    """From any offset, over chunks; what is unknown says so."""
    storage = place.open()
    body = storage.bodies.begin(announced())
    for piece in (b"one", b" two"):
        body.append(piece, offset=body.offset)
        body.sync()
    whole, offset = b"", 0
    while piece := place.open().bodies.read("u1", offset, 2):
        whole, offset = whole + piece, offset + len(piece)
    assert whole == b"one two"
    with pytest.raises(UnknownUpload):
        storage.bodies.read("u2", 0, 2)


def test_one_body_has_an_id(place: Place) -> None:
    """A second one is refused; an unknown one is unknown."""
    storage = place.open()
    storage.bodies.begin(announced())
    with pytest.raises(UploadIdInUse):
        place.open().bodies.begin(announced(token="00000000000000bb"))
    with pytest.raises(UnknownUpload):
        storage.bodies.resumable("u2")
    assert storage.bodies.partial("u2") is None
    assert [found.announced.upload_id for found in storage.bodies.partials()] == ["u1"]


async def test_who_took_over_is_not_harmed_by_who_was_replaced(place: Place) -> None:
    """Two requests write the same file at once; a late chunk replaces nothing, and the stored file
    is the one that its digest says."""
    content = bytes(range(200))
    first, second = place.open(chunk_bytes=50), place.open(chunk_bytes=70)
    older = first.bodies.begin(announced())
    older.append(content[:60], offset=0)
    older.sync()
    newer = second.bodies.resumable("u1")
    older.append(content[60:120], offset=60)
    newer.append(content[60:130], offset=60)
    newer.sync()
    older.sync()
    assert offset_of(second) == 130
    newer.append(content[130:], offset=130)
    newer.store(told := manifest(content))
    older.close()
    assert await content_of(first) == (told, content)


async def test_a_body_that_two_requests_store_is_stored_once(place: Place) -> None:
    """The older one does so in the moment in which it lost its turn; nothing is taken away."""
    first, second = place.open(), place.open()
    older = first.bodies.begin(announced())
    older.append(b"content", offset=0)
    older.sync()
    newer = second.bodies.resumable("u1")
    older.store(told := manifest(b"content"))
    newer.store(manifest(b"content", created_at="2026-01-15T10:31:00.000Z"))
    assert await content_of(second) == (told, b"content")
    third = place.open()
    late = second.bodies._resting(announced(), newer._path)
    assert late.sha256 == told.sha256
    publish(third)
    late.store(manifest(b"content"))
    found = third.objects.find("u1")
    assert found is not None
    assert found.done
    assert {key.partition("/")[0] for key in place.listed()} == {"objects", "records"}


@pytest.mark.parametrize("end", ["accept", "drop", "close", "crash"])
def test_bytes_that_are_held_count_when_they_are_accepted(place: Place, end: str) -> None:
    """Dropped, closed or lost with their process they were never there."""
    storage = place.open()
    body = storage.bodies.begin(announced())
    body.append(b"sure", offset=0)
    body.hold()
    body.append(b"perhaps", offset=4)
    body.sync()
    assert offset_of(place.open()) == 4
    if end == "accept":
        body.accept()
        assert offset_of(place.open()) == 11
        body.append(b"more", offset=11)
        body.close()
        assert offset_of(place.open()) == 15
        return
    if end != "crash":
        getattr(body, end)()
        assert body.offset == 4
    again = place.open().bodies.resumable("u1")
    assert (again.offset, again.sha256) == (4, hashlib.sha256(b"sure").hexdigest())


def test_a_failure_keeps_what_is_durable(place: Place) -> None:
    """503 in the middle: the offset is that of the last chunk, and the body goes on from there."""
    with S3Proxy(place.server.port) as proxy:
        pytest.MonkeyPatch().setattr("sse_progress.storage.bucket.client.RETRY_S", 0)
        storage = place.open(endpoint=proxy.endpoint, chunk_bytes=10)
        body = storage.bodies.begin(announced())
        body.append(b"0123456789", offset=0)
        body.sync()
        proxy.fault = lambda seen: 503 if "/parts/" in seen.target else None
        body.append(b"0123456789", offset=10)
        with pytest.raises(Unavailable):
            body.sync()
        assert body.offset == 10
        proxy.fault = lambda _: None
        assert body.sha256 == hashlib.sha256(b"0123456789").hexdigest()
        body.append(b"abc", offset=10)
        assert body.sync() == 13
        pytest.MonkeyPatch().undo()


def test_a_listing_that_is_behind_is_looked_at_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hole before a chunk that is there: the second look sees what was put meanwhile."""
    monkeypatch.setattr("sse_progress.storage.bucket.bodies.LOOK_AGAIN_S", 0.01)
    storage = place.open()
    body = storage.bodies.begin(announced())
    for piece in (b"one", b"two", b"three"):
        body.append(piece, offset=body.offset)
        body.sync()
    listing, calls = Bucket.listing, []

    def stale(self: Bucket, prefix: str) -> Any:
        calls.append(prefix)
        found = list(listing(self, prefix))
        return iter(found[:1] + found[2:] if len(calls) == 1 else found)

    monkeypatch.setattr(Bucket, "listing", stale)
    assert offset_of(place.open()) == 11
    assert len(calls) == 2


def test_holes_of_a_direct_body_cost_one_listing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parts come in any order. Of those that a listing lacks the first few are asked for, in
    case it is behind; those that it has are not."""
    monkeypatch.setattr("sse_progress.storage.bucket.direct.CHUNK_BYTES", 4)
    storage = place.open()
    assert storage.direct is not None
    about = announced(direct=True, length=4 * 9 + 1)
    storage.bodies.begin(about)
    parts = storage.direct.parts(about)
    for part in parts[1:5]:
        chunk = Chunk(part.offset, about.token, part.length)
        place.request("PUT", f"{Keys('u1').body(about.token)}/{chunk.name}", b"1234")
    listing, head, calls = Bucket.listing, Bucket.head, []

    def listed(self: Bucket, prefix: str) -> Any:
        calls.append("LIST")
        return iter([found for found in listing(self, prefix) if len(calls) < 2])

    def asked(self: Bucket, path: str) -> Any:
        calls.append("HEAD")
        return head(self, path)

    monkeypatch.setattr(Bucket, "listing", listed)
    monkeypatch.setattr(Bucket, "head", asked)
    assert storage.direct.missing(about, most=3) == [1, 6, 7]
    assert calls == ["LIST", *["HEAD"] * 3]
    assert storage.direct.missing(about, most=3) == [1, 6, 7], "although the listing is behind"
    calls.clear()
    assert offset_of(storage) == 0
    assert calls.count("LIST") == 2, "how far it reaches, and how much is there"


def test_chunks_of_another_size_are_none(place: Place) -> None:
    """Somebody may put anything under a name that he was given."""
    storage = place.open()
    body = storage.bodies.begin(announced())
    body.append(b"content", offset=0)
    body.close()
    [chunk] = [key for key in place.listed() if key.startswith("parts/")]
    place.request("PUT", chunk, b"longer than it says")
    assert offset_of(place.open()) == 0


def test_a_discarded_body_leaves_nothing(place: Place) -> None:
    """Also when it is closed; and `remove` takes one that rests."""
    storage = place.open()
    body = storage.bodies.begin(announced())
    body.append(b"content", offset=0)
    body.sync()
    body.discard()
    assert place.listed() == []
    body = storage.bodies.begin(announced())
    body.append(b"content", offset=0)
    body.close()
    body.discard()
    storage.remove("u1")
    assert place.listed() == []


# ---- what dead processes left


def sweep(place: Place, later_s: float = 2 * HOUR_S) -> None:
    place.open(now=lambda: time.time() + later_s).sweep()


def test_bodies_of_dead_processes_are_swept(place: Place) -> None:
    """After an hour, by what is in the bucket alone; what somebody names stays."""
    storage = place.open()
    lost = storage.bodies.incoming("lost")
    lost.write(b"bytes")
    lost.settle()
    resting = storage.bodies.begin(announced())
    resting.append(b"content", offset=0)
    resting.close()
    store(storage, upload_id="u2")
    before = place.listed()
    sweep(place, 0)
    assert place.listed() == before
    sweep(place)
    assert len(place.listed()) == len(before) - 1
    assert offset_of(storage) == 7
    assert worked_on(storage, "u2").exists()


def test_what_a_storing_process_did_not_finish_is_swept(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The announcement of a stored body goes, its chunks stay."""
    storage = place.open()
    body = storage.bodies.begin(announced())
    body.append(b"content", offset=0)
    delete = Bucket.delete
    monkeypatch.setattr(Bucket, "delete", lambda *_: None)
    body.store(manifest(b"content"))
    monkeypatch.setattr(Bucket, "delete", delete)
    assert any(key.startswith("resting/") for key in place.listed())
    sweep(place)
    assert {key.partition("/")[0] for key in place.listed()} == {"parts", "open"}


def test_what_a_publishing_process_did_not_finish_is_swept(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a published upload nothing stays but its files and its record."""
    storage = place.open()
    store(storage)
    scratch = worked_on(storage)
    (scratch / "thumb").write_bytes(b"small")
    storage.objects.keep_derived("u1", scratch, {"thumb": "thumb"})
    with monkeypatch.context() as patched:
        patched.setattr("sse_progress.storage.bucket.objects.tidy", lambda *_, **__: None)
        storage.objects.publish("u1", b"{}", scratch=scratch)
    found = storage.objects.find("u1")
    assert found is not None
    assert found.done
    sweep(place)
    assert {key.partition("/")[0] for key in place.listed()} == {"objects", "records"}


def test_old_multipart_uploads_are_aborted(place: Place) -> None:
    """After a day, below our own prefix."""
    storage = place.open()
    store(storage, bytes(20 * 1024**2))
    scratch = worked_on(storage)
    told: list[int] = []

    def dies(count: int, _: int) -> None:
        told.append(count)
        if len(told) > 18:  # a MiB each time, so two parts are on their way or there
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        storage.objects.publish("u1", b"{}", scratch=scratch, report=dies)
    sweep(place)
    assert len(place.uploads()) == 1
    sweep(place, 25 * HOUR_S)
    assert place.uploads() == []


def put_late(place: Place, *, storage_prefix: str = "") -> None:
    """An upload is removed while its original is on its way; whoever puts it is cut off then."""
    store(place.open(chunk_bytes=1000), bytes(1500), storage_prefix=storage_prefix)
    with S3Proxy(place.server.port) as proxy:
        storage = place.open(endpoint=proxy.endpoint)
        scratch = worked_on(storage)

        def fault(seen: Seen) -> int | None:
            if seen.method == "PUT" and seen.target.endswith("/original"):
                place.open().remove("u1")
                proxy.fault = lambda _: 403
            return None

        proxy.fault = fault
        with pytest.raises(Unavailable):
            storage.objects.publish("u1", b"{}", scratch=scratch)
    assert [key.rpartition("/")[2] for key in left(place)] == ["original"]


def left(place: Place) -> list[str]:
    return [key for key in place.listed() if key.startswith("objects/")]


@pytest.mark.parametrize("prefix", ["", "media/courses"])
def test_what_was_put_after_a_removal_is_swept(place: Place, prefix: str) -> None:
    """After a day, in which a worker that lives has noticed; then the note goes as well."""
    put_late(place, storage_prefix=prefix)
    there = left(place)
    sweep(place, 23 * HOUR_S)
    assert left(place) == there
    assert len(place.notes()) == 1
    sweep(place, 25 * HOUR_S)
    assert [key for key in place.all_keys() if key != "format"] == []


def test_an_id_that_is_used_again_keeps_its_files(place: Place) -> None:
    """While it is worked on nothing is swept; later, what its record does not name."""
    put_late(place)
    late, storage = left(place), place.open()
    store(storage)
    sweep(place, 25 * HOUR_S)
    assert left(place) == late
    publish(storage, thumb=b"small")
    assert len(left(place)) == 3
    sweep(place, 25 * HOUR_S)
    assert late[0] not in left(place)
    assert len(left(place)) == 2
    assert place.notes() == []


def test_only_removals_that_an_attempt_may_miss_are_noted(place: Place) -> None:
    """Not those of what its first attempt has published, which are all that expire."""
    storage = place.open()
    store(storage)
    publish(storage)
    storage.remove("u1")
    assert place.all_keys() == []
    store(storage)
    worked_on(storage)  # and is silent
    publish(storage)
    storage.remove("u1")
    assert len(place.notes()) == 1
    store(storage, upload_id="u2")
    storage.remove("u2")
    assert len(place.notes()) == 2


def test_published_uploads_expire(place: Place) -> None:
    """By the time at which their record was put."""
    storage = place.open()
    store(storage)
    publish(storage)
    store(storage, upload_id="u2")
    assert list(storage.objects.expired(60)) == []
    later = place.open(now=lambda: time.time() + 120)
    assert list(later.objects.expired(60)) == ["u1"]


def test_what_kinds_promise_is_found_beside_the_records(place: Place) -> None:
    """Once for each time of each kind, whatever has been removed; no record is read for it."""
    storage = place.open(now=lambda: time.time() + 120)
    for number, (kind, days) in enumerate(
        [("film", 30), ("film", 30), ("", 0.5), ("letter", None)]
    ):
        upload_id = f"u{number}"
        store(storage, upload_id=upload_id, labels=Labels(kind=kind), retention_days=days)
        publish(storage, upload_id)
    storage.remove("u0")
    assert place.open().objects.promises() == [("film", 30), ("upload", 0.5)]
    kept = {"film": 200.0, "upload": 100.0, "letter": None}
    assert list(storage.objects.expired(60, lambda found: kept[found.kind])) == ["u2"]
    found = place.open().objects.find("u1")
    assert found is not None
    assert (found.manifest.kind, found.manifest.retention_days) == ("film", 30)
