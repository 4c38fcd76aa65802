"""A real uvicorn in a thread, serving one ASGI application on a free loopback port."""

from __future__ import annotations

import asyncio
import socket
import threading
from types import TracebackType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from sse_progress.web.protocol.http_protocol import HttpProtocol
from tests.helpers.waiting import wait_until


class AsgiServer:
    """`with AsgiServer(app) as server: raw_http.request("GET", server.url)`

    `options` are uvicorn's. Requests still open at the end are cut off.
    """

    def __init__(
        self, app: ASGIApp, *, http: type[asyncio.Protocol] = HttpProtocol, **options: Any
    ) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            app,
            http=http,
            **{
                "ws": "none",
                "lifespan": "off",
                "log_config": None,
                "server_header": False,
                "timeout_graceful_shutdown": 0,
                **options,
            },
        )
        self.server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self.server.run, args=([self._socket],))

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)

    def __enter__(self) -> AsgiServer:
        self._thread.start()
        wait_until(lambda: self.server.started or not self._thread.is_alive(), "uvicorn serves")
        assert self.server.started
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.should_exit = True
        self._thread.join(20)
        self._socket.close()
        assert not self._thread.is_alive()
