"""The service's description (OpenAPI 3.1), made from the types that the code itself uses."""

from __future__ import annotations

from typing import Any

import msgspec

from sse_progress.model.errors import PROBLEMS
from sse_progress.model.events import Error, Event
from sse_progress.model.media import Media
from sse_progress.model.stage_table import STAGES

__all__ = ["document"]

Object = dict[str, Any]

_ID = {
    "name": "upload_id",
    "in": "path",
    "required": True,
    "description": "The upload's id, chosen by the client or made by the server.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.~-]{0,127}$"},
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "An ETag of an earlier answer: 304 if nothing has changed.",
    "schema": {"type": "string"},
}
_FRAMES = (
    "Server-Sent Events (WHATWG HTML §9.2). Every frame's data is an Event; frames of the journal "
    "have an id, which clients treat as opaque and present again as Last-Event-ID."
)


def document(*, version: str, prefix: str, tokens: bool) -> Object:
    """The whole document. `tokens`: callers have to present one."""
    whole: Object = {
        "openapi": "3.1.0",
        "info": {
            "title": "sse_progress",
            "version": version,
            "description": "Uploads, and the truth about them: every stage and percent, live.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": prefix or "/"}],
        "paths": _paths(),
        "components": {"schemas": _schemas()},
    }
    if tokens:
        whole["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "cookie": {"type": "apiKey", "in": "cookie", "name": "sse_progress_token"},
        }
        whole["security"] = [{"bearer": []}, {"cookie": []}]
    return whole


# ---- schemas


def _schemas() -> Object:
    _, schemas = msgspec.json.schema_components(
        [Event, Error, Media], ref_template="#/components/schemas/{name}"
    )
    event = schemas["Event"]
    event["properties"]["media"] = _ref("Media")
    event["properties"]["stage"] = {"type": "string", "enum": list(STAGES)}
    for name in ("progress", "stageProgress"):
        event["properties"][name] = {"type": "integer", "minimum": 0, "maximum": 100}
    event["properties"]["message"]["maxLength"] = 200
    event["properties"]["timestamp"] = {"type": "string", "format": "date-time"}
    for name in ("bytes", "total", "etaSeconds"):
        event["properties"][name] = {"type": "integer", "minimum": 0}
    fields = {k: v for k, v in event["properties"].items() if k != "type"}
    schemas["State"] = {
        "type": "object",
        "description": "An upload's status, and the fields of its latest event.",
        "properties": {
            "status": {
                "type": "string",
                "enum": ["pending", "receiving", "processing", "complete", "error", "cancelled"],
            },
            **fields,
        },
        "required": ["status", "uploadId", "progress"],
    }
    schemas["Problem"] = _problem_schema()
    schemas["Result"] = _object(
        success={"const": True},
        uploadId={"type": "string"},
        data=_object(media=_ref("Media")),
    )
    schemas["Accepted"] = _object(
        success={"const": True}, uploadId={"type": "string"}, status={"const": "processing"}
    )
    schemas["Uploads"] = {
        "type": "object",
        "properties": {
            "uploads": {"type": "array", "items": _ref("State")},
            "next": {"type": "string", "description": "Cursor for `after`; absent at the end."},
        },
        "required": ["uploads"],
    }
    return schemas


def _problem_schema() -> Object:
    codes = ", ".join(f"`{problem.code}`" for problem in PROBLEMS)
    text = {"type": "string", "maxLength": 200}
    schema = _object(
        type={"type": "string"},
        title={"type": "string"},
        status={"type": "integer"},
        detail=text,
        success={"const": False},
        error=text,
        code={"type": "string", "description": f"Stable: {codes}, or one chosen by a stage (422)."},
    )
    schema["description"] = "Problem details (RFC 9457)."
    schema["properties"]["upload"] = {
        **_ref("State"),
        "description": "With `upload_id_in_use`: the state of the upload that has the id.",
    }
    return schema


def _object(**properties: Object) -> Object:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _ref(name: str) -> Object:
    return {"$ref": f"#/components/schemas/{name}"}


# ---- paths


def _paths() -> Object:
    return {
        "/upload": {"post": _post_upload()},
        "/upload/{upload_id}/progress": {"get": _get_progress(), "parameters": [_ID]},
        "/upload/{upload_id}": {
            "parameters": [_ID],
            "get": _operation(
                "The state of an upload",
                "Uploads",
                {"200": _json("State", "The state", etag=True), **_not_modified()},
                parameters=[_IF_NONE_MATCH],
                problems=(400, 401, 403, 404, 429, 503),
            ),
            "delete": _operation(
                "Cancel an upload, in any state",
                "Uploads",
                {"204": {"description": "Cancelled; its bytes are gone"}},
                problems=(400, 401, 403, 404, 409, 429, 503),
            ),
        },
        "/upload/{upload_id}/files/{name}": {"get": _get_file(), "parameters": [_ID]},
        "/uploads": {"get": _get_uploads()},
        "/uploads/progress": {"get": _get_all_progress()},
        **{path: {"get": _house(text, kind)} for path, text, kind in _HOUSE},
    }


_HOUSE = (
    ("/healthz", "Whether the process lives", "application/json"),
    ("/readyz", "Whether journal, storage, Redis and queue answer", "application/json"),
    ("/metrics", "Metrics for Prometheus", "text/plain"),
    ("/openapi.json", "This document", "application/json"),
)


