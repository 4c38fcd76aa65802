"""Which queue the settings name."""

from __future__ import annotations

from redis.asyncio import Redis

from sse_progress.queue.queue import Queue
from sse_progress.queue.redis_queue import RedisQueue
from sse_progress.runtime.nats_url import parse_nats_url
from sse_progress.settings import Settings, SettingsError

__all__ = ["open_queue"]


def open_queue(settings: Settings, redis: Redis, *, name: str) -> Queue:
    """The queue of the storage with that id; to be closed. Raises SettingsError."""
    if settings.queue is None:
        return RedisQueue(redis, name=name)
    try:
        from sse_progress.queue.nats_queue import NatsQueue
    except ImportError as error:
        raise SettingsError(
            "SSE_PROGRESS_QUEUE: NATS needs the extra: pip install 'sse-progress[nats]'"
        ) from error
    return NatsQueue(redis, parse_nats_url(settings.queue.get_secret_value()), name=name)
