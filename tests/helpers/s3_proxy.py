"""An HTTP proxy in front of an S3 server: it notes requests, and fails those that a test picks."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, NamedTuple, Self

Fault = int | Literal["drop"] | None


class Seen(NamedTuple):
    """A request; `target` is its path and query. `body` is not kept with what was seen."""

    method: str
    target: str
    body: bytes = b""


class S3Proxy:
    """`with S3Proxy(server.port) as proxy:`; `proxy.fault` is asked for each request.

    It answers a status that is then sent, `drop` (the connection ends without an answer), or None:
    passed on. It may wait as well, for a server that is slow.
    """

    def __init__(self, port: int) -> None:
        self.fault: Callable[[Seen], Fault] = lambda _: None
        self.seen: list[Seen] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                seen = Seen(self.command, self.path)
                proxy.seen.append(seen)
                fault = proxy.fault(seen._replace(body=body))
                if fault == "drop":
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                if fault is not None:
                    self._answer(fault, {}, f"<Error><Code>{_CODES[fault]}</Code></Error>".encode())
                    return
                upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                try:
                    upstream.request(self.command, self.path, body, dict(self.headers))
                    answer = upstream.getresponse()
                    self._answer(answer.status, dict(answer.headers), answer.read())
                except OSError:
                    self.close_connection = True
                finally:
                    upstream.close()

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                length = headers.get("Content-Length", str(len(body)))
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", length)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def count(self, method: str, part: str = "") -> int:
        """Requests of this method whose target has `part`."""
        return sum(seen.method == method and part in seen.target for seen in self.seen)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(60)


_CODES = {403: "AccessDenied", 404: "NoSuchKey", 500: "InternalError", 501: "NotImplemented"}
_CODES |= {503: "SlowDown"}
