"""What a video or sound file tells about itself, every frame decoded where that is bearable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sse_progress.model.errors import Rejected
from sse_progress.model.media import AudioFacts, Clip, SoundTrack, VideoFacts
from sse_progress.model.stage_api import Report
from sse_progress.model.text import clean_text
from sse_progress.stages.formats.clips import audio_of, opened_clip, video_of
from sse_progress.stages.formats.loudness import Meter

__all__ = ["audio_facts", "video_facts"]

EVERY_FRAME_PIXELS = 600 * 25 * 1280 * 720
"""Ten minutes of 720p: in a video with more pixels to decode, key frames stand for the rest."""
LOUDNESS_S = 3600.0
"""So much of the sound is measured."""
_DECODED_SHARE = 0.9
_TAGS = ("title", "artist", "album", "album_artist", "composer", "genre", "date", "track")


class _Rhythm:
    """How frames follow each other, by the time they are shown."""

    def __init__(self) -> None:
        self.count = 0
        self._first = self._last = 0.0
        self._least, self._most = float("inf"), 0.0

    def see(self, frame: Any) -> None:
        if frame.time is None:
            return
        if not self.count:
            self._first = frame.time
        elif frame.time > self._last:
            self._least = min(self._least, frame.time - self._last)
            self._most = max(self._most, frame.time - self._last)
        self.count += 1
        self._last = frame.time

    @property
    def rate(self) -> float | None:
        """Frames per second, averaged."""
        span = self._last - self._first
        return round((self.count - 1) / span, 3) if self.count > 1 and span > 0 else None

    @property
    def variable(self) -> bool:
        """Beyond what rounding to milliseconds explains."""
        return self._most > self._least * 1.25 + 0.002


def video_facts(
    path: Path, media_type: str, clip: Clip, *, max_pixels: int, report: Report
) -> VideoFacts:
    """Decode every frame, or the key frames of a long video, and the sound beside them.

    Progress counts frames. Raises Rejected("corrupt_file") if more than a tenth does not decode.
    """
    with opened_clip(path, media_type, max_pixels=max_pixels) as opened:
        video, audio = video_of(opened), audio_of(opened)
        every = clip.frames * video.width * video.height <= EVERY_FRAME_PIXELS
        every = every or not clip.key_frames
        total = max(clip.frames if every else clip.key_frames, 1)
        if not every:
            video.codec_context.skip_frame = "NONKEY"
        meter = Meter(audio) if audio is not None else None
        base = float(audio.time_base) if audio is not None else 0.0
        rhythm, decoded, rotation = _Rhythm(), 0, 0
        for packet in opened.demux([one for one in (video, audio) if one is not None]):
            if packet.stream_index != video.index:
                _listen(packet, base, meter)
                continue
            for frame in _frames(packet):
                rhythm.see(frame)
                decoded += not frame.is_corrupt
                rotation = rotation or -round(frame.rotation) % 360
                what = "frame" if every else "key frame"
                report(min(decoded / total, 1.0), f"Decoding {what} {decoded} of {total}")
        if decoded < total * _DECODED_SHARE:
            raise Rejected("corrupt_file", f"Only {decoded} of {total} frames can be decoded.")
        report(1.0)
        width, height = video.width, video.height
        if rotation in (90, 270):
            width, height = height, width
        aspect = video.sample_aspect_ratio
        return VideoFacts(
            container=opened.format.name.partition(",")[0],
            codec=video.codec_context.codec.canonical_name,
            width=width,
            height=height,
            rotation=rotation,
            pixel_aspect=round(float(aspect), 4) if aspect and aspect != 1 else None,
            pixel_format=video.pix_fmt,
            frame_rate=rhythm.rate if every else _average_rate(video),
            variable_frame_rate=rhythm.variable if every else None,
            duration_s=clip.duration_s,
            bit_rate=_bit_rate(path, clip),
            frames=clip.frames,
            key_frames=clip.key_frames,
            decoded_frames=decoded,
            audio=_sound_track(audio, meter),
            audio_streams=len(opened.streams.audio),
            subtitle_streams=len(opened.streams.subtitles),
            not_checked=_unheard(clip, meter),
        )


def audio_facts(
    path: Path, media_type: str, clip: Clip, *, max_pixels: int, report: Report
) -> AudioFacts:
    """Decode the sound and measure its loudness; progress counts seconds."""
    with opened_clip(path, media_type, max_pixels=max_pixels) as opened:
        audio = audio_of(opened)
        meter = Meter(audio)
        total = min(clip.duration_s, LOUDNESS_S) or 1.0
        base = float(audio.time_base)
        start = None
        for packet in opened.demux(audio):
            _listen(packet, base, meter)
            if packet.pts is None:
                continue
            now = packet.pts * base
            start = now if start is None else start
            done = min(max(now - start, 0.0), total)
            report(done / total, f"Listening to second {done:.0f} of {total:.0f}")
            if done >= LOUDNESS_S:
                break
        report(1.0)
        track = _sound_track(audio, meter)
        assert track is not None
        return AudioFacts(
            container=opened.format.name.partition(",")[0],
            codec=track.codec,
            duration_s=clip.duration_s,
            sample_rate=track.sample_rate,
            channels=track.channels,
            bit_rate=track.bit_rate or _bit_rate(path, clip),
            loudness=track.loudness,
            tags=_tags({**audio.metadata, **opened.metadata}),
            has_cover=bool(opened.streams.video),
            not_checked=_unheard(clip, meter),
        )


def _frames(packet: Any) -> list[Any]:
    """The frames that a packet gives; none if it is damaged."""
    import av

    try:
        return list(packet.decode())
    except av.error.FFmpegError:
        return []


def _listen(packet: Any, base: float, meter: Meter | None) -> None:
    """Measure one packet of sound; `base` is its stream's time base in seconds."""
    if meter is None or meter.broken:
        return
    if packet.pts is not None and packet.pts * base > LOUDNESS_S:
        return
    for frame in _frames(packet):
        meter.feed(frame)


def _sound_track(audio: Any, meter: Meter | None) -> SoundTrack | None:
    if audio is None or meter is None:
        return None
    meter.feed(None)
    return SoundTrack(
        codec=audio.codec_context.codec.canonical_name,
        sample_rate=audio.sample_rate or 0,
        channels=audio.channels,
        bit_rate=audio.bit_rate or None,
        language=_language(audio.language),
        loudness=meter.result(),
    )


def _language(tag: str | None) -> str | None:
    """ISO 639-2, as the file has it; `und` says nothing."""
    return clean_text(tag, 16) if tag and tag != "und" else None


def _unheard(clip: Clip, meter: Meter | None) -> list[str]:
    if meter is None:
        return []
    if meter.broken:
        return ["loudness (this channel layout cannot be measured)"]
    if clip.duration_s > LOUDNESS_S:
        return [f"loudness beyond the first {LOUDNESS_S:.0f} s"]
    return []


def _average_rate(video: Any) -> float | None:
    return round(float(video.average_rate), 3) if video.average_rate else None


def _bit_rate(path: Path, clip: Clip) -> int | None:
    return round(path.stat().st_size * 8 / clip.duration_s) if clip.duration_s else None


def _tags(metadata: dict[str, str]) -> dict[str, str]:
    lower = {name.lower(): value for name, value in metadata.items()}
    return {name: clean_text(lower[name], 100) for name in _TAGS if lower.get(name, "").strip()}
