"""Opening video and sound with PyAV: listed containers and codecs, nothing beyond the file itself.

The one place that opens a clip. What FFmpeg guesses about a file is never asked: the demuxer is
named by the detected type (left to itself it opens a text as a `tty` video, and playlists), and
the lists of formats and codecs go into the open call, since opening decodes already.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sse_progress.model.errors import Rejected
from sse_progress.stages.formats.clips.clip_streams import codec_name, covers, moving_pictures
from sse_progress.stages.formats.disk_errors import is_disk_error
from sse_progress.stages.formats.type_words import type_text

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = [
    "audio_of",
    "available",
    "decoders",
    "opened_clip",
    "playable",
    "refined",
    "seconds",
    "unlisted",
    "variants",
    "video_of",
]

_DEMUXERS = {
    "video/mp4": "mov",
    "video/quicktime": "mov",
    "video/3gpp": "mov",
    "video/3gpp2": "mov",
    "audio/mp4": "mov",
    "audio/3gpp": "mov",
    "audio/3gpp2": "mov",
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
    "audio/x-ms-wma": "asf",
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
    "video/3gpp2": "audio/3gpp2",
    "video/webm": "audio/webm",
    "video/x-matroska": "audio/x-matroska",
    "video/ogg": "audio/ogg",
    "video/x-ms-asf": "audio/x-ms-wma",
}
"""AVI, MPEG and FLV have no name of their own for a file with sound only: they keep theirs."""

_WITH_PICTURES = {
    "audio/mp4": "video/mp4",
    "audio/3gpp": "video/3gpp",
    "audio/3gpp2": "video/3gpp2",
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

_HARDWARE = ("_qsv", "_cuvid", "_amf", "_v4l2m2m", "_mediacodec", "_mmal", "_rkmpp")
_THREADS = 4
_NOTES = 5


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


@functools.cache
def decoders() -> str:
    """FFmpeg's names for the decoders of the listed codecs, as its `codec_whitelist` wants them."""
    import av

    names = []
    for name in sorted(av.codecs_available):
        with contextlib.suppress(ValueError):  # an encoder without a decoder
            codec = av.Codec(name, "r")
            if not name.endswith(_HARDWARE) and _known(codec.type, codec.canonical_name):
                names.append(name)
    return ",".join(names)


@contextlib.contextmanager
def opened_clip(path: Path, media_type: str, *, max_pixels: int) -> Iterator[InputContainer]:
    """The clip at `path`; whatever fails inside is a `corrupt_file`, except our own disk.

    Raises Rejected: `corrupt_file`, `rejected_type` for a clip whose sound or whose pictures are
    all in codecs that are not listed, `decompression_bomb` beyond `max_pixels`.
    """
    import av

    options = {
        "protocol_whitelist": "file",
        "format_whitelist": _DEMUXERS[media_type],
        "codec_whitelist": decoders(),
        "max_pixels": str(max_pixels),
    }
    try:
        with av.open(
            f"file:{path}",
            mode="r",
            format=_DEMUXERS[media_type],
            options=options,
            metadata_errors="replace",
        ) as clip:
            _refuse_streams(clip, max_pixels)
            yield clip
    except (Rejected, GeneratorExit):
        raise
    except MemoryError as exc:
        raise Rejected("decompression_bomb", "The clip needs more memory than allowed.") from exc
    except Exception as exc:  # PyAV raises nearly anything on broken input
        _refuse_to_blame_the_file(exc, path)
        raise Rejected(
            "corrupt_file", f"This {type_text(media_type)} is damaged and cannot be opened."
        ) from exc


def _refuse_to_blame_the_file(exc: Exception, path: Path) -> None:
    """Raise what our own disk is to blame for.

    FFmpeg says EIO for a file that ends too early as well, so the file is read to tell them apart.
    """
    import av

    if not isinstance(exc, av.error.FFmpegError):
        if is_disk_error(exc):
            raise exc
    elif exc.errno == errno.EIO:
        with path.open("rb") as file:
            while file.read(1 << 20):
                pass


# ---- which streams are played


def _refuse_streams(clip: InputContainer, max_pixels: int) -> None:
    for kind, streams in (("video", moving_pictures(clip)), ("audio", clip.streams.audio)):
        if streams and not any(_listed(one) for one in streams):
            name = codec_name(clip, streams[0])
            raise Rejected("rejected_type", f"The {kind} codec {name} is not accepted here.")
    for stream in (*clip.streams.video, *clip.streams.audio):
        if not _listed(stream):
            continue
        context = stream.codec_context
        # Holds for every frame: a stream may change its size in the middle.
        limits = {"max_pixels": str(max_pixels), "codec_whitelist": decoders()}
        context.options = {**context.options, **limits}
        context.thread_count = min(_THREADS, os.cpu_count() or 1)
        if stream.type == "video":
            context.thread_type = "AUTO"
    video = video_of(clip)
    if video is not None and video.width * video.height > max_pixels:
        raise Rejected(
            "decompression_bomb",
            f"The video has {video.width} x {video.height} pixels, the limit is {max_pixels}.",
        )


def _known(kind: str, name: str) -> bool:
    return name in _CODECS.get(kind, "").split() or name.startswith(_AUDIO_FAMILIES)


def _listed(stream: Any) -> bool:
    context = stream.codec_context
    return context is not None and _known(stream.type, context.codec.canonical_name)


def video_of(clip: InputContainer) -> Any:
    """The first moving picture in a listed codec, or None; a cover is none."""
    return next((one for one in moving_pictures(clip) if _listed(one)), None)


def audio_of(clip: InputContainer) -> Any:
    """The first sound stream in a listed codec, or None."""
    return next((one for one in clip.streams.audio if _listed(one)), None)


def unlisted(clip: InputContainer) -> list[str]:
    """Tracks and covers in codecs that are not listed, in words for `notChecked`."""
    notes = []
    for unit, streams in (
        ("video track", moving_pictures(clip)),
        ("sound track", clip.streams.audio),
        ("cover picture", covers(clip)),
    ):
        for number, stream in enumerate(streams, 1):
            if not _listed(stream):
                name = codec_name(clip, stream)
                notes.append(f"{unit} {number} (its codec {name} is not accepted here)")
    return notes[:_NOTES]


def refined(media_type: str, *, has_video: bool) -> str:
    """The type, once it is known whether there are moving pictures."""
    table = _WITH_PICTURES if has_video else _SOUND_ALONE
    return table.get(media_type, media_type)


def seconds(clip: InputContainer) -> float | None:
    """The duration that the container declares, if it does."""
    return clip.duration / 1_000_000 if clip.duration and clip.duration > 0 else None
