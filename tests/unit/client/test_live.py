"""The client and the commands against the real service: what they say is what holds."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from sse_progress.client import (
    AsyncClient,
    Client,
    Conflict,
    Event,
    NotAllowed,
    NotFound,
    Pace,
    UploadCancelled,
    UploadFailed,
)
from tests.client_driver import AsyncDriver, Driver, SyncDriver, bounded  # noqa: F401
from tests.cutting_proxy import CuttingProxy
from tests.helpers import media
from tests.helpers.service import Service

pytestmark = pytest.mark.usefixtures("bounded")

SECRET = "a secret for tests, of more than 32 bytes"
SOON = Pace(retry_first_s=0.05, retry_limit_s=0.3, heartbeat_s=1, opening_s=1, poll_s=0.2)


def token(sub: str = "ann", *, seconds: float = 600, **claims: Any) -> str:
    return jwt.encode({"sub": sub, "exp": time.time() + seconds, **claims}, SECRET, "HS256")


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    """A service with identity and a prefix, whose stages wait where an upload asks for it."""
    directory = Path(tempfile.mkdtemp(prefix="sp-live-"))
    environment = {
        "SSE_PROGRESS_JWT_SECRET": SECRET,
        "SSE_PROGRESS_PREFIX": "/api/media",
        "SSE_PROGRESS_MAX_UPLOAD_BYTES": "3000000",
        "SSE_PROGRESS_HEARTBEAT_S": "1",
        "SSE_PROGRESS_LEASE_S": "2",
        "SSE_PROGRESS_PIPELINE": "tests.client_stages:pipeline",
    }
    with Service(directory, environment) as service:
        yield service
    shutil.rmtree(directory)


@pytest.fixture(params=[AsyncDriver, SyncDriver], ids=["async", "sync"])
def driver(request: pytest.FixtureRequest) -> Driver:
    made: Driver = request.param()
    return made


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a photo; ü='.jpg"
    path.write_bytes(media.jpeg(320, 240, seed=os.getpid()))
    return path


@pytest.fixture
def ann(running: Service) -> Iterator[Client]:
    with Client(running.url, token=token(), pace=SOON) as client:
        yield client


def told(events: list[Event]) -> list[tuple[str | None, int | None, str]]:
    return [(event.stage, event.stage_progress, event.timestamp or "") for event in events]


def ids(url: str, upload_id: str) -> list[str]:
    """The journal's positions, by another reader."""
    import httpx

    text = httpx.get(
        f"{url}/upload/{upload_id}/progress", headers={"Authorization": f"Bearer {token()}"}
    ).text
    return [line[4:] for line in text.splitlines() if line.startswith("id: ")]


# ---- well


