"""Video and sound: read whole, decoded, measured; cut off, lying and odd ones refused by name."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from sse_progress.model.errors import Rejected
from sse_progress.model.media_analysis import AudioFacts, VideoFacts
from sse_progress.model.stage_api import Options
from sse_progress.stages.formats.clips import clip_checks, clip_facts
from sse_progress.stages.formats.clips.clips import opened_clip
from tests.media_samples import clip, pattern, tone, zipped
from tests.unit.stages.helpers import Desk, refusal, through

pytestmark = pytest.mark.usefixtures("unscored")

H264 = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"]
FAST = ["-deadline", "realtime", "-cpu-used", "8"]
EVERYTHING = Options(allowed_types=("*/*",))

VIDEOS: dict[str, tuple[str, str, Callable[[], Path]]] = {
    "mp4": (
        "video/mp4",
        "h264",
        lambda: clip("a.mp4", *pattern(), *tone(), *H264, "-c:a", "aac"),
    ),
    "mov": ("video/quicktime", "h264", lambda: clip("a.mov", *pattern(), *H264)),
    "hevc": (
        "video/mp4",
        "hevc",
        lambda: clip("h.mp4", *pattern(), "-c:v", "libx265", "-x265-params", "log-level=error"),
    ),
    "webm": (
        "video/webm",
        "vp9",
        lambda: clip("a.webm", *pattern(), *tone(), "-c:v", "libvpx-vp9", *FAST),
    ),
    "vp8": ("video/webm", "vp8", lambda: clip("8.webm", *pattern(), "-c:v", "libvpx", *FAST)),
    "av1": (
        "video/mp4",
        "av1",
        lambda: clip("1.mp4", *pattern(seconds="1"), "-c:v", "libsvtav1", "-preset", "12"),
    ),
    "mkv": (
        "video/x-matroska",
        "h264",
        lambda: clip("a.mkv", *pattern(), *tone(), *H264, "-c:a", "flac"),
    ),
    "avi": ("video/x-msvideo", "mpeg4", lambda: clip("a.avi", *pattern(), "-c:v", "mpeg4")),
    "mpeg": ("video/mpeg", "mpeg2video", lambda: clip("a.mpg", *pattern(), "-c:v", "mpeg2video")),
    "3gp": (
        "video/3gpp",
        "mpeg4",
        lambda: clip("a.3gp", *pattern("176x144"), "-c:v", "mpeg4"),
    ),
}

SOUNDS: dict[str, tuple[str, str, Callable[[], Path]]] = {
    "mp3": ("audio/mpeg", "mp3", lambda: clip("a.mp3", *tone())),
    "m4a": ("audio/mp4", "aac", lambda: clip("a.m4a", *tone())),
    "aac": ("audio/aac", "aac", lambda: clip("a.aac", *tone())),
    "ogg": ("audio/ogg", "vorbis", lambda: clip("a.ogg", *tone(), "-c:a", "libvorbis")),
    "opus": ("audio/ogg", "opus", lambda: clip("a.opus", *tone())),
    "flac": ("audio/flac", "flac", lambda: clip("a.flac", *tone())),
    "wav": ("audio/wav", "pcm_s16le", lambda: clip("a.wav", *tone())),
    "webm": ("audio/webm", "opus", lambda: clip("s.webm", *tone())),
}


# ---- what goes through


@pytest.mark.parametrize("name", VIDEOS)
def test_every_default_video_type_goes_all_the_way(desk: Desk, name: str) -> None:
    """Each accepted container and codec is detected, read, analysed, sampled and gets a poster."""
    media_type, codec, make = VIDEOS[name]
    upload, reports = through(desk.upload(make(), "clip.bin"))
    result = upload.results["validating"]
    assert (result["contentType"], result["notChecked"]) == (media_type, [])
    facts = msgspec.convert(upload.results["analyzing"], VideoFacts)
    assert facts.codec == codec
    assert facts.duration_s == pytest.approx(1 if name == "av1" else 2, abs=0.06)
    assert facts.frame_rate == pytest.approx(25, abs=0.1)
    assert facts.frames == facts.decoded_frames == (25 if name == "av1" else 50)
    assert facts.key_frames >= 1
    assert facts.variable_frame_rate is False
    assert upload.results["moderating"]["sampled"] == {
        "unit": "frame",
        "lookedAt": 16,
        "of": facts.frames,
    }
    assert upload.results["processing"]["files"] == [
        {"name": "poster.webp", "contentType": "image/webp"}
    ]
    with Image.open(Path(upload.scratch) / "poster.webp") as picture:
        assert picture.size == (facts.width, facts.height)
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 100
    assert reports["analyzing"].messages[-1] == f"Decoding frame {facts.frames} of {facts.frames}"


@pytest.mark.parametrize("name", SOUNDS)
def test_every_default_sound_type_goes_all_the_way(desk: Desk, name: str) -> None:
    """Each accepted sound format is decoded whole and its loudness measured."""
    media_type, codec, make = SOUNDS[name]
    upload, _ = through(desk.upload(make(), "sound.bin"))
    assert upload.results["validating"]["contentType"] == media_type
    facts = msgspec.convert(upload.results["analyzing"], AudioFacts)
    assert (facts.codec, facts.channels) == (codec, 1)
    assert facts.duration_s == pytest.approx(2, abs=0.06)
    assert facts.loudness is not None
    assert facts.loudness.integrated_lufs == pytest.approx(-21.8, abs=0.6)
    assert upload.results["processing"]["files"] == []


def test_the_sound_of_a_video_is_measured(desk: Desk) -> None:
    """A video's sound track is described, with its loudness."""
    upload, _ = through(desk.upload(VIDEOS["mp4"][2](), "a.mp4"), "analyzing")
    audio = upload.results["analyzing"]["audio"]
    assert (audio["codec"], audio["channels"], audio["sampleRate"]) == ("aac", 1, 44100)
    assert audio["loudness"]["integratedLufs"] == pytest.approx(-21.8, abs=0.6)


