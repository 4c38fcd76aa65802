"""Events by WebSocket, against the real service: the same ones, whatever happens on the way."""

from __future__ import annotations

import asyncio
import gc
import io
import itertools
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from sse_progress.client import AsyncClient, Client, Event, NotAllowed, Pace
from sse_progress.client.talking import Talk
from tests.client_driver import Driver, bounded  # noqa: F401
from tests.cutting_proxy import CuttingProxy
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until
from tests.unit.client.test_live import SOON, ann, driver, ids, running, token, told  # noqa: F401

PATIENT = replace(SOON, opening_s=5, heartbeat_s=5)
"""A busy machine is not taken for a proxy that holds back what it should pass on."""

pytestmark = pytest.mark.usefixtures("bounded")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_websocket_that_is_cut_all_the_time(
    driver: Driver,  # noqa: F811
    running: Service,  # noqa: F811
    seed: int,
    nothing_left: None,
) -> None:
    """Nothing is lost and nothing doubled, and there is one end: what the stream tells."""
    heard: list[Event] = []
    with CuttingProxy(running.url, sockets=True, seed=seed, least=600) as proxy:
        result = driver.upload(
            proxy.url,
            io.BytesIO(b"words " * 1000),
            filename="a.txt",
            fields={"steps": "30"},
            on_event=heard.append,
            token=token(),
            pace=PATIENT,
            follow_by="ws",
        )
        assert proxy.cuts > 2
        assert proxy.opened["stream"] == 0
    assert told(heard) == told(driver.follow(running.url, result.id, token=token(), pace=PATIENT))
    assert [event.terminal for event in heard].count(True) == 1


def test_where_streams_are_held_back_a_websocket_passes(
    driver: Driver,  # noqa: F811
    running: Service,  # noqa: F811
) -> None:
    """`auto` goes over to it, and gets every event; nothing is polled."""
    heard: list[Event] = []
    phases: list[str] = []
    with CuttingProxy(running.url, hold=True) as proxy:
        result = driver.upload(
            proxy.url,
            io.BytesIO(b"words"),
            filename="a.txt",
            fields={"steps": "20"},
            on_event=heard.append,
            on_phase=phases.append,
            token=token(),
            pace=PATIENT,
            follow_by="auto",
        )
        assert (proxy.opened["stream"], proxy.opened["socket"]) == (1, 1)
    assert phases == ["live"]
    assert told(heard) == told(driver.follow(running.url, result.id, token=token(), pace=PATIENT))


def test_where_nothing_passes_the_state_is_asked_for(
    driver: Driver,  # noqa: F811
    running: Service,  # noqa: F811
) -> None:
    """A WebSocket that says nothing is given up after one try."""
    phases: list[str] = []
    with CuttingProxy(running.url, hold=True, hold_sockets=True) as proxy:
        result = driver.upload(
            proxy.url,
            io.BytesIO(b"words"),
            filename="a.txt",
            on_phase=phases.append,
            token=token(),
            pace=SOON,
            follow_by="ws",
        )
        assert proxy.opened["socket"] == 1
    assert result.size == 5
    assert phases[-1:] == ["polling"]


def test_from_any_position(driver: Driver, running: Service, ann: Client) -> None:  # noqa: F811
    """After each of them the rest comes, after the last one nothing; a foreign one is reset, and
    one in an upload that nobody knows is said to be forgotten. As by stream, all of it."""
    result = ann.upload(io.BytesIO(b"words " * 100), filename="a.txt")
    positions = ids(ann.url, result.id)

    def both(id: str, position: str) -> tuple[list[Event], list[Event]]:
        by_stream, by_socket = (
            driver.follow(running.url, id, last_event_id=position, token=token(), follow_by=way)
            for way in ("sse", "ws")
        )
        return by_stream, by_socket

    for position in (positions[0], positions[-2], positions[-1], "another-7"):
        by_stream, by_socket = both(result.id, position)
        assert by_socket == by_stream
    for position in ("another-7", "gone-0"):
        by_stream, by_socket = both("nobody-knows-it", position)
        assert [event.error for event in by_socket] == [event.error for event in by_stream]


def test_who_may_not(driver: Driver, running: Service, ann: Client) -> None:  # noqa: F811
    """What a stream is refused for a WebSocket is refused for, with the same code."""
    mine = ann.upload(io.BytesIO(b"words"), filename="a.txt")
    for given in (None, "rubbish", token(seconds=-100), token(scope="upload:write"), token("bob")):
        codes = []
        for way in ("sse", "ws"):
            with pytest.raises(NotAllowed) as caught:
                driver.follow(running.url, mine.id, token=given, pace=SOON, follow_by=way)
            codes.append((caught.value.status, caught.value.code))
        assert codes[0] == codes[1]


def test_a_token_is_renewed_on_the_open_connection(
    driver: Driver,  # noqa: F811
    running: Service,  # noqa: F811
    tmp_path: Path,
) -> None:
    """The connection outlives the token that it was opened with."""
    go, given = tmp_path / "go", 0

    def give() -> str:
        nonlocal given
        given += 1
        if given == 1:
            return token(seconds=4)
        threading.Timer(5, go.touch).start()  # when the first one has run out
        return token()

    with (
        Client(running.url, token=token(), pace=SOON) as sender,
        CuttingProxy(running.url, sockets=True, times=0) as proxy,
    ):
        fields = {"hold": str(go)}
        sending = threading.Thread(
            target=lambda: sender.upload(
                io.BytesIO(b"x"), id=f"renewed-{driver.kind}", filename="a.txt", fields=fields
            )
        )
        sending.start()
        heard = driver.follow(
            proxy.url, f"renewed-{driver.kind}", token=give, pace=SOON, follow_by="ws"
        )
        sending.join()
        assert proxy.opened["socket"] == 1
    assert heard[-1].terminal
    assert given == 2


