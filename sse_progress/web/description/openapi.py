"""The description of the service (OpenAPI 3.1): operations of the routes, and their schemas."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import BaseRoute

from sse_progress.web.description.operations import DELIVERY_ID, ID, DescribedRoute, Object
from sse_progress.web.description.schemas import all_schemas

__all__ = ["document"]


def document(routes: Iterable[BaseRoute], *, version: str, prefix: str, tokens: bool) -> Object:
    """The whole document of the routes that are described. `tokens`: callers have to show one."""
    whole: Object = {
        "openapi": "3.1.0",
        "info": {
            "title": "sse_progress",
            "version": version,
            "description": "Uploads, and the truth about them: every stage and percent, live.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": prefix or "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": _paths(routes),
        "components": {"schemas": all_schemas()},
        "security": [],
    }
    if tokens:
        whole["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "cookie": {"type": "apiKey", "in": "cookie", "name": "sse_progress_token"},
        }
        whole["security"] = [{"bearer": []}, {"cookie": []}]
    return whole


_TAGS = {
    "Uploads": "Files sent, and how far each is.",
    "Resumable uploads": "Bodies in parts: tus 1.0 and the IETF draft.",
    "Streams": "Server-Sent Events.",
    "Jobs": "Work that another service does and reports.",
    "Batches": "Many uploads and jobs as one.",
    "Reviews": "What waits for a person or another service to decide.",
    "Webhooks": "Messages to other services, and what came of them.",
    "Service": "The service itself: limits, health, metrics.",
}


def _paths(routes: Iterable[BaseRoute]) -> Object:
    paths: Object = {}
    for route in routes:
        if isinstance(route, DescribedRoute):
            path = paths.setdefault(route.path, {})
            if "{upload_id}" in route.path:
                path["parameters"] = [ID]
            if "{delivery_id}" in route.path:
                path["parameters"] = [DELIVERY_ID]
            path[route.method.lower()] = route.operation
    return paths
