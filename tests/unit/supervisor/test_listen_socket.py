"""The listening socket's addresses and words."""

from __future__ import annotations

import socket

import pytest

from sse_progress.supervisor.listen_socket import ListenError, base_url, listen, local_url


def test_port_0_takes_a_free_one_and_tells() -> None:
    """The address that is told is the one that accepts."""
    with listen("127.0.0.1", 0) as sock:
        port = int(base_url(sock).rpartition(":")[2])
        assert base_url(sock) == local_url(sock) == f"http://127.0.0.1:{port}"
        socket.create_connection(("127.0.0.1", port), timeout=60).close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.8.0.9", "::1"])
def test_loopback_is_allowed_in_open_mode(host: str) -> None:
    """Every loopback address and name will do; IPv6 addresses stand in brackets in a URL."""
    with listen(host, 0, loopback_only=True) as sock:
        assert base_url(sock).startswith("http://[::1]:" if host == "::1" else "http://127.")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1"])
def test_everything_else_is_refused_in_open_mode(host: str) -> None:
    """Wildcards and public addresses need a key or so many words; nothing is bound."""
    with pytest.raises(ListenError, match="SSE_PROGRESS_OPEN_MODE_ANYWHERE=1"):
        listen(host, 0, loopback_only=True)


def test_a_name_that_is_none_is_said() -> None:
    """RFC 6761: `.invalid` never resolves."""
    with pytest.raises(ListenError, match=r"'nowhere\.invalid' is not an address"):
        listen("nowhere.invalid", 0)


def test_the_last_port_has_a_lower_neighbour() -> None:
    """The port proposed in place of a taken one is a port."""
    with (
        listen("127.0.0.1", 65535),
        pytest.raises(ListenError, match="--port 65534"),
    ):
        listen("127.0.0.1", 65535)
