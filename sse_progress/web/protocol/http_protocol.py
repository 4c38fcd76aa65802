"""uvicorn's HTTP/1.1 protocol with bounds: on time, on bytes, on what counts as a request.

It owns everything before a request reaches the application and has no ASGI form: heads that drip,
swell or smuggle, idle connections, trailers, and the plain-text answers to all that. Given to
uvicorn as `http=HttpProtocol`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, ClassVar

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    RequestResponseCycle,
)

from sse_progress.access.connections import Connections
from sse_progress.model.errors import (
    BadRequest,
    HeadTooLarge,
    Problem,
    ReceiveTimeout,
    UriTooLong,
)
from sse_progress.runtime.descriptors import UNLIMITED, Descriptors
from sse_progress.web.http_responses import Unchunked
from sse_progress.web.middlewares.problem_middleware import LINGER_BYTES, LINGER_S
from sse_progress.web.peers import Peers
from sse_progress.web.problem_details import answer
from sse_progress.web.protocol.connection import Connection
from sse_progress.web.protocol.rest import Rest
from sse_progress.web.protocol.sending import Sending
from sse_progress.web.protocol.small_chunks import SmallChunks
from sse_progress.web.request_fields import fields_of

__all__ = ["HttpProtocol"]


def _sending_by(send: Unchunked, app: ASGI3Application) -> ASGI3Application:
    def application(scope: Any, receive: Any, _: Any) -> Awaitable[None]:
        return app(scope, receive, send)  # type: ignore[arg-type]

    return application


class HttpProtocol(Connection):
    """One connection. The bounds are class attributes, so that a test can make them small.

    What breaks one is answered with a problem, if the connection's next answer is due to it, and
    the connection is closed. A connection without a request is closed without a response.
    """

    head_limit_s: ClassVar[float] = 10
    """From the connection, or the first byte of a further request, to the end of its head."""
    head_limit_bytes: ClassVar[int] = 64 * 1024
    """A head; also trailers, and whatever else comes in one go without being body."""
    target_limit_bytes: ClassVar[int] = 16 * 1024
    header_limit: ClassVar[int] = 100
    pipeline_limit: ClassVar[int] = 16
    """Requests that may wait for the answer to the one before."""

    small_chunks_per_s: ClassVar[int] = 10_000
    """Pieces of a body under 512 bytes that a connection may send; reading pauses after more."""

    young_s: ClassVar[float] = 1
    """For so long from its beginning a connection without a request outlives the server's end: one
    may be on its way."""
    draining: ClassVar[bool] = False
    """The process is to end: each response is its connection's last."""
    descriptors: ClassVar[Descriptors] = UNLIMITED
    """Those of this process; near their limit a connection is closed at once."""
    peers: ClassVar[Peers] = Peers("*", Connections(0))
    """Which of them are counted, and how many there may be."""

    __slots__ = (
        *("_began_at", "_deadline", "_extension", "_head_bytes", "_headers_left", "_in_head"),
        *("_not_body_bytes", "_place", "_problem", "_refused", "_running", "_small"),
    )

    _extension: dict[object, object]
    """What an application may take that ASGI has no form for: `send` without the middlewares, once
    the answer has begun; `write`, of `Sending`, for chunks of it; `rest`, a `Rest`, for what is
    left of it after them; `inform`, for interim responses before it; `abort`, which ends a
    connection whose client has stopped reading. `peer` is its address."""

    # ---- time

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None
        self._refused = self._in_head = False
        self._not_body_bytes = self._head_bytes = 0
        self._problem: Problem | None = None
        self._small: SmallChunks | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.descriptors.connections += 1
        self._began_at = self.loop.time()
        self._place = self.peers.place(self.client)
        if self._place.problem is not None:
            self._refuse(self._place.problem)
        elif self.descriptors.refuse_connection() or not self._place.given:
            transport.close()
        else:
            self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        self.flow.close()
        self.descriptors.connections -= 1
        self._place.leave()
        super().connection_lost(exc)
        self._tell_running()

    def _start_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.head_limit_s, self._head_is_late)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _head_is_late(self) -> None:
        self._deadline = None
        if self._in_head and not self.transport.is_closing():
            self._refuse(
                ReceiveTimeout(f"The request head took longer than {self.head_limit_s:g} s.")
            )
        else:
            self.transport.close()

    def _answering(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        extension: Any = cycle.scope["extensions"]["sse_progress"]
        if cycle.scope["http_version"] == "1.0":
            extension["send"] = unchunked = Unchunked(cycle)
            super()._start_asgi_task(cycle, _sending_by(unchunked, app))
        else:
            sending = Sending(cycle)
            extension["send"], extension["write"] = sending.send, sending.write
            extension["inform"] = sending.inform
            # It leads back to the scope that it is in, with all that belongs to the request.
            extension["rest"] = rest = Rest(cycle, tasks=self.tasks, over=extension.clear)
            rest.start(app, sending.send, self.loop)

    def _tell_running(self) -> None:
        """End the wait of the request in progress.

        uvicorn notifies only its latest request, so a client could leave a stream behind for good:
        it sends one more request and goes away.
        """
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def shutdown(self) -> None:
        young_s = self._began_at + self.young_s - self.loop.time()
        if self.cycle is None and young_s > 0:
            self.loop.call_later(young_s, super().shutdown)
        else:
            super().shutdown()

    # ---- bytes

    def data_received(self, data: bytes) -> None:
        self._not_body_bytes += len(data)
        if self._refused:
            if self._not_body_bytes > LINGER_BYTES:
                self.transport.close()
            return
        super().data_received(data)
        if self._small is not None:
            self._pass_on_small()
            if self._small.count > 1:
                self.flow.hold(self._small.count / self.small_chunks_per_s)
            self._small.count = 0
        if self._refused or self.transport.is_closing():
            return
        if self._not_body_bytes > self.head_limit_bytes:
            self._refuse(self._too_large())
        elif self._unguarded():
            self._start_deadline()

    def _unguarded(self) -> bool:
        """Nothing is being answered and no timer runs: any byte, be it of an empty line, stops
        uvicorn's own. While something is answered, a head behind it may take its time."""
        return (
            not self._answering()
            and self.timeout_keep_alive_task is None
            and self in self.connections  # not so any more after a switch to WebSocket
        )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._extension = {"abort": self.transport.abort, "peer": self.client}
        self.scope["extensions"] = {"sse_progress": self._extension}
        self._in_head, self._headers_left = True, self.header_limit
        self._not_body_bytes = self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self.target_limit_bytes:
            self._fail(
                UriTooLong(
                    f"The request target is over {self.target_limit_bytes} bytes, the limit."
                )
            )

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > self.head_limit_bytes:
            self._fail(self._too_large())
        if not self._in_head:
            return  # trailers: uvicorn would add them to the headers of a request in progress
        if self._headers_left == 0:
            self._fail(HeadTooLarge(f"The request has more than {self.header_limit} headers."))
        self._headers_left -= 1
        name, value = name.lower(), value.rstrip(b" \t")  # llhttp leaves it (RFC 9110 §5.5)
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))  # as uvicorn's, whose call each header would pay for

    def on_headers_complete(self) -> None:
        self._check_head()
        self._stop_deadline()
        self._in_head = False
        self._not_body_bytes = self._head_bytes = 0
        super().on_headers_complete()
        upgrades = self.parser.should_upgrade()
        if upgrades and self._should_upgrade():
            return
        if upgrades or self.draining:
            # httptools takes what follows an upgrade for the new protocol's, and there is none.
            self.cycle.keep_alive = False

    def _should_upgrade(self) -> bool:
        """An offer of HTTP/1.0 is ignored (RFC 9110 §7.8)."""
        return self.parser.get_http_version() != "1.0" and super()._should_upgrade()

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        self.transport.get_protocol().place = self._place  # type: ignore[attr-defined]

    def on_body(self, body: bytes) -> None:
        self._not_body_bytes = 0
        if self._small is None:
            self._small = SmallChunks()
        if not self._small.keeps(body):
            self._pass_on_small()
            self._pass_on(body)

    def _pass_on_small(self) -> None:
        """Give small pieces of a body on as one."""
        if self._small is not None and (body := self._small.take()):
            self._pass_on(body)

    def _pass_on(self, body: bytes) -> None:
        """To the request. A piece that finds nothing waiting is taken as it is, at most what one
        read brings (256 KiB): uvicorn would copy it twice, and stop and start reading for each."""
        cycle = self.cycle
        if cycle.body or cycle.response_complete or self.parser.should_upgrade():
            if isinstance(cycle.body, bytes):
                cycle.body = bytearray(cycle.body)
            super().on_body(body)
            return
        cycle.body = body  # type: ignore[assignment]  # `receive` makes bytes of it
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._not_body_bytes = 0
        if self._small is not None:
            self._pass_on_small()
        super().on_message_complete()

    def _check_head(self) -> None:
        """What llhttp lets pass and a proxy may read in another way (RFC 9112 §3.2, §6, §11.2)."""
        scope: Any = self.scope
        fields = fields_of(scope)
        hosts = len(fields.get(b"host", ()))
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            self._fail(BadRequest(f"The request has {hosts} Host headers, needs one."))
        codings = fields.get(b"transfer-encoding")
        if codings and (
            codings[0].strip().lower() != b"chunked" or self.parser.get_http_version() == "1.0"
        ):
            self._fail(BadRequest("No transfer coding but chunked of HTTP/1.1 is understood."))
        if self.parser.should_upgrade() and (codings or b"content-length" in fields):
            self._fail(BadRequest("A request with a body cannot ask for an upgrade."))
        if self.parser.should_upgrade() and self._should_upgrade() and self._answering():
            self._fail(BadRequest("The request before this one is not answered yet."))
        if len(self.pipeline) >= self.pipeline_limit:
            self._fail(BadRequest("Too many requests were sent ahead of their answers."))

    # ---- refusals

    def _too_large(self) -> Problem:
        return HeadTooLarge(f"The request head is over {self.head_limit_bytes} bytes, the limit.")

    def _fail(self, problem: Problem) -> None:
        """End the parsing: uvicorn then calls `send_400_response`."""
        self._problem = problem
        raise problem

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        self._refuse(self._problem or BadRequest("This is not a well-formed HTTP/1.1 request."))

    def _refuse(self, problem: Problem) -> None:
        """Answer if that cannot be mistaken, then hear the client out for a moment and close."""
        answers = self._next_answer_is_its()
        self._refused = True
        self._stop_deadline()
        if not answers and self._running is not None and self._is_whole(self._running):
            # Such as a body without a length behind its request: dropped, and the response is last.
            self._running.keep_alive = False
            self._not_body_bytes = 0
            return
        self._tell_running()
        if not answers:
            self.transport.close()
            return
        self.transport.write(self._answer(problem))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._not_body_bytes = 0
        self._deadline = self.loop.call_later(LINGER_S, self.transport.close)

    def _is_whole(self, cycle: RequestResponseCycle) -> bool:
        """The request has arrived, its response is the next and has not begun."""
        return not (cycle.more_body or cycle.response_started or self.pipeline)

    def _next_answer_is_its(self) -> bool:
        """Whether an answer sent now is taken for the answer to the refused request."""
        if self._running is None or self._running.response_complete:
            return True
        return not (self._in_head or self.pipeline or self._running.response_started)

    def _answer(self, problem: Problem) -> bytes:
        response = answer(problem, headers={"Connection": "close"})
        fields = [*self.server_state.default_headers, *response.raw_headers]
        lines = [b"%b: %b\r\n" % field for field in fields]
        return b"".join([STATUS_LINE[problem.status], *lines, b"\r\n", bytes(response.body)])

    def _unsupported_upgrade_warning(self) -> None:
        pass  # an offer that is not taken is nothing to warn about (RFC 9110 §7.8)
