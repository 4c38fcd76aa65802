"""A body on its way from the wire to the disk: whole or gone, in little memory, in good time."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import math
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sse_progress.ingest import slow_clients
from sse_progress.ingest.limits import ReceiveLimits
from sse_progress.ingest.multipart import MultipartForm
from sse_progress.ingest.part_headers import content_type_boundary
from sse_progress.ingest.slow_clients import SlowClientLimit
from sse_progress.ingest.to_disk import Received, receive
from sse_progress.model.errors import (
    ClientDisconnected,
    InsufficientStorage,
    MalformedMultipart,
    Problem,
    ReceiveTimeout,
    TooLarge,
    Unavailable,
    UnexpectedPart,
    UnsupportedMediaType,
)
from sse_progress.runtime.concurrency import blocking
from sse_progress.runtime.threads import Job, Threads
from sse_progress.storage.disk import DiskStorage
from sse_progress.storage.incoming import Incoming
from sse_progress.storage.manifest import Manifest
from tests.helpers.multipart import Part, body, content_type, file_part
from tests.helpers.waiting import eventually

MIB = 1024 * 1024
NO_TIME = ReceiveLimits(stall_s=math.inf)


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DiskStorage]:
    """Bodies that a test leaves open are discarded after it."""
    storage = DiskStorage.open(tmp_path / "data")
    begin = storage.bodies.incoming
    begun: list[Incoming] = []

    def incoming(upload_id: str) -> Incoming:
        begun.append(begin(upload_id))
        return begun[-1]

    monkeypatch.setattr(storage.bodies, "incoming", incoming)
    yield storage
    for left_open in begun:
        left_open.discard()


async def chunked(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def taken(chunks: AsyncIterator[bytes], storage: DiskStorage, **changes: Any) -> Received:
    """`receive` with what most tests do not care about."""
    limits, kind = changes.get("limits", ReceiveLimits()), changes.pop("content_type", None)
    arguments: dict[str, Any] = {
        "form": MultipartForm(content_type_boundary(kind or content_type()), limits),
        "incoming": lambda: storage.bodies.incoming("u1"),
        "limits": ReceiveLimits(),
        "progress": lambda *_: None,
    }
    return await receive(chunks, **(arguments | changes))


def left(storage: DiskStorage) -> list[Path]:
    return [path for name in ("incoming", "trash") for path in (storage.root / name).iterdir()]


def large(size: int) -> Iterator[bytes]:
    """A body whose file is `size` bytes, in chunks of 64 KiB."""
    start, end = body([file_part(b"\0")]).split(b"\0")
    yield start
    for at in range(0, size, 65536):
        yield bytes(min(65536, size - at))
    yield end


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class HeldUp:
    """An Incoming whose writes wait for `go`, and which counts what happens to it."""

    def __init__(self, real: Incoming) -> None:
        self.real = real
        self.go = threading.Event()
        self.begun = 0
        self.written: list[bytes] = []
        self.at_once = 0
        self.most_at_once = 0
        self.on_write: Callable[[], None] = lambda: None

    @property
    def size(self) -> int:
        return self.real.size

    @property
    def sha256(self) -> str:
        return self.real.sha256

    @property
    def settled(self) -> int:
        return self.real.settled

    def settle(self) -> None:
        self.real.settle()

    def write(self, data: bytes) -> None:
        self.begun += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        self.on_write()
        assert self.go.wait(60)
        self.real.write(data)
        self.written.append(data)
        self.at_once -= 1

    def discard(self) -> None:
        assert not self.at_once
        self.real.discard()


# ---- what arrives


async def test_a_body_arrives_whole(storage: DiskStorage) -> None:
    """File, name, type, fields, size and digest are what was sent, and the file can be stored."""
    content = os.urandom(3 * MIB + 7)
    sent = body([Part("a", b"1"), file_part(content, "../p.jpg"), Part("a", b"2")])
    received = await taken(
        chunked(*[sent[i : i + 50_000] for i in range(0, len(sent), 50_000)]), storage
    )
    assert (received.filename, received.claimed_type) == ("p.jpg", "image/jpeg")
    assert received.fields == {"a": ["1", "2"]}
    assert received.size == len(content)
    assert received.sha256 == hashlib.sha256(content).hexdigest()
    assert storage.bodies.receiving("u1")
    manifest = Manifest(
        upload_id="u1",
        owner="o",
        filename=received.filename,
        claimed_type=received.claimed_type,
        fields=received.fields,
        size=received.size,
        sha256=received.sha256,
        epoch="e",
        created_at="2026-01-15T10:30:00.000Z",
    )
    received.incoming.store(manifest)
    found = storage.objects.find("u1")
    assert found is not None
    assert found.original().read_bytes() == content


async def test_an_empty_file_arrives(storage: DiskStorage) -> None:
    """No byte is a file of size 0; refusing it is a stage's business."""
    received = await taken(chunked(body([file_part(b"")])), storage)
    assert (received.size, received.sha256) == (0, hashlib.sha256().hexdigest())
    received.incoming.discard()


