"""Event streams read byte by byte over a raw socket, by a parser that is not the project's own."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.abc


@dataclass(frozen=True)
class Frame:
    """One frame, up to and with its blank line. `raw` is what was sent, to the byte."""

    raw: bytes

    def _values(self, name: str) -> list[str]:
        found = []
        for line in self.raw.decode().split("\n"):
            field, _, value = line.partition(":")
            if field == name:
                found.append(value.removeprefix(" "))
        return found

    @property
    def id(self) -> str | None:
        values = self._values("id")
        return values[-1] if values else None

    @property
    def event(self) -> str | None:
        values = self._values("event")
        return values[-1] if values else None

    @property
    def retry_ms(self) -> int | None:
        values = self._values("retry")
        return int(values[-1]) if values else None

    @property
    def data(self) -> str | None:
        values = self._values("data")
        return "\n".join(values) if values else None

    @property
    def json(self) -> dict[str, Any]:
        """The data as an object; {} for a comment or a bare `retry:`."""
        return json.loads(self.data) if self.data is not None else {}

    @property
    def comment(self) -> bool:
        return self.raw.startswith(b":")

    @property
    def stage(self) -> str | None:
        return self.json.get("stage")

    @property
    def terminal(self) -> bool:
        return self.stage in ("complete", "error", "cancelled")


class EventStream:
    """One GET of a stream, HTTP/1.1, chunked.

        async with EventStream(url, headers={"Last-Event-ID": "…"}) as stream:
            assert stream.status == 200
            async for frame in stream: ...

    `headers` of the answer have lower-case names. After the stream's end `clean_end` tells whether
    the last chunk was whole and the body properly closed (a cut stream is not), and `rest` holds
    bytes after the last whole frame. Every read is bounded by `timeout_s`.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        timeout_s: float = 60,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = urlsplit(url)
        self._request_headers = {"Accept": "text/event-stream", **(headers or {})}
        self._method = method
        self._timeout_s = timeout_s
        self._tls = tls
        self._wire: anyio.abc.ByteStream | None = None
        self._buffer = b""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.raw = bytearray()
        self.rest = b""
        self.clean_end = False

    async def __aenter__(self) -> EventStream:
        url = self._url
        port = url.port or (443 if url.scheme == "https" else 80)
        target = url.path + (f"?{url.query}" if url.query else "")
        lines = [f"{self._method} {target} HTTP/1.1", f"Host: {url.netloc}"]
        lines += [f"{name}: {value}" for name, value in self._request_headers.items()]
        with anyio.fail_after(self._timeout_s):
            if url.scheme == "https":
                self._wire = await anyio.connect_tcp(
                    str(url.hostname),
                    port,
                    tls=True,
                    ssl_context=self._tls,
                    tls_standard_compatible=False,
                )
            else:
                self._wire = await anyio.connect_tcp(str(url.hostname), port)
            try:
                await self._wire.send("\r\n".join([*lines, "", ""]).encode())
                head = await self._until(b"\r\n\r\n")
            except BaseException:
                await self.aclose()
                raise
        status_line, *fields = head.decode("latin-1").split("\r\n")
        self.status = int(status_line.split()[1])
        for field in fields:
            name, _, value = field.partition(":")
            self.headers[name.lower()] = value.strip()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        if self._wire is not None:
            wire, self._wire = self._wire, None
            await wire.aclose()

    async def _more(self) -> bool:
        assert self._wire is not None
        try:
            with anyio.fail_after(self._timeout_s):
                self._buffer += await self._wire.receive(65536)
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return False
        return True

    async def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            if not await self._more():
                raise EOFError(f"connection ended after {self._buffer[:200]!r}")
        part, _, self._buffer = self._buffer.partition(mark)
        return part

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not await self._more():
                raise EOFError(f"connection ended {size - len(self._buffer)} bytes too early")
        part, self._buffer = self._buffer[:size], self._buffer[size:]
        return part

    async def chunks(self) -> AsyncIterator[bytes]:
        """Body bytes as the server cut them into chunks (RFC 9112 §7.1)."""
        if self._method == "HEAD" or self.status in (204, 304):
            self.clean_end = True
            return
        try:
            if "chunked" not in self.headers.get("transfer-encoding", ""):
                if "content-length" in self.headers:
                    yield await self._exactly(int(self.headers["content-length"]))
                    self.clean_end = True
                    return
                while self._buffer or await self._more():
                    part, self._buffer = self._buffer, b""
                    yield part
                return
            while True:
                size = int((await self._until(b"\r\n")).split(b";")[0], 16)
                part = await self._exactly(size + 2)
                if not part.endswith(b"\r\n"):
                    raise ValueError(f"chunk of {size} bytes does not end in CRLF")
                if size == 0:
                    self.clean_end = True
                    return
                yield part[:-2]
        except EOFError:
            return

    async def __aiter__(self) -> AsyncIterator[Frame]:
        async for chunk in self.chunks():
            self.raw += chunk
            self.rest += chunk
            while b"\n\n" in self.rest:
                part, _, self.rest = self.rest.partition(b"\n\n")
                yield Frame(part + b"\n\n")


async def read_events(
    url: str,
    headers: Mapping[str, str] | None = None,
    *,
    until: Callable[[Frame], bool] | None = None,
    timeout_s: float = 90,
    comments: bool = False,
) -> list[Frame]:
    """All frames up to the stream's end, or up to and with the first for which `until` is true.

    Fails if the whole takes longer than `timeout_s` seconds. Comment frames are left out unless
    asked for. The answer's status must be 200.
    """
    frames: list[Frame] = []
    with anyio.fail_after(timeout_s):
        async with EventStream(url, headers=headers, timeout_s=timeout_s) as stream:
            assert stream.status == 200, f"{stream.status} {stream.headers}"
            async for frame in stream:
                if comments or not frame.comment:
                    frames.append(frame)
                if until is not None and until(frame):
                    break
    return frames


def journal(frames: list[Frame]) -> list[Frame]:
    """The frames that carry a journal position: no `connected`, no comments."""
    return [frame for frame in frames if frame.id is not None]