def test_sound_without_pictures_is_sound(desk: Desk) -> None:
    """An MP4 with sound alone is `audio/mp4`, and an allow-list without audio refuses it."""
    path = clip("sound.mp4", *tone())
    upload, _ = through(desk.upload(path, "a.mp4"), "validating")
    assert upload.results["validating"]["contentType"] == "audio/mp4"
    only_video = Options(allowed_types=("video/mp4",))
    error = refusal(desk.upload(path, "a.mp4", options=only_video))
    assert (error.code, "M4A sound" in error.detail) == ("rejected_type", True)
    only_audio = Options(allowed_types=("audio/mp4",))
    through(desk.upload(path, "a.mp4", options=only_audio), "validating")


def test_cover_art_is_no_video(desk: Desk) -> None:
    """An MP3 with a cover is sound with a cover, and its tags are told."""
    path = clip(
        "cover.mp3", *tone(), "-f", "lavfi", "-i", "color=red:s=64x64:d=0.04", "-map", "0",
        "-map", "1", "-frames:v", "1", "-c:v", "png", "-disposition:v", "attached_pic",
        "-metadata", "title=A song", "-metadata", "artist=Some\x07body",
    )  # fmt: skip
    upload, _ = through(desk.upload(path, "a.mp3"))
    facts = upload.results["analyzing"]
    assert (facts["kind"], facts["hasCover"]) == ("audio", True)
    assert facts["tags"]["title"] == "A song"
    assert "\x07" not in facts["tags"]["artist"]


# ---- odd ones


def test_odd_sizes_and_rotation(desk: Desk) -> None:
    """A turned clip is reported and shown as it is displayed."""
    turned = clip(
        "turned.mp4", "-i", str(clip("a.mp4", *pattern(), *tone(), *H264, "-c:a", "aac")),
        "-c", "copy", "-metadata:s:v", "rotate=90",
    )  # fmt: skip
    upload, _ = through(desk.upload(turned, "a.mp4"))
    facts = upload.results["analyzing"]
    assert (facts["width"], facts["height"]) == (120, 160)
    assert facts["rotation"] in (90, 270)
    with Image.open(Path(upload.scratch) / "poster.webp") as picture:
        assert picture.size == (120, 160)

    odd = clip("odd.mkv", *pattern(), "-vf", "scale=321:241", "-pix_fmt", "yuv444p", "-c:v", "ffv1")
    upload, _ = through(desk.upload(odd, "a.mkv"))
    assert (upload.results["analyzing"]["width"], upload.results["analyzing"]["height"]) == (
        321,
        241,
    )


def test_pixels_that_are_not_square(desk: Desk) -> None:
    """A stretched clip says so, and its poster is stretched."""
    path = clip("wide.mp4", *pattern("360x288"), "-vf", "setsar=16/11", *H264)
    upload, _ = through(desk.upload(path, "a.mp4"))
    assert upload.results["analyzing"]["pixelAspect"] == pytest.approx(16 / 11, abs=0.001)
    with Image.open(Path(upload.scratch) / "poster.webp") as picture:
        assert picture.size == (524, 288)