@settings(deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 700), max_size=30))
def test_chunks_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, places: list[int]
) -> None:
    """However a body is cut, with empty chunks between, the same file lies on the disk."""
    storage = DiskStorage.open(tmp_path_factory.getbasetemp() / "chunks")
    sent = body([Part("a", b"\r\n--"), file_part(b"\r\n" + content)])
    ends = sorted(min(place, len(sent)) for place in places)
    chunks = [sent[a:b] for a, b in zip([0, *ends], [*ends, len(sent)], strict=True)]
    received = asyncio.run(taken(chunked(*chunks), storage))
    [path] = (storage.root / "incoming").glob("*/original")
    assert path.read_bytes() == b"\r\n" + content
    assert received.sha256 == hashlib.sha256(b"\r\n" + content).hexdigest()
    received.incoming.discard()
    assert left(storage) == []


async def test_many_tiny_chunks_arrive(storage: DiskStorage) -> None:
    """Chunks of two bytes are put together in order, in batches of a bounded number."""
    content = os.urandom(20_000)
    sent = body([file_part(content)])
    held = HeldUp(storage.bodies.incoming("u1"))
    held.go.set()
    received = await taken(
        chunked(*[sent[i : i + 2] for i in range(0, len(sent), 2)]), storage, incoming=lambda: held
    )
    assert b"".join(held.written) == content
    assert len(held.written) == 10  # of 1,024 chunks
    assert received.sha256 == hashlib.sha256(content).hexdigest()


# ---- what does not


SENT = body([Part("a", b"1"), file_part(b"content" * 100), Part("b", b"2")])
TWO = body([file_part(b"1"), file_part(b"2")])


@pytest.mark.parametrize(
    ("chunks", "changes", "problem"),
    [
        ([SENT], {"content_type": "application/json"}, UnsupportedMediaType),
        ([], {}, MalformedMultipart),
        ([SENT[:-10]], {}, MalformedMultipart),
        ([SENT], {"content_type": content_type("another")}, MalformedMultipart),
        ([TWO], {}, UnexpectedPart),
        ([body([Part("a", b"1")])], {}, UnexpectedPart),
        ([SENT], {"limits": ReceiveLimits(max_upload_bytes=699)}, TooLarge),
        ([SENT], {"limits": ReceiveLimits(max_fields_bytes=3)}, TooLarge),
        ([*large(5 * MIB)], {"limits": ReceiveLimits(max_upload_bytes=4 * MIB)}, TooLarge),
        ([*large(5 * MIB)][:-1], {}, MalformedMultipart),
    ],
)
async def test_a_refused_body_leaves_nothing(
    storage: DiskStorage, chunks: list[bytes], changes: dict[str, Any], problem: type[Problem]
) -> None:
    """Every refusal has its name, and takes every byte with it."""
    with pytest.raises(problem):
        await taken(chunked(*chunks), storage, **changes)
    assert left(storage) == []


