"""Uploads in a bucket: their whole way, two at once, and what is missing behind our back."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from sse_progress.model.errors import (
    InsufficientStorage,
    Internal,
    QuotaExceeded,
    Unavailable,
    UnknownUpload,
    UploadIdInUse,
)
from sse_progress.model.ids import Position
from sse_progress.storage.bucket.files import BucketFile
from tests.helpers import s3_client
from tests.helpers.s3_proxy import S3Proxy, Seen
from tests.helpers.s3_server import S3Server
from tests.unit.storage.bucket_place import RECORD, Place, manifest, publish, read, store, worked_on

MIB = 1024**2
LARGE = bytes(range(256)) * (20 * MIB // 256)
"""Twenty MiB: three chunks, and a multipart upload when it is published."""


@pytest.fixture
def place(s3_server: S3Server, tmp_path: Path) -> Place:
    return Place(s3_server, tmp_path)


@pytest.mark.parametrize("content", [b"content", LARGE], ids=["small", "large"])
async def test_an_upload_goes_its_whole_way(place: Place, content: bytes) -> None:
    """Received by one host, worked on by another, served by the first; then nothing is left."""
    web, worker = place.open(), place.open()
    stored = store(web, content)
    assert {key.partition("/")[0] for key in place.listed()} == {"parts", "open"}
    assert [found.upload_id for found in worker.objects.open_uploads()] == ["u1"]
    found = worker.objects.find("u1")
    assert found is not None
    assert (found.manifest, found.done, found.record) == (stored, False, None)
    told: list[tuple[int, int]] = []
    assert publish(worker, report=lambda *both: told.append(both), thumb=b"small") == RECORD
    assert told[0] == (0, len(content) + 5)
    assert told[-1] == (len(content) + 5, len(content) + 5)
    assert told == sorted(told)
    assert {key.partition("/")[0] for key in place.listed()} == {"objects", "records"}
    found = web.objects.find("u1")
    assert found is not None
    assert (found.manifest, found.done, found.record) == (stored, True, RECORD)
    original, thumb = found.file("photo.jpg"), found.file("thumb")
    assert original is not None
    assert thumb is not None
    assert await read(original) == content
    assert await read(original, 3, 6) == content[3:6]
    assert await read(thumb) == b"small"
    assert found.file("other") is None
    assert list(web.objects.open_uploads()) == []
    web.remove("u1")
    web.remove("u1")
    assert web.objects.find("u1") is None
    assert place.listed() == []
    assert place.uploads() == []


def test_what_is_published_is_not_taken_back(place: Place) -> None:
    """What was stored just now is; what a worker was faster to publish stays, all of it."""
    web, worker = place.open(), place.open()
    assert web.take_back("u1")
    store(web)
    assert web.take_back("u1")
    assert place.listed() == []
    store(web)
    publish(worker)
    before = place.listed()
    assert not web.take_back("u1")
    assert place.listed() == before


async def test_nothing_is_published_before_it_is(place: Place) -> None:
    """What stages keep lies elsewhere, and no file has an address, until the record is put."""
    storage = place.open()
    store(storage)
    scratch = worked_on(storage)
    (scratch / "thumb").write_bytes(b"small")
    storage.objects.keep_derived("u1", scratch, {"thumb": "thumb"})
    assert not [key for key in place.listed() if key.startswith("objects")]
    found = storage.objects.find("u1")
    assert found is not None
    assert found.file("photo.jpg") is None
    original = found.original()
    assert isinstance(original, BucketFile)
    assert await read(original) == b"content"


def test_an_id_is_used_once(place: Place) -> None:
    """While it is stored and when it is published, a second body under it is refused and gone."""
    storage = place.open()
    first = store(storage)
    for _ in range(2):
        before = place.listed()
        with pytest.raises(UploadIdInUse):
            store(storage, b"another")
        assert place.listed() == before
        found = storage.objects.find("u1")
        assert found is not None
        assert found.manifest == first
        if not found.done:
            publish(storage)


def test_of_many_under_one_id_one_wins(place: Place) -> None:
    """Bodies that are stored in the same moment: one is, and the others leave nothing."""
    storages = [place.open() for _ in range(4)]
    together = threading.Barrier(4)

    def take_part(number: int) -> bool:
        content = b"body %d" % number
        body = storages[number].bodies.incoming("u1")
        body.write(content)
        together.wait(60)
        try:
            body.store(manifest(content))
        except UploadIdInUse:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(take_part, range(4))) == [False, False, False, True]
    assert len(place.listed()) == 2


def test_a_bucket_without_conditional_writes_works_too(place: Place) -> None:
    """A server that answers 501 to a condition is asked first whether there is one."""
    with S3Proxy(place.server.port) as proxy:
        storage = place.open(endpoint=proxy.endpoint)
        refused: list[Seen] = []

        def fault(seen: Seen) -> int | None:
            # The condition is a header; what has one is put once more without it.
            if seen.method == "PUT" and "/open/" in seen.target and not refused:
                refused.append(seen)
                return 501
            return None

        proxy.fault = fault
        first = store(storage)
        with pytest.raises(UploadIdInUse):
            store(storage, b"another")
        found = storage.objects.find("u1")
        assert found is not None
        assert found.manifest == first
        assert len(refused) == 1


def test_a_discarded_body_leaves_nothing(place: Place) -> None:
    """Also one of which chunks are in the bucket; harmless twice."""
    storage = place.open(chunk_bytes=1000)
    body = storage.bodies.incoming("u1")
    for _ in range(10):
        body.write(b"x" * 700)
    body.settle()
    assert len(place.listed()) >= 4
    body.discard()
    body.discard()
    assert place.listed() == []


def test_only_what_is_in_the_bucket_counts(place: Place) -> None:
    """Of a body whose chunk is on its way, `settled` says what has been answered for."""
    held, go = threading.Event(), threading.Event()

    def fault(seen: Seen) -> None:
        if (
            seen.method == "PUT"
            and "/parts/" in seen.target
            and "/0000000000001000-" in seen.target
        ):
            held.set()
            assert go.wait(60)

    with S3Proxy(place.server.port) as proxy:
        proxy.fault = fault
        storage = place.open(endpoint=proxy.endpoint, chunk_bytes=1000)
        body = storage.bodies.incoming("u1")
        body.write(b"x" * 1000)
        body.settle()
        assert body.settled == 1000
        body.write(b"x" * 1000)
        assert held.wait(60)
        body.write(b"x" * 10)
        assert (body.settled, body.size) == (1000, 2010)
        go.set()
        body.settle()
        assert body.settled == 2010
        body.discard()


def test_a_slow_body_is_put_though_it_fills_no_chunk(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has waited for its time is put with the next bytes."""
    monkeypatch.setattr("sse_progress.storage.bucket.chunks.QUIET_S", 0.0)
    storage = place.open()
    body = storage.bodies.incoming("u1")
    body.write(b"a")
    body.settle()
    assert body.settled == 1
    body.discard()


