"""The URL of the NATS servers that carry jobs.

Owns its grammar and nothing that connects. What is wrong with one is said without its password.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl

__all__ = ["FORM", "NatsUrl", "parse_nats_url"]

FORM = "nats://host:4222,host:4222 or tls://…, with ?replicas=3 where a cluster keeps the jobs"

_URL = re.compile(
    r"(?P<scheme>nats|tls)://(?:(?P<login>[^@/?#]*)@)?(?P<hosts>[^@/?#]+)/?(?:\?(?P<query>[^#]*))?"
)
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class NatsUrl(NamedTuple):
    """`servers`: a URL of each, with the login. `replicas`: of a stream that is made."""

    servers: tuple[str, ...]
    replicas: int = 1


def parse_nats_url(url: str) -> NatsUrl:
    """Raises ValueError."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError(f"must be {FORM}")
    hosts = found["hosts"].split(",")
    for host in hosts:
        if _HOST.fullmatch(host) is None:
            raise ValueError(f"{host!r} is no host; it must be {FORM}")
    replicas = 1
    for name, value in parse_qsl(found["query"] or "", keep_blank_values=True):
        if name != "replicas" or value not in ("1", "3", "5"):
            raise ValueError(f"{name}={value} is not known; it must be {FORM}")
        replicas = int(value)
    login = f"{found['login']}@" if found["login"] else ""
    return NatsUrl(tuple(f"{found['scheme']}://{login}{host}" for host in hosts), replicas)
