"""Asking a service over HTTP: time-outs, retries, and what it means that no answer comes."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import anyio
import httpx
import structlog

from sse_progress import __version__
from sse_progress.model.errors import Rejected

__all__ = ["Asked", "Fail", "NoAnswer", "Service"]

log = structlog.get_logger(__name__)

Fail = Literal["retry", "closed", "open"]

ATTEMPTS = 4
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
ANSWER_BYTES = 1024 * 1024
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class NoAnswer(Exception):
    """The service did not answer, or not in a way that can be understood; says how."""


@dataclass(frozen=True)
class Asked:
    """An answer: `status` 200-299 and its body."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Service:
    """`name`: what it checks, as `checks` and `notChecked` list it. `timeout_s`: of one attempt.

    `fail`: what is done with a file about which it does not answer. `retry`: the upload is tried
    again later; `closed`: it is refused; `open`: it is approved, with a note.
    """

    name: str
    timeout_s: float
    fail: Fail

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            follow_redirects=False,
            timeout=self.timeout_s,
            headers={"User-Agent": f"sse-progress/{__version__}"},
        )

    async def ask(
        self,
        client: httpx.AsyncClient,
        url: str,
        body: bytes,
        headers: Callable[[], Mapping[str, str]],
    ) -> Asked:
        """POST JSON; what passes (no connection, no answer in time, 429, 503 …) is tried again.

        `headers` are made for each attempt. Raises NoAnswer.
        """
        why, wait_s = "", FIRST_WAIT_S
        for attempt in range(ATTEMPTS):
            if attempt:
                await anyio.sleep(min(wait_s, LONGEST_WAIT_S) * random.uniform(1, 1.2))  # noqa: S311
            wait_s = FIRST_WAIT_S * 2 ** (attempt + 1)
            try:
                with anyio.fail_after(self.timeout_s):
                    asked, after_s = await _post(client, url, body, headers())
            except (TimeoutError, httpx.HTTPError) as error:
                why = type(error).__name__
                continue
            if 200 <= asked.status < 300:
                return asked
            why = f"status {asked.status}"
            if asked.status not in PASSING:
                break
            wait_s = max(wait_s, after_s)
        raise NoAnswer(why)

    def unanswered(self, upload_id: str, why: str) -> dict[str, Any]:
        """The stage's result without an answer. Raises Rejected, or NoAnswer to try again later."""
        log.warning("moderation service failed", service=self.name, upload_id=upload_id, reason=why)
        if self.fail == "closed":
            raise Rejected(
                "unavailable", "The moderation service does not answer. Please try again."
            )
        if self.fail == "retry":
            raise NoAnswer(why)
        return {"notChecked": [f"{self.name} (it does not answer)"]}


async def _post(
    client: httpx.AsyncClient, url: str, body: bytes, headers: Mapping[str, str]
) -> tuple[Asked, float]:
    """The answer, and for how many seconds it asks to be left alone."""
    headers = {"Content-Type": "application/json", "Accept": "application/json", **headers}
    async with client.stream("POST", url, content=body, headers=headers) as response:
        got = bytearray()
        async for piece in response.aiter_bytes():
            got += piece
            if len(got) > ANSWER_BYTES:
                return Asked(502, b""), 0
        after = response.headers.get("retry-after", "")
        after_s = float(after) if after.isascii() and after.isdigit() and len(after) < 6 else 0.0
        return Asked(response.status_code, bytes(got)), after_s
