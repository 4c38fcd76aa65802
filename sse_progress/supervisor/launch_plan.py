"""What `serve` is about to run, in values that travel to the supervisor and words for people."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NoReturn

from sse_progress.runtime.handed_over import hand_over
from sse_progress.runtime.redis.url import parse_redis_url
from sse_progress.supervisor.process_table import STOPS

if TYPE_CHECKING:
    from sse_progress.settings import Settings

__all__ = ["PLAN", "Plan", "become"]

PLAN = "SSE_PROGRESS_SUPERVISOR_PLAN"
"""Environment variable in which it travels."""
EXTRA_GRACE_S = 5.0
"""What ending well takes beyond the grace given to bodies in flight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the supervisor needs of the settings; no secret is among it.

    `redis` is where a given Redis, its Sentinels or the nodes of a Cluster listen (`host:port`,
    separated by commas, or a socket's path, never a password); empty means a private one.
    `end_grace_s` is how long a process may take to end after SIGTERM, seconds.
    """

    host: str
    port: int
    prefix: str
    data_dir: str
    redis: str
    web_processes: int
    worker_processes: int
    worker_concurrency: int
    end_grace_s: float
    open_mode: bool
    open_mode_anywhere: bool
    json_log: bool
    work: Sequence[str] = ()
    """Lines about the stages, for the banner."""

    @classmethod
    def of(cls, settings: Settings, *, work: Sequence[str] = ()) -> Plan:
        given = settings.redis_url.get_secret_value() if settings.redis_url else ""
        place = parse_redis_url(given).shown if given else ""
        return cls(
            host=settings.host,
            port=settings.port,
            prefix=settings.prefix,
            data_dir=str(settings.data_dir),
            redis=place,
            web_processes=settings.web_processes,
            worker_processes=settings.worker_processes,
            worker_concurrency=settings.worker_concurrency,
            end_grace_s=settings.shutdown_grace_s + EXTRA_GRACE_S,
            open_mode=settings.open_mode,
            open_mode_anywhere=settings.open_mode_anywhere,
            json_log=settings.log_format == "json",
            work=work,
        )

    def banner(self, *, bound: str, redis: str) -> list[str]:
        """What is said first: what is being started, and where; `bound` is the address."""
        access = "tokens are asked for"
        if self.open_mode:
            access = "open: everybody is anonymous; SSE_PROGRESS_JWT_SECRET asks for tokens"
        return [
            "Starting sse-progress:",
            f"  listening  {bound}{self.prefix} ({_count(self.web_processes, 'web process')})",
            f"  workers    {_count(self.worker_processes, 'process')}, "
            f"{_count(self.worker_concurrency, 'upload')} at once in each",
            f"  redis      {redis}",
            f"  files      {self.data_dir}",
            f"  access     {access}",
            *self.work,
        ]

    def invitation(self, *, local: str, ready_s: float) -> list[str]:
        """What is said when all is ready: what to try next; `local` is the address to type."""
        url = local + self.prefix
        return [
            f"Ready after {ready_s:.1f} s. Open {url}/ or try, in two terminals:",
            f"  curl -N {url}/upload/demo/progress",
            f"  curl -H 'X-Upload-ID: demo' -F file=@photo.jpg {url}/upload",
        ]


def become(plan: Plan, environment: Mapping[str, str]) -> NoReturn:
    """Turn this process into the supervisor: same process id, a third of the memory.

    Reading and checking settings needs large libraries; supervising does not.
    """
    if not sys.argv[0].endswith("__main__.py"):
        # started by its script, so no process of ours shall import from the current directory
        environment = {**environment, "PYTHONSAFEPATH": "1"}
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # until the supervisor listens to them
    sys.stdout.flush()
    sys.stderr.flush()
    seen, handed = hand_over({**environment, PLAN: json.dumps(asdict(plan))})
    os.set_inheritable(handed, True)
    os.execve(  # noqa: S606  # ourselves
        sys.executable, [sys.executable, "-m", "sse_progress.supervisor.supervisor"], seen
    )


def _count(number: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"
