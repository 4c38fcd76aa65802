"""Single pictures out of a video: a poster, and samples for the picture model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sse_progress.model.errors import Rejected
from sse_progress.model.media import Clip
from sse_progress.stages.formats.clips.clip_facts import EVERY_FRAME_PIXELS
from sse_progress.stages.formats.clips.clip_streams import Decoder, packets
from sse_progress.stages.formats.clips.clips import opened_clip, video_of

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["poster", "sampled_frames"]

_POSTER_AT = 0.1
_TRIES = 100


def poster(path: Path, media_type: str, clip: Clip, *, max_pixels: int, side: int) -> Image.Image:
    """The first picture after a tenth of the video, upright, of at most `side` x `side` pixels."""
    for moment_s in (clip.duration_s * _POSTER_AT, None):
        with opened_clip(path, media_type, max_pixels=max_pixels) as opened:
            video = video_of(opened)
            if moment_s is not None:
                _seek(opened, moment_s)
            for _, frame in _decoded(opened, video):
                return _picture(frame, video, side)
    raise Rejected("corrupt_file", "No picture of the video can be decoded.")


def sampled_frames(
    path: Path, media_type: str, clip: Clip, *, max_pixels: int, count: int, side: int
) -> Iterator[tuple[float, Image.Image]]:
    """At most `count` pictures, evenly over the video, with their time in seconds.

    Key frames where there are enough; else all frames up to the next wanted one are decoded,
    unless the video is so long that key frames have to do. Where seeking leads to no picture (a
    transport stream has no index), the first one is taken.
    """
    found = 0
    for one in _sampled(path, media_type, clip, max_pixels=max_pixels, count=count, side=side):
        found += 1
        yield one
    if not found:
        yield 0.0, poster(path, media_type, clip, max_pixels=max_pixels, side=side)


def _sampled(
    path: Path, media_type: str, clip: Clip, *, max_pixels: int, count: int, side: int
) -> Iterator[tuple[float, Image.Image]]:
    with opened_clip(path, media_type, max_pixels=max_pixels) as opened:
        video = video_of(opened)
        costly = clip.frames * video.width * video.height > EVERY_FRAME_PIXELS
        if clip.key_frames >= count or costly:
            video.codec_context.skip_frame = "NONKEY"
            yield from _by_seeking(opened, video, clip, count, side)
            return
        every = max(clip.frames / count, 1.0)
        wanted = every / 2
        for number, (moment_s, frame) in enumerate(_decoded(opened, video)):
            if number + 1 > wanted:
                wanted += every
                yield moment_s, _picture(frame, video, side)


def _by_seeking(
    opened: Any, video: Any, clip: Clip, count: int, side: int
) -> Iterator[tuple[float, Image.Image]]:
    last = None
    for number in range(count):
        _seek(opened, clip.duration_s * (number + 0.5) / count)
        found = next(_decoded(opened, video), None)
        if found is None and last is None:  # a key frame may be half of one, or cut away
            video.codec_context.skip_frame = "DEFAULT"
            _seek(opened, clip.duration_s * (number + 0.5) / count)
            found = next(_decoded(opened, video), None)
        if found is None or found[1].pts == last:
            continue
        last = found[1].pts
        yield found[0], _picture(found[1], video, side)


def _seek(opened: Any, moment_s: float) -> None:
    """Go to the key frame before a moment; where the file has no way there, stay."""
    import av

    try:
        opened.seek((opened.start_time or 0) + int(moment_s * 1_000_000))
    except av.error.FFmpegError:
        return


def _decoded(opened: Any, video: Any) -> Iterator[tuple[float, Any]]:
    """Frames from here on with their seconds; after `_TRIES` damaged packets in a row it ends."""
    decoder = Decoder(video)
    failures = 0
    for packet in packets(opened, video):
        before = decoder.failed
        frames = decoder.frames(packet)
        failures = 0 if frames else failures + decoder.failed - before
        if failures > _TRIES:
            return
        yield from ((decoder.time_of(frame) or 0.0, frame) for frame in frames)
    yield from ((decoder.time_of(frame) or 0.0, frame) for frame in decoder.frames(None))


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
