"""Files in their places: stored, published, removed, and what crashes and twins leave of it."""

from __future__ import annotations

import collections
import fcntl
import hashlib
import itertools
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import pytest

from sse_progress.model.errors import InsufficientStorage, Unavailable, UnknownUpload, UploadIdInUse
from sse_progress.model.ids import Position
from sse_progress.storage.disk import INODES_PER_UPLOAD, DiskStorage
from sse_progress.storage.incoming import Incoming
from sse_progress.storage.manifest import Manifest
from tests import storage_crash as crash
from tests.helpers.waiting import wait_until

RECORD = b'{"id":"u1"}'


@pytest.fixture
def storage(tmp_path: Path) -> DiskStorage:
    return DiskStorage.open(tmp_path / "data")


def manifest(incoming: Incoming, upload_id: str = "u1", **changes: object) -> Manifest:
    values: dict[str, object] = {
        "upload_id": upload_id,
        "owner": "somebody",
        "filename": "photo.jpg",
        "claimed_type": "image/jpeg",
        "fields": {"title": "a", "tag": ["b", "c"]},
        "size": incoming.size,
        "sha256": incoming.sha256,
        "epoch": "e1",
        "created_at": "2026-01-15T10:30:00.000Z",
    }
    return Manifest(**(values | changes))  # type: ignore[arg-type]


def store(storage: DiskStorage, upload_id: str = "u1", content: bytes = b"content") -> Manifest:
    incoming = storage.bodies.incoming(upload_id)
    incoming.write(content)
    stored = manifest(incoming, upload_id)
    incoming.store(stored)
    return stored


def publish(storage: DiskStorage, upload_id: str = "u1", **derived: bytes) -> bytes:
    scratch = storage.objects.scratch(upload_id)
    for name, content in derived.items():
        (scratch / name).write_bytes(content)
    storage.objects.keep_derived(upload_id, scratch, {name: name for name in derived})
    return storage.objects.publish(upload_id, RECORD)


def left(storage: DiskStorage) -> list[str]:
    """All that lies in the directories for uploads, whatever it is, but for those above them."""
    return sorted(
        str(path.relative_to(storage.root))
        for place in ("incoming", "open", "objects", "trash")
        for path in (storage.root / place).rglob("*")
        if place != "objects"
        or any(len(part) >= 32 for part in path.relative_to(storage.root).parts)
    )


