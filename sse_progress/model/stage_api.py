"""What a stage is given and what it may say: the whole interface for people who write stages.

    def count_words(upload: Upload, report: Report) -> dict[str, int]: ...

A `def` runs in a child process with limits and can be killed; an `async def` runs on the worker's
loop, for stages that call a service. `raise Rejected(code, detail)` refuses the file. Any other
exception ends the upload with `internal` in a `def`; in an `async def` the service may be away, so
the upload is tried again later, and parked with its file after SSE_PROGRESS_JOB_ATTEMPTS.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from sse_progress.model.errors import Rejected

__all__ = ["Options", "Pipeline", "Rejected", "Report", "StageFunction", "Upload"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that stages may see: no address, key or token is among them."""

    allowed_types: tuple[str, ...] = ("*/*",)
    max_pixels: int = 200_000_000
    keep_location: bool = False
    strip_metadata: bool = False
    nsfw_review: float = 0.5
    nsfw_refuse: float = 0.8
    yara_rules: str | None = None
    word_list: str | None = None
    bad_sha256: str | None = None
    clamd: str | None = None
    clamd_fail: str = "closed"


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """One stored upload, as a stage sees it.

    `path` is the original's file (read only); `scratch` an empty directory of this attempt for
    derived files; `size` bytes; `sha256` hex; `filename` a cleaned base name, never a path;
    `claimed_type` what the client said; `kind` and `context` its labels; `results` what finished
    stages returned, by stage name.
    """

    id: str
    path: str
    scratch: str
    filename: str
    claimed_type: str
    size: int
    sha256: str
    created_at: str
    kind: str = "upload"
    context: dict[str, str] = {}
    fields: dict[str, str | list[str]] = {}
    results: dict[str, dict[str, Any]] = {}
    options: Options = Options()

    @property
    def content_type(self) -> str:
        """The detected media type, once validation has found it."""
        found = self.results.get("validating", {}).get("contentType")
        return str(found) if found else "application/octet-stream"


class Report(Protocol):
    """Say how far the work is: cheap enough to call for every frame, page or row."""

    def __call__(self, fraction: float, message: str | None = None) -> None:
        """`fraction` of this function's work done, 0.0-1.0; `message` one sentence for a person."""


class WithSampler(Protocol):
    """An `async def` function that needs something of the file, which only a `def` may decode.

    `sampler` names a `def` stage function, `package.module:name`. It is run first, with the same
    scratch directory, and the function reads there what it wrote.
    """

    sampler: str


StageResult: TypeAlias = dict[str, Any] | None
StageFunction: TypeAlias = (
    Callable[[Upload, Report], StageResult] | Callable[[Upload, Report], Awaitable[StageResult]]
)
Pipeline: TypeAlias = Sequence[tuple[str, StageFunction]]
"""(stage name, function) in the order of the stage table; equal names share the stage's percent."""
