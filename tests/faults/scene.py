"""A service with its own Redis, and uploads that stop where a test wants them to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.faults.people import Seen
from tests.helpers.multipart import Part, body, content_type, file_part
from tests.helpers.redis_server import RedisServer
from tests.helpers.service import Service
from tests.helpers.sse import EventStream, Frame, journal, read_events
from tests.helpers.waiting import eventually

TEXT = b"wind water stone tree " * 20_000

ENVIRONMENT = {
    "SSE_PROGRESS_PIPELINE": "tests.faults.stages:pipeline",
    "SSE_PROGRESS_SANDBOX": "off",  # its stages keep a tally beside the service
    "SSE_PROGRESS_WEB_PROCESSES": "2",
    "SSE_PROGRESS_LEASE_S": "2",
    "SSE_PROGRESS_HEARTBEAT_S": "1",
    # Longer than anything takes on a busy machine; what is to run out is a test's own choice.
    "SSE_PROGRESS_REDIS_WAIT_S": "60",
    "SSE_PROGRESS_SHUTDOWN_GRACE_S": "60",
    "SSE_PROGRESS_ANSWER_WAIT_S": "120",
}
HASTY = {"SSE_PROGRESS_REDIS_WAIT_S": "1", "SSE_PROGRESS_SHUTDOWN_GRACE_S": "1"}
"""Waits that run out within a test."""


class Scene:
    """One running service; `place` is where its stages keep their tallies."""

    def __init__(self, directory: Path, env: dict[str, str] | None = None) -> None:
        self.place = directory / "place"
        self.place.mkdir()
        self.sendings: list[Sending] = []
        self.redis = RedisServer(directory, append_fsync="always")
        self.service = Service(
            directory / "service",
            {**ENVIRONMENT, "SSE_PROGRESS_REDIS_URL": self.redis.url, **(env or {})},
        )

    def start(self) -> None:
        self.redis.start()
        self.service.start()

    def close(self) -> None:
        try:
            self.service.close()
        finally:
            self.redis.close()

    @property
    def url(self) -> str:
        return self.service.url

    # ---- uploads

    def sending(self, upload_id: str, *, hold: str = "", respond_async: bool = False) -> Sending:
        fields = [Part("place", str(self.place).encode())]
        if hold:
            fields.append(Part("hold", hold.encode()))
        raw = body([*fields, file_part(TEXT, "words.txt", "text/plain")])
        sending = Sending(self.url, upload_id, raw, respond_async=respond_async)
        self.sendings.append(sending)
        return sending

    def hang_up(self) -> None:
        """Close what senders still have open."""
        for sending in self.sendings:
            sending.close()
        self.sendings.clear()

    async def held(self, upload_id: str, stage: str) -> Sending:
        """An upload whose `stage` runs and waits for `go`."""
        sending = await self.sending(upload_id, hold=stage).send_all()
        await eventually(
            lambda: f"{stage} begun" in self.tally(upload_id), f"{upload_id} is in {stage}"
        )
        return sending

    def go(self, upload_id: str) -> None:
        (self.place / f"{upload_id}.go").touch()

    def tally(self, upload_id: str) -> list[str]:
        path = self.place / f"{upload_id}.tally"
        return path.read_text().splitlines() if path.exists() else []

    async def journal(self, upload_id: str) -> list[Frame]:
        """The whole journal as a late reader gets it; fails unless it ends."""
        frames = journal(await read_events(f"{self.url}/upload/{upload_id}/progress"))
        assert frames, f"{upload_id} has no events"
        assert frames[-1].terminal
        numbers = [int(str(frame.id).rpartition("-")[2]) for frame in frames]
        assert numbers == list(range(1, len(frames) + 1)), numbers
        percents = [frame.json["progress"] for frame in frames[:-1]]
        assert percents == sorted(percents), percents
        stamps = [frame.json["timestamp"] for frame in frames]
        assert stamps == sorted(stamps), stamps
        return frames

    async def state(self, upload_id: str) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:
            answer = await client.get(f"/upload/{upload_id}")
        return {"http": answer.status_code, **answer.json()}

    def files(self, *places: str) -> list[str]:
        return [file for file in self.service.files() if file.startswith(places)]

    # ---- processes

    def receivers(self) -> list[int]:
        """Web processes that have a body's file open."""
        found = []
        for pid in self.service.pids()["web"]:
            for link in Path(f"/proc/{pid}/fd").iterdir():
                try:
                    if "/incoming/" in str(link.readlink()):
                        found.append(pid)
                        break
                except FileNotFoundError:
                    continue
        return found

    def at_work(self) -> list[int]:
        """Stage processes that have an upload: they are in its scratch directory."""
        found = []
        for pid in self.service.pids()["stage"]:
            try:
                if "/scratch-" in str(Path(f"/proc/{pid}/cwd").readlink()):
                    found.append(pid)
            except OSError:
                continue
        return found

    def signal(self, pid: int, number: int) -> None:
        os.kill(pid, number)

    async def all_up(self, *, webs: int = 2, workers: int = 1) -> None:
        """As many processes as there should be, all ready."""

        def up() -> bool:
            pids = self.service.pids()
            return len(pids["web"]) == webs and len(pids["worker"]) == workers

        await eventually(up, "all processes are up")
        await self.ready()

    async def ready(self) -> None:
        async def answers() -> bool:
            try:
                async with httpx.AsyncClient(base_url=self.url, timeout=20) as client:
                    return (await client.get("/readyz")).status_code == 200
            except httpx.HTTPError:
                return False

        await eventually(answers, "the service is ready")

    # ---- Redis

    def empty_redis(self) -> None:
        """It comes back with nothing."""
        self.redis.kill()
        shutil.rmtree(self.redis.data_dir)
        self.redis.data_dir.mkdir()
        self.redis.start()

    @asynccontextmanager
    async def stopped_redis(self) -> AsyncIterator[None]:
        self.redis.stop()
        try:
            yield
        finally:
            self.redis.cont()


