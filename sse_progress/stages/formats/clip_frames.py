"""Single pictures out of a video: a poster, and samples for the picture model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sse_progress.model.errors import Rejected
from sse_progress.model.media import Clip
from sse_progress.stages.formats.clip_facts import EVERY_FRAME_PIXELS
from sse_progress.stages.formats.clips import opened_clip, video_of

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["poster", "sampled_frames"]

_POSTER_AT = 0.1
_TRIES = 100


def poster(path: Path, media_type: str, clip: Clip, *, max_pixels: int, side: int) -> Image.Image:
    """The first picture after a tenth of the video, upright, of at most `side` x `side` pixels."""
    with opened_clip(path, media_type, max_pixels=max_pixels) as opened:
        video = video_of(opened)
        for moment_s in (clip.duration_s * _POSTER_AT, 0.0):
            _seek(opened, moment_s)
            for frame in _decoded(opened, video):
                return _picture(frame, video, side)
    raise Rejected("corrupt_file", "No picture of the video can be decoded.")


def sampled_frames(
    path: Path, media_type: str, clip: Clip, *, max_pixels: int, count: int, side: int
) -> Iterator[tuple[float, Image.Image]]:
    """At most `count` pictures, evenly over the video, with their time in seconds.

    Key frames where there are enough; else all frames up to the next wanted one are decoded,
    unless the video is so long that key frames have to do.
    """
    with opened_clip(path, media_type, max_pixels=max_pixels) as opened:
        video = video_of(opened)
        costly = clip.frames * video.width * video.height > EVERY_FRAME_PIXELS
        if clip.key_frames >= count or costly:
            video.codec_context.skip_frame = "NONKEY"
            yield from _by_seeking(opened, video, clip, count, side)
            return
        every = max(clip.frames / count, 1.0)
        wanted = every / 2
        for number, frame in enumerate(_decoded(opened, video)):
            if number + 1 > wanted:
                wanted += every
                yield frame.time or 0.0, _picture(frame, video, side)


def _by_seeking(
    opened: Any, video: Any, clip: Clip, count: int, side: int
) -> Iterator[tuple[float, Image.Image]]:
    last = None
    for number in range(count):
        _seek(opened, clip.duration_s * (number + 0.5) / count)
        frame = next(_decoded(opened, video), None)
        if frame is None or frame.pts == last:
            continue
        last = frame.pts
        yield frame.time or 0.0, _picture(frame, video, side)


def _seek(opened: Any, moment_s: float) -> None:
    """Go to the key frame before a moment; where the file has no way there, stay."""
    import av

    try:
        opened.seek((opened.start_time or 0) + int(moment_s * 1_000_000))
    except av.error.FFmpegError:
        return


def _decoded(opened: Any, video: Any) -> Iterator[Any]:
    """Frames from here on; damaged packets are passed over, `_TRIES` in a row at most."""
    import av

    failures = 0
    for packet in opened.demux(video):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            failures += 1
            if failures > _TRIES:
                return
            continue
        if frames:
            failures = 0
        yield from frames


def _picture(frame: Any, video: Any, side: int) -> Image.Image:
    """A frame as it is displayed: scaled, pixels made square, turned upright."""
    aspect = float(video.sample_aspect_ratio or 1)
    width, height = frame.width * aspect, float(frame.height)
    scale = min(side / max(width, height), 1.0)
    size = {"width": max(round(width * scale), 1), "height": max(round(height * scale), 1)}
    image: Image.Image = frame.to_image(**size)
    if rotation := round(frame.rotation) % 360:
        image = image.rotate(rotation, expand=True)
    return image
