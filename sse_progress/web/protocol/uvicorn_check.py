"""What the protocols use of uvicorn that is not public, checked once at start."""

from __future__ import annotations

import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = ["check_uvicorn"]

_METHODS = (
    "_should_upgrade",
    "_start_asgi_task",
    "connection_lost",
    "connection_made",
    "data_received",
    "handle_websocket_upgrade",
    "on_body",
    "on_header",
    "on_headers_complete",
    "on_message_begin",
    "on_message_complete",
    "on_url",
    "send_400_response",
    "shutdown",
)


_ATTRIBUTES = (
    "app",
    "connections",
    "cycle",
    "flow",
    "headers",
    "loop",
    "parser",
    "pipeline",
    "scope",
    "server_state",
    "timeout_keep_alive_task",
    "transport",
)
_OF_CYCLE = (
    "chunked_encoding",
    "default_headers",
    "disconnected",
    "expected_content_length",
    "flow",
    "keep_alive",
    "message_event",
    "more_body",
    "on_response",
    "response_complete",
    "response_started",
    "scope",
    "transport",
    "waiting_for_100_continue",
)


def check_uvicorn() -> None:
    """Raise RuntimeError if the installed uvicorn is not the one that our protocols extend.

    It uses methods and attributes that are not part of uvicorn's public interface.
    """
    missing = [name for name in _METHODS if not hasattr(HttpToolsProtocol, name)]
    if not hasattr(WebSocketsSansIOProtocol, "run_asgi"):
        missing.append("run_asgi")
    for kind, names in (
        (HttpToolsProtocol, _ATTRIBUTES),
        (RequestResponseCycle, _OF_CYCLE),
        (ProxyHeadersMiddleware, ("trusted_hosts",)),
    ):
        set_at_first = kind.__init__.__code__.co_names
        missing += [name for name in names if name not in set_at_first]
    if missing:
        raise RuntimeError(
            f"uvicorn {uvicorn.__version__} has no {', '.join(missing)}; install uvicorn 0.54"
        )