@settings(max_examples=60)
@given(
    st.integers(0, len(SENT)), st.integers(0, 5), st.binary(max_size=5), st.integers(0, len(SENT))
)
def test_a_broken_body_leaves_nothing(
    tmp_path_factory: pytest.TempPathFactory, at: int, width: int, new: bytes, cut: int
) -> None:
    """With bytes changed, dropped or added anywhere: a named problem and no file, or a file."""
    storage = DiskStorage.open(tmp_path_factory.getbasetemp() / "broken")
    sent = SENT[:at] + new + SENT[at + width :]
    try:
        received = asyncio.run(taken(chunked(sent[:cut], sent[cut:]), storage))
    except Problem:
        pass
    else:
        received.incoming.discard()
    assert left(storage) == []


async def test_every_truncation_leaves_nothing(storage: DiskStorage) -> None:
    """A body cut off at any byte is refused and gone; it is never a short file."""
    sent = body([Part("a", b"1"), file_part(b"content")])
    for length in range(len(sent) - len(b"--\r\n")):
        with pytest.raises(MalformedMultipart):
            await taken(chunked(sent[:length]), storage)
        assert left(storage) == []


async def test_nothing_is_read_beyond_a_refusal(storage: DiskStorage) -> None:
    """The chunk that makes the file too large is the last one taken."""
    read = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal read
        for chunk in large(10 * MIB):
            read += len(chunk)
            yield chunk

    with pytest.raises(TooLarge, match="limit 100000"):
        await taken(counted(), storage, limits=ReceiveLimits(max_upload_bytes=100_000))
    assert read < 100_000 + 65536 + 1000


async def test_what_ends_the_chunks_is_passed_on(storage: DiskStorage) -> None:
    """A client that leaves in the middle: its problem comes out, its bytes are gone."""

    async def leaving() -> AsyncIterator[bytes]:
        for chunk in [*large(3 * MIB)][:-1]:
            yield chunk
        raise ClientDisconnected

    with pytest.raises(ClientDisconnected):
        await taken(leaving(), storage)
    assert left(storage) == []


async def test_a_progress_that_fails_ends_the_body(storage: DiskStorage) -> None:
    """An error in the caller's own callback is not swallowed, and leaves nothing either."""

    def progress(_: int, __: str) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await taken(chunked(*large(5 * MIB)), storage, progress=progress)
    assert left(storage) == []


@pytest.mark.parametrize("problem", [Unavailable, InsufficientStorage])
async def test_a_storage_that_cannot_begin_is_told(
    storage: DiskStorage, problem: type[Problem]
) -> None:
    """Where no place can be made, its problem comes out before anything is read."""

    def incoming() -> Incoming:
        raise problem

    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("read")
        yield b""

    with pytest.raises(problem):
        await taken(unread(), storage, incoming=incoming)


async def test_a_disk_that_fills_up_is_told(tmp_path: Path) -> None:
    """A body larger than the disk: named, soon, and then the disk is as free as before."""
    mountpoint = tmp_path / "small"
    mountpoint.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", mountpoint]
    if (await anyio.run_process(mount, check=False)).returncode:
        pytest.skip("cannot mount here")
    try:
        storage = DiskStorage.open(mountpoint)
        free = storage.free_bytes()
        read = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal read
            for chunk in large(50 * MIB):
                read += len(chunk)
                yield chunk

        with pytest.raises(InsufficientStorage):
            await taken(counted(), storage)
        assert read < 7 * MIB
        assert left(storage) == []
        assert storage.free_bytes() == free
    finally:
        await anyio.run_process(["umount", mountpoint])


# ---- cancellation, by a scope and by the task itself


async def by_scope(work: Callable[[], Awaitable[object]], stop: asyncio.Event) -> None:
    async with anyio.create_task_group() as group:

        async def stopping() -> None:
            await stop.wait()
            group.cancel_scope.cancel()

        group.start_soon(stopping)
        await work()
        raise AssertionError("went on")


async def by_task(work: Callable[[], Awaitable[object]], stop: asyncio.Event) -> None:
    async def run() -> None:
        await work()

    task = asyncio.create_task(run())
    with anyio.fail_after(60):
        await stop.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("cancel", [by_scope, by_task])
