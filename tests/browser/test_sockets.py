"""The ES module in a browser over WebSockets, where it is told to, or streams are held back."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
from playwright.sync_api import BrowserContext, Page

from tests.browser.gates import Gates
from tests.browser.sdk import start
from tests.browser.test_client import (
    FOLLOW,
    gated,
    journal,
    upload,
    wait_for_phase,
    wait_for_stage,
)
from tests.browser.users import User
from tests.cutting_proxy import CuttingProxy
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until


def wait_for_link(page: Page, name: str) -> None:
    wait_until(lambda: page.evaluate("window.client.link") == name, name)


def test_behind_a_proxy_that_holds_streams_back_every_event_comes_by_socket(
    faulty: BrowserContext, paced: Service, user: User, gates: Gates
) -> None:
    """`auto` finds the WebSocket by itself, and goes on after cuts: each event once, in order."""
    with CuttingProxy(paced.url, hold=True, sockets=True, least=900, most=1200, times=2) as proxy:
        page = faulty.new_page()
        page.goto(proxy.url + "/api")
        start(page)
        page.evaluate(FOLLOW, "by-socket")
        wait_for_link(page, "live")
        gates.open_all()
        httpx.post(
            f"{paced.url}/upload",
            files={"file": ("a.txt", gated(gates).encode())},
            headers={"X-Upload-ID": "by-socket", **user.headers},
        ).raise_for_status()
        wait_for_phase(page, "by-socket", "done")
        assert page.evaluate("window.events") == journal(paced, user, "by-socket")
        assert proxy.cuts > 0
        assert proxy.opened == {"stream": 1, "socket": 1 + proxy.cuts}


def test_many_uploads_share_one_socket(blank: Page, gates: Gates) -> None:
    """`ws` opens one for all of them, and no stream."""
    opened: list[str] = []
    blank.on("websocket", lambda socket: opened.append(socket.url))
    start(blank, {"transport": "ws"})
    upload(blank, gates, *[f"socket-{n}" for n in range(3)])
    for n in range(3):
        wait_for_stage(blank, f"socket-{n}", "validating")
    gates.open_all()
    for n in range(3):
        wait_for_phase(blank, f"socket-{n}", "done")
    assert len(opened) == 1


def test_a_socket_gets_a_new_token_before_the_old_one_runs_out(
    contexts: Callable[..., BrowserContext], paced: Service, user: User, gates: Gates
) -> None:
    """No connection is lost to it, and no address has a token in it."""
    page = contexts(faulty=True).new_page()
    page.goto(paced.url + "/api")
    opened: list[str] = []
    page.on("websocket", lambda socket: opened.append(socket.url))
    given: list[str] = []

    def give() -> str:
        given.append(user.token(600 if opened else 5))
        return given[-1]

    page.expose_function("giveToken", give)
    start(page, given="transport: 'ws', token: () => giveToken()")
    page.evaluate(FOLLOW, "renewed-in-band")
    wait_for_link(page, "live")
    ends_at = time.time() + 5
    httpx.post(
        f"{paced.url}/upload",
        files={"file": ("a.txt", gated(gates).encode())},
        headers={"X-Upload-ID": "renewed-in-band", "Prefer": "respond-async", **user.headers},
    ).raise_for_status()
    # Asked of the page, since Playwright answers its calls for tokens inside its own calls only.
    wait_until(
        lambda: page.evaluate("Date.now() / 1000") > ends_at + 2,
        "the first token has run out",
        timeout_s=20,
    )
    gates.open_all()
    wait_for_phase(page, "renewed-in-band", "done")
    assert "reconnecting" not in page.evaluate("window.links")
    assert opened == [paced.url.replace("http", "ws") + "/ws"]
