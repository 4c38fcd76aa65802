"""A small real server that speaks the contract from a script, faults and all: test equipment.

It runs uvicorn on a free loopback port in a thread of its own. One upload's journal is given as
events; how each request is answered is a list of turns, of which the last one stays. What the
clients asked is kept in `requests`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qs

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sse_progress.model.events import as_reset, encode_json, with_status
from sse_progress.model.sse import connected, frame
from sse_progress.model.stage_table import DEFAULT_TABLE, percent

EPOCH = "7f3a"

How = Literal["end", "cut", "abort", "hold"]
"""In good order; without the last chunk (FIN); with RST; open until the client leaves."""


def event(stage: str, stage_progress: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "type": "progress",
        "uploadId": "u",
        "progress": percent(stage, stage_progress),
        "stage": stage,
        "message": f"In {stage}",
        "timestamp": "2026-01-15T10:30:00.000Z",
        "stageProgress": stage_progress,
        **more,
    }


MEDIA = {
    "id": "u",
    "filename": "photo.jpg",
    "contentType": "image/jpeg",
    "size": 3,
    "sha256": "ab" * 32,
    "fields": {"album": "May"},
    "url": "/upload/u/files/photo.jpg",
    "files": [{"name": "t.jpg", "contentType": "image/jpeg", "size": 2, "url": "/x", "new": 1}],
    "analysis": {"kind": "image", "width": 2},
    "moderation": {"verdict": "approved", "notChecked": ["malware"]},
    "createdAt": "2026-01-15T10:30:00.000Z",
    "later": True,
}

STORY = [
    event("receiving", 0, bytes=0, total=300),
    event("receiving", 50, bytes=150, total=300),
    event("receiving", 100, bytes=300, total=300),
    event("file_received", 100),
    event("validating", 0),
    event("validating", 100),
    event("analyzing", 0),
    event("analyzing", 38),
    event("analyzing", 100),
    event("complete", 100, media=MEDIA),
]

REFUSED = [
    *STORY[:5],
    event(
        "error",
        message="The file holds malware.",
        error={"code": "malware", "detail": "The file holds malware.", "stage": "validating"},
    ),
]


@dataclass(frozen=True)
class Play:
    """A stream: `count` events after the client's position (all, if None), then an end.

    `torn` bytes of the next frame go out before that. `deaf` ignores the client's position;
    `raw` replaces the journal by bytes; `quiet` leaves the first frame away; `reset` announces
    the latest event as a reset first.
    """

    count: int | None = None
    then: How = "end"
    torn: int = 0
    deaf: bool = False
    quiet: bool = False
    reset: bool = False
    raw: Sequence[bytes] | None = None
    content_type: str = "text/event-stream"
    retry_ms: int = 20


@dataclass(frozen=True)
class Answer:
    """A whole answer; `hold` waits with it until the client leaves; `then` may cut it off."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/problem+json"
    then: How = "end"

    @classmethod
    def problem(cls, status: int, code: str, detail: str = "No.", **more: Any) -> Answer:
        headers = {name: str(more.pop(name)) for name in ("retry-after",) if name in more}
        body = {"success": False, "error": detail, "detail": detail, "code": code, **more}
        return cls(status, body, headers)


@dataclass(frozen=True)
class Receive:
    """A POST: read `limit_bytes` of the body (all, if None), then answer, or end without one."""

    answer: Answer | None = None
    limit_bytes: int | None = None
    then: How = "end"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]

    @property
    def streams(self) -> bool:
        return self.path.endswith("/progress") and "json" not in self.headers.get("accept", "")