def test_memory_is_shared_by_all_bodies(place: Place) -> None:
    """The more bodies a process receives, the smaller are their chunks."""
    storage = place.open()
    putting = storage.bodies.putting
    assert putting.chunk_bytes == 8 * MIB
    bodies = [storage.bodies.incoming(f"u{n}") for n in range(100)]
    assert putting.chunk_bytes * 3 * len(bodies) <= 192 * MIB
    for body in bodies:
        body.discard()
    assert putting.chunk_bytes == 8 * MIB


# ---- what each user keeps


def test_a_quota_counts_what_is_stored(place: Place) -> None:
    """Refused before and after the body; removing makes room, and others are not concerned."""
    storage = place.open(quota_bytes=10)
    store(storage, b"1234567")
    assert storage.kept_bytes("somebody") == 7
    with pytest.raises(QuotaExceeded):
        storage.ensure_quota("somebody", 4)
    before = place.listed()
    with pytest.raises(QuotaExceeded):
        store(storage, b"1234", "u2")
    assert place.listed() == before
    store(storage, b"1234", "u3", owner="another")
    publish(storage)
    assert storage.kept_bytes("somebody") == 7
    storage.remove("u1")
    assert storage.kept_bytes("somebody") == 0
    store(storage, b"1234", "u2")


