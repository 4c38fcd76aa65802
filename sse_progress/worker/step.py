"""One step of an attempt, a stage or publishing, as traces and metrics tell it: how it ended."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from sse_progress.journal.writer import WriterLost
from sse_progress.model.errors import Internal, Problem
from sse_progress.runtime.traces import Traces
from sse_progress.storage.manifest import Manifest

__all__ = ["Step", "step"]


@dataclass(slots=True)
class Step:
    """`outcome`: `ok`, `refused`, `failed`, or `stopped` from outside."""

    outcome: str = "stopped"


@contextlib.contextmanager
def step(traces: Traces, manifest: Manifest, name: str) -> Iterator[Step]:
    """A step of the upload's work for the length of the block, whose outcome is known after it.

    Its span is a child of the request that stored the upload.
    """
    about = {"sse_progress.upload.id": manifest.upload_id}
    taken = Step()
    with traces.span(name, parent=manifest.traceparent, attributes=about) as span:
        try:
            yield taken
            taken.outcome = "ok"
        except WriterLost:
            raise
        except Problem as problem:
            taken.outcome = "failed" if isinstance(problem, Internal) else "refused"
            raise
        except Exception:
            taken.outcome = "failed"
            raise
        finally:
            span.add({"sse_progress.outcome": taken.outcome})
            if taken.outcome == "failed":
                span.fail(taken.outcome)
