"""uvicorn's WebSocket protocol, with a way to end a connection whose client reads nothing.

Given to uvicorn as `ws=WebSocketProtocol`.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = ["WebSocketProtocol"]


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Adds `abort` to the scope's extension `sse_progress`, as `HttpProtocol` has it."""

    async def run_asgi(self) -> None:
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["extensions"]["sse_progress"] = {"abort": self.transport.abort}
        await super().run_asgi()
