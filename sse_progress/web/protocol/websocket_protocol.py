"""uvicorn's WebSocket protocol, with a way to end a connection whose client reads nothing.

Given to uvicorn as `ws=WebSocketProtocol`.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from sse_progress.access.connections import NOWHERE, Place

__all__ = ["WebSocketProtocol"]


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Adds `abort` and `peer` to the scope's extension `sse_progress`, as `HttpProtocol` has them,
    whose `place` it takes over."""

    place: Place = NOWHERE

    async def run_asgi(self) -> None:
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        extension = {"abort": self.transport.abort, "peer": scope["client"]}
        scope["extensions"]["sse_progress"] = extension
        await super().run_asgi()

    def connection_lost(self, exc: Exception | None) -> None:
        self.place.leave()
        super().connection_lost(exc)
