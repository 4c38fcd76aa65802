"""Sends webhooks: makes deliveries of what has ended, and sends those that are due.

Any number of workers may do so at once. A delivery is sent at least once; receivers know a repeated
one by its `webhook-id`. What an endpoint answers is not read beyond its head.
"""

from __future__ import annotations

import asyncio
import email.utils
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import httpx
import structlog
from redis.exceptions import RedisError

from sse_progress import __version__
from sse_progress.model.errors import Problem
from sse_progress.model.webhooks import RETRIES_S, signed_headers
from sse_progress.runtime.redis.keys import digest
from sse_progress.uploads.components import Components
from sse_progress.uploads.deliveries import Delivery, Outcome
from sse_progress.uploads.ends import make_deliveries

__all__ = ["Webhooks"]

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
AT_ONCE = 8
"""Deliveries that one worker sends at the same time."""
JITTER = 0.2
LONGEST_RETRY_AFTER_S = 24 * 3600
GONE = 410


class Webhooks:
    """`timeout_s`: of one attempt in all. `retries_s`: from one failed attempt to the next."""

    def __init__(
        self,
        components: Components,
        *,
        url: str,
        keys: Sequence[bytes],
        timeout_s: float = 20.0,
        retries_s: Sequence[float] = RETRIES_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._components, self._url, self._keys = components, url, keys
        self._timeout_s, self._retries_s, self._now = timeout_s, retries_s, now
        self._endpoint = digest(url)

    async def run(self) -> None:
        """Look every second, until cancelled."""
        async with self.client() as client:
            while True:
                try:
                    if await self.round(client):
                        continue
                except (RedisError, OSError, Problem) as exc:
                    log.warning("webhooks skipped", error=type(exc).__name__)
                except Exception:
                    log.exception("webhooks failed")
                await asyncio.sleep(LOOK_EVERY_S)

    def client(self) -> httpx.AsyncClient:
        """What all attempts of a worker are made with."""
        return httpx.AsyncClient(
            follow_redirects=False,
            timeout=self._timeout_s,
            headers={"User-Agent": f"sse-progress/{__version__}"},
        )

    async def round(self, client: httpx.AsyncClient) -> bool:
        """Make what is to be made and send what is due; whether there may be more."""
        made = await make_deliveries(self._components)
        due = await self._components.deliveries.take(limit=AT_ONCE, lease_s=self._timeout_s + 40)
        async with anyio.create_task_group() as group:
            for delivery in due:
                group.start_soon(self._deliver, client, delivery)
        return bool(made or due)

    async def _deliver(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        deliveries = self._components.deliveries
        try:
            if await deliveries.disabled(self._endpoint):
                outcome = Outcome(answer="not sent: the endpoint has answered 410 before")
            else:
                outcome = await self._attempt(client, delivery)
            end = "delivered" if outcome.delivered else "failed"
            self._components.metrics.webhook_attempts.labels(end).inc()
            level = log.info if outcome.delivered else log.warning
            level(
                "webhook " + end,
                delivery=delivery.id,
                upload_id=delivery.upload_id,
                attempt=delivery.attempts + 1,
                answer=outcome.answer,
                retry_s=outcome.retry_s,
            )
            await deliveries.tried(delivery, outcome)
        except (RedisError, OSError) as exc:  # it is due again when its lease is over
            log.warning("webhook not noted", delivery=delivery.id, error=type(exc).__name__)

    async def _attempt(self, client: httpx.AsyncClient, delivery: Delivery) -> Outcome:
        try:
            with anyio.fail_after(self._timeout_s):
                response = await self._post(client, delivery)
        except TimeoutError:
            return self._retry(delivery, f"no answer within {self._timeout_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
            return self._retry(delivery, type(exc).__name__)
        answer = f"status {response.status_code}"
        if response.is_success:
            return Outcome(answer=answer, delivered=True)
        if response.status_code == GONE:
            await self._components.deliveries.disable(self._endpoint)
            log.error("webhooks disabled: the endpoint has answered 410")
            return Outcome(answer=answer)
        return self._retry(delivery, answer, after_s=self._retry_after(response))

    async def _post(self, client: httpx.AsyncClient, delivery: Delivery) -> httpx.Response:
        signed: Any = signed_headers(
            delivery.id, delivery.body, keys=self._keys, now_s=int(self._now())
        )
        headers = {"Content-Type": "application/json", **signed}
        async with client.stream(
            "POST", self._url, content=delivery.body, headers=headers
        ) as response:
            return response

    def _retry(self, delivery: Delivery, answer: str, *, after_s: float = 0) -> Outcome:
        if delivery.attempts >= len(self._retries_s):
            return Outcome(answer=answer)
        delay_s = self._retries_s[delivery.attempts] * random.uniform(1, 1 + JITTER)  # noqa: S311
        return Outcome(answer=answer, retry_s=max(delay_s, after_s))

    def _retry_after(self, response: httpx.Response) -> float:
        """Seconds that the endpoint asks for (RFC 9110 §10.2.3), at most a day; 0: none."""
        value = response.headers.get("retry-after", "")
        if value.isascii() and value.isdigit() and len(value) < 10:
            return float(min(int(value), LONGEST_RETRY_AFTER_S))
        try:
            left_s = email.utils.parsedate_to_datetime(value).timestamp() - self._now()
        except (ValueError, TypeError, OverflowError):
            return 0.0
        return min(max(left_s, 0.0), LONGEST_RETRY_AFTER_S)
