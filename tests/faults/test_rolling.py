"""A rolling restart of the whole service: nobody outside sees more than a stream that resumes."""

from __future__ import annotations

import signal
from pathlib import Path

import anyio
import httpx

from tests.helpers.service import Service
from tests.helpers.sse import EventStream, Frame, journal
from tests.wire.words import check_journal, journal_of, new_id, post


async def test_sighup_costs_no_request_and_no_event(tmp_path: Path) -> None:
    """Every new connection is answered all the while; an open stream ends whole, and resumes."""
    with Service(tmp_path) as service:
        before = service.pids()
        upload_id = new_id()
        url = f"{service.url}/upload/{upload_id}/progress"
        assert service.process is not None
        async with EventStream(url) as stream:
            service.process.send_signal(signal.SIGHUP)
            with anyio.fail_after(60):
                while "all processes are new" not in service.log:
                    async with httpx.AsyncClient(timeout=30) as client:
                        assert (await client.get(f"{service.url}/healthz")).status_code == 200
            seen: list[Frame] = [frame async for frame in stream]
            assert stream.clean_end
            assert journal(seen) == []
        after = service.pids()
        assert not set(after["web"]) & set(before["web"])
        assert not set(after["worker"]) & set(before["worker"])
        with httpx.Client(base_url=service.url, timeout=60) as client:
            assert post(client, upload_id).status_code == 200
        frames = await journal_of(service, upload_id)
        check_journal(frames)