@pytest.mark.parametrize("when", ["beginning", "waiting", "writing", "finishing"])
async def test_a_cancelled_body_leaves_nothing(
    storage: DiskStorage,
    cancel: Callable[[Callable[[], Awaitable[object]], asyncio.Event], Awaitable[None]],
    when: str,
) -> None:
    """Cancelled while its place is made, while it waits, or while a thread writes: all gone."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    made: list[HeldUp] = []

    def cancel_now(held: HeldUp) -> None:
        """From a thread: cancel, and go on there only when the cancellation has been seen."""
        loop.call_soon_threadsafe(stop.set)
        loop.call_soon_threadsafe(loop.call_later, 0.05, held.go.set)
        assert held.go.wait(60)

    def incoming() -> HeldUp:
        held = HeldUp(storage.bodies.incoming("u1"))
        made.append(held)
        if when == "beginning":
            cancel_now(held)
        elif when == "waiting":
            held.go.set()
        else:
            held.on_write = lambda: cancel_now(held)
        return held

    async def chunks() -> AsyncIterator[bytes]:
        for chunk in large(1000 if when == "finishing" else 10 * MIB):
            yield chunk
            if when == "waiting":
                stop.set()
                await anyio.sleep_forever()

    await cancel(lambda: taken(chunks(), storage, incoming=incoming, limits=NO_TIME), stop)
    assert len(made) == 1
    assert left(storage) == []
    assert not storage.bodies.receiving("u1")


# ---- time


async def test_a_stalled_body_is_given_up(storage: DiskStorage) -> None:
    """A client that sends no more, at the beginning or in the middle, is not waited for."""
    for first in (b"", SENT[:100]):

        async def stalling(first: bytes = first) -> AsyncIterator[bytes]:
            yield first
            await anyio.sleep_forever()

        with pytest.raises(ReceiveTimeout, match=r"0\.05 seconds"), anyio.fail_after(60):
            await taken(stalling(), storage, limits=ReceiveLimits(stall_s=0.05))
        assert left(storage) == []


async def test_a_stalled_body_leaves_its_task_as_it_was() -> None:
    """It was cancelled for that; what it does next is not, and a cancellation from elsewhere that
    comes at the same time is not lost."""
    task = asyncio.current_task()
    assert task is not None
    limits = ReceiveLimits(stall_s=0.05)

    async def stalled(*, stopped: bool) -> None:
        with SlowClientLimit(limits, time.monotonic) as client:
            client.wait()
            try:
                await anyio.sleep_forever()
            finally:
                if stopped:
                    task.cancel()

    with pytest.raises(ReceiveTimeout):
        await stalled(stopped=False)
    assert task.cancelling() == 0
    with pytest.raises(asyncio.CancelledError):
        await stalled(stopped=True)
    assert task.uncancel() == 0
    with contextlib.suppress(asyncio.CancelledError):  # the other one, delivered
        await asyncio.sleep(0)


async def test_a_dripping_body_is_given_up(storage: DiskStorage) -> None:
    """Bytes that come, but under 1 KiB/s for 30 s, are not waited for either."""
    clock = Clock()
    drops = 0

    async def dripping() -> AsyncIterator[bytes]:
        nonlocal drops
        yield body([file_part(b"")], closed=False)[:-2]
        while drops < 100:
            drops += 1
            clock.now += 1
            yield b"x" * 1000

    with pytest.raises(ReceiveTimeout, match=r"100\d bytes a second, the least is 1024"):
        await taken(dripping(), storage, clock=clock)
    assert 30 <= drops <= 34
    assert left(storage) == []


@pytest.mark.parametrize(("rate", "pause_s"), [(1100, 1), (40_000, 29)])
async def test_a_slow_body_arrives(storage: DiskStorage, rate: int, pause_s: int) -> None:
    """Just above the least rate, even in bursts with long pauses, a body may take for hours."""
    clock = Clock()
    start, end = body([file_part(b"\0")]).split(b"\0")

    async def slowly() -> AsyncIterator[bytes]:
        yield start
        for _ in range(2000):
            clock.now += pause_s
            yield b"x" * rate
        yield end

    received = await taken(slowly(), storage, clock=clock)
    assert received.size == 2000 * rate


async def test_a_fast_beginning_does_not_pay_for_a_slow_end(storage: DiskStorage) -> None:
    """The rate is that of the last 30 s, not the average since the beginning."""
    clock = Clock()

    async def fading() -> AsyncIterator[bytes]:
        for chunk in [*large(20 * MIB)][:-1]:
            clock.now += 0.01
            yield chunk
        for _ in range(40):
            clock.now += 1
            yield b"x"

    with pytest.raises(ReceiveTimeout, match="the least"):
        await taken(fading(), storage, clock=clock)


async def test_a_slow_disk_is_not_the_client_s_fault(storage: DiskStorage) -> None:
    """Time in which we did not read counts neither as a stall nor against the rate."""
    held = HeldUp(storage.bodies.incoming("u1"))
    loop = asyncio.get_running_loop()
    loop.call_later(0.3, held.go.set)
    received = await taken(
        chunked(*large(5 * MIB)),
        storage,
        incoming=lambda: held,
        limits=ReceiveLimits(stall_s=0.05, min_rate_bytes_s=MIB),
    )
    assert held.begun
    assert received.size == 5 * MIB


async def test_a_stopped_process_is_not_the_client_s_fault(
    storage: DiskStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timer that fires much too late waits once more, for what came while we stood still."""
    monkeypatch.setattr(slow_clients, "_LATE_S", 0.1)
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield SENT[:100]
        loop.call_soon(time.sleep, 0.5)  # the whole process, timers and all
        threading.Timer(0.2, lambda: loop.call_soon_threadsafe(arrived.set)).start()
        await arrived.wait()
        yield SENT[100:]

    # The event is set while the process stands still; the timer is due by then as well.
    received = await taken(chunks(), storage, limits=ReceiveLimits(stall_s=0.1))
    assert received.size == len(b"content" * 100)


