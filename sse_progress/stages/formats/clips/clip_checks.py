"""Is a video or sound file whole? Packets read, key frames and sound decoded, time compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sse_progress.model.errors import Rejected
from sse_progress.model.media import Clip
from sse_progress.model.stage_api import Report, Upload
from sse_progress.stages.formats.clips.clip_streams import Decoder, covers, late_streams, packets
from sse_progress.stages.formats.clips.clips import (
    audio_of,
    opened_clip,
    refined,
    seconds,
    unlisted,
    video_of,
)
from sse_progress.stages.formats.clips.containers import declared_bytes

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
_PACKETS_WITHOUT_DURATION = frozenset(
    (
        *("video/webm", "audio/webm", "video/x-matroska", "audio/x-matroska"),
        *("video/x-flv", "video/x-ms-asf"),
    )
)
"""A picture lasts until the next one: a screen that stands still for a minute sends nothing."""
_FIELD_SAMPLE = 64
_FIRST_PICTURE_WITHIN = 2000
"""Packets decoded in a row in search of a first picture, at most."""


@dataclass(frozen=True, kw_only=True)
class CheckedClip:
    media_type: str
    clip: Clip
    checks: list[str]
    not_checked: list[str]


class _Clock:
    """First and last moment of some streams, seconds; what an edit list cuts away is not shown."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.last = 0.0
        self._bases: dict[int, float] = {}

    def see(self, packet: Packet[Any]) -> None:
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or packet.is_discard:
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

    def until(self, other: _Clock) -> float:
        """The duration with the streams of `other`, which may begin earlier and end later."""
        begins = [one.first for one in (self, other) if one.first is not None]
        return max(self.last, other.last) - min(begins, default=0.0)


class _Tally:
    """Packets read and frames decoded of the stream that is looked at."""

    def __init__(self, stream: Any) -> None:
        self.decoder = Decoder(stream)
        self.is_video = stream.type == "video"
        self.packets = self.decoded = 0
        self.pictures = self.key_packets = self.key_pairs = 0
        self.interlaced = False
        self._after_key = False

    def see(self, packet: Packet[Any]) -> None:
        """Count a packet and decode it. Raises Rejected beyond `MAX_FRAMES`."""
        self.packets += 1
        if self.packets > MAX_FRAMES and self.is_video:
            raise Rejected("decompression_bomb", f"The video has more than {MAX_FRAMES} frames.")
        if self.is_video and self.decoder.announces_picture(packet):
            self._count_picture(packet)
        self.take(self.decoder.frames(packet))

    def _count_picture(self, packet: Packet[Any]) -> None:
        key = packet.is_keyframe
        if key and not self.key_packets:
            self.pictures = 0  # those before the first key frame lack what they refer to
        self.pictures += 1
        self.key_packets += key
        if self._after_key and key:  # the second field of a key frame
            self._after_key = False
        else:
            self.key_pairs += key
            self._after_key = key

    def take(self, frames: list[Any]) -> None:
        self.decoded += len(frames)
        if self.is_video and frames:
            self.interlaced = self.interlaced or frames[0].interlaced_frame


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
        _refuse_stream_count(clip, looked_at)
        if video is not None:
            video.codec_context.skip_frame = "NONKEY"
        declared_s, notes = seconds(clip), unlisted(clip)
        stands_still = not clip.streams.audio and media_type in _PACKETS_WITHOUT_DURATION
        aside = {one.index for one in covers(clip)}
        shown = {one.index for one in (*clip.streams.video, *clip.streams.audio)} - aside
        rest, clock, tally = _Clock(), _Clock(), _Tally(looked_at)
        teller = _Teller(report, declared_s)
        for packet in packets(clip):
            (clock if packet.stream_index in shown else rest).see(packet)
            if packet.size and packet.stream_index == looked_at.index:
                tally.see(packet)
                teller.tell(clock.duration_s, (packet.pos or 0) / size)
        tally.take(tally.decoder.frames(None))
        notes += late_streams(clip)
    fields = _decode_a_part(path, media_type, max_pixels, tally)
    _refuse_undecodable(tally)
    media_type = refined(media_type, has_video=video is not None)
    rest_s, remarks = _compare(media_type, declared_s, clock.until(rest), stands_still)
    report(1.0)
    return CheckedClip(
        media_type=media_type,
        clip=Clip(
            duration_s=round(clock.duration_s + rest_s, 3),
            frames=(tally.pictures + fields) // (1 + fields),
            key_frames=tally.key_pairs if fields else tally.key_packets,
            field_coded=fields,
        ),
        checks=["every packet", "key frames" if video is not None else "every sample"],
        not_checked=[*remarks, *notes],
    )


