"""The usual way: sse-starlette, a queue per client, each event encoded per client as a dict."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator

import uvicorn
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

queues: set[asyncio.Queue[dict[str, object]]] = set()


async def progress(_: Request) -> EventSourceResponse:
    queue: asyncio.Queue[dict[str, object]] = asyncio.Queue()
    queues.add(queue)

    async def events() -> AsyncIterator[dict[str, str]]:
        try:
            yield {"data": "{}"}
            while True:
                event = await queue.get()
                yield {"id": str(event["n"]), "data": json.dumps(event)}
        finally:
            queues.discard(queue)

    return EventSourceResponse(events(), sep="\n")


async def publish(request: Request) -> Response:
    event = await request.json()
    for queue in queues:
        queue.put_nowait(event)
    return Response(status_code=204)


app = Starlette(routes=[Route("/progress", progress), Route("/publish", publish, methods=["POST"])])

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
