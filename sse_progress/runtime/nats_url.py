"""The URL of the NATS servers that carry jobs.

Owns its grammar and nothing that connects. What is wrong with one is said without its password.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    import ssl

__all__ = ["FORM", "NatsUrl", "parse_nats_url"]

FORM = (
    "nats://host:4222,host:4222 or tls://…, with ?replicas=3 where a cluster keeps the jobs and "
    "&ssl_ca_certs=/path where an authority of yours has signed its certificates"
)

_URL = re.compile(
    r"(?P<scheme>nats|tls)://(?:(?P<login>[^@/?#]*)@)?(?P<hosts>[^@/?#]+)/?(?:\?(?P<query>[^#]*))?"
)
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class NatsUrl(NamedTuple):
    """`servers`: a URL of each, with the login. `replicas`: of a stream that is made. `tls`: how
    servers of `tls://` are trusted; None: there is no TLS."""

    servers: tuple[str, ...]
    replicas: int = 1
    tls: ssl.SSLContext | None = None


def parse_nats_url(url: str) -> NatsUrl:
    """Raises ValueError."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError(f"must be {FORM}")
    hosts = found["hosts"].split(",")
    for host in hosts:
        if _HOST.fullmatch(host) is None:
            raise ValueError(f"{host!r} is no host; it must be {FORM}")
    replicas, authority = 1, None
    for name, value in parse_qsl(found["query"] or "", keep_blank_values=True):
        if name == "replicas" and value in ("1", "3", "5"):
            replicas = int(value)
        elif name == "ssl_ca_certs" and value and found["scheme"] == "tls":
            authority = value
        else:
            raise ValueError(f"{name}={value} is not known; it must be {FORM}")
    tls = _trusting(authority) if found["scheme"] == "tls" else None
    login = f"{found['login']}@" if found["login"] else ""
    return NatsUrl(tuple(f"{found['scheme']}://{login}{host}" for host in hosts), replicas, tls)


def _trusting(authority: str | None) -> ssl.SSLContext:
    import ssl  # what only reads settings need not

    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"ssl_ca_certs={authority} cannot be used ({error.strerror})") from error