def _refuse_stream_count(clip: Any, looked_at: Any) -> None:
    count = len(clip.streams.video) + len(clip.streams.audio)
    if looked_at is None:
        raise Rejected("corrupt_file", "The file has neither sound nor moving pictures.")
    if count > _STREAMS:
        raise Rejected(
            "decompression_bomb", f"The file has {count} streams to play, the limit is {_STREAMS}."
        )


class _Teller:
    """Reports seconds read, or the share of bytes where no duration is declared."""

    def __init__(self, report: Report, declared_s: float | None) -> None:
        self._report, self._declared_s = report, declared_s
        self._furthest = 0.0

    def tell(self, done_s: float, read: float) -> None:
        """`read` of the bytes, 0-1; in a damaged file neither it nor the time only grows."""
        share = done_s / self._declared_s if self._declared_s else read
        self._furthest = max(self._furthest, min(share, 1.0))
        of = f" of {max(self._declared_s, done_s):.0f}" if self._declared_s else ""
        self._report(self._furthest, f"Reading second {done_s:.0f}{of}")


def _decode_a_part(path: Path, media_type: str, max_pixels: int, tally: _Tally) -> bool:
    """Decode frame by frame where key frames do not tell enough; whether packets are fields.

    Needed where no key frame came out (an edit list cuts it away), and where pictures are
    interlaced: then one packet may be one field, half a frame (ISO/IEC 14496-10 §3.30).
    """
    if not tally.is_video or (tally.decoded and not tally.interlaced):
        return False
    with opened_clip(path, media_type, max_pixels=max_pixels) as clip:
        sample = _Tally(video_of(clip))
        for packet in packets(clip, video_of(clip)):
            if not packet.size:
                continue
            sample.see(packet)
            enough = sample.decoded and sample.pictures >= _FIELD_SAMPLE
            if enough or sample.packets >= _FIRST_PICTURE_WITHIN:
                break
        sample.take(sample.decoder.frames(None))
    tally.decoded += sample.decoded
    return sample.interlaced and sample.decoded * 5 <= sample.pictures * 3


def _compare(
    media_type: str, declared_s: float | None, found_s: float, stands_still: bool
) -> tuple[float, list[str]]:
    """Refuse a clip that ends long before it says; tell where it says nothing.

    Where its last picture may stand until the declared end, that time and a note are returned.
    """
    if declared_s is None:
        return 0.0, ["declared duration (the file has none)"]
    if media_type in _ESTIMATES or declared_s - found_s <= _MISSING_S + _MISSING_SHARE * declared_s:
        return 0.0, []
    if stands_still:
        rest_s = declared_s - found_s
        return rest_s, [f"the last {rest_s:.1f} s (the file has no picture for them)"]
    raise Rejected(
        "corrupt_file", f"The clip declares {declared_s:.1f} s and ends after {found_s:.1f} s."
    )


def _refuse_undecodable(tally: _Tally) -> None:
    """Some decoders need a frame to start, and tags at the end are no sound: not all, but most."""
    failed = tally.decoder.failed
    if not tally.packets:
        missing = "moving pictures" if tally.is_video else "sound"
        raise Rejected("corrupt_file", f"The file announces {missing} and holds none.")
    if not tally.decoded or failed > max(tally.packets * _DAMAGED_SHARE, 1):
        raise Rejected("corrupt_file", f"{failed} of {tally.packets} packets cannot be decoded.")


def clip_of(upload: Upload) -> Clip:
    """What validation counted; counted here for a pipeline whose validation left nothing."""
    found = upload.results.get("validating", {}).get("clip")
    if found is not None:
        return msgspec.convert(found, Clip)
    return check_clip(
        Path(upload.path),
        upload.content_type,
        max_pixels=upload.options.max_pixels,
        report=lambda _fraction, _message=None: None,
    ).clip
