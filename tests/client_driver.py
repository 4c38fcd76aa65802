"""Both clients behind one face, so that every story is told to each of them."""

from __future__ import annotations

import asyncio
import inspect
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sse_progress.client import AsyncClient, AsyncFollow, Client, Event, Media, Pace

QUICK = Pace(
    heartbeat_s=0.3,
    opening_s=0.4,
    poll_wait_s=1,
    poll_s=0.04,
    retry_first_s=0.02,
    retry_limit_s=0.1,
    give_up_s=5,
    answer_s=0.5,
    lost_s=0.5,
)
"""Patience for a loopback server that fails on purpose."""


TEST_LIMIT_S = 120


@pytest.fixture
def bounded() -> Iterator[None]:
    """A test that would wait for ever fails instead."""

    def over(*_: object) -> None:
        raise TimeoutError(f"the test took more than {TEST_LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, TEST_LIMIT_S)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


class Driver:
    """`follow`, `upload` and any `call`, with a client of its own each time."""

    kind: str

    def call(self, url: str, use: Callable[[Any], Any], **options: Any) -> Any:
        """`use(client)`, awaited if that is what it wants."""
        raise NotImplementedError

    def follow(
        self, url: str, id: str | None = "u", *, count: int | None = None, **options: Any
    ) -> list[Event]:
        """All events of `id` (None: of all uploads), or the first `count`; `seen` collects too."""
        raise NotImplementedError

    def upload(self, url: str, file: Any, **options: Any) -> Media:
        client, options, _ = _split(options)
        media: Media = self.call(url, lambda made: made.upload(file, **options), **client)
        return media


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], list[Event]]:
    seen: list[Event] = options.pop("seen", [])
    names = ("token", "timeout", "pace", "transport", "follow_by")
    client = {name: options.pop(name) for name in names if name in options}
    return {"pace": QUICK, **client}, options, seen


class AsyncDriver(Driver):
    kind = "async"

    def call(self, url: str, use: Callable[[Any], Any], **options: Any) -> Any:
        async def main() -> Any:
            async with AsyncClient(url, **{"pace": QUICK, **options}) as client:
                result = use(client)
                return await result if inspect.isawaitable(result) else result

        return asyncio.run(main())

    def follow(
        self, url: str, id: str | None = "u", *, count: int | None = None, **options: Any
    ) -> list[Event]:
        client_options, options, seen = _split(options)

        async def use(client: AsyncClient) -> None:
            events: AsyncFollow = (
                client.follow_all(**options) if id is None else client.follow(id, **options)
            )
            async with events:
                async for event in events:
                    seen.append(event)
                    if len(seen) == count:
                        break

        self.call(url, use, **client_options)
        return seen


class SyncDriver(Driver):
    kind = "sync"

    def call(self, url: str, use: Callable[[Any], Any], **options: Any) -> Any:
        with Client(url, **{"pace": QUICK, **options}) as client:
            return use(client)

    def follow(
        self, url: str, id: str | None = "u", *, count: int | None = None, **options: Any
    ) -> list[Event]:
        client_options, options, seen = _split(options)
        with Client(url, **client_options) as client:
            events = client.follow_all(**options) if id is None else client.follow(id, **options)
            with events:
                for event in events:
                    seen.append(event)
                    if len(seen) == count:
                        break
        return seen
