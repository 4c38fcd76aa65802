"""Operations of the service's description (OpenAPI 3.1): how a route describes what it does.

Each route declares its operation with its handler; openapi makes the document from all of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from sse_progress.model.errors import PROBLEMS
from sse_progress.model.ids import UPLOAD_ID_PATTERN

__all__ = [
    "BYTES",
    "DELIVERY_ID",
    "FRAMES",
    "ID",
    "IF_NONE_MATCH",
    "LABELS",
    "DescribedRoute",
    "Object",
    "allow_together",
    "binary_answer",
    "header",
    "json_answer",
    "not_modified",
    "operation",
    "query",
    "ref",
    "service_operation",
]

Object = dict[str, Any]


class DescribedRoute(Route):
    """A route with one method and the operation that describes it."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response]],
        *,
        method: str = "GET",
        operation: Object,
    ) -> None:
        super().__init__(path, endpoint, methods=[method])
        self.method = method
        self.allowed = self.methods or set()
        self.operation = {"operationId": _camel_case(endpoint.__name__), **operation}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Without Starlette's four wrappers, which look for exception handlers that we do not have:
        `Problems` answers whatever is raised."""
        if scope["method"] not in (self.methods or ()):
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(self.allowed))})
        response = await self.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)


def allow_together(routes: Iterable[BaseRoute]) -> None:
    """Let a 405 of each path name the methods of all its routes (RFC 9110 §15.5.6)."""
    by_path: dict[str, set[str]] = {}
    for route in routes:
        if isinstance(route, DescribedRoute):
            route.allowed = by_path.setdefault(route.path, set())
            route.allowed |= route.methods or set()


def _camel_case(name: str) -> str:
    first, *rest = name.strip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)


ID = {
    "name": "upload_id",
    "in": "path",
    "required": True,
    "description": "The upload's id, chosen by the client or made by the server.",
    "schema": {"type": "string", "pattern": f"^{UPLOAD_ID_PATTERN}$"},
}
BYTES = {
    "schema": {
        "type": "string",
        "format": "binary",
        "contentMediaType": "application/octet-stream",
    }
}
"""A file. OpenAPI 3.1 asks for `contentMediaType`; generators look for the `format` of 3.0."""
DELIVERY_ID = {
    "name": "delivery_id",
    "in": "path",
    "required": True,
    "description": "The delivery's id, which is its `webhook-id`.",
    "schema": {"type": "string", "minLength": 1},
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "An ETag of an earlier answer: 304 if nothing has changed.",
    "schema": {"type": "string"},
}
FRAMES = (
    "Server-Sent Events (WHATWG HTML §9.2). Every frame's data is an Event; frames of the journal "
    "have an id, which clients treat as opaque and present again as Last-Event-ID."
)


def service_operation(summary: str, kind: str, *, unavailable: str = "") -> Object:
    """Of a route that is about the service; `unavailable`: what its 503 means, if it has one."""
    answers: Object = {"200": {"description": summary, "content": {kind: {}}}}
    if unavailable:
        answers["503"] = {"description": unavailable, "content": {kind: {}}}
    return operation(summary, "Service", answers, public=True)


def operation(
    summary: str,
    tag: str,
    answers: Object,
    *,
    problems: tuple[int, ...] = (),
    parameters: list[Object] | None = None,
    public: bool = False,
) -> Object:
    """`problems`: statuses of refusals. `public`: no token is asked for."""
    refusals = {str(status): _refusal(status) for status in problems}
    described: Object = {"summary": summary, "tags": [tag], "responses": {**answers, **refusals}}
    if parameters:
        described["parameters"] = parameters
    if public:
        described["security"] = []
    return described


def _refusal(status: int) -> Object:
    named = [problem for problem in PROBLEMS if problem.status == status]
    codes = ", ".join(f"`{problem.code}`" for problem in named) or "see `code`"
    answer: Object = {
        "description": codes,
        "content": {"application/problem+json": {"schema": ref("Problem")}},
    }
    if status in (429, 503):
        answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return answer


def json_answer(schema: str, text: str, *, etag: bool = False, id_header: bool = False) -> Object:
    answer: Object = {
        "description": text,
        "content": {"application/json": {"schema": ref(schema)}},
    }
    headers: Object = {}
    if etag:
        headers["ETag"] = {"schema": {"type": "string"}}
    if id_header:
        headers["X-Upload-ID"] = {"schema": {"type": "string"}}
    if headers:
        answer["headers"] = headers
    return answer


def binary_answer(text: str) -> Object:
    return {"description": text, "content": {"*/*": BYTES}}


def not_modified() -> Object:
    return {"304": {"description": "Nothing has changed"}}


def query(name: str, text: str) -> Object:
    return {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}


def header(name: str, text: str) -> Object:
    return {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}


LABELS = [
    query("kind", "Its kind; `GET /config` lists them."),
    query("context.{key}", "A value of its context, for any key (`context.courseId=c1`)."),
    query("batch", "The batch that it belongs to."),
]


def ref(name: str) -> Object:
    return {"$ref": f"#/components/schemas/{name}"}
