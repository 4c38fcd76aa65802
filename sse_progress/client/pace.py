"""How patient a client is, and one request of it with its limits."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Ask", "Pace"]


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
