"""A kind whose own stages wait at gates: one has a usual name, one a title in two languages."""

from __future__ import annotations

from sse_progress import Kind, Report, Upload
from tests.browser.paced import pass_gates


def moderating(upload: Upload, report: Report) -> None:
    pass_gates(upload, report, "moderating")


def transcoding(upload: Upload, report: Report) -> None:
    pass_gates(upload, report, "transcoding")


def subtitling(upload: Upload, report: Report) -> None:
    pass_gates(upload, report, "subtitling")


kinds = [
    Kind(
        name="film",
        allowed_types=["*/*"],
        stages=[
            ("moderating", 11, 30, "Rating"),
            ("transcoding", 31, 80, {"en": "Making versions", "de": "Umwandeln"}),
            ("subtitling", 81, 94),
        ],
        pipeline=[
            ("moderating", moderating),
            ("transcoding", transcoding),
            ("subtitling", subtitling),
        ],
    )
]
STAGES = ("moderating", "transcoding", "subtitling")
