"""The Python client: send files, follow their journals over drops, fetch what came out.

    async with AsyncClient("http://127.0.0.1:8000") as client:
        media = await client.upload("photo.jpg", on_event=print)

`Client` does the same without an event loop. Needs httpx, and of this package only the model.
"""

from __future__ import annotations

from sse_progress.client._async.batches import AsyncBatch
from sse_progress.client._async.client import AsyncClient
from sse_progress.client._async.jobs import AsyncJob
from sse_progress.client._async.streams import AsyncDownload, AsyncFollow
from sse_progress.client._sync.batches import Batch
from sse_progress.client._sync.client import Client
from sse_progress.client._sync.jobs import Job
from sse_progress.client._sync.streams import Download, Follow
from sse_progress.client.failures import (
    BadAnswer,
    Busy,
    ClientError,
    Conflict,
    FileChanged,
    JobFailed,
    NotAllowed,
    NotFound,
    Refused,
    Unreachable,
    UploadCancelled,
    UploadFailed,
)
from sse_progress.client.following import Phase
from sse_progress.client.pace import Pace
from sse_progress.client.shapes import (
    BatchEvent,
    BatchItem,
    BatchState,
    History,
    Media,
    Page,
    QueuePlace,
    State,
    StoredFile,
)
from sse_progress.client.ways import FollowBy
from sse_progress.model.events import Error, Event

__all__ = [
    "AsyncBatch",
    "AsyncClient",
    "AsyncDownload",
    "AsyncFollow",
    "AsyncJob",
    "BadAnswer",
    "Batch",
    "BatchEvent",
    "BatchItem",
    "BatchState",
    "Busy",
    "Client",
    "ClientError",
    "Conflict",
    "Download",
    "Error",
    "Event",
    "FileChanged",
    "Follow",
    "FollowBy",
    "History",
    "Job",
    "JobFailed",
    "Media",
    "NotAllowed",
    "NotFound",
    "Pace",
    "Page",
    "Phase",
    "QueuePlace",
    "Refused",
    "State",
    "StoredFile",
    "Unreachable",
    "UploadCancelled",
    "UploadFailed",
]
