"""Events by WebSocket, against the real service: the same ones, whatever happens on the way."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sse_progress.client import Client, Event, NotAllowed
from sse_progress.client.sockets import Renewal
from tests.client_driver import Driver, bounded  # noqa: F401
from tests.cutting_proxy import CuttingProxy
from tests.helpers.service import Service
from tests.unit.client.test_live import SOON, driver, running, token, told  # noqa: F401

PATIENT = replace(SOON, opening_s=5, heartbeat_s=5)
"""A busy machine is not taken for a proxy that holds back what it should pass on."""

pytestmark = pytest.mark.usefixtures("bounded")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_websocket_that_is_cut_all_the_time(
    driver: Driver,  # noqa: F811
    running: Service,  # noqa: F811
    seed: int,
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


def test_a_bad_token_is_said(driver: Driver, running: Service) -> None:  # noqa: F811
    """The refusal is the one of a stream."""
    with pytest.raises(NotAllowed) as caught:
        driver.follow(running.url, "an-upload", token="none", pace=SOON, follow_by="ws")
    assert caught.value.code == "unauthenticated"


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


def test_when_a_token_is_renewed() -> None:
    """Half a minute before its end, a short one halfway; what gives the same one is asked again."""
    at = time.time()
    tokens = [token(seconds=100), token(seconds=100), token(seconds=3600)]
    renewal = Renewal(lambda: tokens.pop(0), tokens.pop(0), now=lambda: at)
    assert renewal.in_s() == pytest.approx(70, abs=1)
    assert renewal.message() is None
    at += 71
    tokens.insert(0, renewal._sent)
    assert renewal.message() is None
    assert renewal.in_s() == 5
    at += 5
    assert '"auth"' in (renewal.message() or "")
    assert Renewal("fixed", "fixed", now=lambda: at).in_s() is None
    assert Renewal(lambda: "no JWT", "no JWT", now=lambda: at).in_s() is None