def descriptor_path(target: int | FileIO) -> Path:
    descriptor = target if isinstance(target, int) else target.fileno()
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def receiver_elsewhere(storage: DiskStorage, upload_id: str) -> subprocess.Popen[bytes]:
    """Another process that receives a body until it is killed."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from sse_progress.storage.disk import DiskStorage\n"
        "storage = DiskStorage.open(Path(sys.argv[1]))\n"
        "body = storage.bodies.incoming(sys.argv[2]); body.write(b'half')\n"
        "print('ready', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, storage.root, upload_id], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.stdout.close()
    return process


# ---- an upload's way


def test_a_file_goes_its_whole_way(storage: DiskStorage) -> None:
    """Received, stored, published: at each step exactly what went in can be found."""
    assert storage.objects.find("u1") is None
    incoming = storage.bodies.incoming("u1")
    for piece in (b"first ", b"", b"second"):
        incoming.write(piece)
    assert (incoming.size, incoming.sha256) == (12, hashlib.sha256(b"first second").hexdigest())
    assert storage.objects.find("u1") is None

    stored = manifest(incoming)
    incoming.store(stored)
    found = storage.objects.find("u1")
    assert found is not None
    assert (found.manifest, found.done, found.record) == (stored, False, None)
    assert found.original().read_bytes() == b"first second"
    assert list(storage.objects.open_uploads()) == [stored]

    assert publish(storage, thumb=b"small") == RECORD
    found = storage.objects.find("u1")
    assert found is not None
    assert (found.manifest, found.done, found.record) == (stored, True, RECORD)
    assert found.original().read_bytes() == b"first second"
    assert list(storage.objects.open_uploads()) == []

    storage.remove("u1")
    assert storage.objects.find("u1") is None
    assert left(storage) == []


def test_nobody_else_can_read_it(storage: DiskStorage) -> None:
    """Directories are 0700 and files 0600, whatever the umask and the stages say."""
    before = os.umask(0)
    try:
        store(storage)
        scratch = storage.objects.scratch("u1")
        (scratch / "thumb").write_bytes(b"x")
        (scratch / "thumb").chmod(0o666)
        storage.objects.keep_derived("u1", scratch, {"thumb": "thumb"})
        storage.objects.mark("u1", Position("e1", 1))
        store(storage, "u2")
        storage.objects.publish("u1", RECORD)
    finally:
        os.umask(before)
    for path in [storage.root, *storage.root.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_an_id_is_used_once(storage: DiskStorage) -> None:
    """A second upload under an id fails, be the first open or published, and leaves nothing."""
    for content in (b"second", b"third"):
        if content == b"second":
            store(storage, content=b"first")
        before = left(storage)
        incoming = storage.bodies.incoming("u1")
        incoming.write(content)
        with pytest.raises(UploadIdInUse):
            incoming.store(manifest(incoming))
        assert left(storage) == before
        publish(storage)
    found = storage.objects.find("u1")
    assert found is not None
    assert found.original().read_bytes() == b"first"


def test_of_many_under_one_id_one_wins(storage: DiskStorage) -> None:
    """Uploads stored at the same moment under one id: one is kept whole, the others are gone."""
    together = threading.Barrier(8)

    def one(number: int) -> int | None:
        incoming = storage.bodies.incoming("u1")
        incoming.write(b"%d" % number)
        together.wait(60)
        try:
            incoming.store(manifest(incoming))
        except UploadIdInUse:
            return None
        return number

    with ThreadPoolExecutor(8) as threads:
        winners = [number for number in threads.map(one, range(8)) if number is not None]
    found = storage.objects.find("u1")
    assert found is not None
    assert [found.original().read_bytes()] == [b"%d" % number for number in winners]
    assert [path.name for path in (storage.root / "incoming").iterdir()] == []


def test_a_manifest_of_another_file_is_not_stored(storage: DiskStorage) -> None:
    """What the manifest says of size and sha256 must be what was written."""
    for wrong in ({"size": 4}, {"sha256": "0" * 64}):
        incoming = storage.bodies.incoming("u1")
        incoming.write(b"abc")
        with pytest.raises(ValueError, match="3"):
            incoming.store(manifest(incoming, **wrong))
        assert left(storage) == []


def test_what_is_discarded_is_gone(storage: DiskStorage) -> None:
    """A discarded body leaves nothing; discarding twice, or after storing, does nothing."""
    incoming = storage.bodies.incoming("u1")
    incoming.write(b"abc")
    incoming.discard()
    incoming.discard()
    assert left(storage) == []
    incoming = storage.bodies.incoming("u1")
    incoming.store(manifest(incoming))
    incoming.discard()
    assert storage.objects.find("u1") is not None


def test_the_storage_has_one_id_for_ever(tmp_path: Path) -> None:
    """Processes that open a new storage at the same moment agree on its id, and later ones too."""
    together = threading.Barrier(8)

    def one(_: int) -> str:
        together.wait(60)
        return DiskStorage.open(tmp_path / "data").id

    with ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(one, range(8)))
    assert len(ids) == 1
    assert ids == {DiskStorage.open(tmp_path / "data").id}
    assert len(ids.pop()) == 16
    assert DiskStorage.open(tmp_path / "other").id not in ids
    assert sorted(p.name for p in (tmp_path / "data").iterdir() if p.is_file()) == ["storage-id"]


# ---- who is receiving


def test_a_body_is_known_to_be_received_while_its_process_lives(storage: DiskStorage) -> None:
    """The flock says it: held until the end, free as soon as its process is killed."""
    other = receiver_elsewhere(storage, "u1")
    try:
        assert storage.bodies.receiving("u1")
        assert not storage.bodies.receiving("u2")
        assert list(storage.bodies.stale_incoming()) == []
        [directory] = (storage.root / "incoming").iterdir()
        assert not storage.bodies.discard_incoming(directory)
        storage.remove("u1")
        assert directory.exists()
    finally:
        other.kill()
        other.wait()
    assert not storage.bodies.receiving("u1")
    assert list(storage.bodies.stale_incoming()) == [directory]
    assert storage.bodies.discard_incoming(directory)
    assert storage.bodies.discard_incoming(directory)
    assert left(storage) == []


def test_removing_takes_what_a_dead_receiver_left(storage: DiskStorage) -> None:
    """`remove` also takes the half of a body whose process is gone."""
    other = receiver_elsewhere(storage, "u1")
    other.kill()
    other.wait()
    mine = storage.bodies.incoming("u1")
    storage.remove("u1")
    assert len(list((storage.root / "incoming").iterdir())) == 1
    mine.store(manifest(mine))
    assert storage.objects.find("u1") is not None


def test_the_lock_is_held_until_the_upload_has_its_name(
    storage: DiskStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every sync and rename of `store` the file is locked; afterwards it is not."""
    incoming = storage.bodies.incoming("u1")
    seen = []

    def looking(real: Callable[..., None]) -> Callable[..., None]:
        def call(*args: object) -> None:
            real(*args)
            for path in (storage.root / "incoming").glob("*/original"):
                seen.append(storage.bodies.receiving("u1"))
                assert not storage.bodies.discard_incoming(path.parent)

        return call

    monkeypatch.setattr(os, "fsync", looking(os.fsync))
    monkeypatch.setattr(os, "rename", looking(os.rename))
    incoming.store(manifest(incoming))
    monkeypatch.undo()
    assert seen == [True] * 3
    found = storage.objects.find("u1")
    assert found is not None
    with found.original().open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_sweeper_and_a_beginning_body_do_not_meet(storage: DiskStorage) -> None:
    """Bodies that begin while everything stale is swept keep their place, every time."""
    stop = threading.Event()

    def sweep() -> None:
        while not stop.is_set():
            for path in storage.bodies.stale_incoming():
                storage.bodies.discard_incoming(path)

    with ThreadPoolExecutor(2) as threads:
        sweeping = [threads.submit(sweep) for _ in range(2)]
        try:
            for number in range(100):
                incoming = storage.bodies.incoming(f"u{number}")
                incoming.write(b"x")
                incoming.store(manifest(incoming, f"u{number}"))
        finally:
            stop.set()
        for one in sweeping:
            one.result()
    assert len(list(storage.objects.open_uploads())) == 100