def test_variable_frame_rate(desk: Desk) -> None:
    """Frames that come unevenly are told, and progress still counts every one of them."""
    path = clip(
        "vfr.mkv", "-f", "lavfi", "-i",
        "testsrc2=s=160x120:r=25:d=3,select='lt(n,25)+not(mod(n,5))'", "-vsync", "vfr", *H264,
    )  # fmt: skip
    upload, reports = through(desk.upload(path, "a.mkv"))
    facts = upload.results["analyzing"]
    assert facts["variableFrameRate"] is True
    assert facts["frames"] == 35
    assert sum("frame" in text for text in reports["analyzing"].messages) == 35


def test_silence_has_no_loudness(desk: Desk) -> None:
    """Silence is not measured as anything."""
    path = clip("silence.wav", "-f", "lavfi", "-i", "anullsrc=d=2")
    upload, _ = through(desk.upload(path, "a.wav"), "analyzing")
    assert "loudness" not in upload.results["analyzing"]
    assert upload.results["analyzing"]["channels"] == 2


def test_recordings_without_a_duration(desk: Desk) -> None:
    """A live WebM declares no duration: it is measured, and that is told."""
    path = clip("live.webm", *pattern(), "-c:v", "libvpx", *FAST, "-live", "1", "-f", "webm")
    upload, _ = through(desk.upload(path, "a.webm"))
    assert upload.results["analyzing"]["durationS"] == pytest.approx(2, abs=0.06)
    assert upload.results["moderating"]["notChecked"] == ["declared duration (the file has none)"]


# ---- progress


def frame_reports(desk: Desk, seconds: str) -> tuple[int, int]:
    path = clip("p.mp4", *pattern(seconds=seconds), *H264)
    _, reports = through(desk.upload(path, "a.mp4"), "analyzing")
    return len(reports["validating"].messages), len(reports["analyzing"].messages)


def test_half_the_frames_are_half_the_reports(desk: Desk) -> None:
    """Reports come from frames really decoded: twice the length makes twice as many."""
    short, long = frame_reports(desk, "2"), frame_reports(desk, "4")
    assert long[1] == 2 * short[1] == 100
    assert long[0] - 2 == pytest.approx(2 * (short[0] - 2), abs=2)