async def test_without_a_least_rate_only_a_stall_counts(storage: DiskStorage) -> None:
    """A least rate of 0 lets any drip through."""
    clock = Clock()

    async def dripping() -> AsyncIterator[bytes]:
        for i in range(len(SENT)):
            clock.now += 29
            yield SENT[i : i + 1]

    received = await taken(
        dripping(), storage, clock=clock, limits=ReceiveLimits(min_rate_bytes_s=0)
    )
    assert received.size == 700


# ---- hand-over


async def test_a_slow_disk_stops_the_reading(storage: DiskStorage) -> None:
    """While a write hangs, at most two batches are taken from the client and the loop goes on."""
    held = HeldUp(storage.bodies.incoming("u1"))
    read = turns = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal read
        for chunk in large(20 * MIB):
            read += len(chunk)
            yield chunk

    async with anyio.create_task_group() as group:
        result: list[Received] = []

        async def run() -> None:
            result.append(await taken(counted(), storage, incoming=lambda: held))

        group.start_soon(run)
        await eventually(lambda: held.begun, "the first write")
        before = -1
        while read != before or turns < 100:
            before = read
            turns += 1
            await asyncio.sleep(0)
        assert 2 * MIB <= read <= 2 * MIB + 3 * 65536
        assert held.begun == 1
        held.go.set()
    assert result[0].size == 20 * MIB
    assert held.most_at_once == 1
    assert all(len(data) <= MIB + 65536 for data in held.written)


async def test_progress_tells_of_what_is_on_disk(storage: DiskStorage) -> None:
    """Never more than was written, never less than before, at every MiB, and last the whole."""
    held = HeldUp(storage.bodies.incoming("u1"))
    held.go.set()
    told: list[int] = []

    def progress(count: int, _: str) -> None:
        told.append(count)
        assert held.size >= count - 1000

    received = await taken(
        chunked(*large(10 * MIB)), storage, incoming=lambda: held, progress=progress
    )
    assert told == sorted(told)
    assert len(told) >= 10
    assert received.size == 10 * MIB
    assert told[-1] == sum(map(len, large(10 * MIB)))


