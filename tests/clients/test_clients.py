"""Clients that people use follow a real upload, cut in the middle; their ids are the journal's."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cutting_proxy import CuttingProxy
from tests.helpers.media import jpeg
from tests.helpers.service import Service
from tests.helpers.sse import journal, read_events

HERE = Path(__file__).parent
CLIENTS = {
    "eventsource": ["node", str(HERE / "follow.mjs"), "eventsource"],
    "launchdarkly-eventsource": ["node", str(HERE / "follow.mjs"), "launchdarkly-eventsource"],
    "@microsoft/fetch-event-source": [
        "node", str(HERE / "follow.mjs"), "@microsoft/fetch-event-source",
    ],
    "react-native-sse": ["node", str(HERE / "follow.mjs"), "react-native-sse"],
    "httpx-sse": [sys.executable, str(HERE / "follow_httpx_sse.py")],
}  # fmt: skip


@pytest.fixture
def running(usual_service: Service) -> Service:
    return usual_service


async def told_of(
    service: Service, proxy: CuttingProxy, upload_id: str, command: list[str]
) -> list[dict[str, Any]]:
    """What `command` prints of an upload that is sent once it asks for it."""
    following = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with httpx.AsyncClient(timeout=60) as sender:
            answer = await sender.post(
                f"{service.url}/upload",
                files={"file": ("photo.jpg", jpeg(1600, 1200))},
                headers={"X-Upload-ID": upload_id},
            )
        assert answer.status_code == 200
        out, err = await asyncio.wait_for(following.communicate(), 60)
    finally:
        if following.returncode is None:
            following.kill()
            await following.wait()
    assert following.returncode == 0, err.decode()
    assert proxy.cuts > 0
    return [json.loads(line) for line in out.decode().splitlines()]


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_reads_the_journal_over_cuts(running: Service, client: str) -> None:
    """Connected before the upload begins and cut on the way: every id once and in order."""
    upload_id = f"client-{list(CLIENTS).index(client)}"
    # fetch-event-source takes a frame's id before its data is there, so a cut in the middle of a
    # frame makes it miss that one: a fault of its own, kept out of here.
    whole = client == "@microsoft/fetch-event-source"
    with CuttingProxy(running.url, least=900, most=1800, times=2, whole_frames=whole) as proxy:
        command = [*CLIENTS[client], f"{proxy.url}/upload/{upload_id}/progress"]
        told = await told_of(running, proxy, upload_id, command)
    frames = journal(await read_events(f"{running.url}/upload/{upload_id}/progress"))
    assert [event["id"] for event in told] == [frame.id for frame in frames]
    assert {event["type"] for event in told} == {"progress"}


@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_the_module_reads_the_journal_over_cuts(running: Service, transport: str) -> None:
    """By stream and by WebSocket, each cut twice: every event once, in order, as in the journal."""
    upload_id, sockets = f"module-{transport}", transport == "ws"
    node = ["node", "--experimental-websocket", "--no-warnings", str(HERE / "follow_module.mjs")]
    with CuttingProxy(running.url, least=900, most=1800, times=2, sockets=sockets) as proxy:
        told = await told_of(running, proxy, upload_id, [*node, proxy.url, upload_id, transport])
        assert proxy.opened["stream" if sockets else "socket"] == 0
    frames = journal(await read_events(f"{running.url}/upload/{upload_id}/progress"))
    assert told == [frame.json for frame in frames]
