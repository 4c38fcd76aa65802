"""The usual way with Redis: sse-starlette, and a redis-py subscription for every client.

pubsub_per_client_server.py PORT REDIS_URL
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import uvicorn
from redis.asyncio import ConnectionPool, Redis
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

redis = Redis(connection_pool=ConnectionPool.from_url(sys.argv[2], max_connections=20_000))


async def progress(request: Request) -> EventSourceResponse:
    topic = request.path_params["topic"]

    async def events() -> AsyncIterator[bytes]:
        async with redis.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(f"ch:{topic}")
            yield b": ok\n\n"
            async for message in subscription.listen():
                yield message["data"]

    return EventSourceResponse(events(), sep="\n")


app = Starlette(routes=[Route("/upload/{topic}/progress", progress)])

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False, backlog=4096)