# ---- stages' files


def test_each_attempt_has_its_own_scratch_directory(storage: DiskStorage) -> None:
    """A new attempt begins empty, under a name never used before; the older ones are gone."""
    store(storage)
    first = storage.objects.scratch("u1")
    (first / "half").write_bytes(b"x")
    second = storage.objects.scratch("u1")
    third = storage.objects.scratch("u1")
    assert len({first, second, third}) == 3
    assert [path for path in (first, second, third) if path.exists()] == [third]
    assert list(third.iterdir()) == []
    publish(storage)
    assert storage.objects.scratch("u1").is_dir()
    storage.objects.publish("u1", b"")
    found = storage.objects.find("u1")
    assert found is not None
    assert sorted(path.name for path in found.directory.iterdir()) == [
        "files",
        "manifest.json",
        "original",
        "record.json",
    ]


def test_derived_files_are_served_by_their_names_alone(storage: DiskStorage) -> None:
    """`file` finds the original and listed files once published; no other name, however made."""
    store(storage)
    found = storage.objects.find("u1")
    assert found is not None
    assert found.file("photo.jpg") is None

    publish(storage, **{"thumb.webp": b"small"})
    found = storage.objects.find("u1")
    assert found is not None
    assert found.file("photo.jpg") == found.original()
    thumb = found.file("thumb.webp")
    assert thumb is not None
    assert thumb.read_bytes() == b"small"
    (found.directory / "files" / "link").symlink_to("/etc/passwd")
    (found.directory / "files" / "deep").mkdir()
    for name in (
        *("", ".", "..", "/", "original", "manifest.json", "record.json", "files", "link", "deep"),
        *("../original", "../files/thumb.webp", "./thumb.webp", "thumb.webp/", "thumb.webp\0"),
        *("/etc/passwd", str(thumb), "THUMB.WEBP", "*", "thumb*", "\udcff"),
    ):
        assert found.file(name) is None, name


def test_only_plain_files_with_clean_names_are_kept(storage: DiskStorage) -> None:
    """Links, directories, pipes, the original's name and paths are refused; nothing has moved."""
    store(storage)
    scratch = storage.objects.scratch("u1")
    (scratch / "good").write_bytes(b"x")
    (scratch / "photo.jpg").write_bytes(b"x")
    (scratch / ".hidden").write_bytes(b"x")
    (scratch / "directory").mkdir()
    (scratch / "link").symlink_to("/etc/passwd")
    os.mkfifo(scratch / "pipe")
    for name in ("photo.jpg", ".hidden", "directory", "link", "pipe", "missing", "../original", ""):
        with pytest.raises(ValueError, match=r"not a|no such"):
            storage.objects.keep_derived("u1", scratch, {"good": "good", name: name})
        if name:
            with pytest.raises(ValueError, match=r"not a|no such"):
                storage.objects.replace_original("u1", scratch / "missing", name)
    for name in ("directory", "link", "pipe"):
        with pytest.raises(ValueError, match="not a regular"):
            storage.objects.replace_original("u1", scratch, name)
    assert (scratch / "good").exists()
    found = storage.objects.find("u1")
    assert found is not None
    assert found.original().read_bytes() == b"content"


def test_a_file_gets_the_name_that_clients_know(storage: DiskStorage) -> None:
    """From a directory inside the attempt's, under another name, with its size; no name twice."""
    store(storage)
    scratch = storage.objects.scratch("u1") / "1"
    scratch.mkdir()
    for name in ("photo.jpg", "b"):
        (scratch / name).write_bytes(b"derived")
    with pytest.raises(ValueError, match="not a name"):
        storage.objects.keep_derived("u1", scratch, {"b": "photo.jpg"})
    with pytest.raises(ValueError, match="two files"):
        storage.objects.keep_derived("u1", scratch, {"b": "c", "photo.jpg": "c"})
    sizes = storage.objects.keep_derived("u1", scratch, {"photo.jpg": "photo-2.jpg", "b": "b"})
    assert sizes == {"photo-2.jpg": 7, "b": 7}
    storage.objects.publish("u1", RECORD)
    found = storage.objects.find("u1")
    assert found is not None
    assert found.file("photo.jpg") == found.original()
    derived = found.file("photo-2.jpg")
    assert derived is not None
    assert derived.read_bytes() == b"derived"


