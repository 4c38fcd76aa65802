"""Messages of a JetStream work queue, one for each job of one storage.

A job's subject has its lane and its upload's id, and the stream keeps one message for each subject:
that is what makes a second one of the same job impossible, for as long as it waits or runs. It owns
the connection, the stream and its consumers; what is given out next is up to the caller.
"""

from __future__ import annotations

import json
import time
from asyncio import Lock
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import nats.errors
import structlog
from anyio import fail_after
from nats.aio.client import Client
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from sse_progress.runtime.nats_url import NatsUrl
from sse_progress.runtime.redis.keys import digest

__all__ = ["JetStream", "Message"]

log = structlog.get_logger(__name__)

WAIT_S = 1.5
"""For an answer."""

PAUSE_S = 1.0
"""Between two attempts to connect."""

PREFIX = "sse-progress"
FULL_SUBJECT = "per subject"
"""Part of the error's text where a subject has its message already."""


@dataclass(frozen=True, slots=True)
class Message:
    """A job that this process was given; `receipt` is where the server hears of it."""

    upload_id: str
    receipt: str


class JetStream:
    """A message that is neither kept nor settled for `lease_s` is given out again.

    Everything raises ConnectionError while the server cannot be asked.
    """

    def __init__(self, url: NatsUrl, *, name: str, lease_s: float) -> None:
        self._url, self._lease_s = url, lease_s
        self._stream = f"{PREFIX}-{digest(name)[:16]}"
        self._base = f"{PREFIX}.jobs.{digest(name)[:16]}"
        self._client: Client | None = None
        self._js: JetStreamContext | None = None
        self._lock, self._wait_until = Lock(), 0.0

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                await client.close()
            except (nats.errors.Error, OSError):
                pass

    async def check(self) -> None:
        """Raises ConnectionError if jobs cannot be given out."""
        async with self._asking() as js:
            await self._begin(js)

    async def publish(self, upload_id: str, lane: str) -> None:
        """A message for the job, if it has none in its lane."""
        subject = self._subject(lane, upload_id)
        async with self._asking() as js:
            try:
                try:
                    await js.publish(subject, b"", timeout=WAIT_S)
                except NoStreamResponseError:
                    await self._begin(js)
                    await js.publish(subject, b"", timeout=WAIT_S)
            except APIError as error:
                if FULL_SUBJECT not in (error.description or ""):
                    raise

    async def next(self, lane: str) -> Message | None:
        """The lane's next job that no worker has; those given back or left by dead ones first."""
        async with self._asking() as js:
            try:
                return await self._next(lane)
            except nats.errors.NoRespondersError:  # no such consumer
                await self._begin(js)
                config = ConsumerConfig(
                    durable_name=lane,
                    filter_subject=self._subject(lane, "*"),
                    ack_policy=AckPolicy.EXPLICIT,
                    ack_wait=self._lease_s,
                    max_deliver=-1,
                    max_ack_pending=-1,
                )
                await js.add_consumer(self._stream, config)
                return await self._next(lane)

    async def lane_of(self, upload_id: str) -> str | None:
        """Where the job's message is; None: there is none."""
        async with self._asking() as js:
            try:
                found = await js.get_last_msg(self._stream, self._subject("*", upload_id))
            except NotFoundError:
                return None
            return (found.subject or "").split(".")[-2]

    async def forget(self, upload_id: str) -> None:
        """Remove the job's message, also while a worker has it."""
        async with self._asking() as js:
            await js.purge_stream(self._stream, subject=self._subject("*", upload_id))

    async def keep(self, message: Message) -> None:
        """Its lease begins again."""
        await self._tell(message, b"+WPI")

    async def settle(self, message: Message) -> None:
        """Its job is over."""
        await self._tell(message, b"+ACK")

    async def give_back(self, message: Message, *, delay_s: float = 0) -> None:
        """Another worker may have it after `delay_s`."""
        delay = json.dumps({"delay": int(delay_s * 1e9)}).encode() if delay_s else b""
        await self._tell(message, b"-NAK " + delay if delay else b"-NAK")

    async def flush(self) -> None:
        """Return once the server has received what was sent."""
        async with self._asking():
            assert self._client is not None, "it is connected"
            await self._client.flush(timeout=2)

    def _subject(self, lane: str, upload_id: str) -> str:
        return f"{self._base}.{lane}.{upload_id}"

    async def _next(self, lane: str) -> Message | None:
        assert self._client is not None, "it is connected"
        found = await self._client.request(
            f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{lane}",
            b'{"batch":1,"no_wait":true}',
            timeout=WAIT_S,
            old_style=True,  # a message comes under its own subject, not that of the inbox
        )
        if not found.reply or not found.subject.startswith(self._base):
            return None
        return Message(found.subject.rpartition(".")[2], found.reply)

    async def _tell(self, message: Message, what: bytes) -> None:
        async with self._asking():
            assert self._client is not None, "it is connected"
            await self._client.publish(message.receipt, what)

    async def _begin(self, js: JetStreamContext) -> None:
        """The stream, if it is not there: one that is stays as its operator has it."""
        try:
            await js.stream_info(self._stream)
        except NotFoundError:
            await js.add_stream(
                StreamConfig(
                    name=self._stream,
                    subjects=[f"{self._base}.>"],
                    retention=RetentionPolicy.WORK_QUEUE,
                    storage=StorageType.FILE,
                    num_replicas=self._url.replicas,
                    max_msgs_per_subject=1,
                    discard=DiscardPolicy.NEW,
                    discard_new_per_subject=True,
                )
            )

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[JetStreamContext]:
        try:
            yield await self._connected()
        except (nats.errors.Error, OSError) as error:
            raise ConnectionError(f"NATS: {error!r}") from error

    async def _connected(self) -> JetStreamContext:
        """The connection, made again where it was lost."""
        async with self._lock:
            client = self._client
            if client is not None and not client.is_closed:
                assert self._js is not None, "made with the client"
                return self._js
            if time.monotonic() < self._wait_until:
                raise ConnectionError("NATS: no connection")
            self._wait_until = time.monotonic() + PAUSE_S
            with fail_after(WAIT_S):
                client = _Client(secret=self._url.tls is not None)
                await client.connect(
                    list(self._url.servers),
                    name=PREFIX,
                    connect_timeout=2,
                    allow_reconnect=False,
                    tls=self._url.tls,
                    error_cb=_quiet,
                )
            self._client, self._js = client, client.jetstream(timeout=WAIT_S)
            return self._js


class _Client(Client):
    """nats-py goes on in plain text, login included, where a server of `tls://` offers no TLS:
    whoever is on the way could take the offer out."""

    def __init__(self, *, secret: bool) -> None:
        super().__init__()
        self._secret = secret

    def _connect_command(self) -> bytes:
        if self._secret and not self._server_info.get("tls_required"):
            if self._transport:
                self._transport.close()  # type: ignore[no-untyped-call]
            raise nats.errors.Error("the server does not offer TLS")
        return super()._connect_command()


async def _quiet(error: Exception) -> None:
    log.debug("NATS", error=repr(error))