async def test_a_slow_body_is_told_as_it_comes(storage: DiskStorage) -> None:
    """Long before a MiB is together, what has come is written and told; the name before it."""
    clock = Clock()
    told: list[int] = []
    names: list[str] = []

    def progress(count: int, name: str) -> None:
        told.append(count)
        names.append(name)

    sent: list[int] = []
    start, end = body([file_part(b"\0")]).split(b"\0")

    async def slowly() -> AsyncIterator[bytes]:
        total = 0
        for chunk in (start, *[b"x" * 5000] * 20, end):
            clock.now += 0.3
            total += len(chunk)
            sent.append(total)
            yield chunk
            assert told[-1:] == [total]

    await taken(slowly(), storage, clock=clock, progress=progress)
    assert told[0] == 0
    assert all(names)
    assert told[1:-1] == sent


async def test_a_small_body_is_told_once(storage: DiskStorage) -> None:
    """What comes at once is one batch, one write, and one word about all of it, after its name."""
    told: list[int] = []
    await taken(chunked(SENT), storage, progress=lambda count, _: told.append(count))
    assert told == [0, len(SENT)]


async def test_threads_come_from_where_they_should(storage: DiskStorage) -> None:
    """Bodies have their own, so that a hanging disk holds up nobody else's."""
    seen: set[int] = set()

    def incoming() -> Incoming:
        seen.add(threading.get_ident())
        return storage.bodies.incoming("u1")

    threads = Threads(1)
    job = threads.submit(threading.get_ident)
    await job.over()
    await taken(chunked(SENT), storage, incoming=incoming, threads=threads)
    assert seen == {job.result()}
    assert await blocking(threading.get_ident) not in seen


MEMORY = """
import asyncio, json, resource, sys
from pathlib import Path
from sse_progress.ingest.limits import ReceiveLimits
from sse_progress.ingest.slow_clients import SlowClientLimit
from sse_progress.ingest.multipart import MultipartForm
from sse_progress.ingest.to_disk import receive
from sse_progress.runtime.concurrency import blocking
from sse_progress.runtime.threads import Job, Threads
from sse_progress.storage.disk import DiskStorage
from tests.unit.ingest.test_to_disk import large
from tests.helpers.multipart import BOUNDARY

async def take(size):
    async def chunks():
        for chunk in large(size):
            yield chunk
    return await receive(chunks(), progress=lambda n, _: None,
        form=MultipartForm(BOUNDARY.encode(), ReceiveLimits()),
        incoming=lambda: storage.bodies.incoming("u1"), limits=ReceiveLimits())

async def main():
    peaks = []
    for size in (8 << 20, 256 << 20):
        received = await take(size)
        assert received.size == size
        received.incoming.discard()
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    print(json.dumps(peaks))

storage = DiskStorage.open(Path(sys.argv[1]))
asyncio.run(main())
"""


async def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """After 8 MiB, another 256 MiB raise the process' peak by less than 4 MiB."""
    ran = await anyio.run_process([sys.executable, "-c", MEMORY, str(tmp_path)], stderr=None)
    small, big = json.loads(ran.stdout)
    assert big - small < 4 * 1024, f"peak {small} KiB, then {big} KiB"


async def test_a_small_body_takes_one_thread(storage: DiskStorage) -> None:
    """It is begun, written and stored in one go, where its bytes come at once; a place is made for
    one that rests."""
    jobs = 0

    class Counting(Threads):
        def submit(self, call: Callable[[], Any]) -> Job:
            nonlocal jobs
            jobs += 1
            return super().submit(call)

    resting = asyncio.Event()

    async def in_two() -> AsyncIterator[bytes]:
        yield SENT[:40]
        await resting.wait()
        yield SENT[40:]

    stored: list[Received] = []
    how: dict[str, Any] = {"threads": Counting(4), "small": True, "store": stored.append}
    received = await taken(chunked(SENT), storage, **how)
    assert (jobs, stored) == (1, [received])
    received.incoming.discard()
    taking = asyncio.ensure_future(taken(in_two(), storage, **how))
    await eventually(lambda: storage.bodies.receiving("u1"), "its place is made")
    resting.set()
    (await taking).incoming.discard()