class _Protocol(H11Protocol):
    transports: ClassVar[dict[Any, asyncio.Transport]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transports[transport.get_extra_info("peername")] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transports.pop(self.transport.get_extra_info("peername"), None)
        super().connection_lost(exc)


class _Server(uvicorn.Server):
    """Ends at once, with every connection and handler: a test is over."""

    async def main_loop(self) -> None:
        await self.on_tick(0)
        self.over = asyncio.Event()
        self.ready()
        await self.over.wait()

    ready = staticmethod(lambda: None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # asyncio loses a connection that was accepted in the turn in which its server closes.
        loop = asyncio.get_running_loop()
        for server in self.servers:
            for listening in server.sockets:
                loop.remove_reader(listening.fileno())
        turns = 0
        while self.server_state.connections or turns < 5:
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            for task in list(self.server_state.tasks):
                task.cancel()
            await asyncio.sleep(0)
            turns += 1
        for server in self.servers:
            server.close()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)


class Gone(Exception):
    """This connection was ended on purpose."""


class FakeService:
    """`streams`, `posts`, `polls`: turns for GET progress, POST, and GET progress as JSON.

    Events from index `gate` on wait until a body has arrived; those from `cancel_gate` on until a
    DELETE (which `deletes` answers otherwise). A poll without a turn of its own answers the state
    after one event more than the last. POSTs wait for each other until `together` are there.
    """

    def __init__(
        self,
        journal: Iterable[dict[str, Any]] = STORY,
        *,
        streams: Sequence[Play | Answer] = (Play(),),
        posts: Sequence[Receive] = (Receive(),),
        polls: Sequence[Answer | None] = (None,),
        gate: int | None = None,
        cancel_gate: int | None = None,
        known: bool = False,
        deletes: Answer | None = None,
        together: int = 1,
    ) -> None:
        self.journal = list(journal)
        self.requests: list[Request] = []
        self.bodies: list[bytes] = []
        self.received_bytes = 0
        self.known = known
        self.file = b"x" * 100_000
        self.page: dict[str, Any] = {"uploads": []}
        self.gate, self.cancel_gate = gate, cancel_gate
        self._known_ids: set[str] = set()
        self.deletes, self.together = deletes, together
        self.turns: dict[str, list[Any]] = {
            "stream": list(streams),
            "post": list(posts),
            "poll": list(polls),
        }
        self._shown = 0
        # With the protocol named, asyncio turns Nagle's algorithm off on what it accepts.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._ready = threading.Event()

    # ---- its life

    def __enter__(self) -> FakeService:
        config = uvicorn.Config(
            self._app,
            http=_Protocol,
            ws="none",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            log_level="critical",
        )
        self._server = _Server(config)
        self._server.ready = self._ready.set
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._server.over.set)
        self._thread.join(60)
        assert not self._thread.is_alive()
        self._socket.close()

    def _run(self) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._stored, self._cancelled = asyncio.Event(), asyncio.Event()
            self._barrier = asyncio.Barrier(self.together)
            self._socket.listen(100)
            await self._server.serve(sockets=[self._socket])

        asyncio.run(main())

    def let_go(self) -> None:
        """What waits for a DELETE goes on without one."""
        self._loop.call_soon_threadsafe(self._cancelled.set)

    def asked(self, method: str, *, streams: bool | None = None) -> list[Request]:
        return [
            request
            for request in self.requests
            if request.method == method and streams in (None, request.streams)
        ]

    # ---- its answers

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        query = parse_qs(scope["query_string"].decode())
        request = Request(scope["method"], scope["path"], query, headers)
        self.requests.append(request)
        wire = _Wire(scope, receive, send)
        try:
            await self._route(request, wire)
        except Gone:
            pass

    async def _route(self, request: Request, wire: _Wire) -> None:
        match request.method, request.path:
            case "POST", "/upload":
                await self._barrier.wait()
                await self._receive(wire, request)
            case "GET", "/uploads":
                await wire.answer(Answer(200, self.page, content_type="application/json"))
            case "GET", path if path.endswith("/history"):
                told = {"uploadId": "u", "events": self.journal}
                await wire.answer(Answer(200, told, content_type="application/json"))
            case "GET", path if path.endswith("/progress"):
                if request.streams:
                    await self._stream(wire, request)
                else:
                    await self._poll(wire, request)
            case "GET", path if "/files/" in path:
                if not path.endswith("/files/photo.jpg"):
                    await wire.answer(Answer.problem(404, "not_found"))
                    return
                await wire.answer(Answer(200, self.file, content_type="image/jpeg"))
            case "GET", _:
                known = self.known or request.path.rpartition("/")[2] in self._known_ids
                await wire.answer(self._state() if known else _UNKNOWN)
            case "DELETE", _ if self.deletes is not None:
                await wire.answer(self.deletes)
            case "DELETE", _:
                if self.journal and _ends(self.journal[-1]) and self.cancel_gate is None:
                    await wire.answer(Answer.problem(409, "already_finished"))
                    return
                self._cancelled.set()
                await wire.answer(Answer(204))

    def _turn(self, kind: str) -> Any:
        turns = self.turns[kind]
        return turns.pop(0) if len(turns) > 1 else turns[0]

    async def _receive(self, wire: _Wire, request: Request) -> None:
        turn = self._turn("post")
        body = bytearray()
        async for chunk in wire.body():
            self.received_bytes += len(chunk)
            if len(body) < 1 << 20:
                body += chunk
            if turn.limit_bytes is not None and self.received_bytes >= turn.limit_bytes:
                break
        self.bodies.append(bytes(body))
        if turn.then != "end":
            self._stored.set()
            await wire.end(turn.then)
        if turn.answer is None:
            self._known_ids.add(request.headers["x-upload-id"])
            self._stored.set()
            text = {"success": True, "uploadId": "u", "status": "processing"}
            await wire.answer(Answer(202, text, content_type="application/json"))
            return
        await wire.answer(turn.answer)
        self._stored.set()

    async def _stream(self, wire: _Wire, request: Request) -> None:
        turn = self._turn("stream")
        if isinstance(turn, Answer):
            await wire.answer(turn)
            return
        start = 0
        presented = request.headers.get("last-event-id", "")
        if presented.startswith(f"{EPOCH}-") and not turn.deaf:
            start = int(presented.rpartition("-")[2])
        if start and start == len(self.journal) and _ends(self.journal[-1]):
            await wire.answer(Answer(204))
            return
        await wire.start(200, turn.content_type)
        if not turn.quiet:
            await wire.send(connected("u", "Here", retry_ms=turn.retry_ms))
        if turn.raw is not None:
            for piece in turn.raw:
                await wire.send(piece)
            await wire.end(turn.then)
        if turn.reset:
            start = len(self.journal)
            await wire.send(frame(as_reset(encode_json(self.journal[-1])), id=f"{EPOCH}-{start}"))
        stop = len(self.journal) if turn.count is None else start + turn.count
        for index in range(start, min(stop, len(self.journal))):
            await self._pass(index)
            await wire.send(self._frame(index))
        if turn.torn and stop < len(self.journal):
            await wire.send(self._frame(stop)[: turn.torn])
        await wire.end(turn.then)

    async def _pass(self, index: int) -> None:
        if self.gate is not None and index >= self.gate:
            await self._stored.wait()
        if self.cancel_gate is not None and index >= self.cancel_gate:
            await self._cancelled.wait()

    def _frame(self, index: int) -> bytes:
        return frame(encode_json(self.journal[index]), id=f"{EPOCH}-{index + 1}")

    async def _poll(self, wire: _Wire, request: Request) -> None:
        turn = self._turn("poll")
        if turn is not None:
            await wire.answer(turn)
            return
        self._shown = min(self._shown + 1, len(self.journal))
        tag = f'"{EPOCH}-{self._shown}"'
        if request.headers.get("if-none-match") == tag:
            await wire.answer(Answer(304))
            return
        await wire.answer(self._state(self._shown, {"ETag": tag}))

    def _state(self, shown: int = 1, headers: dict[str, str] | None = None) -> Answer:
        state = with_status(encode_json(self.journal[shown - 1]))
        return Answer(200, state, headers or {}, content_type="application/json")


