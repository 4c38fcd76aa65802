"""A receiver of webhooks on a free loopback port, that answers as a test wants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

__all__ = ["Receipt", "Receiver", "receiver"]


@dataclass(frozen=True)
class Receipt:
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = msgspec.json.decode(self.body)
        return message


@dataclass
class Receiver:
    """`answers`: (status, headers) of the next requests; then 204. `hang`: none is answered until
    it is set; `drips`: but it goes on sending headers. `endless`: answers have no end."""

    url: str = ""
    receipts: list[Receipt] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    hang: threading.Event | None = None
    drips: bool = False
    endless: bool = False
    reply: Callable[[str, Receipt], tuple[int, bytes]] | None = None
    """Of a path and what came: status and body. Instead of `answers`."""

    def of(self, upload_id: str) -> list[Receipt]:
        return [one for one in self.receipts if one.message["data"]["uploadId"] == upload_id]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver that runs for the length of the block."""
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receipt = Receipt({k.lower(): v for k, v in self.headers.items()}, body)
            told.receipts.append(receipt)
            if told.reply is not None:
                status, content = told.reply(self.path, receipt)
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                return
            if told.hang is not None:
                self._wait(told.hang)
            status, headers = told.answers.pop(0) if told.answers else (204, {})
            self.send_response(200 if told.endless else status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                while told.endless:
                    self.wfile.write(b"x" * 65536)
            except OSError:
                pass

        def _wait(self, until: threading.Event) -> None:
            if told.drips:
                self.wfile.write(b"HTTP/1.0 200 OK\r\n")
            while not until.wait(0.05 if told.drips else 60):
                try:
                    self.wfile.write(b"x: y\r\n")
                except OSError:
                    return

        def log_message(self, *_: object) -> None:
            pass

        do_GET = do_POST  # noqa: N815

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128  # with 5, connections that come at once are reset

    server = Server(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_address[1]}/hook?key=private"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield told
    finally:
        if told.hang is not None:
            told.hang.set()
        server.shutdown()
        thread.join(20)
        server.server_close()
