"""sse_progress: the truth about an upload, live, from its first byte to its last stage.

What people who write stages need is here; an application of one's own begins with
`sse_progress.app.create_app`, a client with `sse_progress.client`.
"""

from sse_progress.errors import Problem, Rejected
from sse_progress.events import Event
from sse_progress.stage import Pipeline, Report, Upload

__all__ = ["Event", "Pipeline", "Problem", "Rejected", "Report", "Upload", "__version__"]

__version__ = "0.1.0"
