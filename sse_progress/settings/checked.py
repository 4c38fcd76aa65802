"""What a value has to be, beyond its type, and which settings go together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator, model_validator

from sse_progress.runtime.nats_url import parse_nats_url
from sse_progress.runtime.redis.url import parse_redis_url
from sse_progress.settings.declared import Declared

__all__ = ["Checked"]

_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE
)


def _punycode(origin: str) -> str:
    scheme, _, host = origin.partition("://")
    try:
        return f"{scheme}://{host.encode('idna').decode()}"
    except UnicodeError:
        return f"{scheme}://xn--…"


class Checked(Declared):
    """Raises pydantic's ValidationError, whose texts say what is wrong."""

    @field_validator("prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        value = value.rstrip("/")
        if value and not value.startswith("/"):
            raise ValueError("must begin with '/'")
        if any(c in value for c in "?#{} \\"):
            raise ValueError("must be a plain path")
        return value

    @field_validator("data_dir")
    @classmethod
    def _data_dir(cls, value: Path) -> Path:
        return value.expanduser().absolute()  # stages run in directories of their own

    @field_validator("jwt_secret")
    @classmethod
    def _secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and (size := len(value.get_secret_value().encode())) < 32:
            raise ValueError(f"is {size} bytes, needs at least 32")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_redis_url(value.get_secret_value())
        return value

    @field_validator("queue")
    @classmethod
    def _queue(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_nats_url(value.get_secret_value())
        return value

    @field_validator("archive_url")
    @classmethod
    def _archive(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or value.get_secret_value() == "off":
            return value
        parts = urlsplit(value.get_secret_value())
        if parts.scheme == "sqlite" and not parts.netloc and len(parts.path) > 1:
            return value
        if parts.scheme in ("postgresql", "postgres"):
            return value
        raise ValueError("must be postgresql://…, sqlite:////absolute/path or off")

    @field_validator("webhook_url", "moderation_hook_url", "moderation_api_url")
    @classmethod
    def _http_url(cls, value: SecretStr | str | None) -> SecretStr | str | None:
        if value is not None:
            text = value.get_secret_value() if isinstance(value, SecretStr) else value
            parts = urlsplit(text)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("must be an http:// or https:// URL")
        return value

    @field_validator("moderation_api_key")
    @classmethod
    def _header_value(cls, value: SecretStr | None) -> SecretStr | None:
        key = value.get_secret_value() if value else ""
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise ValueError("has a character that no key has: is it still the one of an example?")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if "*" in origin:
                raise ValueError(
                    f"{origin!r} is not an origin: list each in full, without wildcards"
                )
            if not origin.isascii():
                ascii_name = _punycode(origin)
                raise ValueError(f"{origin!r} is not ASCII; browsers send {ascii_name!r}")
            if _ORIGIN.fullmatch(origin) is None:
                raise ValueError(f"{origin!r} is not an origin such as https://app.example")
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        keys = [
            name
            for name, value in (
                ("JWT_SECRET", self.jwt_secret),
                ("JWT_PUBLIC_KEY", self.jwt_public_key),
                ("JWKS_URL", self.jwks_url),
            )
            if value
        ]
        if len(keys) > 1:
            raise ValueError(f"set only one of {' and '.join(f'SSE_PROGRESS_{k}' for k in keys)}")
        for name in ("webhook", "moderation_hook"):
            if (getattr(self, f"{name}_url") is None) != (getattr(self, f"{name}_secret") is None):
                url, secret = (f"SSE_PROGRESS_{name}_{part}".upper() for part in ("url", "secret"))
                raise ValueError(f"{url} and {secret} need each other: set both or neither")
        if self.nsfw_review > self.nsfw_refuse:
            raise ValueError(
                "SSE_PROGRESS_NSFW_REVIEW must not be above SSE_PROGRESS_NSFW_REFUSE "
                f"({self.nsfw_review} > {self.nsfw_refuse})"
            )
        return self
