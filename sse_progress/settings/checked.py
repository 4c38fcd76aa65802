"""What a value has to be, beyond its type, and which settings go together."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sse_progress.runtime.nats_url import parse_nats_url
from sse_progress.runtime.redis.url import parse_redis_url
from sse_progress.settings.values import Secret

if TYPE_CHECKING:
    from sse_progress.settings.declared import Declared

__all__ = ["CHECKS", "check_together"]

_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE
)


def _punycode(origin: str) -> str:
    scheme, _, host = origin.partition("://")
    try:
        return f"{scheme}://{host.encode('idna').decode()}"
    except UnicodeError:
        return f"{scheme}://xn--…"


def _prefix(value: str) -> str:
    value = value.rstrip("/")
    if value and not value.startswith("/"):
        raise ValueError("must begin with '/'")
    if any(c in value for c in "?#{} \\"):
        raise ValueError("must be a plain path")
    return value


def _data_dir(value: Path) -> Path:
    return value.expanduser().absolute()  # stages run in directories of their own


def _jwt_secret(value: Secret) -> Secret:
    if (size := len(value.get_secret_value().encode())) < 32:
        raise ValueError(f"is {size} bytes, needs at least 32")
    return value


def _log_user_key(value: Secret) -> Secret:
    if (size := len(value.get_secret_value())) < 16:
        raise ValueError(f"is {size} characters, needs at least 16")
    return value


def _redis_url(value: Secret) -> Secret:
    parse_redis_url(value.get_secret_value())
    return value


def _queue(value: Secret) -> Secret:
    parse_nats_url(value.get_secret_value())
    return value


def _archive_url(value: Secret) -> Secret:
    if value.get_secret_value() == "off":
        return value
    parts = urlsplit(value.get_secret_value())
    if parts.scheme == "sqlite" and not parts.netloc and len(parts.path) > 1:
        return value
    if parts.scheme in ("postgresql", "postgres"):
        return value
    raise ValueError("must be postgresql://…, sqlite:////absolute/path or off")


def _http_url(value: Secret | str) -> Secret | str:
    parts = urlsplit(value.get_secret_value() if isinstance(value, Secret) else value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// URL")
    return value


def _header_value(value: Secret) -> Secret:
    key = value.get_secret_value()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ValueError("has a character that no key has: is it still the one of an example?")
    return value


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    for origin in value:
        if "*" in origin:
            raise ValueError(f"{origin!r} is not an origin: list each in full, without wildcards")
        if not origin.isascii():
            ascii_name = _punycode(origin)
            raise ValueError(f"{origin!r} is not ASCII; browsers send {ascii_name!r}")
        if _ORIGIN.fullmatch(origin) is None:
            raise ValueError(f"{origin!r} is not an origin such as https://app.example")
    return value


CHECKS: dict[str, Callable[[Any], Any]] = {
    "prefix": _prefix,
    "data_dir": _data_dir,
    "jwt_secret": _jwt_secret,
    "log_user_key": _log_user_key,
    "redis_url": _redis_url,
    "queue": _queue,
    "archive_url": _archive_url,
    "webhook_url": _http_url,
    "moderation_hook_url": _http_url,
    "moderation_api_url": _http_url,
    "moderation_api_key": _header_value,
    "cors_origins": _origins,
}
"""By the name of the setting: from its value, if it has one, to the one that is used. They raise
ValueError, whose text says what is wrong."""


def check_together(settings: Declared) -> None:
    """Raises ValueError if settings exclude or need each other."""
    keys = [
        name
        for name, value in (
            ("JWT_SECRET", settings.jwt_secret),
            ("JWT_PUBLIC_KEY", settings.jwt_public_key),
            ("JWKS_URL", settings.jwks_url),
        )
        if value
    ]
    if len(keys) > 1:
        raise ValueError(f"set only one of {' and '.join(f'SSE_PROGRESS_{k}' for k in keys)}")
    for name in ("webhook", "moderation_hook"):
        url, secret = (getattr(settings, f"{name}_{part}") for part in ("url", "secret"))
        if (url is None) != (secret is None):
            both = (f"SSE_PROGRESS_{name}_{part}".upper() for part in ("url", "secret"))
            raise ValueError(f"{' and '.join(both)} need each other: set both or neither")
    if settings.nsfw_review > settings.nsfw_refuse:
        raise ValueError(
            "SSE_PROGRESS_NSFW_REVIEW must not be above SSE_PROGRESS_NSFW_REFUSE "
            f"({settings.nsfw_review} > {settings.nsfw_refuse})"
        )
