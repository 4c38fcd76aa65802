"""What the jobs of one worker share: the parts they use, and how they work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from sse_progress.access.spending import Spending
from sse_progress.model.stage_api import Options, Pipeline, StageFunction
from sse_progress.model.stage_table import StageTable
from sse_progress.sandbox.pool import Pool
from sse_progress.uploads.components import Components
from sse_progress.uploads.reviews import Reviews
from sse_progress.worker.eta import History
from sse_progress.worker.room import Room

__all__ = ["KindOfWork", "WorkerConfig", "WorkerContext"]

MIB = 1024**2


@dataclass(frozen=True, kw_only=True)
class KindOfWork:
    """What is done to uploads of one kind."""

    pipeline: Pipeline
    options: Options
    table: StageTable
    cpu_s: float | None = None
    """CPU time of all stages of an upload; None: the worker's."""
    timeout_s: float | None = None
    """The same of wall-clock time."""
    stages: Sequence[tuple[str, Sequence[StageFunction]]] = field(init=False)
    """The functions of each stage, in order."""

    def __post_init__(self) -> None:
        stages = [
            (name, [function for _, function in group])
            for name, group in groupby(self.pipeline, key=lambda row: row[0])
        ]
        object.__setattr__(self, "stages", stages)


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """`kinds`: the work of each kind of upload, by its name.

    `stage_timeout_s`: wall-clock limit of one stage function, seconds.
    `cpu_s`, `cpu_s_per_mib`: CPU time of all stages of an upload, and what its size adds;
    `timeout_s`, `timeout_s_per_mib`: the same of wall-clock time, in one attempt.
    `room`: on the disk, for what the stages of one attempt write.
    `child_attempts`: lost children of one stage function after which the file is refused.
    `job_attempts`: attempts that ended without a verdict on the file, by the death of a worker or
    because something was away, after which the upload is parked.
    `hold_reviews`: what is marked for review waits for a person.
    """

    kinds: Mapping[str, KindOfWork]
    prefix: str = ""
    stage_timeout_s: float
    cpu_s: float = 300
    cpu_s_per_mib: float = 4
    timeout_s: float = 1800
    timeout_s_per_mib: float = 4
    room: Room = field(default_factory=Room)
    child_attempts: int
    job_attempts: int
    hold_reviews: bool = False

    def cpu_s_of(self, work: KindOfWork, size_bytes: int) -> float:
        """CPU time that the stages of an upload may take together."""
        if work.cpu_s is not None:
            return work.cpu_s
        return self.cpu_s + self.cpu_s_per_mib * size_bytes / MIB

    def timeout_s_of(self, work: KindOfWork, size_bytes: int) -> float:
        """Wall-clock time that they may take together."""
        if work.timeout_s is not None:
            return work.timeout_s
        return self.timeout_s + self.timeout_s_per_mib * size_bytes / MIB


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    components: Components
    pool: Pool
    history: History
    spending: Spending
    reviews: Reviews
    config: WorkerConfig
