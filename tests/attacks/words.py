"""What attackers say to a service, and how one looks at what became of it."""

from __future__ import annotations

import contextlib
import hashlib
import select
import socket
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from tests.helpers.multipart import Part, body, content_type
from tests.helpers.raw_http import Answer, connect, head, read_answer, request
from tests.helpers.service import Service
from tests.helpers.sse import Frame, journal, read_events

SECRET = "a secret of the tests that is long enough for every algorithm of the HMAC family"
AUDIENCE = "sse-progress-tests"
ISSUER = "https://issuer.example"

NEVER_SHOWN = (
    b"Traceback",
    b"site-packages",
    b"/usr/lib",
    b"sse_progress/",
    b"sse_progress.",
    b"sp:",
    b"Exception",
    b"Error:",
)
"""What a refusal must not tell: files, modules, keys of Redis, names of errors."""


def new_id() -> str:
    return f"a-{uuid.uuid4().hex[:16]}"


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims with some of them changed; None leaves one out."""
    now = int(time.time())
    good = {
        "sub": f"user-{uuid.uuid4().hex[:8]}",
        "exp": now + 600,
        "aud": AUDIENCE,
        "iss": ISSUER,
        **changes,
    }
    return {name: value for name, value in good.items() if value is not None}


def token(key: Any = SECRET, algorithm: str = "HS256", headers: Any = None, **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm, headers=headers)


@dataclass(frozen=True)
class Caller:
    """Somebody who talks to `service` with these headers."""

    service: Service
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def named(cls, service: Service, sub: str, **changes: Any) -> Caller:
        return cls(service, {"Authorization": f"Bearer {token(sub=sub, **changes)}"})

    # ---- asking

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bytes | Iterable[bytes] = b"",
    ) -> Answer:
        return request(
            method,
            self.service.url + path,
            headers={**self.headers, **(headers or {})},
            body=raw,
            # A stream that should have been refused says something every 15 s, for ever.
            timeout_s=10 if "/progress" in path else 60,
        )

    def post(
        self,
        parts: Iterable[Part],
        *,
        upload_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        return self.post_raw(body(parts), upload_id=upload_id, headers=headers)

    def post_raw(
        self,
        raw: bytes | Iterable[bytes],
        *,
        upload_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        named = {"X-Upload-ID": upload_id} if upload_id else {}
        given = {"Content-Type": content_type(), **named, **(headers or {})}
        return self.ask("POST", "/upload", headers=given, raw=raw)

    def state(self, upload_id: str) -> Answer:
        return self.ask("GET", f"/upload/{upload_id}")

    async def journal(self, upload_id: str) -> list[Frame]:
        """The whole journal, read to its end; an upload without an end fails by time."""
        url = f"{self.service.url}/upload/{upload_id}/progress"
        return journal(await read_events(url, dict(self.headers)))

    # ---- looking

    def files_of(self, upload_id: str) -> list[str]:
        """Every file on the storage that belongs to this upload, in whatever state."""
        digest = hashlib.sha256(upload_id.encode()).hexdigest()[:32]
        return [path for path in self.service.files() if digest in path]


def check_problem(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """A refusal in the one shape that all have, which tells nothing of the rig."""
    problem: dict[str, Any] = answer.json
    assert (answer.status, problem["code"]) == (status, code), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["success"] is False
    assert problem["error"] == problem["detail"]
    assert problem["status"] == status
    assert 0 < len(problem["detail"]) <= 200
    check_silence(answer)
    return problem


def check_silence(answer: Answer) -> None:
    """No traceback, no path, no name of a module in body or headers."""
    said = answer.body + repr(answer.headers).encode()
    assert not [word for word in NEVER_SHOWN if word in said], said[:2000]


async def check_refused(
    caller: Caller, answer: Answer, upload_id: str, status: int, code: str
) -> dict[str, Any]:
    """The answer, the journal's end and the storage agree: refused, and nothing is left of it."""
    problem = check_problem(answer, status, code)
    await check_ended(caller, upload_id, code)
    return problem


async def check_ended(caller: Caller, upload_id: str, code: str) -> None:
    frames = await caller.journal(upload_id)
    assert [frame.terminal for frame in frames] == [False] * (len(frames) - 1) + [True]
    last = frames[-1].json
    assert (last["stage"], last["error"]["code"]) == ("error", code), last
    assert caller.files_of(upload_id) == []
    assert caller.state(upload_id).json["status"] == "error"


def check_untouched(caller: Caller, upload_id: str) -> None:
    """Nobody ever heard of the upload: no state, no file."""
    check_problem(caller.state(upload_id), 404, "unknown_upload")
    assert caller.files_of(upload_id) == []


def exchange(
    service: Service, raw: bytes, *, answers: int = 1, ended: bool = False, timeout_s: float = 20
) -> list[Answer]:
    """Send bytes as they are; the answers, as many as come, up to `answers`.

    `ended`: once answered, or 0.5 s after the last byte, this side says that nothing follows.
    """
    found = []
    with connect(service.url, timeout_s=timeout_s) as connection:
        try:
            connection.sendall(raw)
        except (BrokenPipeError, ConnectionResetError):
            pass  # answered early
        if ended:
            _say_end(connection)
        reader = _Kept(connection) if answers > 1 else connection
        for _ in range(answers):
            try:
                found.append(read_answer(reader, timeout_s=timeout_s))  # type: ignore[arg-type]
            except (EOFError, ConnectionResetError):
                break
    return found


def _say_end(connection: socket.socket) -> None:
    select.select([connection], [], [], 0.5)
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


class _Kept:
    """A connection whose bytes after one answer are kept for the next."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._buffer = b""

    def settimeout(self, seconds: float) -> None:
        self._connection.settimeout(seconds)

    def recv(self, _: int) -> bytes:
        # One byte at a time, so that nothing of the next answer is taken with this one.
        if not self._buffer:
            self._buffer = self._connection.recv(65536)
        part, self._buffer = self._buffer[:1], self._buffer[1:]
        return part


def request_bytes(
    service: Service, method: str, path: str, fields: Iterable[tuple[str, str]], raw: bytes = b""
) -> bytes:
    """One request with exactly these headers and `Host`, in this order, repeated ones too."""
    host = service.url.partition("://")[2].partition("/")[0]
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + raw


__all__ = [
    "AUDIENCE",
    "ISSUER",
    "SECRET",
    "Answer",
    "Caller",
    "check_ended",
    "check_problem",
    "check_refused",
    "check_silence",
    "check_untouched",
    "claims",
    "exchange",
    "head",
    "new_id",
    "request_bytes",
    "token",
]
