"""clamd over its socket: a real daemon where that is possible, a scripted one for its moods."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import anyio
import msgspec
import pytest

from sse_progress.model.errors import Rejected, problem_for
from sse_progress.model.stage_api import Upload
from sse_progress.stages.scans import instream
from sse_progress.stages.scans.clamd import scan_with_clamd
from tests.helpers.media import noise
from tests.unit.stages.clamd_server import EICAR, STREAM_LIMIT_BYTES, Clamd
from tests.unit.stages.helpers import Desk, Reports
from tests.unit.stages.test_archives import zipped

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def clamd(session_dir: Path) -> Iterator[Clamd]:
    folder = session_dir / "clamd"
    folder.mkdir()
    server = Clamd(folder)
    server.start()
    yield server
    server.close()


def asking(desk: Desk, content: bytes | Path, address: str, *, fail: str = "closed") -> Upload:
    options = msgspec.structs.replace(desk.options, clamd=address, clamd_fail=fail)
    return desk.upload(content, "a.bin", options=options)


# ---- a real one


async def test_a_clean_file(desk: Desk, clamd: Clamd) -> None:
    """A clean file passes, and progress counts the bytes sent."""
    reports = Reports()
    content = noise(STREAM_LIMIT_BYTES - 100)
    result = await scan_with_clamd(asking(desk, content, clamd.address), reports)
    assert result == {"checks": ["malware scan by clamd"]}
    reports.assert_honest()
    assert sum(text.startswith("Sent ") for text in reports.messages) == 4
    assert "Sent 0.5 of 1.0 MB to the malware scanner" in reports.messages


@pytest.mark.parametrize(
    "content", [EICAR, zipped({"a.txt": b"fine", "eicar.com": EICAR})], ids=["file", "zip"]
)
async def test_eicar(desk: Desk, clamd: Clamd, content: bytes) -> None:
    """The scanner test file is `malware` by clamd's own name, alone and inside a zip."""
    with pytest.raises(Rejected) as caught:
        await scan_with_clamd(asking(desk, content, clamd.address), Reports())
    assert caught.value.code == "malware"
    assert "Eicar-Test-Signature" in caught.value.detail


async def test_beyond_its_size_limit(desk: Desk, clamd: Clamd) -> None:
    """A file beyond StreamMaxLength is refused by name, or told as not checked; never a crash."""
    content = noise(40 * STREAM_LIMIT_BYTES)
    with pytest.raises(Rejected) as caught:
        await scan_with_clamd(asking(desk, content, clamd.address), Reports())
    assert (caught.value.code, "larger" in caught.value.detail) == ("moderation_refused", True)
    result = await scan_with_clamd(asking(desk, content, clamd.address, fail="open"), Reports())
    assert result == {"notChecked": ["malware scan by clamd (the file is larger than it accepts)"]}


async def test_many_at_once(desk: Desk, clamd: Clamd) -> None:
    """Scans side by side keep their own answers."""
    uploads = [
        asking(desk, EICAR if number % 2 else noise(5000, seed=number), clamd.address)
        for number in range(12)
    ]
    answers = await asyncio.gather(
        *(scan_with_clamd(upload, Reports()) for upload in uploads), return_exceptions=True
    )
    assert [isinstance(answer, Rejected) for answer in answers] == [False, True] * 6


# ---- its absence and its moods


async def test_without_a_setting_nothing_is_asked(desk: Desk) -> None:
    """No clamd configured: no connection, no result, no note."""
    assert await scan_with_clamd(desk.upload(b"x", "a"), Reports()) == {}


@contextlib.asynccontextmanager
async def scripted(script: Script, short_dir: Path) -> AsyncIterator[str]:
    """A server that does what `script` says with each connection."""
    tasks: list[asyncio.Task[None]] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            await script(reader, writer)
        writer.transport.abort()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        tasks.append(asyncio.ensure_future(serve(reader, writer)))

    path = short_dir / "clamd"
    async with await asyncio.start_unix_server(connected, path):
        yield f"unix:{path}"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(10)
    writer.transport.abort()


async def is_busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(10)
    writer.write(b"COMMAND READ TIMED OUT\0")
    await writer.drain()


async def talks_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"x" * 200_000)
    await writer.drain()


async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


async def never_reads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


@pytest.mark.parametrize("script", [hangs_up, is_busy, talks_nonsense, never_answers, never_reads])
async def test_every_failure_fails_as_configured(
    desk: Desk, short_dir: Path, monkeypatch: pytest.MonkeyPatch, script: Script
) -> None:
    """Whatever goes wrong: closed ends the upload with `unavailable` (503), open is told."""
    monkeypatch.setattr(instream, "_REPLY_S", 0.3)
    monkeypatch.setattr(instream, "_SEND_S", 0.3)
    content = noise(8 * 1024 * 1024)
    async with scripted(script, short_dir) as address:
        with pytest.raises(Rejected) as caught:
            await scan_with_clamd(asking(desk, content, address), Reports())
        assert caught.value.code == "unavailable"
        assert problem_for(caught.value.code).status == 503
        result = await scan_with_clamd(asking(desk, content, address, fail="open"), Reports())
    assert result == {"notChecked": ["malware scan by clamd (it does not answer)"]}


