"""Bodies that come in several requests: appended at an offset, kept over a crash."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sse_progress.model.errors import (
    InsufficientStorage,
    UnknownUpload,
    UploadIdInUse,
)
from sse_progress.storage.announced import Announced
from sse_progress.storage.body_port import BodyHeld, ResumableBody, WrongOffset
from sse_progress.storage.disk import DiskStorage
from sse_progress.storage.durable import write_all
from sse_progress.storage.manifest import Manifest
from tests.helpers.processes import bound
from tests.helpers.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def storage(tmp_path: Path) -> DiskStorage:
    return DiskStorage.open(tmp_path / "data")


def announced(upload_id: str = "u1", **more: Any) -> Announced:
    given: dict[str, Any] = {
        "owner": "somebody",
        "token": f"token of {upload_id}",
        "filename": "photo.jpg",
        "claimed_type": "image/jpeg",
        "fields": {},
        "length": None,
        "created_at": "2026-01-15T10:30:00.000Z",
    }
    return Announced(upload_id=upload_id, **(given | more))


def opened(storage: DiskStorage, upload_id: str = "u1") -> ResumableBody:
    """The body, begun if it is not there."""
    try:
        return waited(storage, upload_id)
    except UnknownUpload:
        pass
    try:
        return storage.bodies.begin(announced(upload_id))
    except UploadIdInUse:
        return waited(storage, upload_id)


def waited(storage: DiskStorage, upload_id: str) -> ResumableBody:
    """The body, once nobody else has it."""
    while True:
        with suppress(BodyHeld):
            return storage.bodies.resumable(upload_id)


def resting(storage: DiskStorage) -> list[str]:
    return [found.announced.upload_id for found in storage.bodies.partials() if not found.held]


def manifest(body: ResumableBody, upload_id: str = "u1") -> Manifest:
    return Manifest(
        upload_id=upload_id,
        owner="somebody",
        filename="photo.jpg",
        claimed_type="image/jpeg",
        fields={},
        size=body.offset,
        sha256=body.sha256,
        epoch="e1",
        created_at="2026-01-15T10:30:00.000Z",
    )


def left(storage: DiskStorage) -> list[Path]:
    names = ("incoming", "partial", "open", "trash")
    return [path for name in names for path in (storage.root / name).iterdir()]


def test_a_body_comes_in_several_requests(storage: DiskStorage) -> None:
    """Each goes on where the one before ended; digest and stored file are those of the whole."""
    for piece in (b"one", b" two", b" three"):
        body = opened(storage)
        body.append(piece[:2], offset=body.offset)
        body.append(piece[2:], offset=body.offset)
        assert body.sync() == body.offset
        body.close()
    body = opened(storage)
    assert body.offset == 13
    assert body.sha256 == hashlib.sha256(b"one two three").hexdigest()
    body.store(told := manifest(body))
    found = storage.objects.find("u1")
    assert found is not None
    assert (found.manifest, found.original().read_bytes()) == (told, b"one two three")
    assert sorted(path.name for path in found.directory.iterdir()) == ["manifest.json", "original"]
    storage.remove("u1")
    assert left(storage) == []


def test_bytes_go_only_to_the_end(storage: DiskStorage) -> None:
    """Another offset is refused with both numbers, and nothing has changed."""
    body = opened(storage)
    body.append(b"12345", offset=0)
    for offset in (0, 4, 6, -1, 2**53):
        with pytest.raises(WrongOffset) as caught:
            body.append(b"x", offset=offset)
        assert (caught.value.given, caught.value.expected) == (offset, 5)
    body.append(b"6", offset=5)
    assert body.sha256 == hashlib.sha256(b"123456").hexdigest()
    body.discard()
    assert left(storage) == []


def test_one_request_has_it_at_a_time(storage: DiskStorage) -> None:
    """Nobody else gets it until it is closed."""
    first = opened(storage)
    first.append(b"first", offset=0)
    assert storage.bodies.receiving("u1")
    assert resting(storage) == []
    with pytest.raises(BodyHeld):
        storage.bodies.resumable("u1")
    first.close()
    assert not storage.bodies.receiving("u1")
    assert resting(storage) == ["u1"]
    body = storage.bodies.resumable("u1")
    assert body.offset == 5
    body.close()


def test_many_that_begin_at_once_share_one_body(storage: DiskStorage) -> None:
    """The first one makes it; nothing is written twice or lost, no directory stays behind."""
    together = threading.Barrier(8)

    def send(number: int) -> None:
        together.wait()
        body = opened(storage)
        body.append(bytes([number]) * 1000, offset=body.offset)
        body.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(send, range(8)))
    body = opened(storage)
    assert body.offset == 8000
    body.close()
    assert len(left(storage)) == 1


KILLED = """
import sys, time
from pathlib import Path
from sse_progress.storage.disk import DiskStorage
from tests.unit.storage.test_resumable import opened
body = opened(DiskStorage.open(Path(sys.argv[1])))
while True:
    body.append(bytes([body.offset // 1000 % 251]) * 1000, offset=body.offset)
    print(body.sync(), flush=True)
"""


def test_what_was_synced_survives_the_process(storage: DiskStorage) -> None:
    """After kill -9 the body rests with every byte that was told, and another process goes on."""
    child = subprocess.Popen(
        bound([sys.executable, "-c", KILLED, storage.root]),
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert child.stdout is not None
    told = [int(child.stdout.readline()) for _ in range(20)]
    child.send_signal(signal.SIGKILL)
    told += [int(line) for line in child.stdout.read().split(b"\n") if line]
    child.stdout.close()
    child.wait()
    wait_until(lambda: not storage.bodies.receiving("u1"), "its lock is free")
    assert resting(storage) == ["u1"]
    storage.sweep()  # it is no dead receiver's: it waits for its sender
    body = opened(storage)
    assert body.offset >= told[-1]
    content = b"".join(bytes([n % 251]) * 1000 for n in range(body.offset // 1000 + 1))
    assert body.sha256 == hashlib.sha256(content[: body.offset]).hexdigest()
    body.append(b"the rest", offset=body.offset)
    body.store(manifest(body))
    found = storage.objects.find("u1")
    assert found is not None
    assert found.original().read_bytes() == content[: body.offset - 8] + b"the rest"


@pytest.mark.parametrize("published", [False, True])
def test_an_id_that_is_stored_stays_as_it_is(storage: DiskStorage, published: bool) -> None:
    """A resumable body under a stored id is refused in the end, and nothing of it is left."""
    first = storage.bodies.incoming("u1")
    first.write(b"first")
    late = opened(storage)
    late.append(b"late", offset=0)
    first.store(
        Manifest(
            upload_id="u1",
            owner="o",
            filename="f",
            claimed_type="a/b",
            fields={},
            size=5,
            sha256=first.sha256,
            epoch="e",
            created_at="2026-01-15T10:30:00.000Z",
        )
    )
    if published:
        storage.objects.publish("u1", b"{}")
    with pytest.raises(UploadIdInUse):
        late.store(manifest(late))
    found = storage.objects.find("u1")
    assert found is not None
    assert (found.original().read_bytes(), found.done) == (b"first", published)
    storage.remove("u1")
    assert left(storage) == []


@pytest.mark.parametrize("failing", ["write", "room"])
def test_a_failure_keeps_the_offset(
    storage: DiskStorage, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """A disk that fills up in a piece leaves what was there before it; then it goes on."""
    body = opened(storage)
    body.append(b"12345", offset=0)

    def half(file: object, data: bytes) -> None:
        write_all(file, data[: len(data) // 2])  # type: ignore[arg-type]
        raise OSError(28, "No space left on device")

    def no_room(_: int) -> None:
        raise InsufficientStorage

    with monkeypatch.context() as patched:
        if failing == "write":
            patched.setattr("sse_progress.storage.partial.write_all", half)
        else:
            patched.setattr(body, "_ensure_room", no_room)
        with pytest.raises(InsufficientStorage):
            body.append(b"abcdef", offset=5)
    assert body.offset == 5
    body.append(b"678", offset=5)
    assert body.sha256 == hashlib.sha256(b"12345678").hexdigest()
    body.store(manifest(body))
    found = storage.objects.find("u1")
    assert found is not None
    assert found.original().read_bytes() == b"12345678"


def test_a_manifest_without_room_keeps_the_body(
    storage: DiskStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where storing fails before the rename, the body rests and can be stored later."""
    body = opened(storage)
    body.append(b"12345", offset=0)

    def full(path: Path, data: bytes) -> None:
        Path(path).write_bytes(data[:3])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("sse_progress.storage.incoming.write_synced", full)
        with pytest.raises(InsufficientStorage):
            body.store(manifest(body))
    body.close()
    assert resting(storage) == ["u1"]
    again = opened(storage)
    again.store(manifest(again))
    assert storage.objects.find("u1") is not None


def test_removing_takes_a_resting_body(storage: DiskStorage) -> None:
    """One that is held stays its holder's; once closed it goes, with everything else."""
    body = opened(storage)
    storage.remove("u1")
    body.append(b"1", offset=0)
    body.close()
    storage.remove("u1")
    storage.remove("u1")
    assert left(storage) == []
    body.discard()
    fresh = opened(storage)
    assert fresh.offset == 0
    fresh.discard()


ENDED_BEFORE_RENAME = """
import os, sys
from pathlib import Path
from sse_progress.storage.disk import DiskStorage
storage = DiskStorage.open(Path(sys.argv[1]))
os.rename = lambda *_: os._exit(9)
from tests.unit.storage.test_resumable import opened
opened(storage)
"""


def test_a_body_appears_whole(storage: DiskStorage) -> None:
    """A crash before the rename leaves a stale incoming body, which is swept."""
    ended = subprocess.run(
        [sys.executable, "-c", ENDED_BEFORE_RENAME, storage.root], cwd=ROOT, check=False
    )
    assert ended.returncode == 9
    assert resting(storage) == []
    assert len(left(storage)) == 1
    storage.sweep()
    assert left(storage) == []


# ---- what was announced, and bytes that may be taken back


def test_what_was_announced_is_kept(storage: DiskStorage) -> None:
    """Also a length that follows; it is found with the durable offset, without taking the body."""
    body = storage.bodies.begin(announced(fields={"a": ["1", "2"]}, digests={"sha-256": b"\0\1"}))
    body.append(b"12345", offset=0)
    body.announce(9)
    found = storage.bodies.partial("u1")
    assert found is not None
    assert (found.offset, found.held) == (5, True)
    assert found.announced == announced(
        fields={"a": ["1", "2"]}, digests={"sha-256": b"\0\1"}, length=9
    )
    body.close()
    again = storage.bodies.resumable("u1")
    assert again.announced == found.announced
    again.discard()
    assert storage.bodies.partial("u1") is None
    with pytest.raises(UnknownUpload):
        storage.bodies.resumable("u1")


def test_a_body_is_begun_once(storage: DiskStorage) -> None:
    """A second beginning under the id is refused and leaves nothing."""
    storage.bodies.begin(announced()).close()
    with pytest.raises(UploadIdInUse):
        storage.bodies.begin(announced(token="another"))
    assert len(left(storage)) == 1


@pytest.mark.parametrize("end", ["drop", "close", "crash"])
def test_bytes_that_are_not_accepted_are_taken_back(storage: DiskStorage, end: str) -> None:
    """By whoever has them, by closing, or by the next process after a crash; never told before."""
    body = storage.bodies.begin(announced())
    body.append(b"good", offset=0)
    body.hold()
    body.append(b" bad", offset=4)
    assert storage.bodies.partial("u1").offset == 4  # type: ignore[union-attr]
    if end == "drop":
        body.drop()
        assert body.offset == 4
    elif end == "close":
        body.close()
    else:
        body._file.close()  # type: ignore[attr-defined]
    body.close()
    again = DiskStorage.open(storage.root).bodies.resumable("u1")
    again.append(b" and", offset=4)
    again.hold()
    again.append(b" more", offset=8)
    again.accept()
    again.close()
    body = storage.bodies.resumable("u1")
    assert body.offset == 13
    assert body.sha256 == hashlib.sha256(b"good and more").hexdigest()
    body.store(manifest(body))
    found = storage.objects.find("u1")
    assert found is not None
    assert sorted(path.name for path in found.directory.iterdir()) == [  # type: ignore[attr-defined]
        "manifest.json",
        "original",
    ]


def test_only_what_another_process_received_is_read_again(storage: DiskStorage) -> None:
    """The digest goes on from where this process was."""
    body = storage.bodies.begin(announced())
    body.append(b"a" * 1000, offset=0)
    body.close()
    body = storage.bodies.resumable("u1")
    assert body.read_again(0) == 1000
    body.close()
    other = DiskStorage.open(storage.root).bodies.resumable("u1")
    assert other.read_again(0) == 0
    other.append(b"b" * 1000, offset=1000)
    assert [other.read_again(700) for _ in range(3)] == [700, 1400, 2000]
    assert other.sha256 == hashlib.sha256(b"a" * 1000 + b"b" * 1000).hexdigest()
    other.close()
    body = storage.bodies.resumable("u1")
    assert body.read_again(0) == 1000
    body.discard()
    fresh = storage.bodies.begin(announced(token="another"))
    assert fresh.read_again(0) == 0
    fresh.discard()


def test_what_is_announced_counts_as_if_it_were_there(tmp_path: Path) -> None:
    """A second upload that does not fit beside it is refused before its first byte."""
    free = DiskStorage.open(tmp_path / "data").free_bytes()
    storage = DiskStorage.open(tmp_path / "data", reserve_bytes=free - 50 * 1024**2)
    half = 30 * 1024**2
    storage.ensure_room(half)
    body = storage.bodies.begin(announced(length=half))
    with pytest.raises(InsufficientStorage):
        storage.ensure_room(half)
    body.append(b"it may be written", offset=0)
    assert storage.bodies.promised_bytes() == half - body.offset
    body.close()
    follows = storage.bodies.begin(announced("u2"))
    assert storage.bodies.promised_bytes() == half - body.offset
    follows.announce(7)
    assert storage.bodies.promised_bytes() == half - body.offset + 7
    for each in (follows, storage.bodies.resumable("u1")):
        each.discard()
    assert storage.bodies.promised_bytes() == 0
    storage.ensure_room(half)