def test_a_stage_cannot_name_another_uploads_file(storage: DiskStorage) -> None:
    """By a link to it, by a link in place of its own directory, or by a path: all are refused."""
    store(storage)
    store(storage, "u2", content=b"another user's")
    other = storage.objects.find("u2")
    assert other is not None
    attempt = storage.objects.scratch("u1")
    (attempt / "1").mkdir()
    os.link(other.original(), attempt / "1" / "linked")
    (attempt / "2").symlink_to(other.directory)
    for scratch, name in (
        (attempt / "1", "linked"),
        (attempt / "2", "original"),
        (attempt / "2" / "..", "original"),
        (other.directory, "original"),
        (attempt, str(other.original())),
        (attempt, "../../" + other.directory.name + "/original"),
    ):
        with pytest.raises(ValueError, match="not "):
            storage.objects.keep_derived("u1", scratch, {name: "stolen"})
        with pytest.raises(ValueError, match="not "):
            storage.objects.replace_original("u1", scratch, name)
    shutil.rmtree(attempt)
    attempt.symlink_to(other.directory)
    with pytest.raises(ValueError, match="not a directory"):
        storage.objects.keep_derived("u1", attempt, {"original": "stolen"})
    assert other.original().read_bytes() == b"another user's"


def test_stages_files_add_up(storage: DiskStorage) -> None:
    """What one stage keeps stays when another keeps its own; the same name is replaced."""
    store(storage)
    scratch = storage.objects.scratch("u1")
    for name, content in (("a", b"1"), ("b", b"2"), ("a", b"3")):
        (scratch / name).write_bytes(content)
        storage.objects.keep_derived("u1", scratch, {name: name})
    storage.objects.publish("u1", RECORD)
    found = storage.objects.find("u1")
    assert found is not None
    files = {path.name: path.read_bytes() for path in (found.directory / "files").iterdir()}
    assert files == {"a": b"3", "b": b"2"}


def test_attempts_are_ordered_by_their_numbers(storage: DiskStorage) -> None:
    """Not by who comes first: the later one keeps its directory when an earlier one begins."""
    store(storage)
    assert storage.objects.latest_attempt("u1") == 0
    later = storage.objects.scratch("u1", 20)
    for number in (19, 20):
        with pytest.raises(ValueError, match="latest attempt"):
            storage.objects.scratch("u1", number)
    assert later.is_dir()
    assert storage.objects.latest_attempt("u1") == 20
    assert storage.objects.scratch("u1", 21).is_dir()
    assert not later.exists()
    storage.remove("u1")
    assert storage.objects.latest_attempt("u1") == 0


def test_a_slower_twin_changes_nothing(storage: DiskStorage) -> None:
    """An attempt that a later one has replaced can keep, replace and publish nothing of its own."""
    store(storage)
    slow = storage.objects.scratch("u1")
    quick = storage.objects.scratch("u1")
    (quick / "thumb").write_bytes(b"quick")
    storage.objects.keep_derived("u1", quick, {"thumb": "thumb"})
    slow.mkdir()  # the twin is stubborn
    shutil.rmtree(slow)
    for names in ({}, {"thumb": "thumb"}):
        with pytest.raises(ValueError, match="latest attempt"):
            storage.objects.keep_derived("u1", slow, names)
    with pytest.raises(ValueError, match="latest attempt"):
        storage.objects.publish("u1", b"slow", scratch=slow)
    assert quick.is_dir()
    assert storage.objects.publish("u1", b"quick") == b"quick"
    assert storage.objects.publish("u1", b"slow") == b"quick"
    storage.objects.keep_derived("u1", slow, {"thumb": "thumb"})
    storage.objects.replace_original("u1", slow, "thumb")
    found = storage.objects.find("u1")
    assert found is not None
    thumb = found.file("thumb")
    assert thumb is not None
    assert (thumb.read_bytes(), found.record) == (b"quick", b"quick")
    assert found.original().read_bytes() == b"content"


def test_the_original_can_be_replaced(storage: DiskStorage) -> None:
    """A stripped copy takes the original's place; the manifest still tells of what was received."""
    stored = store(storage)
    reader = (storage.root / "open").glob("*/original").__next__().open("rb")
    stripped = storage.objects.scratch("u1") / "stripped"
    stripped.write_bytes(b"less")
    storage.objects.replace_original("u1", stripped.parent, stripped.name)
    found = storage.objects.find("u1")
    assert found is not None
    assert (found.original().read_bytes(), found.manifest) == (b"less", stored)
    with reader:
        assert reader.read() == b"content"


