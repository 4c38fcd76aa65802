"""How many connections one client address may have to this process at the same time.

A connection from a proxy that is trusted is not counted: the requests that come by it are, by the
address that the proxy names. Whose connection that is, is decided by the caller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from sse_progress.access.addresses import network
from sse_progress.model.errors import Problem, RateLimited

__all__ = ["NOWHERE", "Connections", "Place"]

RETRY_AFTER_S = 5
ANSWERED_AT_ONCE = 100
"""Refused connections that may be open while their clients read why."""


class Place:
    """One that is counted, until `leave()`, which may be called again. `problem`: why it is not to
    be had; None and not `given`: no more than that is said."""

    def __init__(
        self,
        leave: Callable[[], None] = lambda: None,
        *,
        problem: Problem | None = None,
        given: bool = True,
    ) -> None:
        self._leave: Callable[[], None] | None = leave
        self.problem, self.given = problem, given

    def leave(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


NOWHERE = Place()
"""Counted nowhere."""


class Connections:
    """Counts by address, those of IPv6 by their /64."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: Counter[str] = Counter()
        self._answered = 0

    def enter(self, address: str) -> Place:
        """Raises RateLimited."""
        client = network(address)
        if (count := self._open[client]) >= self._limit:
            raise RateLimited(
                f"{count} connections from your address are open (limit {self._limit}).",
                retry_after_s=RETRY_AFTER_S,
            )
        self._open[client] = count + 1
        return Place(lambda: self._left(client))

    def begin(self, address: str) -> Place:
        """The same for a connection that is there already, and has to be told if it is refused."""
        try:
            return self.enter(address)
        except RateLimited as problem:
            if self._answered >= ANSWERED_AT_ONCE:
                return Place(given=False)
            self._answered += 1
            return Place(self._has_answered, problem=problem, given=False)

    def _left(self, client: str) -> None:
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]

    def _has_answered(self) -> None:
        self._answered -= 1