@pytest.mark.parametrize("address", ["unix:/nowhere/clamd", "127.0.0.1:1", "nonsense"])
async def test_nobody_there(desk: Desk, address: str) -> None:
    """An address where nobody listens, or that is none, is an absent clamd."""
    with pytest.raises(Rejected) as caught:
        await scan_with_clamd(asking(desk, b"x", address), Reports())
    assert caught.value.code == "unavailable"
    result = await scan_with_clamd(asking(desk, b"x", address, fail="open"), Reports())
    assert result["notChecked"]


async def test_over_tcp(desk: Desk) -> None:
    """`host:port` is understood, and the file arrives in chunks, each after its length."""
    received = bytearray()

    async def clamd_like(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(10) == b"zINSTREAM\0"
        while size := int.from_bytes(await reader.readexactly(4), "big"):
            received.extend(await reader.readexactly(size))
        writer.write(b"stream: Bad\x1b[31m\nName FOUND\0")
        await writer.drain()
        writer.close()

    content = noise(600_000)
    async with await asyncio.start_server(clamd_like, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        with pytest.raises(Rejected) as caught:
            await scan_with_clamd(asking(desk, content, f"{host}:{port}"), Reports())
    assert bytes(received) == content
    assert caught.value.code == "malware"
    assert caught.value.detail == "The malware scanner found Bad [31m Name."


async def test_cancelling_closes_the_connection(desk: Desk, short_dir: Path) -> None:
    """A cancelled scan, by its task or its scope, leaves no connection and no task behind."""
    asked, closed = asyncio.Event(), asyncio.Event()

    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        try:
            await never_answers(reader, writer)
        finally:
            closed.set()

    async with scripted(waits, short_dir) as address:
        upload = asking(desk, b"x", address)
        before = asyncio.all_tasks()
        scan = asyncio.ensure_future(scan_with_clamd(upload, Reports()))
        await asyncio.wait_for(asked.wait(), 60)
        scan.cancel()
        with pytest.raises(asyncio.CancelledError):
            await scan
        await asyncio.wait_for(closed.wait(), 60)

        asked.clear()
        closed.clear()
        told: list[set[asyncio.Task[object]]] = []

        async def scans(scope: anyio.CancelScope) -> None:
            with scope:
                try:
                    await scan_with_clamd(upload, Reports())
                finally:
                    told.append(asyncio.all_tasks())

        scope = anyio.CancelScope()
        scan = asyncio.ensure_future(scans(scope))
        await asyncio.wait_for(asked.wait(), 60)
        scope.cancel()
        await scan
        await asyncio.wait_for(closed.wait(), 60)
        left = [task for task in told[0] - before if "_read_reply" in repr(task)]
        assert left == []


@pytest.mark.parametrize("by", ["task", "scope"])
async def test_cancelling_while_the_file_is_opened(desk: Desk, short_dir: Path, by: str) -> None:
    """A scan that is cancelled while its file is opened closes it; no garbage collector has to."""
    fifo = short_dir / "fifo"  # opened for reading, it waits until somebody opens it for writing
    os.mkfifo(fifo)
    asked = asyncio.Event()

    async def hears(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(10) == b"zINSTREAM\0"
        asked.set()
        await never_answers(reader, writer)

    async def scans(upload: Upload, scope: anyio.CancelScope) -> None:
        with scope:
            await scan_with_clamd(upload, Reports())

    async with scripted(hears, short_dir) as address:
        upload = msgspec.structs.replace(asking(desk, b"x", address), path=str(fifo))
        scope = anyio.CancelScope()
        scan = asyncio.ensure_future(scans(upload, scope))
        await asyncio.wait_for(asked.wait(), 60)
        if by == "task":
            scan.cancel()
        else:
            scope.cancel()
        await asyncio.sleep(0)
        assert not scan.done()
        await open_and_close(fifo)
        await asyncio.wait([scan], timeout=60)
        assert scan.done()
        assert scan.cancelled() == (by == "task")
        assert descriptors(fifo) == []


async def open_and_close(fifo: Path) -> None:
    """For writing, as soon as somebody is there to read."""
    for _ in range(6000):
        try:
            return os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            await asyncio.sleep(0.01)
    raise AssertionError("nobody opened the file")


def descriptors(path: Path) -> list[int]:
    """What this process has open of `path`."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the listing's own
            if descriptor.samefile(path):
                found.append(int(descriptor.name))
    return found
