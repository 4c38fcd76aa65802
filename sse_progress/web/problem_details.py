"""Problems as HTTP answers: `application/problem+json` (RFC 9457), whatever went wrong and where.

It owns the shape of a refusal. Which problems there are is in model/errors; the middleware that
answers what was raised is in problem_middleware.
"""

from __future__ import annotations

import http
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from sse_progress.access.principal import InvalidToken, MissingScope
from sse_progress.model import errors
from sse_progress.model.errors import HttpProblem, Problem
from sse_progress.model.text import clean_text
from sse_progress.web.dialects import tus

__all__ = ["CONTENT_TYPE", "answer", "body", "for_status"]

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = {429: 1, 503: 5}
"""Seconds of `Retry-After` where the problem itself has none."""

_RFC_9110 = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
"""Names of statuses (§15.5) that Python before 3.13 has from older RFCs."""

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
            "type": "about:blank",  # `code` is what differs; RFC 9457 §4.2.1 wants this title
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
    if isinstance(problem, errors.UnsupportedTusVersion):
        response.headers["Tus-Version"] = tus.VERSION  # which tus asks of every 412
    if (challenge := _challenge(problem)) is not None:
        response.headers["WWW-Authenticate"] = challenge
    return response


def for_status(status: int) -> Problem:
    """The problem that a bare HTTP status stands for; one without a code of ours is named by it."""
    if (known := _BY_STATUS.get(status)) is not None:
        return known()
    return HttpProblem(status, _phrase(status))


def _challenge(problem: Problem) -> str | None:
    """`WWW-Authenticate` (RFC 6750 §3): no `error` for a request that brought no token at all."""
    match problem:
        case InvalidToken():
            return f'Bearer error="invalid_token", error_description="{problem.detail}"'
        case MissingScope():
            return f'Bearer error="insufficient_scope", scope="{problem.scope}"'
    return "Bearer" if problem.status == 401 else None


def _phrase(status: int) -> str:
    if named := _RFC_9110.get(status):
        return named
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Error"
