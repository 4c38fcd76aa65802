"""A thousand connections that drip, at once."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.attacks.hostile_load import dripping, honest
from tests.helpers.processes import open_files, resident_bytes
from tests.helpers.service import Service
from tests.helpers.waiting import eventually

CONNECTIONS = 1000
GROWTH_BYTES = 128 * 1024**2


async def test_a_thousand_dripping_connections(service: Callable[..., Service]) -> None:
    """Everybody else is answered, memory stays small, and when they leave nothing of them is left.

    A quarter each drips heads and bodies, waits on streams, and says nothing.
    """
    one = service({"SSE_PROGRESS_LOG_LEVEL": "error"})
    web = one.pids()["web"][0]
    memory, files = resident_bytes(web), open_files(web)
    with dripping(one.url, CONNECTIONS):
        await eventually(
            lambda: open_files(web) >= files + CONNECTIONS * 0.9, "they are all there", timeout_s=60
        )
        times = await honest(one.url, times_each=20, rate=10)
        assert [len(values) for values in times.values()] == [20, 20, 20]
        assert resident_bytes(web) - memory < GROWTH_BYTES
    await eventually(lambda: open_files(web) < files + 50, "their connections are closed")
    await eventually(
        lambda: not [path for path in one.files() if path.startswith("incoming/")],
        "their bodies are gone",
    )
    listed = httpx.get(f"{one.url}/uploads?status=receiving&limit=200").json()["uploads"]
    assert listed == []
    assert httpx.get(f"{one.url}/readyz").status_code == 200
