"""Where a master is at present, asked of its Sentinels."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from sse_progress.runtime.redis.connections import Peers, pool_for
from sse_progress.runtime.redis.url import RedisUrl

__all__ = ["Sentinels"]

TIMEOUT_S = 1.0
CONNECTIONS = 4


class Sentinels:
    """The Sentinels of one URL; the one that answered last is asked first."""

    def __init__(self, url: RedisUrl) -> None:
        self._name = url.name
        self._sentinel = Sentinel([])  # type: ignore[no-untyped-call]
        self._sentinel.sentinels = [_client(url, host, port) for host, port in url.places]

    async def master(self) -> tuple[str, int]:
        """Host and port. Raises `redis.exceptions.ConnectionError` where none is known."""
        host, port = await self._sentinel.discover_master(self._name)
        return str(host), int(port)

    async def aclose(self) -> None:
        await self._sentinel.aclose()


def _client(url: RedisUrl, host: str, port: int) -> Redis:
    pool = pool_for(
        url.for_sentinels.server(host, port),
        Peers(),
        max_connections=CONNECTIONS,
        timeout=TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)
