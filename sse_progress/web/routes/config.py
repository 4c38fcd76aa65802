"""`GET /config`: what a client needs to refuse early and to label what it shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sse_progress.model.events import encode_json
from sse_progress.model.kinds import Kind
from sse_progress.settings import Settings
from sse_progress.web.description.operations import DescribedRoute, json_answer, operation
from sse_progress.web.request_headers import context_of

__all__ = ["ROUTES"]


async def get_config(request: Request) -> Response:
    context = context_of(request)
    default = context.kinds["upload"]
    body = {
        "limits": _limits(context.settings, max_bytes=default.max_bytes),
        "acceptedTypes": list(default.allowed_types or ()),
        "kinds": {name: _kind(kind) for name, kind in context.kinds.items()},
    }
    headers = {"Cache-Control": "no-cache"}
    return Response(encode_json(body), headers=headers, media_type="application/json")


def _limits(settings: Settings, *, max_bytes: int | None) -> dict[str, Any]:
    return {
        "maxUploadBytes": max_bytes,
        "maxFieldsBytes": settings.max_fields_bytes,
        "maxUploads": settings.uploads_per_user,
        "maxStreams": settings.streams_per_user,
    }


def _kind(kind: Kind) -> dict[str, Any]:
    return {
        **_titles(*kind.named),
        "maxUploadBytes": kind.max_bytes,
        "acceptedTypes": list(kind.allowed_types or ()),
        "requiredContext": list(kind.required),
        "files": not kind.external,
        "stages": [
            {"name": row.name, **_titles(row.title, row.titles), "lo": row.lo, "hi": row.hi}
            for row in kind.table.values()
        ],
    }


def _titles(title: str, titles: Mapping[str, str]) -> dict[str, Any]:
    return {"title": title, "titles": dict(titles)} if titles else {"title": title}


ROUTES = [
    DescribedRoute(
        "/config",
        get_config,
        operation=operation(
            "Limits, accepted types, and kinds of upload with their stages",
            "Service",
            {"200": json_answer("Config", "What is accepted")},
            public=True,
        ),
    )
]
