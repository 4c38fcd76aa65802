"""`WS /ws`: who may open one, what a client may say, and how it is answered.

It is accepted before it is refused, so that a browser can read why: 1008 (do not come back), 1013
(later), 1001 (come back at once). See RFC 6455 §7.4.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import anyio
import msgspec
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from sse_progress.access.principal import Principal
from sse_progress.model.errors import (
    BadRequest,
    InvalidUploadId,
    Problem,
    RateLimited,
    TooManyStreams,
    TooManySubscriptions,
    Unauthenticated,
)
from sse_progress.model.ids import GONE, Position, valid_upload_id
from sse_progress.model.labels import Labels
from sse_progress.web.callers import Access
from sse_progress.web.context import WebContext
from sse_progress.web.streams.websocket import Socket

__all__ = ["ROUTES"]

SUBPROTOCOL = "sse-progress.v1"
AUTH_WAIT_S = 5.0
MESSAGES_PER_S = 20


class _Said(msgspec.Struct, rename="camel"):
    """A client's message; what is not known is ignored."""

    type: str
    token: str = ""
    upload_id: str = ""
    last_event_id: str = ""
    all: bool = False
    kind: str | None = None
    context: dict[str, str] = {}
    batch_id: str | None = None

    def labels(self) -> Labels:
        labels = Labels(kind=self.kind, context=self.context, batch_id=self.batch_id)
        labels.check()
        return labels


async def follow(websocket: WebSocket) -> None:
    context: WebContext = websocket.app.state.context
    access: Access = websocket.app.state.access
    offered = websocket.scope.get("subprotocols", [])
    await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
    if context.busy:
        raise TooManyStreams(retry_after_s=10)
    principal = await _principal(websocket, access)
    lease = await context.limits.stream(principal.account)
    components, settings, streams = context.components, context.settings, context.streams
    socket = Socket(
        websocket,
        principal,
        emitter=components.emitter,
        recent=context.recent,
        background=components.background,
        places=streams.places,
        lifetime_s=settings.stream_lifetime_s,
        slow_s=settings.slow_reader_s,
        heartbeat_s=settings.heartbeat_s,
    )
    streams.open.add(socket)
    streams.wheel.put(socket, asyncio.get_running_loop().time() + 1)
    components.metrics.streams.inc()
    try:
        await socket.deliver({"type": "connected", "message": "Connected to upload progress"})
        await _serve(websocket, socket, access)
    finally:
        components.metrics.streams.inc(-1)
        streams.wheel.drop(socket)
        streams.open.discard(socket)
        socket.left()
        lease.release()


async def _principal(websocket: WebSocket, access: Access) -> Principal:
    """By the handshake, else by a first message. Raises Unauthenticated or Forbidden."""
    if (principal := await access.socket(websocket)) is not None:
        return principal
    try:
        with anyio.fail_after(AUTH_WAIT_S):
            said = _read(await websocket.receive())
    except TimeoutError:
        raise Unauthenticated("No token came within 5 s.") from None
    except BadRequest:
        raise Unauthenticated("The first message has to bring a token.") from None
    if said.type != "auth":
        raise Unauthenticated("The first message has to bring a token.")
    return await access.bearer(websocket, said.token)


async def _serve(websocket: WebSocket, socket: Socket, access: Access) -> None:
    """Answer messages until either side ends it. Raises what closes it."""
    listening = asyncio.ensure_future(_listen(websocket, socket, access))
    try:
        await asyncio.wait((listening, socket.closed), return_when=asyncio.FIRST_COMPLETED)
        if socket.closed.done():
            await socket.close()
        else:
            listening.result()
    finally:
        listening.cancel()


async def _listen(websocket: WebSocket, socket: Socket, access: Access) -> None:
    now = asyncio.get_running_loop().time
    times: deque[float] = deque(maxlen=MESSAGES_PER_S)
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if len(times) == MESSAGES_PER_S and now() - times[0] < 1:
            socket.end(1008, f"More than {MESSAGES_PER_S} messages a second.")
            return
        times.append(now())
        if message.get("text") is None:
            socket.end(1008, "Messages are JSON in text frames.")
            return
        said: _Said | None = None
        try:
            said = _read(message)
            await _answer(websocket, said, socket, access)
        except (Unauthenticated, RateLimited):
            raise
        except Problem as problem:
            about = {"uploadId": said.upload_id} if said is not None and said.upload_id else {}
            await socket.deliver(
                {"type": "error", "code": problem.code, "detail": problem.detail, **about}
            )


def _read(message: Any) -> _Said:
    """Raises BadRequest for what is not a message of this protocol."""
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005), message.get("reason"))
    try:
        return msgspec.json.decode(message.get("text") or "", type=_Said)
    except msgspec.DecodeError:
        raise BadRequest("A message has to be a JSON object with a type.") from None


async def _answer(websocket: WebSocket, said: _Said, socket: Socket, access: Access) -> None:
    match said.type:
        case "ping":
            await socket.deliver({"type": "pong"})
        case "auth":
            socket.renew(await access.bearer(websocket, said.token))
            await socket.deliver({"type": "connected", "message": "The token is accepted"})
        case "subscribe" if said.all:
            labels = said.labels()
            await socket.deliver({"type": "subscribed", "all": True})
            socket.subscribe_all(labels)
        case "subscribe":
            if not valid_upload_id(said.upload_id):
                raise InvalidUploadId
            if socket.full:
                raise TooManySubscriptions
            await socket.deliver({"type": "subscribed", "uploadId": said.upload_id})
            cursor = Position.parse(said.last_event_id) if said.last_event_id else None
            if cursor == GONE:
                about = {"uploadId": said.upload_id, "reason": "unknown_upload"}
                await socket.deliver({"type": "unsubscribed", **about})
            else:
                socket.subscribe(said.upload_id, cursor=cursor)
        case "unsubscribe" if said.all:
            socket.unsubscribe_all()
            await socket.deliver({"type": "unsubscribed", "all": True, "reason": "requested"})
        case "unsubscribe":
            socket.unsubscribe(said.upload_id)
            await socket.deliver(
                {"type": "unsubscribed", "uploadId": said.upload_id, "reason": "requested"}
            )
        case _:
            raise BadRequest("This type of message is not known.")


ROUTES = [WebSocketRoute("/ws", follow)]
