"""The listening socket: bound once, then shared by every web process.

It owns addresses, TCP options and the rule of open mode; it accepts nothing itself.
"""

from __future__ import annotations

import errno
import ipaddress
import socket

__all__ = ["ListenError", "base_url", "listen", "local_url"]

BACKLOG = 2048
KEEPALIVE_IDLE_S = 45
KEEPALIVE_INTERVAL_S = 15
KEEPALIVE_PROBES = 3
USER_TIMEOUT_MS = 90_000
"""Milliseconds without an acknowledgment until a peer is considered gone (RFC 5482)."""


class ListenError(Exception):
    """The socket cannot be opened; the text says why and how to fix it."""


def listen(host: str, port: int, *, loopback_only: bool = False) -> socket.socket:
    """Bind and listen on `host` (a name or an IPv4/IPv6 address) and `port` (0: a free one).

    Accepted connections inherit keepalive and `TCP_USER_TIMEOUT` (Linux), so dead peers are
    noticed without a timer per connection. `::` takes IPv4 too. Raises ListenError.
    """
    family, address = _resolve(host, port)
    if loopback_only and not ipaddress.ip_address(address[0].partition("%")[0]).is_loopback:
        raise ListenError(
            f"Without a key everybody may use this service, so it listens on loopback only, not on "
            f"{host}. Set SSE_PROGRESS_JWT_SECRET (or _JWT_PUBLIC_KEY, _JWKS_URL), or say that you "
            "want this: SSE_PROGRESS_OPEN_MODE_ANYWHERE=1."
        )
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        _prepare(sock)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ListenError(_explain(error, host, port)) from None
    return sock


def _resolve(host: str, port: int) -> tuple[int, tuple[str, int]]:
    if host == "localhost":  # RFC 6761 §6.3: whatever a resolver, or none, would say
        return socket.AF_INET, ("127.0.0.1", port)
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except OSError as error:
        raise ListenError(
            f"{host!r} is not an address of this machine ({error.strerror}). "
            "Set --host (SSE_PROGRESS_HOST), such as 127.0.0.1."
        ) from None
    family, _, _, _, address = found[0]
    return family, address  # type: ignore[return-value]


def _prepare(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)


def _explain(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else port - 1
        return (
            f"Port {port} on {host} is taken. Choose another: --port {other} (SSE_PROGRESS_PORT)."
        )
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights. Choose one from 1024 on: --port 8000."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine. Set --host (SSE_PROGRESS_HOST)."
    return f"Cannot listen on {host}, port {port}: {error.strerror}."


def base_url(sock: socket.socket) -> str:
    """`http://address:port` that the socket is bound to."""
    address, port = sock.getsockname()[:2]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def local_url(sock: socket.socket) -> str:
    """The same as a user of this machine would type it: wildcards become loopback."""
    address, port = sock.getsockname()[:2]
    if address in ("0.0.0.0", "::"):  # noqa: S104  # compared, not bound
        return f"http://127.0.0.1:{port}"
    return base_url(sock)