def test_long_videos_are_judged_by_key_frames(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above a length only key frames are decoded; the facts and the messages say so."""
    path = clip("keys.mp4", *pattern(seconds="4"), *H264, "-g", "10")
    monkeypatch.setattr(clip_facts, "EVERY_FRAME_PIXELS", 160 * 120 * 99)
    upload, reports = through(desk.upload(path, "a.mp4"))
    facts = upload.results["analyzing"]
    assert (facts["frames"], facts["keyFrames"], facts["decodedFrames"]) == (100, 10, 10)
    assert reports["analyzing"].messages[-1] == "Decoding key frame 10 of 10"


# ---- refused


@pytest.mark.parametrize("name", ["mp4", "mov", "webm", "mkv", "avi", "3gp"])
def test_truncated_video_is_corrupt(desk: Desk, name: str) -> None:
    """A video cut off at 70 % is a `corrupt_file`, also where FFmpeg would play what is left."""
    data = VIDEOS[name][2]().read_bytes()
    assert refusal(desk.upload(data[: len(data) * 7 // 10], "a")).code == "corrupt_file"


@pytest.mark.parametrize("name", ["mp3", "m4a", "ogg", "opus", "flac", "wav", "webm"])
def test_truncated_sound_is_corrupt(desk: Desk, name: str) -> None:
    """So is sound, in every format that says how long it should be."""
    data = SOUNDS[name][2]().read_bytes()
    assert refusal(desk.upload(data[: len(data) * 7 // 10], "a")).code == "corrupt_file"


def test_index_first_and_data_missing(desk: Desk) -> None:
    """An MP4 with its index in front opens without its data; the declared bytes give it away."""
    path = clip("front.mp4", *pattern(), *H264, "-movflags", "+faststart")
    data = path.read_bytes()
    error = refusal(desk.upload(data[: len(data) // 2], "a.mp4"))
    assert error.code == "corrupt_file"
    assert str(len(data)) in error.detail


def test_declared_and_found_duration_are_compared(desk: Desk) -> None:
    """A Matroska that declares ten times its length is a `corrupt_file` with both numbers."""
    data = VIDEOS["mkv"][2]().read_bytes()
    at = data.find(b"\x44\x89\x88")  # Duration, 8 bytes: RFC 9559 §5.1.2.10
    assert at > 0
    lying = data[: at + 3] + struct.pack(">d", 20_000.0) + data[at + 11 :]
    error = refusal(desk.upload(lying, "a.mkv"))
    assert (error.code, error.detail) == (
        "corrupt_file",
        "The clip declares 20.0 s and ends after 2.0 s.",
    )


def test_damaged_frames_are_corrupt(desk: Desk) -> None:
    """A clip whose packets are noise is refused, wherever the damage shows."""
    data = bytearray(clip("d.mp4", *pattern(seconds="4"), *H264, "-g", "10").read_bytes())
    begin, end = len(data) // 10, len(data) * 9 // 10
    data[begin:end] = bytes((byte * 7 + 13) & 255 for byte in data[begin:end])
    assert refusal(desk.upload(bytes(data), "a.mp4"), "analyzing").code == "corrupt_file"


def test_damage_between_key_frames_is_found_by_the_full_decode(desk: Desk) -> None:
    """Noise inside every frame but the key frames passes validation and no further."""
    import av

    path = clip("between.avi", *pattern(seconds="4"), "-c:v", "mpeg4", "-g", "10")
    data = bytearray(path.read_bytes())
    with av.open(path) as opened:
        for packet in opened.demux(video=0):
            if packet.size and not packet.is_keyframe:
                begin, end = packet.pos + 12, packet.pos + packet.size
                data[begin:end] = bytes((byte * 7 + 13) & 255 for byte in data[begin:end])
    through(desk.upload(bytes(data), "a.avi"), "validating")
    error = refusal(desk.upload(bytes(data), "a.avi"), "analyzing")
    assert error.code == "corrupt_file"
    # A frame after a key frame may be concealed, or not, by the thread that decodes it.
    assert error.detail in [f"Only {n} of 100 frames can be decoded." for n in (10, 11)]


def test_the_detected_type_names_the_demuxer(desk: Desk) -> None:
    """A text does not open under a video's name, although FFmpeg by itself would play it."""
    path = Path(desk.upload(b"hello\n" * 100, "a.mp4").path)
    with (
        pytest.raises(Rejected, match="corrupt_file"),
        opened_clip(path, "video/mp4", max_pixels=10**8),
    ):
        pass


def test_a_text_is_never_a_video(desk: Desk) -> None:
    """FFmpeg would open a text as a `tty` video and a playlist as its files; neither is asked."""
    upload, _ = through(desk.upload(b"hello\n" * 100, "a.mp4"), "validating")
    assert upload.results["validating"]["contentType"] == "text/plain"
    playlist = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    upload, _ = through(desk.upload(playlist, "a.m3u8", options=EVERYTHING), "analyzing")
    assert upload.results["analyzing"]["kind"] != "video"


def test_unlisted_codecs_are_refused(desk: Desk) -> None:
    """A listed container with a decoder that nobody asked for is `rejected_type`."""
    path = clip("odd.avi", *pattern(), "-c:v", "zmbv")
    error = refusal(desk.upload(path, "a.avi"))
    assert (error.code, "zmbv" in error.detail) == ("rejected_type", True)


def test_frame_and_pixel_bombs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """More frames, or larger ones, than allowed are a `decompression_bomb`."""
    path = VIDEOS["mp4"][2]()
    small = Options(allowed_types=("video/*",), max_pixels=160 * 120 - 1)
    error = refusal(desk.upload(path, "a.mp4", options=small))
    assert (error.code, "160 x 120" in error.detail) == ("decompression_bomb", True)
    monkeypatch.setattr(clip_checks, "MAX_FRAMES", 49)
    assert refusal(desk.upload(path, "a.mp4")).code == "decompression_bomb"


def test_a_clip_that_is_also_a_zip(desk: Desk) -> None:
    """A video with an archive behind it is refused by name."""
    data = SOUNDS["mp3"][2]().read_bytes() + zipped({"a.txt": b"hidden"})
    error = refusal(desk.upload(data, "a.mp3"))
    assert (error.code, "zip" in error.detail) == ("rejected_type", True)


def test_nothing_but_the_file_is_opened() -> None:
    """The demuxer may open no other file and no address: the whitelist names `file` alone."""
    import av

    path = VIDEOS["mp4"][2]()
    with opened_clip(path, "video/mp4", max_pixels=10**8) as opened:
        assert opened.options["protocol_whitelist"] == "file"
        assert opened.format.name.startswith("mov")
    with pytest.raises((av.error.FFmpegError, ValueError)):
        av.open("http://127.0.0.1:9/x.mp4", options={"protocol_whitelist": "file"})
