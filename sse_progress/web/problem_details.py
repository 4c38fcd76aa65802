"""Problems as HTTP answers: `application/problem+json` (RFC 9457), whatever went wrong and where.

It owns the shape of a refusal and the middleware that gives one. Which problems there are is in
errors.py; that nothing of a traceback reaches a client is decided here.
"""

from __future__ import annotations

import asyncio
import http
import re
from collections.abc import Awaitable, Mapping
from typing import Any

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sse_progress.access.tokens import InvalidToken, MissingScope
from sse_progress.model import errors
from sse_progress.model.errors import Problem
from sse_progress.model.text import clean_text

__all__ = ["CONTENT_TYPE", "Problems", "answer", "for_status", "pass_on"]

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = {429: 1, 503: 5}
"""Seconds that a client is told to wait where the problem itself does not say."""

LINGER_BYTES = 1024**2
LINGER_S = 2.0

_BY_STATUS: Mapping[int, type[Problem]] = {
    400: errors.BadRequest,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.TooLarge,
    415: errors.UnsupportedMediaType,
    500: errors.Internal,
    503: errors.Unavailable,
}


def body(problem: Problem, **members: Any) -> bytes:
    """The JSON of a problem; `members` are further ones, such as `upload` of a 409."""
    detail = clean_text(problem.detail)
    return msgspec.json.encode(
        {
            "type": "about:blank",  # `code` tells problems apart; RFC 9457 §4.2.1 wants this title
            "title": _phrase(problem.status),
            "status": problem.status,
            "detail": detail,
            "success": False,
            "error": detail,
            "code": problem.code,
            **members,
        }
    )


def answer(
    problem: Problem, *, headers: Mapping[str, str] | None = None, **members: Any
) -> Response:
    """The answer to a problem, with `Retry-After` and `WWW-Authenticate` where they are due."""
    response = Response(
        body(problem, **members),
        status_code=problem.status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type=CONTENT_TYPE,
    )
    retry_after_s = problem.retry_after_s or RETRY_AFTER_S.get(problem.status)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    if (challenge := _challenge(problem)) is not None:
        response.headers["WWW-Authenticate"] = challenge
    return response


def for_status(status: int) -> Problem:
    """The problem that a bare HTTP status stands for; one without a code of ours is named by it."""
    if (known := _BY_STATUS.get(status)) is not None:
        return known()
    phrase = _phrase(status)
    unnamed = Problem(f"{phrase}.")
    unnamed.status = status
    unnamed.code = re.sub("[^a-z]+", "_", phrase.lower())
    return unnamed


async def pass_on(request: Request, exc: Exception) -> Response:  # noqa: ARG001
    """Starlette's handler for HTTPException: none, so that `Problems` gets it.

    `Starlette(exception_handlers={HTTPException: pass_on})`; its own would answer in plain text.
    """
    raise exc


class Problems:
    """Middleware: whatever is raised inside becomes a problem's answer.

    A Problem is answered as it is, Starlette's HTTPException by its status, plain-text errors of
    responses (such as a bad Range) likewise; anything else is logged with its traceback and
    answered `internal`. A route that puts a valid id into `request.state.upload_id` finds it in
    the answer as `X-Upload-ID`.

    Any answer that is ready before the request's body has ended is sent at once, then up to 1 MiB
    or 2 s of the body are read and dropped before the connection is closed: closing on unread data
    would destroy the answer on its way (RFC 9112 §9.6).

    `send` is wrapped in a plain function, so what it returns is the server's own awaitable.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            return  # nobody is left to be told
        except Exception as exc:
            if exchange.started:
                raise  # the server logs it and cuts the connection off: the answer is not whole
            await _answer_to(exc, scope)(scope, exchange.receive, exchange.send)


class _Exchange:
    """One request and its answer: how far each has come."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.started = False
        self._scope = scope
        self._inner_receive = receive
        self._inner_send = send
        self._replacement: Response | None = None
        self._body_ended = not _has_body(scope)
        self._early = False
        # Only a request with a body pays for looking at its pieces.
        self.receive = receive if self._body_ended else self._receive

    async def _receive(self) -> Message:
        message = await self._inner_receive()
        if not message.get("more_body"):  # the last piece, or a disconnect
            self._body_ended = True
        return message

    def send(self, message: Message) -> Awaitable[None]:
        if self._replacement is not None:
            return self._replace(message)
        if message["type"] == "http.response.start":
            if _is_plain_error(message):
                self._replacement = _instead_of(message)
                return _nothing()
            self.started = True
            if not self._body_ended:
                self._early = True
                headers = [*message.get("headers", ()), (b"connection", b"close")]
                message = {**message, "headers": headers}
        elif self._early and not message.get("more_body"):
            return self._finish(message)
        return self._inner_send(message)

    async def _replace(self, message: Message) -> None:
        if message.get("more_body"):
            return
        response, self._replacement = self._replacement, None
        if response is not None:
            await response(self._scope, self.receive, self.send)

    async def _finish(self, last: Message) -> None:
        await self._inner_send({**last, "more_body": True})
        dropped = 0
        try:
            async with asyncio.timeout(LINGER_S):
                while not self._body_ended and dropped < LINGER_BYTES:
                    dropped += len((await self._receive()).get("body", b""))
        except TimeoutError:
            pass
        await self._inner_send({"type": "http.response.body", "body": b"", "more_body": False})


async def _nothing() -> None:
    pass


def _answer_to(exc: Exception, scope: Scope) -> Response:
    state = scope.get("state", {})
    headers = {"X-Upload-ID": state["upload_id"]} if "upload_id" in state else {}
    if isinstance(exc, HTTPException):
        return answer(for_status(exc.status_code), headers={**headers, **(exc.headers or {})})
    problem = _problem_in(exc)
    if problem is None:
        log.error("unexpected error", method=scope["method"], path=scope["path"], exc_info=exc)
        problem = errors.Internal()
    return answer(problem, headers=headers)


def _problem_in(exc: BaseException) -> Problem | None:
    """The problem that was raised, also through task groups; any other error hides it."""
    if isinstance(exc, BaseExceptionGroup):
        found = [_problem_in(inner) for inner in exc.exceptions]
        return None if None in found else found[0]
    return exc if isinstance(exc, Problem) else None


def _challenge(problem: Problem) -> str | None:
    """`WWW-Authenticate` (RFC 6750 §3): no `error` for a request that brought no token at all."""
    match problem:
        case InvalidToken():
            return f'Bearer error="invalid_token", error_description="{problem.detail}"'
        case MissingScope():
            return f'Bearer error="insufficient_scope", scope="{problem.scope}"'
    return "Bearer" if problem.status == 401 else None


def _is_plain_error(start: Message) -> bool:
    return start["status"] >= 400 and any(
        name.lower() == b"content-type" and value.startswith(b"text/plain")
        for name, value in start.get("headers", ())
    )


def _instead_of(start: Message) -> Response:
    """A problem's answer in place of a plain one, keeping headers such as Allow, Content-Range."""
    response = answer(for_status(start["status"]))
    ours = {name for name, _ in response.raw_headers}
    response.raw_headers += [
        (name, value) for name, value in start["headers"] if name.lower() not in ours
    ]
    return response


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Error"
