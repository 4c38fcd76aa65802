"""sse-starlette with a queue per client: sse_starlette_server.py PORT dict|bytes.

`dict` encodes each event per client, as its examples do; with `bytes` the frame is made once.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

READY_MADE = len(sys.argv) > 2 and sys.argv[2] == "bytes"
queues: set[asyncio.Queue[Any]] = set()


async def progress(_: Request) -> EventSourceResponse:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    queues.add(queue)

    async def events() -> AsyncIterator[Any]:
        try:
            while True:
                yield await queue.get()
        finally:
            queues.discard(queue)

    return EventSourceResponse(events(), sep="\n")


async def publish(request: Request) -> Response:
    body = await request.body()
    event: Any = {"event": "progress", "data": body.decode()}
    if READY_MADE:
        event = b"event: progress\ndata: %s\n\n" % body
    else:
        event = {**event, "data": json.dumps(json.loads(body), separators=(",", ":"))}
    for queue in queues:
        queue.put_nowait(event)
    return Response(status_code=204)


app = Starlette(routes=[Route("/progress", progress), Route("/publish", publish, methods=["POST"])])

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False, backlog=4096)