def test_writers_of_one_upload_take_turns(storage: DiskStorage) -> None:
    """Publishing waits while another process works on the upload, and finds what it left."""
    store(storage)
    found = storage.objects.find("u1")
    assert found is not None
    with (found.directory / "manifest.json").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with ThreadPoolExecutor(1) as threads:
            publishing = threads.submit(storage.objects.publish, "u1", RECORD)
            while not publishing.running():
                pass
            assert found.directory.exists()
            held.close()
            assert publishing.result(10) == RECORD


def test_a_writer_does_not_wait_for_ever(
    storage: DiskStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the other one hangs, the wait ends with a problem."""
    monkeypatch.setattr("sse_progress.storage.disk_objects._LOCK_WAIT_S", 0.05)
    store(storage)
    found = storage.objects.find("u1")
    assert found is not None
    with (found.directory / "manifest.json").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Unavailable):
            storage.objects.scratch("u1")


# ---- removing


def test_removing_is_harmless_at_any_time(storage: DiskStorage) -> None:
    """Nothing there, twice, under a reader: never an error, and the reader reads on."""
    storage.remove("u1")
    store(storage, content=b"x" * 100_000)
    publish(storage)
    found = storage.objects.find("u1")
    assert found is not None
    with found.original().open("rb") as reader:
        assert reader.read(1) == b"x"
        storage.remove("u1")
        storage.remove("u1")
        assert len(reader.read()) == 99_999
    assert left(storage) == []
    assert found.file("thumb") is None
    for work in (
        lambda: storage.objects.scratch("u1"),
        lambda: storage.objects.publish("u1", RECORD),
        lambda: storage.objects.keep_derived("u1", Path("scratch-1"), {}),
        lambda: storage.objects.replace_original("u1", Path("scratch-1"), "x"),
    ):
        with pytest.raises(UnknownUpload):
            work()


def test_who_publishes_while_it_is_taken_back_is_told(
    storage: DiskStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publisher waits for the end of it, and then there is nothing; nor is it announced."""
    assert storage.take_back("u1")
    store(storage)
    discard = storage.objects._discard
    with ThreadPoolExecutor(1) as threads:

        def meanwhile(directory: Path) -> None:
            done.append(threads.submit(publish, storage))
            with pytest.raises(TimeoutError):
                done[0].result(0.2)
            discard(directory)

        done: list[Future[bytes]] = []
        monkeypatch.setattr(storage.objects, "_discard", meanwhile)
        assert storage.take_back("u1")
        with pytest.raises(UnknownUpload):
            done[0].result(60)
    monkeypatch.undo()
    assert storage.objects.find("u1") is None
    store(storage)
    publish(storage)
    assert not storage.take_back("u1")
    assert storage.objects.find("u1") is not None


def test_removing_and_publishing_at_once_leaves_nothing(storage: DiskStorage) -> None:
    """Whichever comes first, a removed upload is gone, and a publisher that is late is told."""
    for number in range(40):
        upload_id = f"u{number}"
        store(storage, upload_id)
        together = threading.Barrier(2)

        def publishing(upload_id: str = upload_id, together: threading.Barrier = together) -> None:
            together.wait(60)
            try:
                publish(storage, upload_id, thumb=b"x")
            except (UnknownUpload, FileNotFoundError):
                pass  # the latter: its scratch directory went while it wrote there

        with ThreadPoolExecutor(1) as threads:
            done = threads.submit(publishing)
            together.wait(60)
            for _ in range(number):
                storage.objects.find(upload_id)  # a little later each time
            storage.remove(upload_id)
            done.result()
        assert storage.objects.find(upload_id) is None
    assert left(storage) == []


def test_an_upload_is_found_while_it_moves(storage: DiskStorage) -> None:
    """A reader that never stops looking sees each upload at every moment, and done at last."""
    for number in range(60):
        store(storage, f"u{number}")
    moved = threading.Event()
    looks = 0

    def look() -> int:
        nonlocal looks
        missed = 0
        while not moved.is_set():
            for number in range(60):
                found = storage.objects.find(f"u{number}")
                missed += found is None
                looks += 1
        return missed

    with ThreadPoolExecutor(1) as threads:
        missed = threads.submit(look)
        wait_until(lambda: looks, "the reader looks")
        for number in range(60):
            storage.objects.publish(f"u{number}", RECORD)
        moved.set()
        assert missed.result() == 0
    assert all((found := storage.objects.find(f"u{n}")) and found.done for n in range(60))


def test_expired_uploads_are_those_published_long_ago(tmp_path: Path) -> None:
    """Age counts from publishing, by the clock given; open uploads never expire."""
    late = 0.0
    storage = DiskStorage.open(tmp_path, now=lambda: tmp_path.stat().st_mtime + late)
    for upload_id in ("old", "new", "open"):
        store(storage, upload_id)
    for upload_id, age in (("old", 3600), ("new", 0)):
        storage.objects.publish(upload_id, RECORD)
        found = storage.objects.find(upload_id)
        assert found is not None
        written = (found.directory / "record.json").stat().st_mtime - age
        os.utime(found.directory / "record.json", (written, written))
    assert list(storage.objects.expired(1800)) == ["old"]
    late = 7200
    assert sorted(storage.objects.expired(1800)) == ["new", "old"]
    kept = {"old": 10_000.0, "new": None}
    assert list(storage.objects.expired(1800, lambda found: kept[found.upload_id])) == ["old"]


def test_a_broken_manifest_stops_nobody(
    storage: DiskStorage, capsys: pytest.CaptureFixture[str]
) -> None:
    """An upload whose manifest cannot be read is logged and passed over; others go on."""
    store(storage, "good")
    store(storage, "bad")
    found = storage.objects.find("bad")
    assert found is not None
    (found.directory / "manifest.json").write_bytes(b"{")
    assert [stored.upload_id for stored in storage.objects.open_uploads()] == ["good"]
    assert "manifest cannot be read" in capsys.readouterr().out
    with pytest.raises(Unavailable):
        storage.objects.find("bad")


# ---- the journal's place


def test_the_journal_s_place_is_kept_with_the_upload(storage: DiskStorage) -> None:
    """The last position marked is read back, before and after publishing; else there is none."""
    storage.objects.mark("u1", Position("e1", 1))
    assert storage.objects.marked("u1") is None
    store(storage)
    assert storage.objects.marked("u1") is None
    storage.objects.mark("u1", Position("e1", 100))
    storage.objects.mark("u1", Position("e-2", 7))
    assert storage.objects.marked("u1") == Position("e-2", 7)
    publish(storage)
    assert storage.objects.marked("u1") == Position("e-2", 7)
    storage.objects.mark("u1", Position("e-2", 8))
    assert DiskStorage.open(storage.root).objects.marked("u1") == Position("e-2", 8)
    storage.objects.mark("u1", Position("e-2", 3), first=True)
    assert storage.objects.marked("u1") == Position("e-2", 8), "a worker was faster"
    with pytest.raises(ValueError, match="too long"):
        storage.objects.mark("u1", Position("e" * 200, 1))


# ---- a disk that is full, or does not work


@contextmanager
def mounted(*options: str, at: Path) -> Iterator[Path]:
    """A file system of its own; the test is skipped where none can be mounted."""
    at.mkdir(exist_ok=True)
    if subprocess.run(["mount", *options, at], capture_output=True, check=False).returncode:
        pytest.skip("cannot mount here")
    try:
        yield at
    finally:
        subprocess.run(["umount", at], check=True)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[DiskStorage]:
    """A storage of 256 KiB."""
    with mounted("-t", "tmpfs", "-o", "size=256k", "tmpfs", at=tmp_path / "tiny") as root:
        yield DiskStorage.open(root)


def test_a_full_disk_is_insufficient_storage(tiny: DiskStorage) -> None:
    """A body that does not fit is refused with that name, and then there is room again."""
    incoming = tiny.bodies.incoming("u1")
    pieces = itertools.repeat(b"x" * 4096, 100)
    with pytest.raises(InsufficientStorage):
        collections.deque(map(incoming.write, pieces), maxlen=0)
    assert incoming.size < 256 * 1024
    incoming.discard()
    assert left(tiny) == []
    store(tiny, content=b"x" * 100_000)


@contextmanager
def of_inodes(count: int, at: Path) -> Iterator[Path]:
    with mounted("-t", "tmpfs", "-o", f"size=4m,nr_inodes={count}", "tmpfs", at=at) as root:
        yield root


def test_inodes_are_watched_like_bytes(tmp_path: Path) -> None:
    """One more upload is taken while there is room for it; then refused, until there is again."""
    with of_inodes(60, tmp_path / "small") as root:
        storage = DiskStorage.open(root, reserve_inodes=10)
        assert storage.state() == "ok"
        for number in range(60):
            if storage.state() != "ok":
                break
            storage.ensure_room(1)
            store(storage, f"u{number}")
        assert number >= 5
        with pytest.raises(InsufficientStorage, match="no room for more files"):
            storage.ensure_room(1)
        assert storage.state() == "out_of_inodes"
        assert storage.free_inodes() is not None
        assert 10 <= os.statvfs(root).f_favail < 10 + INODES_PER_UPLOAD
        # What was accepted can be worked on to its end, in the room that is kept.
        publish(storage, "u0", thumb=b"x", page=b"y")
        storage.remove("u0")
        storage.remove("u1")
        storage.remove("u2")
        storage.ensure_room(1)
        assert storage.state() == "ok"


def test_a_file_system_without_inodes_left_is_insufficient_storage(tmp_path: Path) -> None:
    """Where the last inode goes in the middle, the name is the same and nothing is half."""
    with of_inodes(30, tmp_path / "small") as root:
        storage = DiskStorage.open(root)
        store(storage)
        while True:
            try:
                (root / f"filler-{os.statvfs(root).f_favail}").touch()
            except OSError:
                break
        with pytest.raises(InsufficientStorage):
            store(storage, "u2")
        with pytest.raises(InsufficientStorage):
            storage.objects.publish("u1", RECORD)
        for filler in root.glob("filler-*"):
            filler.unlink()
        assert storage.objects.find("u2") is None
        assert storage.objects.publish("u1", RECORD) == RECORD
        storage.remove("u1")
        assert left(storage) == []


def test_inodes_are_not_judged_where_they_are_not_counted(
    storage: DiskStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """btrfs says 0 of 0: that is no shortage."""
    found = os.statvfs(storage.root)
    uncounted = os.statvfs_result([*found[:5], 0, 0, 0, *found[8:]])
    monkeypatch.setattr(os, "statvfs", lambda _: uncounted)
    assert storage.free_inodes() is None
    assert storage.state() == "ok"
    storage.ensure_room(1)


def test_a_disk_that_fills_up_while_storing_leaves_nothing(tiny: DiskStorage) -> None:
    """No room for the manifest, for derived files' record or for a directory: nothing is half."""
    filler = tiny.root / "filler"
    incoming = tiny.bodies.incoming("u1")
    incoming.write(b"x")
    fill(filler)
    with pytest.raises(InsufficientStorage):
        incoming.store(manifest(incoming))
    filler.unlink()
    assert left(tiny) == []

    store(tiny)
    fill(filler)
    with pytest.raises(InsufficientStorage):
        tiny.objects.publish("u1", RECORD)
    filler.unlink()
    found = tiny.objects.find("u1")
    assert found is not None
    assert not found.done
    assert tiny.objects.publish("u1", RECORD) == RECORD


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


def test_room_is_kept_free(tmp_path: Path) -> None:
    """The reserve is never used: neither by a body that says its size, nor by one that does not."""
    with mounted("-t", "tmpfs", "-o", "size=1m", "tmpfs", at=tmp_path / "small") as root:
        storage = DiskStorage.open(root, reserve_bytes=512 * 1024)
        free = storage.free_bytes()
        assert 0 < free < 512 * 1024
        storage.ensure_room(free)
        with pytest.raises(InsufficientStorage):
            storage.ensure_room(free + 1)
        incoming = storage.bodies.incoming("u1")
        incoming.write(b"x" * (free - 8192))
        with pytest.raises(InsufficientStorage):
            incoming.write(b"x" * 16384)
        incoming.discard()
        assert DiskStorage.open(root, reserve_bytes=2 * 1024 * 1024).free_bytes() == 0


def test_a_disk_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    """Mounted read-only, everything that writes says so by name, and reading goes on."""
    with mounted("-t", "tmpfs", "tmpfs", at=tmp_path / "fixed") as root:
        storage = DiskStorage.open(root)
        store(storage)
        scratch = storage.objects.scratch("u1")
        (scratch / "thumb").write_bytes(b"x")
        subprocess.run(["mount", "-o", "remount,ro", root], check=True)
        for work in (
            lambda: storage.bodies.incoming("u2"),
            lambda: storage.objects.scratch("u1"),
            lambda: storage.objects.keep_derived("u1", scratch, {"thumb": "thumb"}),
            lambda: storage.objects.publish("u1", RECORD),
            lambda: storage.remove("u1"),
            lambda: storage.objects.mark("u1", Position("e", 1)),
        ):
            with pytest.raises(Unavailable) as raised:
                work()
            assert str(root) not in raised.value.detail
        found = storage.objects.find("u1")
        assert found is not None
        assert found.original().read_bytes() == b"content"
        with pytest.raises(Unavailable):
            DiskStorage.open(root / "new")


def test_a_file_in_the_way_is_unavailable(tmp_path: Path) -> None:
    """A data directory that is a file is refused by name."""
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(Unavailable):
        DiskStorage.open(tmp_path / "data")


def test_a_sync_that_fails_after_the_rename_takes_the_upload_back(
    storage: DiskStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload that nobody was told is stored does not turn up later."""
    incoming = storage.bodies.incoming("u1")
    incoming.write(b"abc")
    real = os.fsync

    def failing(descriptor: int | FileIO) -> None:
        if descriptor_path(descriptor) == storage.root / "open":
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(Unavailable):
        incoming.store(manifest(incoming))
    assert storage.objects.find("u1") is None
    assert left(storage) == []


# ---- crashes


def crashes(kind: str, directory: Path) -> list[dict[str, object]]:
    ran = subprocess.run(
        [sys.executable, crash.__file__, kind, directory],
        env=os.environ | {"PYTHONPATH": str(Path(crash.__file__).parents[1])},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    return [json.loads(line) for line in ran.stdout.splitlines()]


STATES = {
    "store": {"absent", "open"},
    "publish": {"open", "done"},
    "replace": {"open", "replaced"},
    "remove": {"done", "absent"},
    "publish-prefixed": {"open", "done"},
    "remove-prefixed": {"done", "absent"},
}


@pytest.fixture
def fast_dir() -> Iterator[Path]:
    """In memory where there is such a place: these crashes do not need a slow disk."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as directory:
        yield Path(directory)


def test_kill_9_at_any_moment_leaves_all_or_nothing(fast_dir: Path) -> None:
    """Killed before each change it makes to the disk, an operation has happened or has not.

    What is left can be swept, nothing of it is locked, and the same operation then succeeds.
    """
    steps = crashes("kill", fast_dir)
    assert {step["operation"] for step in steps} == set(STATES)
    assert len(steps) > 60
    for step in steps:
        operation = str(step["operation"])
        storage = DiskStorage.open(fast_dir / f"{operation}-{step['step']:03}")
        seen = crash.state(storage.objects.find(crash.UPLOAD_ID))
        assert seen in STATES[operation], step
        if step["finished"]:
            assert seen == crash.FINAL[operation], step
        assert not storage.bodies.receiving(crash.UPLOAD_ID)
        for path in list(storage.bodies.stale_incoming()):
            assert storage.bodies.discard_incoming(path)
        if seen == "open" and operation == "store":
            with pytest.raises(UploadIdInUse):
                crash.store(storage)
        elif seen != "done":
            crash.OPERATIONS[operation][1](storage)
        if not operation.startswith("remove"):
            assert crash.state(storage.objects.find(crash.UPLOAD_ID)) == crash.FINAL[operation], (
                step
            )
            storage.objects.publish(crash.UPLOAD_ID, crash.RECORD)
        storage.remove(crash.UPLOAD_ID)
        storage.sweep()
        assert left(storage) == [], step


def test_power_loss_at_any_moment_leaves_all_or_nothing(fast_dir: Path) -> None:
    """The medium keeps only what was synced: what an operation has returned from is there, whole.

    On an ext4 of its own that is shut down without flushing before each sync and each rename, and
    after the last (`EXT4_IOC_SHUTDOWN`).
    """
    if not shutil.which("mkfs.ext4"):
        pytest.skip("no mkfs.ext4 here")
    image = fast_dir / "medium.img"
    with image.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    with mounted("-o", "loop", str(image), at=fast_dir / "medium"):
        pass
    steps = crashes("power", fast_dir / "medium")
    for step in steps:
        operation = str(step["operation"])
        assert step["state"] in STATES[operation], step
        if step["finished"]:
            assert step["state"] == crash.FINAL[operation], step
    assert [step["operation"] for step in steps if step["finished"]] == list(STATES)


def test_everything_is_synced_before_it_gets_its_name(
    storage: DiskStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order, to the letter: files, their directory, the rename, then the directories above.

    Some file systems keep more than they promise; this holds where none does.
    """
    told: list[str] = []

    def name_of(path: str | Path) -> str:
        relative = Path(path).relative_to(storage.root)
        return "/".join(p if len(p) < 30 else "*" for p in relative.parts if len(p) != 2)

    def fsync(target: int | FileIO) -> None:
        told.append(f"sync {name_of(descriptor_path(target))}")

    def rename(old: Path, new: Path, *, src_dir_fd: int | None = None) -> None:
        source = old if src_dir_fd is None else Path(descriptor_path(src_dir_fd)) / old
        told.append(f"{name_of(source)} -> {name_of(new)}")
        real(old, new, src_dir_fd=src_dir_fd)

    real = os.rename
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    store(storage)
    assert told == [
        "sync incoming/*/original",
        "sync incoming/*/manifest.json",
        "sync incoming/*",
        "incoming/* -> open/*",
        "sync open",
        "sync incoming",
    ]
    scratch = storage.objects.scratch("u1")
    (scratch / "thumb").write_bytes(b"x")
    told.clear()
    storage.objects.keep_derived("u1", scratch, {"thumb": "thumb"})
    assert told == [
        "sync open/*/scratch-1/thumb",
        "open/*/scratch-1/thumb -> open/*/files/thumb",
        "sync open/*/files",
        "sync open/*",
    ]
    told.clear()
    storage.objects.publish("u1", RECORD)
    assert told[1:] == [
        "sync open/*/record.json",
        "sync open/*",
        "open/* -> objects/*",
        "sync objects",
        "sync objects",
        "sync open",
    ]
