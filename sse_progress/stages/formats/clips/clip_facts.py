"""What a video or sound file tells about itself, every frame decoded where that is bearable."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sse_progress.model.errors import Rejected
from sse_progress.model.media import Clip
from sse_progress.model.media_analysis import AudioFacts, SoundTrack, VideoFacts
from sse_progress.model.stage_api import Report
from sse_progress.model.text import clean_text
from sse_progress.stages.formats.clips.clip_coverage import Coverage
from sse_progress.stages.formats.clips.clip_streams import Decoder, covers, packets
from sse_progress.stages.formats.clips.clips import audio_of, opened_clip, unlisted, video_of
from sse_progress.stages.formats.clips.loudness import Meter

if TYPE_CHECKING:
    from av.packet import Packet

__all__ = ["audio_facts", "video_facts"]

EVERY_FRAME_PIXELS = 600 * 25 * 1280 * 720
"""Ten minutes of 720p: in a video with more pixels to decode, key frames stand for the rest."""
LOUDNESS_S = 3600.0
"""So much of the sound is measured."""
_LOST_SHARE = 0.1
_TAGS = ("title", "artist", "album", "album_artist", "composer", "genre", "date", "track")


class _Rhythm:
    """How frames follow each other, by the time they are shown."""

    def __init__(self) -> None:
        self.count = 0
        self._first = self._last = 0.0
        self._least, self._most = float("inf"), 0.0

    def see(self, moment_s: float | None) -> None:
        if moment_s is None:
            return
        if not self.count:
            self._first = moment_s
        elif moment_s > self._last:
            self._least = min(self._least, moment_s - self._last)
            self._most = max(self._most, moment_s - self._last)
        self.count += 1
        self._last = moment_s

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
    """Decode every frame, or the key frames of a long video, and the sound.

    Progress counts frames. Raises Rejected("corrupt_file") if a tenth of them fails or is missing.
    """
    with opened_clip(path, media_type, max_pixels=max_pixels) as opened:
        video, audio = video_of(opened), audio_of(opened)
        every = clip.frames * video.width * video.height <= EVERY_FRAME_PIXELS
        every = every or not clip.key_frames
        watched = _Watched(video, clip, every, report)
        heard = _Heard(audio) if audio is not None else None
        for packet in packets(opened, *(one for one in (video, audio) if one is not None)):
            if packet.stream_index == video.index:
                watched.see(packet)
            elif heard is not None:
                heard.see(packet)
        watched.end()
        meter = heard.end() if heard is not None else None
        report(1.0)
        width, height = video.width, video.height
        if watched.rotation in (90, 270):
            width, height = height, width
        aspect = video.sample_aspect_ratio
        return VideoFacts(
            container=opened.format.name.partition(",")[0],
            codec=video.codec_context.codec.canonical_name,
            width=width,
            height=height,
            rotation=watched.rotation,
            pixel_aspect=round(float(aspect), 4) if aspect and aspect != 1 else None,
            pixel_format=video.pix_fmt,
            frame_rate=watched.rhythm.rate if every else _average_rate(video),
            variable_frame_rate=watched.rhythm.variable if every else None,
            duration_s=clip.duration_s,
            bit_rate=_bit_rate(path, clip),
            frames=watched.frames,
            key_frames=clip.key_frames,
            decoded_frames=watched.decoded,
            audio=_sound_track(audio, meter),
            audio_streams=len(opened.streams.audio),
            subtitle_streams=len(opened.streams.subtitles),
            not_checked=[*_unheard(clip, meter), *unlisted(opened)],
        )


class _Watched:
    """The pictures of one video, decoded packet by packet and compared with what is announced."""

    def __init__(self, video: Any, clip: Clip, every: bool, report: Report) -> None:
        self._decoder = Decoder(video)
        self._clip, self._every, self._report = clip, every, report
        self._fields = not every and clip.field_coded
        self._total = max(clip.frames if every else clip.key_frames, 1)
        self._coverage = Coverage()
        self._key_before = False
        self._corrupt = 0
        self.decoded = self.rotation = 0
        self.rhythm = _Rhythm()
        if not every and not self._fields:
            video.codec_context.skip_frame = "NONKEY"

    def see(self, packet: Packet[Any]) -> None:
        """Decode a packet; of a long video the key frames, of fields the one after a key too."""
        key = packet.is_keyframe
        if (self._every or key) and self._decoder.announces_picture(packet):
            self._coverage.announce(packet, may_repeat=self._decoder.may_repeat(packet))
        if key or self._key_before or not self._fields:
            self._take(self._decoder.frames(packet))
        self._key_before = key

    def _take(self, frames: list[Any]) -> None:
        what = "frame" if self._every else "key frame"
        for frame in frames:
            self.rhythm.see(self._decoder.time_of(frame))
            self._corrupt += frame.is_corrupt
            self.decoded += not frame.is_corrupt
            self.rotation = self.rotation or -round(frame.rotation) % 360
            if not frame.is_corrupt:
                self._coverage.show(frame)
            share = min(self.decoded / self._total, 1.0)
            of = max(self._total, self.decoded)
            self._report(share, f"Decoding {what} {self.decoded} of {of}")

    def end(self) -> None:
        """Take what the decoder held back. Raises Rejected("corrupt_file") if too much is lost."""
        self._take(self._decoder.frames(None))
        failed = self._decoder.failed + self._corrupt
        lost = self._coverage.missing_share(self.decoded, per_frame=2 if self._fields else 1)
        if not self.decoded or failed > self._total * _LOST_SHARE or lost > _LOST_SHARE:
            raise Rejected(
                "corrupt_file", f"Only {self.decoded} of {self._total} frames can be decoded."
            )
        self.frames = self._clip.frames
        if self._every and not failed and not lost:
            self.frames = self.decoded


def audio_facts(
    path: Path, media_type: str, clip: Clip, *, max_pixels: int, report: Report
) -> AudioFacts:
    """Decode the sound and measure its loudness; progress counts seconds."""
    with opened_clip(path, media_type, max_pixels=max_pixels) as opened:
        audio = audio_of(opened)
        heard = _Heard(audio)
        total = min(clip.duration_s, LOUDNESS_S) or 1.0
        for packet in packets(opened, audio):
            heard.see(packet)
            done = min(heard.passed_s, total)
            report(done / total, f"Listening to second {done:.0f} of {total:.0f}")
            if done >= LOUDNESS_S:
                break
        meter = heard.end()
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
            has_cover=bool(covers(opened)),
            not_checked=[*_unheard(clip, meter), *unlisted(opened)],
        )


class _Heard:
    """One sound stream, decoded as far as its loudness is measured."""

    def __init__(self, audio: Any) -> None:
        self._decoder = Decoder(audio)
        self._meter = Meter()
        self._base = float(audio.time_base)
        self._start: float | None = None
        self.passed_s = 0.0

    def see(self, packet: Packet[Any]) -> None:
        if packet.pts is not None:
            now = packet.pts * self._base
            self._start = now if self._start is None else self._start
            self.passed_s = max(now - self._start, self.passed_s)
        if self.passed_s <= LOUDNESS_S and not self._meter.broken:
            self._feed(packet)

    def _feed(self, packet: Packet[Any] | None) -> None:
        for frame in self._decoder.frames(packet):
            self._meter.feed(frame)

    def end(self) -> Meter:
        """The measurement, once the decoder has given what it held back."""
        if not self._meter.broken:
            self._feed(None)
        self._meter.feed(None)
        return self._meter


def _sound_track(audio: Any, meter: Meter | None) -> SoundTrack | None:
    if audio is None or meter is None:
        return None
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