# ---- work


def test_a_later_attempt_goes_on_with_what_was_kept(place: Place) -> None:
    """Files and a replaced original of a worker that died are there for the next, on any host."""
    first, second = place.open(), place.open()
    store(first)
    scratch = worked_on(first)
    (scratch / "thumb").write_bytes(b"small")
    (scratch / "clean.jpg").write_bytes(b"cleaned")
    assert first.objects.keep_derived("u1", scratch, {"thumb": "thumb"}) == {"thumb": 5}
    replaced = first.objects.replace_original("u1", scratch, "clean.jpg")
    assert replaced == {"size": 7, "sha256": hashlib.sha256(b"cleaned").hexdigest()}
    found = second.objects.find("u1")
    assert found is not None
    later = second.objects.scratch("u1")
    assert found.local(later).read_bytes() == b"cleaned"
    second.objects.publish("u1", RECORD, scratch=later)
    found = second.objects.find("u1")
    assert found is not None
    assert found.file("thumb") is not None
    original = found.file("photo.jpg")
    assert original is not None
    assert original.size == 7
    # The slower twin comes to nothing.
    (scratch / "late").write_bytes(b"late")
    assert first.objects.keep_derived("u1", scratch, {"late": "late"}) == {}
    assert first.objects.publish("u1", b"{}", scratch=scratch) == RECORD


def test_a_slower_twin_changes_nothing(place: Place) -> None:
    """Once a later attempt has begun, the earlier one's calls are refused."""
    first, second = place.open(), place.open()
    store(first)
    slower = worked_on(first)
    worked_on(second)
    (slower / "late").write_bytes(b"late")
    with pytest.raises(ValueError, match="latest attempt"):
        first.objects.keep_derived("u1", slower, {"late": "late"})
    with pytest.raises(ValueError, match="latest attempt"):
        first.objects.replace_original("u1", slower, "late")
    assert (slower / "late").exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "photo.jpg"])
def test_only_plain_files_with_clean_names_are_kept(place: Place, name: str) -> None:
    """Names that are none, the original's, links and directories are refused."""
    storage = place.open()
    store(storage)
    scratch = worked_on(storage)
    (scratch / "good").write_bytes(b"good")
    (scratch / "link").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="not a name"):
        storage.objects.keep_derived("u1", scratch, {"good": name})
    with pytest.raises(ValueError, match="not a regular file"):
        storage.objects.keep_derived("u1", scratch, {"link": "fine"})
    with pytest.raises(ValueError, match="no such file"):
        storage.objects.keep_derived("u1", scratch, {"missing": "fine"})
    assert [key for key in place.listed() if "/files/" in key] == []