def _post_upload() -> Object:
    return {
        **_operation(
            "Upload one file",
            "Uploads",
            {
                "200": _json("Result", "The upload is complete", id_header=True),
                "202": _json("Accepted", "Stored; the work goes on", id_header=True),
            },
            parameters=[
                {
                    "name": "X-Upload-ID",
                    "in": "header",
                    "description": "Names the upload; without it the server makes an id.",
                    "schema": _ID["schema"],
                },
                {
                    "name": "Prefer",
                    "in": "header",
                    "description": "`respond-async` (RFC 7240): answer 202 once it is stored.",
                    "schema": {"type": "string"},
                },
            ],
            problems=(400, 401, 403, 408, 409, 413, 415, 422, 429, 500, 503, 507),
        ),
        "requestBody": {
            "required": True,
            "description": "Exactly one file part, of any name, and text fields (16 KiB in all).",
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "file": {
                                "type": "string",
                                "contentMediaType": "application/octet-stream",
                            }
                        },
                        "required": ["file"],
                        "additionalProperties": {"type": "string"},
                    }
                }
            },
        },
    }


def _get_progress() -> Object:
    return _operation(
        "Follow an upload",
        "Streams",
        {
            "200": {
                "description": _FRAMES,
                "content": {
                    "text/event-stream": {"schema": _ref("Event")},
                    "application/json": {"schema": _ref("State")},
                },
            },
            "204": {"description": "The presented position is the end: do not come back"},
            **_not_modified(),
        },
        parameters=[
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": "Go on after this id.",
                "schema": {"type": "string"},
            },
            _query("lastEventId", "The same, where headers cannot be set."),
            _query("heartbeat", "`event`: heartbeats that scripts can see."),
            _query("token", "A token, where headers cannot be set."),
            _IF_NONE_MATCH,
            {
                "name": "Prefer",
                "in": "header",
                "description": "For JSON: `wait=25` holds a matching request until a change.",
                "schema": {"type": "string"},
            },
        ],
        problems=(400, 401, 403, 404, 429, 503),
    )


def _get_file() -> Object:
    return _operation(
        "The stored file, or a derived one",
        "Uploads",
        {
            "200": _binary("The file"),
            "206": _binary("A range of it"),
            "304": {"description": "It has not changed"},
        },
        parameters=[{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}],
        problems=(400, 401, 403, 404, 416, 429, 503),
    )


def _get_uploads() -> Object:
    status = _ref("State")
    return _operation(
        "Your uploads, newest first",
        "Uploads",
        {"200": _json("Uploads", "Their states")},
        parameters=[
            {
                "name": "status",
                "in": "query",
                "description": "Only those of this status.",
                "schema": {"$ref": f"{status['$ref']}/properties/status"},
            },
            {
                "name": "limit",
                "in": "query",
                "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
            },
            _query("after", "The `next` of the page before."),
        ],
        problems=(400, 401, 403, 429, 503),
    )


def _get_all_progress() -> Object:
    return _operation(
        "Follow all of your uploads on one stream",
        "Streams",
        {
            "200": {
                "description": f"{_FRAMES} Here they have no id: it begins with a `reset` for "
                "each open or just ended upload.",
                "content": {"text/event-stream": {"schema": _ref("Event")}},
            }
        },
        parameters=[
            {
                "name": "id",
                "in": "query",
                "description": "Only these uploads; repeatable.",
                "schema": {"type": "array", "items": _ID["schema"]},
                "explode": True,
            },
            _query("heartbeat", "`event`: heartbeats that scripts can see."),
            _query("token", "A token, where headers cannot be set."),
        ],
        problems=(400, 401, 403, 429),
    )


def _house(text: str, kind: str) -> Object:
    answers: Object = {"200": {"description": text, "content": {kind: {}}}}
    if "answer" in text:
        answers["503"] = {"description": "Something does not", "content": {kind: {}}}
    return {**_operation(text, "WebContext", answers, problems=()), "security": []}


def _operation(
    summary: str,
    tag: str,
    answers: Object,
    *,
    problems: tuple[int, ...],
    parameters: list[Object] | None = None,
) -> Object:
    refusals = {str(status): _refusal(status) for status in problems}
    operation: Object = {"summary": summary, "tags": [tag], "responses": {**answers, **refusals}}
    if parameters:
        operation["parameters"] = parameters
    return operation


def _refusal(status: int) -> Object:
    named = [problem for problem in PROBLEMS if problem.status == status]
    codes = ", ".join(f"`{problem.code}`" for problem in named) or "see `code`"
    answer: Object = {
        "description": codes,
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }
    if status in (429, 503):
        answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return answer


def _json(schema: str, text: str, *, etag: bool = False, id_header: bool = False) -> Object:
    answer: Object = {
        "description": text,
        "content": {"application/json": {"schema": _ref(schema)}},
    }
    headers: Object = {}
    if etag:
        headers["ETag"] = {"schema": {"type": "string"}}
    if id_header:
        headers["X-Upload-ID"] = {"schema": {"type": "string"}}
    if headers:
        answer["headers"] = headers
    return answer


def _binary(text: str) -> Object:
    return {"description": text, "content": {"*/*": {"schema": {"type": "string"}}}}


def _not_modified() -> Object:
    return {"304": {"description": "Nothing has changed"}}


def _query(name: str, text: str) -> Object:
    return {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
