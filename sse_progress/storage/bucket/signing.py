"""AWS Signature Version 4, for what obstore cannot sign: queries, and headers of a signed URL.

Sans-I/O; `now` is passed in. Source: "Authenticating Requests (AWS Signature Version 4)" of the
Amazon S3 API Reference.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote, urlsplit

from sse_progress.storage.bucket.url import BucketUrl, Credentials

__all__ = ["EMPTY_SHA256", "signed_headers", "signed_url"]

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"


def signed_url(
    url: BucketUrl,
    credentials: Credentials,
    method: str,
    key: str,
    *,
    now: datetime,
    expires_s: int,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> str:
    """A URL that lets whoever has it do `method` on `key` for `expires_s` seconds.

    `query` is part of it; `headers` (lower-case names) have to be sent as they are.
    """
    base, stamp = urlsplit(url.base), f"{now:%Y%m%dT%H%M%SZ}"
    signed = {"host": base.netloc, **(headers or {})}
    parameters = {
        **(query or {}),
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key}/{_scope(url, stamp)}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": ";".join(sorted(signed)),
    }
    if credentials.token is not None:
        parameters["X-Amz-Security-Token"] = credentials.token
    path, canonical_query = f"{base.path}/{_quoted(key)}", _query(parameters)
    signature = _signature(
        url,
        credentials,
        stamp,
        canonical=_canonical(method, path, canonical_query, signed, _UNSIGNED),
    )
    return f"{base.scheme}://{base.netloc}{path}?{canonical_query}&X-Amz-Signature={signature}"


def signed_headers(
    url: BucketUrl,
    credentials: Credentials,
    method: str,
    key: str,
    *,
    now: datetime,
    query: Mapping[str, str] | None = None,
) -> tuple[str, dict[str, str]]:
    """URL and headers of a request without a body, on `key` or, if that is empty, the bucket."""
    base, stamp = urlsplit(url.base), f"{now:%Y%m%dT%H%M%SZ}"
    signed = {"host": base.netloc, "x-amz-content-sha256": EMPTY_SHA256, "x-amz-date": stamp}
    if credentials.token is not None:
        signed["x-amz-security-token"] = credentials.token
    path, canonical_query = f"{base.path}/{_quoted(key)}", _query(query or {})
    signature = _signature(
        url,
        credentials,
        stamp,
        canonical=_canonical(method, path, canonical_query, signed, EMPTY_SHA256),
    )
    authorization = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{_scope(url, stamp)}, "
        f"SignedHeaders={';'.join(sorted(signed))}, Signature={signature}"
    )
    address = f"{base.scheme}://{base.netloc}{path}"
    return (
        f"{address}?{canonical_query}" if canonical_query else address,
        {**signed, "authorization": authorization},
    )


def _quoted(key: str) -> str:
    return quote(key, safe="/-_.~")


def _query(parameters: Mapping[str, str]) -> str:
    pairs = ((quote(name, safe="-_.~"), quote(v, safe="-_.~")) for name, v in parameters.items())
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _scope(url: BucketUrl, stamp: str) -> str:
    return f"{stamp[:8]}/{url.region}/s3/aws4_request"


def _canonical(method: str, path: str, query: str, headers: Mapping[str, str], body: str) -> str:
    names = sorted(headers)
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    return "\n".join((method, path, query, lines, ";".join(names), body))


def _signature(url: BucketUrl, credentials: Credentials, stamp: str, *, canonical: str) -> str:
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join((_ALGORITHM, stamp, _scope(url, stamp), digest))
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (stamp[:8], url.region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()
