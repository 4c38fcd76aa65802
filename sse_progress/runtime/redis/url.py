"""The URLs that name a Redis: one server, the master that Sentinels name, or a Cluster.

Owns their grammar and nothing that connects. What is wrong with one is said without its password.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

__all__ = ["FORMS", "RedisUrl", "parse_redis_url"]

FORMS = (
    "redis://host:6379/0, rediss://… (TLS), unix:///path, redis+sentinel://host:26379,host/name "
    "or redis+cluster://host:6379,host"
)
SENTINEL_PORT, PORT = 26379, 6379

_MANY = re.compile(
    r"(?P<tls>rediss?)\+(?P<kind>sentinel|cluster)://(?:(?P<user>[^@/?#]*)@)?"
    r"(?P<hosts>[^@/?#]*)(?:/(?P<path>[^?#]*))?(?:\?(?P<query>[^#]*))?"
)
_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")


class RedisUrl(NamedTuple):
    """`kind` is what is at `places` (host, port); none for a unix socket. `name` is the master's
    among the Sentinels. `credentials` (with `@`) and `query` are those of a `redis://` URL."""

    kind: Literal["one", "sentinel", "cluster"]
    url: str
    places: tuple[tuple[str, int], ...] = ()
    name: str = ""
    db: int = 0
    tls: bool = False
    credentials: str = ""
    query: str = ""
    sentinel_login: tuple[str | None, str | None] = (None, None)
    """User and password of the Sentinels themselves."""

    def server(self, host: str, port: int) -> str:
        """The URL of one of its servers."""
        host = f"[{host}]" if ":" in host else host
        scheme = "rediss" if self.tls else "redis"
        query = f"?{self.query}" if self.query else ""
        return f"{scheme}://{self.credentials}{host}:{port}/{self.db}{query}"

    @property
    def for_sentinels(self) -> RedisUrl:
        """The same with what the Sentinels themselves ask for."""
        user, password = (quote(part or "", safe="") for part in self.sentinel_login)
        return self._replace(credentials=f"{user}:{password}@" if password else "", db=0)

    @property
    def shown(self) -> str:
        """Where it is, for a person: hosts and ports, or a socket's path."""
        if not self.places:
            return unquote(urlsplit(self.url).path)
        return ",".join(f"{host}:{port}" for host, port in self.places)


def parse_redis_url(url: str) -> RedisUrl:
    """Raises ValueError, which says what is wrong."""
    scheme = url.partition("://")[0]
    if scheme == "unix":
        return RedisUrl("one", url)
    if scheme in ("redis", "rediss"):
        return _one(url, scheme)
    found = _MANY.fullmatch(url)
    if found is None:
        raise ValueError(f"must be one of {FORMS}")
    return _many(url, found)


def _one(url: str, scheme: str) -> RedisUrl:
    parts = urlsplit(url)
    if "," in parts.netloc.rpartition("@")[2]:
        raise ValueError(
            f"names several hosts: write {scheme}+cluster://… for a Redis Cluster, or "
            f"{scheme}+sentinel://…/name"
        )
    try:
        place = (parts.hostname or "localhost", parts.port or PORT)
    except ValueError:  # its text quotes what may be a part of the password
        raise ValueError("its port is not a number; in a password, write # / ? @ as %XX") from None
    return RedisUrl("one", url, (place,), tls=scheme == "rediss")


def _many(url: str, found: re.Match[str]) -> RedisUrl:
    sentinel = found["kind"] == "sentinel"
    places = tuple(
        _place(number, text, SENTINEL_PORT if sentinel else PORT)
        for number, text in enumerate(found["hosts"].split(","), 1)
    )
    name, _, db = (found["path"] or "").partition("/")
    if sentinel:
        if not name:
            raise ValueError("must name the master: redis+sentinel://host:26379,host:26379/name")
        if db and not db.isdecimal():
            raise ValueError(f"{db!r} is not the number of a database: …/name/0")
    elif name not in ("", "0") or db:
        raise ValueError("a Redis Cluster has one database: end the URL after its hosts")
    login, query = _sentinel_login(found["query"] or "")
    return RedisUrl(
        "sentinel" if sentinel else "cluster",
        url,
        places,
        name=unquote(name) if sentinel else "",
        db=int(db or 0),
        tls=found["tls"] == "rediss",
        credentials=f"{found['user']}@" if found["user"] else "",
        query=query,
        sentinel_login=login,
    )


def _place(number: int, text: str, port: int) -> tuple[str, int]:
    found = _HOST.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"host {number} is not host:port; in a password, write # / ? @ as %XX")
    port = int(found["port"] or port)
    if not 0 < port < 65536:
        raise ValueError(f"host {number} has no port between 1 and 65535")
    return found["name"].strip("[]"), port


def _sentinel_login(query: str) -> tuple[tuple[str | None, str | None], str]:
    options = parse_qs(query)
    user, password = (
        options.pop(name, [None])[0] for name in ("sentinel_username", "sentinel_password")
    )
    return (user, password), urlencode(options, doseq=True)
