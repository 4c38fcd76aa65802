"""The pictures in an upload that the picture model looks at: itself, frames, pages, entries."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sse_progress.model.errors import Rejected
from sse_progress.model.stage_api import Upload
from sse_progress.stages.formats.clips import clips
from sse_progress.stages.formats.clips.clip_checks import clip_of
from sse_progress.stages.formats.clips.clip_frames import sampled_frames
from sse_progress.stages.formats.documents import pdfs
from sse_progress.stages.formats.images import images
from sse_progress.stages.formats.images.image_copies import shrunk
from sse_progress.stages.formats.media_signatures import HEAD_BYTES, media_type_of
from sse_progress.stages.formats.media_types import kind_of

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Gallery", "gallery_of", "picture_in", "picture_type"]

_SIDE = 512
_FRAMES_OF_ANIMATION = 8
_FRAMES_OF_VIDEO = 16
_PAGES = 10

Pictures = Iterator[tuple[str, "Image.Image"]]


@dataclass(frozen=True)
class Gallery:
    """Pictures to look at, each with the words for its place: `expected` of the `of` there are."""

    unit: Literal["picture", "frame", "page"]
    expected: int
    of: int
    pictures: Pictures


def gallery_of(upload: Upload) -> Gallery | None:
    """What to look at in this upload; None if there is nothing that can be looked at."""
    media_type, path = upload.content_type, Path(upload.path)
    kind = kind_of(media_type)
    if kind == "image" and images.decodable(media_type):
        return _image(upload, media_type)
    if kind == "video" and clips.playable(media_type):
        frames = clip_of(upload).frames
        if not frames:  # an AVI with sound only, for instance
            return None
        return Gallery("frame", min(frames, _FRAMES_OF_VIDEO), frames, _video(upload, media_type))
    if kind == "pdf" and pdfs.available():
        pages = pdfs.page_count(path)
        return Gallery("page", min(pages, _PAGES), pages, _pages(path)) if pages else None
    return None


def _image(upload: Upload, media_type: str) -> Gallery:
    path, max_pixels = Path(upload.path), upload.options.max_pixels
    with images.opened(path, media_type, max_pixels=max_pixels) as image:
        frames = images.frame_count(image)
    count = min(frames, _FRAMES_OF_ANIMATION)
    chosen = [number * frames // count for number in range(count)]
    unit: Literal["picture", "frame"] = "picture" if frames == 1 else "frame"
    return Gallery(unit, count, frames, _frames(upload, media_type, chosen))


def _frames(upload: Upload, media_type: str, chosen: list[int]) -> Pictures:
    path, max_pixels = Path(upload.path), upload.options.max_pixels
    with images.opened(path, media_type, max_pixels=max_pixels) as image:
        for number in chosen:
            if number:
                image.seek(number)
            where = "the picture" if len(chosen) == 1 else f"frame {number + 1}"
            yield where, shrunk(image, _SIDE).convert("RGB")


def _video(upload: Upload, media_type: str) -> Pictures:
    taken = sampled_frames(
        Path(upload.path),
        media_type,
        clip_of(upload),
        max_pixels=upload.options.max_pixels,
        count=_FRAMES_OF_VIDEO,
        side=_SIDE,
    )
    for moment_s, picture in taken:
        yield f"the frame at {moment_s:.1f} s", picture.convert("RGB")


def _pages(path: Path) -> Pictures:
    for number, picture in pdfs.page_pictures(path, _PAGES, _SIDE):
        yield f"page {number}", picture


# ---- entries of archives and documents

_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
)


def picture_type(head: bytes) -> str | None:
    """The type of a picture by its first bytes, whatever it is called; None for anything else."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        named = media_type_of(head[:HEAD_BYTES], "application/octet-stream")
        return named if images.decodable(named) else None
    return next((name for sign, name in _SIGNATURES if head.startswith(sign)), None)


def picture_in(data: bytes, media_type: str, *, max_pixels: int) -> Image.Image | None:
    """The picture that `data` is; None if it cannot be decoded or is too large."""
    try:
        with images.opened(io.BytesIO(data), media_type, max_pixels=max_pixels) as image:
            return shrunk(image, _SIDE).convert("RGB")
    except Rejected:
        return None
