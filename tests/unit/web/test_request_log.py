"""What lines that are logged within a request have in common."""

from __future__ import annotations

import re
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from sse_progress.runtime.logging_setup import SHARED
from sse_progress.web.middlewares.request_log import RequestLog


async def never(*_: Any) -> Any:
    raise AssertionError("nothing is sent or received")


async def bound_within(*headers: tuple[bytes, bytes], path: str = "/") -> dict[str, Any]:
    """What is bound while a request is answered, which ends in an error."""
    found: dict[str, Any] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> Message:
        found.update(SHARED.get())
        raise ConnectionError

    scope = {"type": "http", "method": "GET", "path": path, "headers": [*headers]}
    try:
        await RequestLog(app)(scope, never, never)  # type: ignore[arg-type]
    except ConnectionError:
        return found
    raise AssertionError("the error is hidden")


async def test_each_request_has_a_name_of_its_own() -> None:
    """One that it brings, or a new one; and its upload's, from the path or the header."""
    assert await bound_within((b"x-request-id", b"r-1"), path="/upload/u1/progress") == {
        "request": "r-1",
        "upload_id": "u1",
    }
    first, second = await bound_within((b"x-upload-id", b"u2")), await bound_within()
    assert first["upload_id"] == "u2"
    assert re.fullmatch("[0-9a-f]{16}", first["request"])
    assert first["request"] != second["request"]
    assert "upload_id" not in second
    hostile = await bound_within((b"x-request-id", b"a b"), (b"x-upload-id", b"../u"))
    assert re.fullmatch("[0-9a-f]{16}", hostile["request"])
    assert "upload_id" not in hostile


async def test_nothing_stays_bound_after_a_request() -> None:
    """A server may answer the next one in the same task."""
    await bound_within(path="/upload/u1/progress")
    assert SHARED.get() == {}