def test_a_picture_from_its_first_byte_to_its_files(
    driver: Driver, running: Service, ann: Client, photo: Path
) -> None:
    """Every event in order, the result, the stored file and its facts: all as they were sent."""
    heard: list[Event] = []
    result = driver.upload(
        running.url,
        photo,
        fields={"album": "Mäi", "tag": ["a", "b"]},
        on_event=heard.append,
        token=token,
        pace=SOON,
    )
    content = photo.read_bytes()
    assert (result.size, result.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (result.filename, result.content_type) == (photo.name, "image/jpeg")
    assert result.fields == {"album": "Mäi", "tag": ["a", "b"]}
    stages = list(dict.fromkeys(event.stage for event in heard))
    assert stages[:3] == ["receiving", "file_received", "validating"]
    assert stages[-2:] == ["finalizing", "complete"]
    shown = [event.progress or 0 for event in heard]
    assert shown == sorted(shown)
    assert shown[0] == 0
    assert shown[-1] == 100
    assert told(list(ann.follow(result.id))) == told(heard)
    state = ann.state(result.id)
    assert state.ended
    assert state.event() == heard[-1]
    with ann.file(result.id, result.filename) as download:
        assert b"".join(download) == content
        assert download.size == len(content)
    with pytest.raises(NotFound), ann.file(result.id, "other.jpg"):
        pass


def test_a_journal_that_is_followed_twice_and_resumed_anywhere(ann: Client) -> None:
    """From any of its positions the rest comes, and after the last one nothing."""
    result = ann.upload(io.BytesIO(b"words " * 100), filename="a.txt")
    whole = list(ann.follow(result.id))
    positions = ids(ann.url, result.id)
    assert len(positions) == len(whole)
    for n, position in enumerate(positions):
        assert list(ann.follow(result.id, last_event_id=position)) == whole[n + 1 :]
    (reset, *rest) = ann.follow(result.id, last_event_id="another-7")
    assert reset.type == "reset"
    assert reset.stage == "complete"
    assert rest == []


def test_a_stream_that_is_cut_all_the_time(driver: Driver, running: Service) -> None:
    """Through a relay that cuts every stream somewhere nothing is lost and nothing doubled."""
    heard: list[Event] = []
    steps = {"steps": "30"}
    with CuttingProxy(running.url) as proxy:
        result = driver.upload(
            proxy.url,
            io.BytesIO(b"words " * 1000),
            filename="a.txt",
            fields=steps,
            on_event=heard.append,
            token=token(),
            pace=SOON,
        )
        cuts = proxy.cuts
    assert cuts > 2
    assert told(heard) == told(driver.follow(running.url, result.id, token=token(), pace=SOON))


def test_streams_that_are_held_back_are_polled(driver: Driver, running: Service) -> None:
    """Through a relay that lets no stream pass, the state comes by ETag and `Prefer: wait`."""
    phases: list[str] = []
    heard: list[Event] = []
    with CuttingProxy(running.url, hold=True) as proxy:
        result = driver.upload(
            proxy.url,
            io.BytesIO(b"words"),
            filename="a.txt",
            fields={"steps": "20"},
            on_event=heard.append,
            on_phase=phases.append,
            token=token(),
            pace=SOON,
        )
    assert result.size == 5
    assert phases == ["polling"] or phases[-1] == "polling"
    shown = [event.progress or 0 for event in heard]
    assert shown == sorted(shown)
    assert shown[-1] == 100


def test_a_held_poll_is_answered_when_something_changes(running: Service, tmp_path: Path) -> None:
    """While a stage goes on, one poll waits; its end is told without another round of pauses."""
    go = tmp_path / "go"
    patient = Pace(opening_s=1, heartbeat_s=1, poll_s=15, retry_first_s=0.05)

    def on_event(event: Event) -> None:
        if event.stage == "analyzing":
            go.touch()

    with (
        CuttingProxy(running.url, hold=True) as proxy,
        Client(proxy.url, token=token(), pace=patient) as client,
    ):
        # An unheld poll would come back unchanged and pause for longer than this test may take.
        client.upload(
            io.BytesIO(b"x"), filename="a.txt", fields={"hold": str(go)}, on_event=on_event
        )


# ---- not well


def test_refusals(driver: Driver, running: Service, tmp_path: Path) -> None:
    """What the service refuses is the failure, with its code, and the event where there is one."""
    big = tmp_path / "big.bin"
    big.write_bytes(bytes(4_000_000))
    options: dict[str, Any] = {"token": token(), "pace": SOON}
    with pytest.raises(UploadFailed) as caught:
        driver.upload(running.url, big, **options)
    assert caught.value.code == "too_large"
    with pytest.raises(UploadFailed) as caught:
        driver.upload(running.url, io.BytesIO(b"x"), fields={"refuse": "yes"}, **options)
    assert caught.value.code == "too_loud"
    assert caught.value.event is not None
    assert caught.value.event.stage == "error"


def test_a_stream_of_unknown_length_that_is_too_large(driver: Driver, running: Service) -> None:
    """A chunked body over the limit is refused in the middle, and the client reads the answer."""

    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            return bytes(100_000)

    source: Any = Endless()
    with pytest.raises(UploadFailed) as caught:
        driver.upload(running.url, source, filename="endless", token=token(), pace=SOON)
    assert caught.value.code == "too_large"


def test_who_may_not(driver: Driver, running: Service, photo: Path) -> None:
    """No token, an old one, one without the scope, another user's upload: NotAllowed."""
    mine = driver.upload(running.url, photo, token=token("ann"), pace=SOON)
    for given, status in (
        (None, 401),
        ("rubbish", 401),
        (token(seconds=-100), 401),
        (token(scope="upload:read"), 403),
    ):
        with pytest.raises(NotAllowed) as caught:
            driver.upload(running.url, photo, token=given, pace=SOON)
        assert caught.value.status == status
    for use in (
        lambda client: client.state(mine.id),
        lambda client: client.cancel(mine.id),
        lambda client: client.upload(photo, id=mine.id),
    ):
        with pytest.raises(NotAllowed) as caught:
            driver.call(running.url, use, token=token("bob"))
        assert caught.value.code == "forbidden"
    with pytest.raises(NotAllowed):
        driver.follow(running.url, mine.id, token=token("bob"))


def test_an_id_is_used_once(driver: Driver, running: Service, photo: Path) -> None:
    """A second upload under an id is a Conflict with the first one's state, asked first or not."""
    first = driver.upload(running.url, photo, token=token(), pace=SOON)
    with pytest.raises(Conflict) as caught:
        driver.upload(running.url, photo, id=first.id, token=token(), pace=SOON)
    assert caught.value.upload is not None
    assert caught.value.upload["status"] == "complete"


def test_cancelling_at_every_moment(
    driver: Driver, running: Service, ann: Client, tmp_path: Path
) -> None:
    """In the middle of the body or of a stage the call ends; afterwards it is a Conflict."""

    def cancel_at(stage: str) -> Callable[[Event], None]:
        def on_event(event: Event) -> None:
            if event.stage == stage and (event.bytes or stage != "receiving"):
                try:
                    ann.cancel(event.upload_id)
                except (Conflict, NotFound):
                    pass

        return on_event

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 2_000_000:
                time.sleep(0.05)
            return super().read(min(size or 1000, 100_000))

    options: dict[str, Any] = {"token": token(), "pace": SOON}
    for stage, source, fields in (
        ("receiving", Slow(bytes(2_900_000)), {}),
        ("analyzing", io.BytesIO(b"x"), {"hold": str(tmp_path / "never")}),
    ):
        with pytest.raises(UploadCancelled) as caught:
            driver.upload(running.url, source, fields=fields, on_event=cancel_at(stage), **options)
        assert ann.state(caught.value.upload_id).status == "cancelled"
    done = driver.upload(running.url, io.BytesIO(b"x"), **options)
    with pytest.raises(Conflict) as late:
        ann.cancel(done.id)
    assert late.value.code == "already_finished"
    with pytest.raises(NotFound):
        ann.cancel("never-seen")


def test_the_service_dies_in_the_middle(running: Service, tmp_path: Path) -> None:
    """Web killed while a stage runs: the stream resumes, every event comes once."""
    driver, go = SyncDriver(), tmp_path / "go"
    heard: list[Event] = []

    victims = running.pids()["web"]

    def on_event(event: Event) -> None:
        heard.append(event)
        if event.stage == "analyzing" and event.stage_progress == 50 and victims:
            os.kill(victims.pop(), signal.SIGKILL)
            go.touch()

    result = driver.upload(
        running.url,
        io.BytesIO(b"x"),
        fields={"hold": str(go)},
        on_event=on_event,
        token=token(),
        pace=Pace(retry_first_s=0.05, retry_limit_s=0.3),
    )
    assert told(heard) == told(driver.follow(running.url, result.id, token=token(), pace=SOON))


def test_the_service_dies_with_the_body_in_its_hands(running: Service) -> None:
    """Web killed in the middle of the body: the journal's `server_lost` is the failure."""
    heard = threading.Event()
    victims = running.pids()["web"]

    class Stalling(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() >= 500_000 and victims and heard.wait(60):
                os.kill(victims.pop(), signal.SIGKILL)
            return super().read(100_000)

    with pytest.raises(UploadFailed) as caught:
        AsyncDriver().upload(
            running.url,
            Stalling(bytes(2_000_000)),
            on_event=lambda event: heard.set(),
            token=token(),
            pace=SOON,
        )
    assert caught.value.code == "server_lost"


# ---- all of a caller's


async def test_all_uploads_on_one_stream(running: Service) -> None:
    """Uploads that begin later come on the stream that is open already; lists go page by page."""
    async with AsyncClient(running.url, token=token("cleo"), pace=SOON) as client:
        first = await client.upload(io.BytesIO(b"1"), filename="1.txt")
        seen: dict[str, list[Event]] = {}
        ready = asyncio.Event()

        async def watch() -> None:
            async with client.follow_all() as everything:
                async for event in everything:
                    seen.setdefault(event.upload_id, []).append(event)
                    ready.set()
                    if len(seen) == 3 and all(events[-1].terminal for events in seen.values()):
                        return

        async with asyncio.TaskGroup() as group:
            group.create_task(watch())
            await ready.wait()
            later = await asyncio.gather(
                *(client.upload(io.BytesIO(b"2"), filename=f"{n}.txt") for n in range(2))
            )
        assert set(seen) == {first.id, *(one.id for one in later)}
        assert [event.type for event in seen[first.id]] == ["reset"]
        for one in later:
            events = [event async for event in client.follow(one.id)]
            live = [event for event in seen[one.id] if event.type == "progress"]
            assert told(live) == told(events)[-len(live) :]

        page = await client.uploads(limit=2)
        assert {state.upload_id for state in page.uploads} == {one.id for one in later}
        assert page.next is not None
        rest = await client.uploads(limit=2, after=page.next)
        assert [state.upload_id for state in rest.uploads] == [first.id]
        assert not (await client.uploads(status="error")).uploads


# ---- the commands


def run(running: Service, *words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sse_progress", *map(str, words)],
        env={**os.environ, "SSE_PROGRESS_URL": running.url, "SSE_PROGRESS_TOKEN": token(), **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_commands(running: Service, ann: Client, photo: Path, tmp_path: Path) -> None:
    """`upload` sends and shows, `watch` shows the same again, exit codes say how it was."""
    up = run(running, "upload", "--json", "--id", f"cli-{os.getpid()}", photo)
    assert (up.returncode, up.stderr) == (0, "")
    events = [json.loads(line) for line in up.stdout.splitlines()]
    assert events[-1]["stage"] == "complete"
    again = run(running, "watch", "--json", f"cli-{os.getpid()}")
    assert (again.returncode, again.stdout) == (0, up.stdout)
    past = run(running, "history", "--json", f"cli-{os.getpid()}")
    told = [json.loads(line) for line in past.stdout.splitlines()]
    assert (past.returncode, [event["stage"] for event in told]) == (
        0,
        [e["stage"] for e in events],
    )
    assert told[0]["id"].endswith("-1")
    lines = run(running, "history", f"cli-{os.getpid()}").stdout.splitlines()
    assert len(lines) == len(events)
    assert "100 %  complete" in lines[-1]
    unknown = run(running, "history", "never-begun")
    assert unknown.returncode == 1
    assert unknown.stderr.strip() != ""
    other = run(running, "upload", photo, tmp_path / "big.bin")
    assert other.returncode == 2
    (tmp_path / "big.bin").write_bytes(bytes(4_000_000))
    other = run(running, "upload", photo, tmp_path / "big.bin")
    assert other.returncode == 1
    assert "too_large" in other.stdout
    line = next(line for line in other.stdout.splitlines() if ": complete: " in line)
    assert f"{running.url}/upload/" in line
    denied = run(running, "upload", photo, SSE_PROGRESS_TOKEN="")
    assert denied.returncode == 1
    assert "Give a valid token" in denied.stdout
