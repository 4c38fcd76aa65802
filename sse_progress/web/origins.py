"""Which web pages a request may come from: origins (RFC 6454), Fetch metadata, Referer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from starlette.types import Scope

from sse_progress.web.request_fields import single_header

__all__ = ["Origins", "Site", "parse_site"]

_AUTHORITY = re.compile(r"([a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
AUTHORITY_CHARACTERS = 260
"""A name of DNS (RFC 1035 §3.1) and a port."""
_PORTS = {"http": 80, "https": 443}


class Site(NamedTuple):
    """An origin (RFC 6454): scheme, host in lower case, port (0: none, and no default)."""

    scheme: str
    host: str
    port: int


def parse_site(scheme: str, authority: str) -> Site | None:
    """None for what is no authority of an origin, or longer than one can be."""
    return _parsed(scheme, authority) if len(authority) <= AUTHORITY_CHARACTERS else None


@lru_cache(64)
def _parsed(scheme: str, authority: str) -> Site | None:
    scheme = scheme.lower()
    if not scheme or (match := _AUTHORITY.fullmatch(authority.lower())) is None:
        return None
    return Site(scheme, match[1], int(match[2] or _PORTS.get(scheme, 0)))


def site_of(url: str) -> Site | None:
    scheme, _, rest = url.partition("://")
    return parse_site(scheme, rest.partition("/")[0])


class Origins:
    """Which web pages may use the service: its own, and those of the listed origins.

    A listed one may have any scheme: web views of apps have their own (`capacitor://localhost`).
    Raises ValueError for one that no request could match.
    """

    def __init__(self, listed: Iterable[str]) -> None:
        sites = {origin: site_of(origin) for origin in listed}
        if wrong := [origin for origin, site in sites.items() if site is None]:
            raise ValueError(f"{wrong[0]!r} is not an origin")
        self._listed = frozenset(sites.values())

    def lists(self, origin: str) -> bool:
        return site_of(origin) in self._listed

    def knows(self, scope: Scope, origin: str) -> bool:
        """The page's origin is this service's own, as the request names it, or a listed one."""
        site = site_of(origin)
        return site is not None and (site == _own(scope) or site in self._listed)

    def vouch_for(self, scope: Scope) -> bool:
        """The request shows that a known page made it; a request that shows nothing does not.

        Browsers send no Origin with a page's own GET, so what they say instead counts as well:
        `Sec-Fetch-Site` (scripts cannot set it), else `Referer`.
        """
        if (origin := single_header(scope, b"origin")) is not None:
            return self.knows(scope, origin)
        if (where := single_header(scope, b"sec-fetch-site")) is not None:
            return where == "same-origin"
        referer = single_header(scope, b"referer")
        return referer is not None and self.knows(scope, referer)


def _own(scope: Scope) -> Site | None:
    # A page's origin is http(s) also where it opens a WebSocket.
    scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"]) or scope["scheme"]
    return parse_site(scheme, single_header(scope, b"host") or "")
