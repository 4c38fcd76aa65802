"""Which bucket: the URL of a setting, and the keys from the usual variables. No I/O."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

__all__ = ["BucketUrl", "Credentials", "credentials_from", "parse_bucket_url"]

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")
_REGION = re.compile(r"[A-Za-z0-9-]{1,64}")
_FORM = "s3://bucket/prefix?endpoint=https://host&region=…"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; `token` is a temporary one's. None of it is ever shown."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class BucketUrl:
    """`endpoint` without a slash at its end; `prefix` without one at either end, may be empty.

    `path_style`: the bucket is the first part of the path, not of the host's name.
    """

    bucket: str
    prefix: str
    endpoint: str
    region: str
    path_style: bool

    @property
    def id(self) -> str:
        """The same for all processes that name the same bucket in the same way."""
        whole = f"{self.endpoint}/{self.bucket}/{self.prefix}"
        return "s3-" + hashlib.sha256(whole.encode()).hexdigest()[:16]

    @property
    def base(self) -> str:
        """The bucket's own URL, without a slash at its end."""
        if self.path_style:
            return f"{self.endpoint}/{self.bucket}"
        scheme, _, host = self.endpoint.partition("://")
        return f"{scheme}://{self.bucket}.{host}"

    def key(self, path: str) -> str:
        """A key in the bucket, of a path below the prefix."""
        return f"{self.prefix}/{path}" if self.prefix else path

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


def parse_bucket_url(value: str, *, environment: Mapping[str, str]) -> BucketUrl:
    """Read `s3://bucket/prefix?endpoint=…&region=…`; a region may also be AWS_REGION's.

    Raises ValueError with a sentence that holds nothing of the value but names.
    """
    parts = urlsplit(value)
    if parts.scheme != "s3" or not parts.netloc or parts.fragment:
        raise ValueError(f"is not of the form {_FORM}")
    if _BUCKET.fullmatch(parts.netloc) is None:
        raise ValueError("has no valid name of a bucket (keys are AWS_… variables, not in the URL)")
    prefix = parts.path.strip("/")
    if prefix and (_PREFIX.fullmatch(prefix) is None or _climbs(prefix)):
        raise ValueError("has a prefix of other characters than letters, digits and _ . - /")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(set(query) - {"endpoint", "region", "style"}):
        raise ValueError(f"has an unknown parameter {unknown[0]!r}; known: endpoint, region, style")
    region = query.get("region") or _region(environment)
    if _REGION.fullmatch(region) is None:
        raise ValueError("has no valid region")
    endpoint = query.get("endpoint", "").rstrip("/")
    if endpoint:
        _check_endpoint(endpoint)
    style = query.get("style") or ("path" if endpoint else "host")
    if style not in ("path", "host"):
        raise ValueError("has a style other than path and host")
    return BucketUrl(
        bucket=parts.netloc,
        prefix=prefix,
        endpoint=endpoint or f"https://s3.{region}.amazonaws.com",
        region=region,
        path_style=style == "path",
    )


def _climbs(prefix: str) -> bool:
    return any(part in (".", "..") for part in prefix.split("/"))


def _region(environment: Mapping[str, str]) -> str:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if environment.get(name):
            return environment[name]
    return "us-east-1"


def _check_endpoint(endpoint: str) -> None:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("has an endpoint that is not an http:// or https:// URL")
    if parts.username is not None or parts.query or parts.fragment or parts.path:
        raise ValueError("has an endpoint with more than a scheme, a host and a port")


def credentials_from(environment: Mapping[str, str]) -> Credentials:
    """The key in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. Raises ValueError."""
    missing = [
        name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not environment.get(name)
    ]
    if missing:
        raise ValueError(f"needs {' and '.join(missing)} in the environment")
    return Credentials(
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
        environment.get("AWS_SESSION_TOKEN") or None,
    )
