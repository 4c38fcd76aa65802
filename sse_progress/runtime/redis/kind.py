"""Whether a Redis is of the kind that its URL says, asked once at start."""

from __future__ import annotations

from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from sse_progress.runtime.redis.url import RedisUrl, parse_redis_url

__all__ = ["mismatch"]

ASK_S = 1.0

_MODES = {"one": "standalone", "sentinel": "sentinel", "cluster": "cluster"}


def mismatch(url: str) -> str | None:
    """What is wrong with the form of a URL, and how it has to be written; None if nothing is, or
    nobody answers within a second or may be asked. Raises ValueError on a malformed one."""
    parsed = parse_redis_url(url)
    found = _mode(parsed)
    if found == "sentinel" == parsed.kind:
        return _unknown_name(parsed)
    if found is None or found == _MODES[parsed.kind]:
        return None
    tls = "rediss" if parsed.tls else "redis"
    where = parsed.shown
    if found == "cluster":
        return f"{where} is a Redis Cluster: write {tls}+cluster://{where}"
    if found == "sentinel":
        return f"{where} is a Sentinel: write {tls}+sentinel://{where}/name"
    return f"{where} is a single Redis server: write {tls}://{where}"


def _unknown_name(url: RedisUrl) -> str | None:
    """What is wrong if Sentinels answer, and none of them has a master of that name."""
    asked = False
    for address in _addresses(url):
        try:
            with _client(address) as client:
                found: Any = client.sentinel_get_master_addr_by_name(url.name)
        except (RedisError, OSError):
            continue
        if found is not None:
            return None
        asked = True
    return f"no Sentinel at {url.shown} knows a master named {url.name!r}" if asked else None


def _client(address: str) -> Redis:
    # It asks one question, and need not say which library does.
    return Redis.from_url(
        address, socket_timeout=ASK_S, socket_connect_timeout=ASK_S, driver_info=None
    )


def _mode(url: RedisUrl) -> str | None:
    for address in _addresses(url):
        try:
            with _client(address) as client:
                info: Any = client.info("server")
        except (RedisError, OSError):
            continue
        return str(info.get("redis_mode", "")) or None
    return None


def _addresses(url: RedisUrl) -> list[str]:
    if url.kind == "one":
        return [url.url]
    if url.kind == "sentinel":
        url = url.for_sentinels
    return [url.server(*place) for place in url.places]
