"""Ports for servers that have to be told one before they start."""

from __future__ import annotations

import random
import socket

__all__ = ["free_port"]


def free_port() -> int:
    """A port that is free, and stays so: from 32768 on the kernel gives them to connections.

    Some servers take the one that is 10,000 above as well.
    """
    while True:
        port = random.randrange(15_000, 22_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