# ---- leaving


def sockets() -> int:
    """How many this process has."""
    links = [fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    return sum(str(link).startswith("socket:") for link in links)


def open_transports() -> list[object]:
    gc.collect()
    found = [one for one in gc.get_objects() if issubclass(type(one), asyncio.Transport)]
    return [one for one in found if not one.is_closing()]


@pytest.fixture
def held(running: Service, tmp_path: Path) -> Iterator[str]:  # noqa: F811
    """An upload that stays in the middle of a stage while the test lasts."""
    go, upload_id = tmp_path / "go", f"held-{os.urandom(6).hex()}"
    answer = httpx.post(
        f"{running.url}/upload",
        files={"file": ("a.txt", b"words")},
        data={"hold": str(go)},
        headers={
            "Authorization": f"Bearer {token()}",
            "X-Upload-ID": upload_id,
            "Prefer": "respond-async",
        },
    )
    assert answer.status_code == 202
    yield upload_id
    go.touch()


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """No socket, thread or warning of this test, also not when garbage is collected."""
    gc.collect()
    before, threads = sockets(), threading.active_count()
    complaints: list[str] = []
    hook = sys.unraisablehook
    sys.unraisablehook = lambda one: complaints.append(f"{one.object!r}: {one.exc_value!r}")
    try:
        yield
        wait_until(lambda: threading.active_count() <= threads, "the threads ended")
        gc.collect()
        assert complaints == []
        assert sockets() <= before
    finally:
        sys.unraisablehook = hook


async def cancelled(client: AsyncClient, id: str, turns: int | None, again: int | None) -> None:
    """Follow `id`, and cancel that after so many turns of the loop (None: after the first event),
    `again` turns later once more."""
    heard = asyncio.Event()

    async def follow() -> None:
        async for _ in client.follow(id):
            heard.set()

    async def pass_by(count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    task = asyncio.create_task(follow())
    await (heard.wait() if turns is None else pass_by(turns))
    task.cancel()
    if again is not None:
        await pass_by(again)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_follow_that_is_cancelled_leaves_nothing(
    running: Service,  # noqa: F811
    held: str,
    nothing_left: None,
) -> None:
    """At any moment, once or twice. One that is live lets go of its connection at once."""
    others, before = asyncio.all_tasks(), open_transports()
    async with AsyncClient(running.url, token=token(), pace=PATIENT, follow_by="ws") as client:
        for again in (None, 0, 1, 2, 3, 4):
            await cancelled(client, held, None, again)
            assert asyncio.all_tasks() == others
        await asyncio.sleep(0)
        assert [one for one in open_transports() if one not in before] == []
        for turns, again in itertools.product(range(0, 40, 2), (None, 0, 1, 2, 4)):
            await cancelled(client, held, turns, again)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == others
    assert [one for one in open_transports() if one not in before] == []


def test_iterations_that_are_broken_off_leave_nothing(
    driver: Driver,  # noqa: F811
    running: Service,  # noqa: F811
    held: str,
    nothing_left: None,
) -> None:
    """A loop that is left, a follow that nobody closes, and a client that is closed first."""
    options: dict[str, Any] = {"token": token(), "pace": PATIENT, "follow_by": "ws"}
    for count in (1, 2):
        assert len(driver.follow(running.url, held, count=count, **options)) == count

    def once(client: Any) -> Any:
        follow = client.follow(held)
        return next(follow) if driver.kind == "sync" else anext(follow)

    assert driver.call(running.url, once, **options).upload_id == held


def test_a_thread_that_waits_is_woken(
    running: Service,  # noqa: F811
    held: str,
    nothing_left: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`close` in another thread ends it, in the middle of the wait for a message."""
    quiet = replace(PATIENT, heartbeat_s=300)  # it does not look up by itself
    with Client(running.url, token=token(), pace=quiet, follow_by="ws") as client:
        follow = client.follow(held)
        seen: list[Event] = []
        reached = threading.Event()

        def read() -> None:
            for event in follow:
                seen.append(event)
                if event.stage == "analyzing" and event.stage_progress == 50:
                    reached.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert reached.wait(60)
        later: list[bytes] = []

        def heard(talk: Talk, data: bytes) -> Iterator[bytes]:
            later.append(data)
            return before(talk, data)

        before = Talk.heard
        monkeypatch.setattr(Talk, "heard", heard)
        follow.close()
        reader.join(60)
        assert not reader.is_alive()
        assert not any(later)  # such as the service's next ping
    assert not seen[-1].terminal


def test_a_service_that_is_killed_leaves_nothing(
    driver: Driver,  # noqa: F811
    running: Service,  # noqa: F811
    tmp_path: Path,
    nothing_left: None,
) -> None:
    """Nor does it cost or double an event: the next process goes on after the last one."""
    go = tmp_path / "go"
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
        filename="a.txt",
        fields={"hold": str(go)},
        on_event=on_event,
        token=token(),
        pace=Pace(retry_first_s=0.05, retry_limit_s=0.3),
        follow_by="ws",
    )
    assert not victims
    assert told(heard) == told(driver.follow(running.url, result.id, token=token(), pace=PATIENT))