_UNKNOWN = Answer.problem(404, "unknown_upload", "No upload has this id.")


def _ends(event: dict[str, Any]) -> bool:
    return DEFAULT_TABLE[event["stage"]].terminal


class _Wire:
    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self._receive, self._send = receive, send
        self._transport = _Protocol.transports[scope["client"]]

    async def body(self) -> Any:
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Gone
            more = message["more_body"]
            yield message["body"]

    async def start(self, status: int, content_type: str, **headers: str) -> None:
        fields = {"content-type": content_type, **headers}
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(k.lower().encode(), v.encode()) for k, v in fields.items()],
            }
        )

    async def send(self, data: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def answer(self, answer: Answer) -> None:
        if answer.then == "hold":
            await self._left()
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        if answer.status in (204, 304):
            body = b""
        headers = {"Content-Length": str(len(body)), **answer.headers}
        await self.start(answer.status, answer.content_type, **headers)
        if answer.then != "end":
            await self.send(body[: len(body) // 2])
            await self.end(answer.then)
        await self.send(body, more=False)

    async def end(self, how: How) -> None:
        """End the answer or the connection as told, and the handler with it."""
        if how == "hold":
            await self._left()
        if how == "end":
            await self.send(b"", more=False)
            raise Gone
        if how == "abort":
            linger = struct.pack("ii", 1, 0)
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._transport.abort()
        self._transport.close()
        raise Gone

    async def _left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        raise Gone