class Sending:
    """One POST, in as many pieces as a test likes."""

    def __init__(self, url: str, upload_id: str, raw: bytes, *, respond_async: bool) -> None:
        self.upload_id, self.raw, self.sent = upload_id, raw, 0
        self._parts = urlsplit(url)
        lines = [
            "POST /upload HTTP/1.1",
            f"Host: {self._parts.netloc}",
            f"X-Upload-ID: {upload_id}",
            f"Content-Type: {content_type()}",
            f"Content-Length: {len(raw)}",
            "Connection: close",
            *(["Prefer: respond-async"] if respond_async else []),
        ]
        self._head = "\r\n".join([*lines, "", ""]).encode()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.headers = b""

    async def send(self, count: int) -> Sending:
        """So many bytes more of the body."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(
                self._parts.hostname, self._parts.port
            )
            self._writer.write(self._head)
        self._writer.write(self.raw[self.sent : self.sent + count])
        self.sent += count
        await self._writer.drain()
        return self

    async def send_half(self) -> Sending:
        return await self.send(len(self.raw) // 2)

    async def send_all(self) -> Sending:
        return await self.send(len(self.raw) - self.sent)

    async def answer(self, *, timeout_s: float = 150) -> tuple[int, dict[str, Any]]:
        """Status and JSON; (0, {}) where the connection ended without an answer."""
        assert self._reader is not None
        assert self._writer is not None
        try:
            async with asyncio.timeout(timeout_s):
                raw = await self._reader.read()
        except ConnectionError:
            raw = b""
        self.close()
        if not raw:
            return 0, {}
        self.headers, _, rest = raw.partition(b"\r\n\r\n")
        return int(raw.split()[1]), json.loads(rest)

    def close(self) -> None:
        if self._writer is not None:
            with contextlib.suppress(RuntimeError):  # the loop of a test that failed is closed
                self._writer.close()


class Reading:
    """A reader that stays until the end, reconnecting as EventSource does."""

    def __init__(self, url: str, upload_id: str) -> None:
        self.seen = Seen(upload_id)
        self.comments = 0
        self.position: str | None = None
        self._url = f"{url}/upload/{upload_id}/progress"

    def move(self, url: str) -> None:
        """Reconnect to that service, as behind a proxy that has taken the other away."""
        self._url = f"{url}/upload/{self.seen.upload_id}/progress"

    async def run(self) -> Reading:
        while not self.seen.ended:
            headers = {"Last-Event-ID": self.position} if self.position else {}
            try:
                async with EventStream(self._url, headers=headers, timeout_s=60) as stream:
                    self.seen.connections += 1
                    if stream.status == 204:
                        self.seen.ended = "204"
                        break
                    self.seen.live = True
                    async for frame in stream:
                        self.comments += frame.comment
                        self._take(frame)
                    self.seen.cut += not (self.seen.ended or stream.clean_end)
            except (OSError, EOFError):
                self.seen.cut += 1
            self.seen.live = False
            await asyncio.sleep(0.1)
        return self

    def _take(self, frame: Frame) -> None:
        if frame.id is None:
            return
        self.position = frame.id
        self.seen.frames.append((frame, frame.json["type"] == "reset"))
        if frame.terminal:
            self.seen.ended = str(frame.stage)

    @property
    def raw(self) -> list[bytes]:
        return [frame.raw for frame, _ in self.seen.frames]

    @property
    def resets(self) -> int:
        return sum(reset for _, reset in self.seen.frames)

    def epochs(self) -> list[str]:
        """Each epoch once, in the order in which they were told."""
        told = [str(frame.id).rpartition("-")[0] for frame, _ in self.seen.frames]
        return list(dict.fromkeys(told))


@asynccontextmanager
async def reading(url: str, *upload_ids: str) -> AsyncIterator[list[Reading]]:
    """Readers beside the block; all have come to an end when it does, within 120 s."""
    readers = [Reading(url, upload_id) for upload_id in upload_ids]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(reader.run()) for reader in readers]
        try:
            await eventually(lambda: all(r.seen.live for r in readers), "the readers are there")
            yield readers
            async with asyncio.timeout(120):
                await asyncio.wait(tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            raise


def of(stage: str, frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame.stage == stage]


KILL, TERM, STOP, CONT = signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, signal.SIGCONT
