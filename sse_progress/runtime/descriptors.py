"""File descriptors of this process: how many are open, how many may be, and what to do near that.

At the limit accept(2) fails: a server then retries without end and accepts no connection. So the
limit is raised as far as it may be; short of it, first streams and then connections are refused.
"""

from __future__ import annotations

import os
import resource
import sys

import structlog

__all__ = ["UNLIMITED", "Descriptors", "raise_limit"]

log = structlog.get_logger(__name__)

MOST = 1024 * 1024
"""Soft limit that is asked for, at most; some systems have a hard limit of thousand millions."""
TOLD_EVERY = 10
"""Measurements between two log lines."""


def raise_limit() -> int:
    """Raise the soft limit (RLIMIT_NOFILE) to the hard one, 1,048,576 at most; the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return MOST if soft == resource.RLIM_INFINITY else soft


class Descriptors:
    """A count that is exact once a second (`measure`) and follows connections in between.

    A tenth of the limit is kept for uploads, files and Redis: streams are refused when less is
    left, and connections when less than half of that is.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.connections = 0
        self._others = 0
        self._reserve = min(max(limit // 10, 64), limit // 4)
        self._told = 0
        self._refused = False

    @property
    def open(self) -> int:
        return self._others + self.connections

    @property
    def refuses_streams(self) -> bool:
        return self.open >= self.limit - self._reserve

    def refuse_connection(self) -> bool:
        """Whether a connection that has just come is to be closed."""
        refuses = self._are_short
        self._refused = self._refused or refuses
        return refuses

    @property
    def _are_short(self) -> bool:
        return self.open >= self.limit - self._reserve // 2

    def measure(self) -> None:
        """Count; logged where connections were refused since the last time, or would be now."""
        try:
            self._others = len(os.listdir("/proc/self/fd")) - 1 - self.connections  # noqa: PTH208
        except OSError:  # there is none left to count them with
            self._others = self.limit - self.connections
        refused, self._refused = self._refused, False
        if not (refused or self._are_short):
            self._told = 0
            return
        if self._told % TOLD_EVERY == 0:
            log.error("out of file descriptors", open=self.open, limit=self.limit)
        self._told += 1


UNLIMITED = Descriptors(sys.maxsize)
"""Refuses nothing."""
