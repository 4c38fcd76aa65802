"""The middleware that turns whatever is raised inside into a problem's answer.

That nothing of a traceback reaches a client is decided here; how a problem looks, in
problem_details.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from sse_progress.model import errors
from sse_progress.model.errors import Problem
from sse_progress.web.context import metrics_of
from sse_progress.web.problem_details import answer, for_status
from sse_progress.web.request_fields import has_body

__all__ = ["LINGER_BYTES", "LINGER_S", "Problems", "pass_on"]

log = structlog.get_logger(__name__)

LINGER_BYTES = 1024**2
LINGER_S = 2.0
CLOSE_REASON_BYTES = 123
"""Limit of RFC 6455 §5.5."""


async def pass_on(request: Request, exc: Exception) -> Response:  # noqa: ARG001
    """Starlette's handler for HTTPException: none, so that `Problems` gets it.

    `Starlette(exception_handlers={HTTPException: pass_on})`; its own would answer in plain text.
    """
    raise exc


class Problems:
    """Middleware: whatever is raised inside becomes a problem's answer.

    A Problem is answered as it is, Starlette's HTTPException by its status; anything else is
    logged with its traceback and answered `internal`. A route that puts a valid id into
    `request.state.upload_id` finds it in the answer as `X-Upload-ID`.

    Any answer that is ready before the request's body has ended is sent at once, then up to 1 MiB
    or 2 s of the body are read and dropped before the connection is closed: closing on unread data
    would destroy the answer on its way (RFC 9112 §9.6).

    A WebSocket handshake is refused with the same answer, where the server can send one, else with
    a bare 403. Once it is accepted, the connection is closed with a code that says whether to
    reconnect (RFC 6455 §7.4.1, and 1013 of the IANA registry).

    `send` is wrapped in a plain function, so what it returns is the server's own awaitable.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        if not exchange.body_ended:  # else its pieces are not looked at
            receive = exchange.receive
        try:
            await self._app(scope, receive, exchange.send)
        except ClientDisconnect:
            return  # there is no client to respond to
        except Exception as exc:
            if exchange.started:
                raise  # the server logs it and cuts the connection off: the answer is not whole
            await _answer_to(exc, scope)(scope, receive, exchange.send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        accepted = ended = False

        def sending(message: Message) -> Awaitable[None]:
            nonlocal accepted, ended
            accepted |= message["type"] == "websocket.accept"
            ended |= message["type"] in ("websocket.close", "websocket.http.response.start")
            return send(message)

        try:
            await self._app(scope, receive, sending)
        except (ClientDisconnect, WebSocketDisconnect):
            return
        except Exception as exc:
            if ended:
                raise
            if accepted:
                await send(_close_for(_logged_problem(exc, scope)))
            elif "websocket.http.response" in scope.get("extensions", {}):
                await _answer_to(exc, scope)(scope, receive, send)
            else:
                _logged_problem(exc, scope)
                await send({"type": "websocket.close"})


def _close_for(problem: Problem) -> Message:
    by_status = {429: 1013, 503: 1013, 500: 1011}
    code = by_status.get(problem.status, 1008)
    reason = problem.detail.encode()[:CLOSE_REASON_BYTES].decode(errors="ignore")
    return {"type": "websocket.close", "code": code, "reason": reason}


class _Exchange:
    """One request and its answer: how far each has come."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.started = False
        self._inner_receive = receive
        self._inner_send = send
        self.body_ended = not has_body(scope)
        self._early = False

    async def receive(self) -> Message:
        message = await self._inner_receive()
        if not message.get("more_body"):  # the last piece, or a disconnect
            self.body_ended = True
        return message

    def send(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.started = True
            if not self.body_ended:
                self._early = True
                headers = [*message.get("headers", ()), (b"connection", b"close")]
                message = {**message, "headers": headers}
        elif self._early and not message.get("more_body"):
            return self._finish(message)
        return self._inner_send(message)

    async def _finish(self, last: Message) -> None:
        await self._inner_send({**last, "more_body": True})
        dropped = 0
        try:
            async with asyncio.timeout(LINGER_S):
                while not self.body_ended and dropped < LINGER_BYTES:
                    dropped += len((await self.receive()).get("body", b""))
        except TimeoutError:
            pass
        await self._inner_send({"type": "http.response.body", "body": b"", "more_body": False})


def _answer_to(exc: Exception, scope: Scope) -> Response:
    state = scope.get("state", {})
    headers = {"X-Upload-ID": state["upload_id"]} if "upload_id" in state else {}
    if isinstance(exc, HTTPException):
        headers |= exc.headers or {}
    problem = _logged_problem(exc, scope)
    if (metrics := metrics_of(scope)) is not None:
        metrics.refused(problem.code)
    return answer(problem, headers=headers)


def _logged_problem(exc: Exception, scope: Scope) -> Problem:
    if isinstance(exc, HTTPException):
        return for_status(exc.status_code)
    problem = _problem_in(exc)
    if problem is None:
        method = scope.get("method", "WebSocket")
        log.error("unexpected error", method=method, path=scope["path"], exc_info=exc)
        problem = errors.Internal()
    return problem


def _problem_in(exc: BaseException) -> Problem | None:
    """The problem that was raised, also through task groups; any other error hides it."""
    if isinstance(exc, BaseExceptionGroup):
        found = [_problem_in(inner) for inner in exc.exceptions]
        return None if None in found else found[0]
    return exc if isinstance(exc, Problem) else None
