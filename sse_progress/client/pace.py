"""How patient a client is, and one request of it with its limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Ask", "Pace", "Patience"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient a client is, seconds.

    `heartbeat_s` is how often an idle stream of the service speaks: after three times that
    without a byte a stream is taken for dead. One that shows no byte within `opening_s` is held
    back by something in between, and the state is polled instead (`poll_wait_s` is how long the
    service holds such a request, `poll_s` the pause where it does not). Between tries the pause
    doubles from `retry_first_s` to `retry_limit_s`, with jitter; after `give_up_s` without any
    good answer the call fails. `answer_s` is how long the end of an upload waits for its other
    half, the answer or the event; `lost_s` how long a body whose connection broke may still turn
    up in its journal.
    """

    heartbeat_s: float = 15
    opening_s: float = 10
    poll_wait_s: int = 25
    poll_s: float = 2
    retry_first_s: float = 3
    retry_limit_s: float = 30
    give_up_s: float = 300
    answer_s: float = 5
    lost_s: float = 15

    @property
    def silence_s(self) -> float:
        return 3 * self.heartbeat_s


@dataclass(frozen=True, slots=True)
class Ask:
    """The next request: GET `path`.

    `opening_s` is the longest wait for the start of the answer; `silence_s` that for any byte of
    it, for drivers that have one limit for a whole answer.
    """

    path: str
    params: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    opening_s: float
    silence_s: float


class Patience:
    """How long to wait before the next try (`pause_s`), and when to give up.

    `now` is a monotonic clock, `chance` gives numbers from 0 to 1.
    """

    def __init__(
        self, pace: Pace, *, now: Callable[[], float], chance: Callable[[], float]
    ) -> None:
        self._pace, self._now, self._chance = pace, now, chance
        self._heard_at = now()
        self._failures = 0
        self.pause_s = 0.0

    def heard(self) -> None:
        """Something came: giving up is counted from here."""
        self._heard_at = self._now()

    def well(self) -> None:
        """What came is as it should be: pauses begin with the shortest again."""
        self.heard()
        self._failures = 0

    def failed(
        self, error: Exception, *, own_s: float | None = None, at_least_s: float | None = None
    ) -> None:
        """Raises it if nothing came for too long. `own_s` is a pause that the service asked for."""
        if self._now() - self._heard_at > self._pace.give_up_s:
            raise error
        if own_s is None:
            doubled = self._pace.retry_first_s * 2.0 ** min(self._failures, 20)
            self._failures += 1
            own_s = min(doubled, self._pace.retry_limit_s) * (0.5 + self._chance() / 2)
        least_s = 0.0 if at_least_s is None else at_least_s * (1 + self._chance() / 10)
        self.pause_s = max(own_s, least_s)
