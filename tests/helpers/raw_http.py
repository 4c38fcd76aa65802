"""One HTTP/1.1 request as raw bytes on a raw socket, for bodies that no client would send."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def connect(url: str, *, timeout_s: float = 20) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((str(parts.hostname), parts.port or 80), timeout=timeout_s)


def head(method: str, url: str, headers: Mapping[str, str] | None = None) -> bytes:
    """Request line and headers with their blank line; `Host` is added unless given."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    fields = {"Host": parts.netloc, **(headers or {})}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def read_answer(connection: socket.socket, *, method: str = "GET", timeout_s: float = 60) -> Answer:
    """One answer with its body; raises EOFError if the connection ends before it is whole."""
    deadline = time.monotonic() + timeout_s
    buffer = b""

    def more() -> None:
        nonlocal buffer
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        part = connection.recv(65536)
        if not part:
            raise EOFError(f"connection ended after {buffer[:300]!r}")
        buffer += part

    while True:
        while b"\r\n\r\n" not in buffer:
            more()
        raw, _, buffer = buffer.partition(b"\r\n\r\n")
        status_line, *fields = raw.decode("latin-1").split("\r\n")
        status = int(status_line.split()[1])
        if status >= 200:  # 100 Continue comes before the answer
            break
    headers = {}
    for line in fields:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if method == "HEAD" or status in (204, 304):
        return Answer(status, headers, b"")
    body = b""
    if "chunked" in headers.get("transfer-encoding", ""):
        while True:
            while b"\r\n" not in buffer:
                more()
            size_line, _, buffer = buffer.partition(b"\r\n")
            size = int(size_line.split(b";")[0], 16)
            while len(buffer) < size + 2:
                more()
            body, buffer = body + buffer[:size], buffer[size + 2 :]
            if size == 0:
                return Answer(status, headers, body)
    size = int(headers.get("content-length", "0"))
    while len(buffer) < size:
        more()
    return Answer(status, headers, buffer[:size])


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | Iterable[bytes] = b"",
    timeout_s: float = 60,
) -> Answer:
    """Send one request on its own connection and read the answer.

    `Content-Length` is added for bytes unless a length or transfer coding is given; an iterable is
    sent piece by piece as it is. An answer that comes before the whole body is sent is read too.
    """
    fields = dict(headers or {})
    named = {name.lower() for name in fields}
    if isinstance(body, bytes):
        if body and not named & {"content-length", "transfer-encoding"}:
            fields["Content-Length"] = str(len(body))
        body = [body]
    with connect(url, timeout_s=timeout_s) as connection:
        try:
            connection.sendall(head(method, url, fields))
            for piece in body:
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server answered early and closed; what it said can still be read
        return read_answer(connection, method=method, timeout_s=timeout_s)