def test_a_worker_that_dies_while_publishing_leaves_what_the_next_one_ends(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its multipart upload, which no listing shows, is aborted; its objects are deleted."""
    first, second = place.open(), place.open()
    store(first, LARGE)
    scratch = worked_on(first)
    (scratch / "thumb").write_bytes(b"small")
    first.objects.keep_derived("u1", scratch, {"thumb": "thumb"})

    class Dies(Exception):
        pass

    told: list[int] = []

    def dies(count: int, _: int) -> None:
        told.append(count)
        if len(told) > 18:  # a MiB each time, so two parts are on their way or there
            raise Dies

    with pytest.raises(Dies):
        first.objects.publish("u1", RECORD, scratch=scratch, report=dies)
    assert len(place.uploads()) == 1
    publish(second)
    assert place.uploads() == []
    assert sorted(key.rpartition("/")[2] for key in place.listed() if "objects/" in key) == [
        "0",
        "original",
    ]


@pytest.mark.parametrize("damage", ["deleted", "shorter", "other"])
def test_bytes_that_somebody_else_took_are_noticed(place: Place, damage: str) -> None:
    """An original that is gone or not what was received is an error of ours, and no hang."""
    storage = place.open()
    store(storage)
    [chunk] = [key for key in place.listed() if key.startswith("parts/")]
    if damage == "deleted":
        place.request("DELETE", chunk)
    else:
        place.request("PUT", chunk, b"conten" if damage == "shorter" else b"CONTENT")
    found = storage.objects.find("u1")
    assert found is not None
    with pytest.raises(Internal):
        found.local(storage.objects.scratch("u1"))


def test_a_published_file_that_is_gone_is_an_error(place: Place) -> None:
    """The record names it, the bucket has it no more."""
    storage = place.open()
    store(storage)
    publish(storage)
    [original] = [key for key in place.listed() if key.endswith("original")]
    place.request("DELETE", original)
    found = storage.objects.find("u1")
    assert found is not None
    with pytest.raises(Internal):
        found.file("photo.jpg")


def test_what_was_removed_is_unknown(place: Place) -> None:
    """Under the hands of an attempt: its calls say so, and nothing of it comes back."""
    storage = place.open()
    store(storage)
    scratch = worked_on(storage)
    (scratch / "thumb").write_bytes(b"small")
    storage.remove("u1")
    with pytest.raises(UnknownUpload):
        storage.objects.keep_derived("u1", scratch, {"thumb": "thumb"})
    with pytest.raises(UnknownUpload):
        storage.objects.publish("u1", RECORD, scratch=scratch)
    with pytest.raises(UnknownUpload):
        storage.objects.scratch("u1")
    assert place.listed() == []


def test_work_is_bounded_and_left(place: Place, tmp_path: Path) -> None:
    """A second file waits until the first one's directory is left; a dead worker's is swept."""
    storage = place.open(work_bytes=10)
    store(storage, b"1234567")
    store(storage, b"7654321", "u2")
    scratch = worked_on(storage)
    with pytest.raises(InsufficientStorage):
        storage.objects.scratch("u2")
    storage.objects.leave(scratch)
    storage.objects.leave(scratch)
    assert worked_on(storage, "u2").exists()
    work = tmp_path / "work-1"
    assert len(list(work.iterdir())) == 2  # its lock, and the attempt


def test_positions_are_noted_now_and_then(place: Place) -> None:
    """The last one that was put is found by others; it goes with the upload."""
    clock = iter([0.0, 1.0, 5.0])
    storage = place.open()
    storage.objects._clock = lambda: next(clock)
    store(storage)
    for seq in (1, 2, 3):
        storage.objects.mark("u1", Position("e1", seq))
    assert place.open().objects.marked("u1") == Position("e1", 3)
    scratch = worked_on(storage)
    storage.objects.publish("u1", RECORD, scratch=scratch)
    storage.objects._clock = lambda: 100.0
    storage.objects.mark("u1", Position("e1", 4))  # of its last events
    assert storage.objects.marked("u1") is None


# ---- serving


async def test_a_signed_address_answers_with_our_headers(place: Place) -> None:
    """For a minute, to anybody; a changed one is refused."""
    storage = place.open()
    store(storage)
    publish(storage)
    found = storage.objects.find("u1")
    assert found is not None
    file = found.file("photo.jpg")
    assert file is not None
    url = file.url(disposition="attachment; filename*=utf-8''%C3%A9.jpg", media_type="image/jpeg")
    answer = httpx.get(url)
    assert (answer.status_code, answer.content) == (200, b"content")
    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''%C3%A9.jpg"
    assert answer.headers["content-type"] == "image/jpeg"
    assert "X-Amz-Expires=60" in url
    assert httpx.get(url.replace("image%2Fjpeg", "text%2Fhtml")).status_code == 403


# ---- a bucket that cannot be used


def test_states_of_a_bucket(place: Place, s3_server: S3Server) -> None:
    """What is wrong is told in a word; nothing of the server's answer is."""
    assert place.open().state() == "ok"
    assert place.open(secret="another").state() == "denied"
    assert place.open(endpoint="http://127.0.0.1:1").state() == "unreachable"
    with pytest.raises(Unavailable) as caught:
        place.open(secret="another").objects.find("u1")
    assert caught.value.retry_after_s == 5


def test_a_missing_bucket_is_not_a_missing_object(
    place: Place, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the reconciler would end every upload."""
    setting = s3_server.setting
    monkeypatch.setattr(s3_server, "setting", lambda _, **more: setting("nowhere", **more))
    storage = place.open()
    assert storage.state() == "no_bucket"
    with pytest.raises(Unavailable):
        storage.objects.find("u1")


def test_a_bucket_that_is_away_is_asked_by_one_at_a_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others hear at once that it is away, until it answers again."""
    monkeypatch.setattr("sse_progress.storage.bucket.client.RETRY_S", 0)
    waiting, go = threading.Event(), threading.Event()
    with S3Proxy(place.server.port) as proxy, ThreadPoolExecutor(1) as thread:
        proxy.fault = lambda _: "drop"
        storage = place.open(endpoint=proxy.endpoint)
        with pytest.raises(Unavailable):
            storage.objects.find("u1")

        def slow(_: Seen) -> None:
            waiting.set()
            assert go.wait(60)

        proxy.fault = slow
        trial = thread.submit(storage.objects.find, "u1")
        assert waiting.wait(60)
        before = len(proxy.seen)
        for _ in range(10):
            with pytest.raises(Unavailable):
                storage.objects.find("u1")
        assert len(proxy.seen) == before
        go.set()
        assert trial.result(60) is None
        assert storage.objects.find("u1") is None


def test_a_short_outage_is_not_noticed(place: Place) -> None:
    """503 and dropped connections are tried again for ten seconds."""
    with S3Proxy(place.server.port) as proxy:
        answers = iter([503, "drop", 503])
        proxy.fault = lambda _: next(answers, None)  # type: ignore[arg-type, return-value]
        storage = place.open(endpoint=proxy.endpoint)
        store(storage)
        assert place.open().objects.find("u1") is not None


def test_requests_of_a_small_upload(place: Place) -> None:
    """How many it takes to receive one, and to work on it."""
    with S3Proxy(place.server.port) as proxy:
        storage = place.open(endpoint=proxy.endpoint)
        assert storage.objects.find("u1") is None
        store(storage)
        received = len(proxy.seen)
        storage.objects.publish("u1", RECORD, scratch=worked_on(storage))
        assert (received, len(proxy.seen) - received) == (5, 12)


def test_no_key_is_in_what_is_shown(place: Place) -> None:
    """Neither keys nor secrets are in an object's text, nor in an error's."""
    storage = place.open(secret="a-secret-of-somebody")
    with pytest.raises(Unavailable) as caught:
        storage.objects.find("u1")
    shown = repr(caught.value) + repr(caught.value.__cause__) + repr(storage._bucket._credentials)
    assert "a-secret-of-somebody" not in shown


def test_uploads_of_a_listing_are_of_this_prefix(place: Place) -> None:
    """Another service's objects in the bucket are none of ours."""
    s3_client.request(place.server.endpoint, "PUT", "/media/open/foreign", content=b"{}")
    storage = place.open()
    assert list(storage.objects.open_uploads()) == []
    s3_client.request(place.server.endpoint, "DELETE", "/media/open/foreign")
