"""Which uploads need work, and which worker is at it: the port that web and worker use.

It owns handing out jobs, noticing dead workers, and hand-over. What a job does is up to its
handler; the reconciler makes sure that every open upload has a job.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from sse_progress.model.kinds import Priority

__all__ = [
    "Handler",
    "Job",
    "Listed",
    "Outcome",
    "Overview",
    "Park",
    "Queue",
    "QueueEntry",
    "RetryLater",
    "Worker",
]


@dataclass(frozen=True, slots=True)
class Job:
    """One upload to work on.

    `attempts`: those that the death of a worker or RetryLater ended; hand-overs do not count.
    """

    upload_id: str
    attempts: int


class RetryLater(NamedTuple):
    """Outcome of a job that could not be done now: it waits for `delay_s`, then is tried again."""

    delay_s: float


class Park(NamedTuple):
    """Outcome of a job that is not tried again until an operator requeues it."""


Outcome: TypeAlias = RetryLater | Park | None
"""What a job came to; None: it is over."""

Handler: TypeAlias = Callable[[Job], Awaitable[Outcome]]


class Worker(NamedTuple):
    """`name` is `<host>:<process id>:<random>`; `age_s`: seconds since its last report."""

    name: str
    age_s: float


class Listed(NamedTuple):
    """A job in a listing. `seconds`: how long it has waited or been parked, is still delayed, or
    until its lease ends; negative where that is past."""

    upload_id: str
    seconds: float


class QueueEntry(NamedTuple):
    """What a script of another room has to be given to enqueue a job in its own step: keys, and
    arguments by the names that journal/lua/append.lua has for them."""

    keys: tuple[str, ...]
    arguments: dict[str, str | int]


class Overview(NamedTuple):
    """The first jobs of each kind, and how many there are; `paused`: no job is given out."""

    counts: dict[str, int]
    jobs: dict[str, list[Listed]]
    paused: bool


class Queue(Protocol):
    """Jobs of one storage, by upload id: each waits once, and runs in one worker at a time.

    What is raised while Redis cannot be asked is a `redis.exceptions.RedisError` or TimeoutError;
    while another engine cannot, it is a ConnectionError, and only `workers_alive` and `is_served`
    raise it.
    """

    lease_s: float
    """Seconds without a report after which a worker's jobs go to another one, by the server's
    clock; after an outage it starts again."""

    async def enqueue(
        self, upload_id: str, *, owner: str = "", priority: Priority = "normal"
    ) -> None:
        """See that the upload is worked on: nothing happens if it has a job already, even one that
        is delayed or parked. If it raises, the job may be queued or not.

        Jobs of different owners alternate, whoever has more. One of high priority is 20 turns
        earlier than it would be, one of low priority as many later; so none waits forever.
        """

    def entry(self, upload_id: str, *, owner: str, priority: Priority) -> QueueEntry | None:
        """The same, for the journal to do with an event; None: it cannot, since they are on several
        servers."""

    async def backlog(self, owner: str) -> int:
        """How many jobs of the owner's wait, about."""

    async def positions(self, upload_ids: Sequence[str]) -> dict[str, int]:
        """The places of those jobs that wait, among all that do, from 1."""

    async def requeue(self, upload_id: str) -> str:
        """Have a delayed or parked upload worked on now, with its attempts counted from 0.

        Answers where its job was: `waiting`, `running`, `delayed`, `parked`, or empty if the queue
        had none. If it raises, the job may be queued or not.
        """

    async def drop(self, upload_id: str) -> None:
        """Its upload has ended, so it need not be worked on; a job that runs finds out itself."""

    async def drop_parked(self) -> None:
        """Drop parked jobs whose uploads are not open any more."""

    async def pause(self) -> None:
        """Give out no more jobs, on any worker, until `resume`; those that run go on."""

    async def resume(self) -> None:
        """Give out jobs again."""

    async def overview(self, *, limit: int = 100) -> Overview:
        """Counts, and the first `limit` jobs of each kind."""

    async def place(self, upload_id: str) -> tuple[str, int]:
        """Where an upload's job is (as `requeue` answers), and its attempts so far."""

    async def holders(self) -> dict[str, str]:
        """The name of the worker that runs each job, by upload id."""

    async def depth(self) -> tuple[int, int]:
        """How many jobs wait, and how many run."""

    async def workers(self) -> list[Worker]:
        """Workers that reported within a day and have not ended."""

    async def workers_alive(self) -> int:
        """How many workers have reported within two leases. Raises also while none could be given
        a job."""

    @property
    def served(self) -> bool | None:
        """What `is_served` has found within seconds; None: ask it."""

    async def is_served(self) -> bool:
        """Whether a worker takes jobs of this storage, as it was within seconds."""

    async def run(
        self,
        handler: Handler,
        *,
        concurrency: int,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        """Work until cancelled, on `concurrency` jobs at once; `on_ready` once the queue has
        answered.

        The handler is cancelled when this is, and has the time that it needs to clean up; its job
        then goes on elsewhere at once. It is cancelled, too, when another worker has got its job.
        It is not cancelled while the queue is away: it goes on, and the queue hears of it
        afterwards.

        The handler answers None when the job is over, RetryLater, or Park. It does not raise; if it
        does, that is logged, and the job is over.
        """

    async def aclose(self) -> None:
        """Its connections, but for that to Redis."""
