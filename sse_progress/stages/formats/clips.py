"""Opening video and sound with PyAV: listed containers and codecs, nothing beyond the file itself.

The one place that opens a clip. What FFmpeg guesses about a file is never asked: the demuxer is
named by the detected type (left to itself it opens a text as a `tty` video, and playlists).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sse_progress.model.errors import Rejected

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = [
    "audio_of",
    "available",
    "opened_clip",
    "playable",
    "refined",
    "seconds",
    "variants",
    "video_of",
]

_DEMUXERS = {
    "video/mp4": "mov",
    "video/quicktime": "mov",
    "video/3gpp": "mov",
    "audio/mp4": "mov",
    "audio/3gpp": "mov",
    "video/webm": "matroska",
    "audio/webm": "matroska",
    "video/x-matroska": "matroska",
    "audio/x-matroska": "matroska",
    "video/x-msvideo": "avi",
    "video/mpeg": "mpeg",
    "video/mp2t": "mpegts",
    "video/ogg": "ogg",
    "audio/ogg": "ogg",
    "video/x-flv": "flv",
    "video/x-ms-asf": "asf",
    "audio/mpeg": "mp3",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/wav": "wav",
    "audio/aiff": "aiff",
    "audio/amr": "amr",
}

_SOUND_ALONE = {
    "video/mp4": "audio/mp4",
    "video/quicktime": "audio/mp4",
    "video/3gpp": "audio/3gpp",
    "video/webm": "audio/webm",
    "video/x-matroska": "audio/x-matroska",
    "video/ogg": "audio/ogg",
}
_WITH_PICTURES = {
    "audio/mp4": "video/mp4",
    "audio/3gpp": "video/3gpp",
    "audio/webm": "video/webm",
    "audio/ogg": "video/ogg",
}

_CODECS = {
    "video": (
        "av1 dnxhd dvvideo ffv1 flv1 h263 h264 hevc huffyuv mjpeg mpeg1video mpeg2video mpeg4 "
        "msmpeg4v1 msmpeg4v2 msmpeg4v3 png prores rawvideo svq3 theora utvideo vc1 vp6 vp6f vp8 "
        "vp9 vvc wmv1 wmv2 wmv3"
    ),
    "audio": (
        "aac ac3 alac amr_nb amr_wb dts eac3 flac mp1 mp2 mp3 opus speex truehd vorbis wavpack "
        "wmapro wmav1 wmav2 wmalossless"
    ),
}
_AUDIO_FAMILIES = ("pcm_", "adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt", "adpcm_swf")
"""FFmpeg has hundreds of decoders for forgotten formats; these are the ones that people send."""

_THREADS = 4


def available() -> bool:
    return importlib.util.find_spec("av") is not None


def playable(media_type: str) -> bool:
    """Whether clips of this type can be opened here."""
    return media_type in _DEMUXERS and available()


def variants(media_type: str) -> set[str]:
    """The types that a file may turn out to have once its streams are known."""
    return {
        media_type,
        _SOUND_ALONE.get(media_type, media_type),
        _WITH_PICTURES.get(media_type, media_type),
    }


@contextlib.contextmanager
def opened_clip(path: Path, media_type: str, *, max_pixels: int) -> Iterator[InputContainer]:
    """The clip at `path`; what FFmpeg raises inside is a `corrupt_file`.

    Raises Rejected: `corrupt_file`, `rejected_type` for a codec that is not listed,
    `decompression_bomb` beyond `max_pixels`.
    """
    import av

    try:
        with av.open(
            f"file:{path}",
            mode="r",
            format=_DEMUXERS[media_type],
            options={"protocol_whitelist": "file"},
            metadata_errors="replace",
        ) as clip:
            _refuse_streams(clip, max_pixels)
            yield clip
    except (Rejected, GeneratorExit):
        raise
    except MemoryError as exc:
        raise Rejected("decompression_bomb", "The clip needs more memory than allowed.") from exc
    except (av.error.FFmpegError, ValueError, OverflowError, ZeroDivisionError) as exc:
        raise Rejected("corrupt_file", f"The {media_type} cannot be decoded.") from exc


def _refuse_streams(clip: InputContainer, max_pixels: int) -> None:
    for stream in (*clip.streams.video, *clip.streams.audio):
        context = stream.codec_context
        name = context.codec.canonical_name if context is not None else "unknown"
        if not _known(stream.type, name):
            raise Rejected("rejected_type", f"The {stream.type} codec {name} is not accepted here.")
        # Holds for every frame: a stream may change its size in the middle.
        context.options = {**context.options, "max_pixels": str(max_pixels)}
        context.thread_count = min(_THREADS, os.cpu_count() or 1)
    for video in clip.streams.video:
        video.codec_context.thread_type = "AUTO"
        if video.width * video.height > max_pixels:
            raise Rejected(
                "decompression_bomb",
                f"The video has {video.width} x {video.height} pixels, the limit is {max_pixels}.",
            )


def _known(kind: str, name: str) -> bool:
    return name in _CODECS[kind].split() or name.startswith(_AUDIO_FAMILIES)


def video_of(clip: InputContainer) -> Any:
    """The first moving picture, or None; a cover is none."""
    import av

    cover = av.stream.Disposition.attached_pic
    return next((one for one in clip.streams.video if not one.disposition & cover), None)


def audio_of(clip: InputContainer) -> Any:
    """The first sound stream, or None."""
    return next(iter(clip.streams.audio), None)


def refined(media_type: str, *, has_video: bool) -> str:
    """The type, once it is known whether there are moving pictures."""
    table = _WITH_PICTURES if has_video else _SOUND_ALONE
    return table.get(media_type, media_type)


def seconds(clip: InputContainer) -> float | None:
    """The duration that the container declares, if it does."""
    return clip.duration / 1_000_000 if clip.duration and clip.duration > 0 else None
