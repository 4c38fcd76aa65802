"""Kinds of upload for services under test."""

from __future__ import annotations

from sse_progress import Kind, Report, Upload


def transcode(upload: Upload, report: Report) -> dict[str, str]:
    report(0.5, "Half of it is done")
    return {"course": upload.context["courseId"]}


SUBTITLES = {"en": "Subtitles", "de": "Untertitel"}

kinds = [
    Kind(
        name="lesson",
        title="A lesson",
        stages=[("transcoding", 11, 80, "Transcoding"), ("subtitling", 81, 94, SUBTITLES)],
        pipeline=[("transcoding", transcode), ("subtitling", transcode)],
        required=["courseId"],
    ),
    Kind(name="avatar", allowed_types=["image/*"], max_bytes=20_000),
    Kind(name="render", stages=[("rendering", 0, 99)]),
]
