"""multipart/form-data bodies by hand (RFC 7578), well-formed or broken on purpose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

BOUNDARY = "----boundary-of-a-test"


@dataclass(frozen=True)
class Part:
    """One part; `headers` are raw lines added after the usual ones, `disposition` replaces it."""

    name: str | None
    content: bytes
    filename: str | None = None
    content_type: str | None = None
    headers: tuple[str, ...] = ()
    disposition: str | None = field(default=None)

    def head(self) -> bytes:
        disposition = self.disposition
        if disposition is None:
            disposition = "form-data"
            if self.name is not None:
                disposition += f'; name="{self.name}"'
            if self.filename is not None:
                disposition += f'; filename="{self.filename}"'
        lines = [f"Content-Disposition: {disposition}"]
        if self.content_type is not None:
            lines.append(f"Content-Type: {self.content_type}")
        lines.extend(self.headers)
        return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape") + b"\r\n"


def file_part(
    content: bytes, filename: str = "photo.jpg", content_type: str | None = "image/jpeg"
) -> Part:
    return Part("file", content, filename, content_type)


def content_type(boundary: str = BOUNDARY) -> str:
    return f"multipart/form-data; boundary={boundary}"


def body(parts: Iterable[Part], *, boundary: str = BOUNDARY, closed: bool = True) -> bytes:
    """The whole body; `closed=False` leaves the closing boundary away."""
    mark = boundary.encode()
    out = bytearray()
    for part in parts:
        out += b"--" + mark + b"\r\n" + part.head() + part.content + b"\r\n"
    if closed:
        out += b"--" + mark + b"--\r\n"
    return bytes(out)
