"""One web process: uvicorn around the application, and the order in which it ends."""

from __future__ import annotations

import socket
import sys
from typing import Any

import structlog
import uvicorn

from sse_progress.runtime.descriptors import Descriptors, raise_limit
from sse_progress.runtime.garbage import settle
from sse_progress.runtime.linux import harden_this_process, keep_file_capabilities
from sse_progress.runtime.logging_setup import configure, log_uncaught
from sse_progress.runtime.readiness import tell_ready
from sse_progress.settings import Settings
from sse_progress.uploads.components import check
from sse_progress.web.app import create_app
from sse_progress.web.context import WebContext
from sse_progress.web.peers import peers_of
from sse_progress.web.protocol.http_protocol import HttpProtocol
from sse_progress.web.protocol.uvicorn_check import check_uvicorn
from sse_progress.web.protocol.websocket_protocol import WebSocketProtocol

__all__ = ["run"]

log = structlog.get_logger(__name__)

TICKS_PER_S = 10
"""Of uvicorn's main loop."""


class Server(uvicorn.Server):
    """Ends streams and answers waiting requests before uvicorn waits for its connections.

    The order: no new connections, and those there are close with their next response; streams end
    whole; waiting POSTs get their 202; bodies have their grace; then uvicorn's own shutdown, which
    finds little left to wait for.
    """

    context: WebContext | None = None
    protocol: type[HttpProtocol]
    broken = False
    """A task that the process cannot do without has ended: it ends with exit code 1."""

    async def on_tick(self, counter: int) -> bool:
        if self.context is not None and self.context.components.tasks.failed.is_set():
            self.broken = True
            return True
        if counter % TICKS_PER_S == 0:
            descriptors = self.protocol.descriptors
            descriptors.measure()
            if self.context is not None:
                metrics = self.context.components.metrics
                metrics.descriptors_open.set(descriptors.open)
                metrics.descriptors_limit.set(descriptors.limit)
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            settle()
            tell_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        self.protocol.draining = True
        if self.context is not None:
            context, self.context = self.context, None
            await context.drain()
        await super().shutdown(sockets)


def run(settings: Settings, fd: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT, on the listening socket `fd` or on one of its own.

    Raises SettingsError before anything is served, if what a setting names cannot be used.
    """
    configure(settings.log_format, level=settings.log_level, user_key=settings.user_key)
    log_uncaught()
    harden_this_process()
    if fd is not None:  # it may need one to listen by itself
        keep_file_capabilities()
    check_uvicorn()
    check(settings)
    options: dict[str, Any] = {}
    sockets = None
    if fd is not None:
        sockets = [socket.socket(fileno=fd)]
    else:
        options = {"host": settings.host, "port": settings.port}

    class Protocol(HttpProtocol):
        descriptors = Descriptors(raise_limit())
        peers = peers_of(settings)

    def take(context: WebContext) -> None:
        server.context = context

    server = Server(
        uvicorn.Config(
            create_app(settings, Protocol.descriptors, peers=Protocol.peers, on_context=take),
            http=Protocol,
            loop="uvloop",
            ws=WebSocketProtocol,
            ws_max_size=4096,
            ws_ping_interval=25,
            ws_ping_timeout=25,
            ws_per_message_deflate=False,
            lifespan="on",
            log_config=None,
            access_log=False,  # RequestLog knows more
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=5,
            forwarded_allow_ips=settings.trusted_proxies,
            backlog=2048,
            **options,
        )
    )
    server.protocol = Protocol
    server.run(sockets)
    if server.broken:
        sys.exit(1)
