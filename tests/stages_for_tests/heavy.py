"""A plug-in that imports something large at its top, which belongs in a child alone."""

from __future__ import annotations

import wave  # stands for a library that nothing else here imports
from typing import Any

from sse_progress.model.stage_api import Report, Upload


def measure(upload: Upload, report: Report) -> dict[str, Any]:
    return {"library": wave.__name__}
