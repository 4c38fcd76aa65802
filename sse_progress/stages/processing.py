"""Stage `processing`: derived files, written into the upload's scratch directory.

Publishing them is the pipeline's business; it takes exactly the files named in the result.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sse_progress.stage import Report, Upload
from sse_progress.stages import images
from sse_progress.stages.steps import part
from sse_progress.stages.types import kind_of

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["process"]

THUMBNAIL_SIDE = 640
_QUALITY = 80


def process(upload: Upload, report: Report) -> dict[str, Any]:
    """Make a small picture of what has one.

    The result is `{"files": [{"name", "contentType"}, ...]}`, each a file in `upload.scratch`;
    with `strip_metadata`, `original` (a `media.Replacement`) names the rewritten original there.
    """
    files = []
    media_type = upload.content_type
    if kind_of(media_type) == "image" and images.decodable(media_type):
        files.append(_thumbnail(upload, media_type, part(report, 0.0, 1.0)))
    report(1.0, f"Made {len(files)} derived file{'s' * (len(files) != 1)}")
    return {"files": files}


def _thumbnail(upload: Upload, media_type: str, report: Report) -> dict[str, str]:
    with images.opened(
        Path(upload.path),
        media_type,
        max_pixels=upload.options.max_pixels,
        report=part(report, 0.0, 0.6),
    ) as image:
        small = images.shrunk(image, THUMBNAIL_SIDE)
    return _written(small, "thumbnail.webp", upload, report)


def _written(picture: Image.Image, name: str, upload: Upload, report: Report) -> dict[str, str]:
    """Save `picture` (of at most 640 pixels, without metadata) as WebP."""
    report(0.6, f"Writing a thumbnail of {picture.width} x {picture.height} pixels")
    picture.save(Path(upload.scratch) / name, "WEBP", quality=_QUALITY, method=4)
    report(1.0)
    return {"name": name, "contentType": "image/webp"}
