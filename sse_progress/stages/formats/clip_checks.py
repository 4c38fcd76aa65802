"""Is a video or sound file whole? Packets read, key frames and sound decoded, time compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sse_progress.model.errors import Rejected
from sse_progress.model.media import Clip
from sse_progress.model.stage_api import Report, Upload
from sse_progress.stages.formats.clips import audio_of, opened_clip, refined, seconds, video_of
from sse_progress.stages.formats.containers import declared_bytes

if TYPE_CHECKING:
    from av.packet import Packet

__all__ = ["CheckedClip", "check_clip", "clip_of"]

MAX_FRAMES = 2_000_000
"""Frames of one video: a day at 24 a second."""
_STREAMS = 64
_MISSING_S = 0.5
_MISSING_SHARE = 0.05
_DAMAGED_SHARE = 0.1
_ESTIMATES = frozenset(("audio/mpeg", "audio/aac", "video/mpeg", "video/mp2t"))
"""Formats without a duration of their own: FFmpeg estimates one from the bit rate."""


@dataclass(frozen=True, kw_only=True)
class CheckedClip:
    media_type: str
    clip: Clip
    checks: list[str]
    not_checked: list[str]


class _Clock:
    """First and last moment over all streams, seconds."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.last = 0.0
        self._bases: dict[int, float] = {}

    def see(self, packet: Packet[Any]) -> None:
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            return
        base = self._bases.get(packet.stream_index)
        if base is None:  # arithmetic with fractions costs more than reading the packet
            base = self._bases[packet.stream_index] = float(packet.time_base)
        begin = stamp * base
        self.first = begin if self.first is None else min(self.first, begin)
        self.last = max(self.last, begin + (packet.duration or 0) * base)

    @property
    def duration_s(self) -> float:
        return max(self.last - (self.first or 0.0), 0.0)


class _Count:
    """Packets read and frames decoded of the stream that is looked at."""

    def __init__(self) -> None:
        self.packets = self.key_packets = self.decoded = self.damaged = 0


def check_clip(path: Path, media_type: str, *, max_pixels: int, report: Report) -> CheckedClip:
    """Read the whole clip. Raises Rejected: `corrupt_file`, `rejected_type`, `decompression_bomb`.

    In a video the key frames are decoded (analysis decodes the rest), in a sound file everything.
    """
    size, declared = path.stat().st_size, declared_bytes(path)
    if declared is not None and declared > size:
        raise Rejected(
            "corrupt_file", f"The file is {size} bytes and declares {declared}: it was cut off."
        )
    with opened_clip(path, media_type, max_pixels=max_pixels) as clip:
        video, audio = video_of(clip), audio_of(clip)
        looked_at = video or audio
        if looked_at is None or len(clip.streams) > _STREAMS:
            raise Rejected("corrupt_file", f"The file has {len(clip.streams)} streams to play.")
        if video is not None:
            video.codec_context.skip_frame = "NONKEY"
        declared_s = seconds(clip)
        clock, count = _Clock(), _Count()
        for packet in _packets(clip, looked_at, count):
            clock.see(packet)
            if packet.stream_index == looked_at.index:
                _tell(report, clock, declared_s, (packet.pos or 0) / size)
    media_type = refined(media_type, has_video=video is not None)
    not_checked = _compare(media_type, declared_s, clock.duration_s)
    _refuse_undecodable(count)
    report(1.0)
    return CheckedClip(
        media_type=media_type,
        clip=Clip(
            duration_s=round(clock.duration_s, 3),
            frames=count.packets if video is not None else 0,
            key_frames=count.key_packets if video is not None else 0,
        ),
        checks=["every packet", "key frames" if video is not None else "every sample"],
        not_checked=not_checked,
    )


def _packets(clip: Any, looked_at: Any, count: _Count) -> Iterator[Packet[Any]]:
    """Every packet of the clip, those of `looked_at` decoded and counted."""
    import av

    for packet in clip.demux():
        if packet.stream_index == looked_at.index:
            if packet.size:
                count.packets += 1
                count.key_packets += packet.is_keyframe
            if count.packets > MAX_FRAMES and looked_at.type == "video":
                raise Rejected(
                    "decompression_bomb", f"The video has more than {MAX_FRAMES} frames."
                )
            try:
                count.decoded += len(packet.decode())
            except av.error.FFmpegError:
                count.damaged += 1
        if packet.size:
            yield packet


def _tell(report: Report, clock: _Clock, declared_s: float | None, read: float) -> None:
    if declared_s:
        done = clock.duration_s
        report(
            min(done / declared_s, 1.0), f"Reading second {done:.0f} of {max(declared_s, done):.0f}"
        )
        return
    report(min(read, 1.0), f"Reading second {clock.duration_s:.0f}")


def _compare(media_type: str, declared_s: float | None, found_s: float) -> list[str]:
    """Refuse a clip that ends long before it says; tell where it says nothing."""
    if declared_s is None:
        return ["declared duration (the file has none)"]
    if media_type in _ESTIMATES:
        return []
    if declared_s - found_s > _MISSING_S + _MISSING_SHARE * declared_s:
        raise Rejected(
            "corrupt_file",
            f"The clip declares {declared_s:.1f} s and ends after {found_s:.1f} s.",
        )
    return []


def _refuse_undecodable(count: _Count) -> None:
    """Some decoders need a frame to start, and tags at the end are no sound: not all, but most."""
    if not count.decoded or count.damaged > max(count.packets * _DAMAGED_SHARE, 1):
        raise Rejected(
            "corrupt_file", f"{count.damaged} of {count.packets} packets cannot be decoded."
        )


def clip_of(upload: Upload) -> Clip:
    """What validation counted; counted anew for a pipeline whose validation left nothing."""
    found = upload.results.get("validating", {}).get("clip")
    if found is not None:
        return msgspec.convert(found, Clip)
    clock, frames, key_frames = _Clock(), 0, 0
    with opened_clip(
        Path(upload.path), upload.content_type, max_pixels=upload.options.max_pixels
    ) as opened:
        video = video_of(opened)
        for packet in opened.demux():
            if not packet.size:
                continue
            clock.see(packet)
            if video is not None and packet.stream_index == video.index:
                frames += 1
                key_frames += packet.is_keyframe
    return Clip(duration_s=round(clock.duration_s, 3), frames=frames, key_frames=key_frames)
