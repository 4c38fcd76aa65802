"""Requests to an S3 server by a second implementation: what the tests look into a bucket with."""

from __future__ import annotations

import datetime
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import httpx

from tests.helpers.s3_server import ACCESS_KEY, REGION, SECRET_KEY


def request(
    endpoint: str,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    content: bytes = b"",
) -> httpx.Response:
    """One signed request (AWS Signature Version 4 in headers)."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    parts = sorted((query or {}).items())
    canonical_query = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in parts)
    body_hash = hashlib.sha256(content).hexdigest()
    signed = {
        "host": urlsplit(endpoint).netloc,
        "x-amz-content-sha256": body_hash,
        "x-amz-date": stamp,
        **(headers or {}),
    }
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    canonical = "\n".join(
        [method, quote(path, safe="/-_.~"), canonical_query, lines, names, body_hash]
    )
    scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = f"AWS4{SECRET_KEY}".encode()
    for part in (stamp[:8], REGION, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    url = endpoint + quote(path, safe="/-_.~") + (f"?{canonical_query}" if parts else "")
    return httpx.request(
        method, url, headers={**signed, "authorization": authorization}, content=content, timeout=30
    )


def keys(endpoint: str, bucket: str, *, prefix: str = "") -> list[str]:
    """All keys of a bucket, in order; the hidden parts of multipart uploads are `uploads`."""
    found: list[str] = []
    after = ""
    while True:
        query = {"list-type": "2", "prefix": prefix}
        if after:
            query["start-after"] = after
        answer = request(endpoint, "GET", f"/{bucket}", query=query).raise_for_status()
        page = _texts(answer.text, "Contents", "Key")
        found += page
        if not page or "<IsTruncated>true" not in answer.text:
            return found
        after = page[-1]


def uploads(endpoint: str, bucket: str, *, prefix: str = "") -> list[str]:
    """Keys of multipart uploads that were begun and neither completed nor aborted."""
    answer = request(endpoint, "GET", f"/{bucket}", query={"uploads": ""}).raise_for_status()
    return [key for key in _texts(answer.text, "Upload", "Key") if key.startswith(prefix)]


def _texts(xml: str, element: str, member: str) -> list[str]:
    tree = ElementTree.fromstring(xml)
    space = tree.tag.partition("}")[0] + "}" if tree.tag.startswith("{") else ""
    return [one.findtext(space + member) or "" for one in tree.iter(space + element)]
