"""Clips as phones, cameras, editors and recorders write them: each goes through, with right facts.

Frames are compared with what `ffprobe -count_frames` counts. The files in `tests/data/clips` are
those that ffmpeg alone cannot make.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sse_progress.model.stage_api import Options
from sse_progress.stages.formats.clips import clip_facts
from sse_progress.stages.formats.clips.clips import opened_clip
from tests.media_samples import clip, pattern, tone
from tests.unit.stages.helpers import DATA, Desk, refusal, through

pytestmark = pytest.mark.usefixtures("unscored")

CLIPS = DATA / "clips"
ANYTHING = Options(allowed_types=("*/*",))
H264 = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"]
SMALL = "96x64"


def analysis(desk: Desk, path: Path, options: Options | None = None) -> dict[str, Any]:
    """What all stages say of a file: its analysis, with the type and every note beside it."""
    upload, _ = through(desk.upload(path, path.name, options=options))
    facts: dict[str, Any] = dict(upload.results["analyzing"])
    facts["type"] = upload.results["validating"]["contentType"]
    facts["notes"] = upload.results["moderating"]["notChecked"]
    made = [one["name"] for one in upload.results["processing"]["files"]]
    assert made == (["poster.webp"] if facts["kind"] == "video" else [])
    return facts


def counted(path: Path) -> int:
    """The frames of the first video stream that is no cover, counted by ffprobe."""
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed, so no frames can be counted")
    command = ["ffprobe", "-v", "error", "-count_frames", "-of", "json", "-show_entries"]
    entries = "stream=nb_read_frames,codec_type:stream_disposition=attached_pic"
    done = subprocess.run([*command, entries, str(path)], capture_output=True, check=True)
    streams = json.loads(done.stdout)["streams"]
    moving = [
        one
        for one in streams
        if one.get("codec_type") == "video" and not one["disposition"]["attached_pic"]
    ]
    return int(moving[0]["nb_read_frames"])


def assert_counts(facts: dict[str, Any], path: Path) -> None:
    assert facts["kind"] == "video"
    assert facts["frames"] == facts["decodedFrames"] == counted(path)


def text_file(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def base(**options: str) -> Path:
    seconds = options.get("seconds", "2")
    return clip(
        "base.mp4", *pattern(SMALL, seconds=seconds), *tone(seconds=seconds), *H264,
        "-g", options.get("g", "250"), "-c:a", "aac",
    )  # fmt: skip


# ---- any streams in any order

SUBTITLES = "1\n00:00:00,000 --> 00:00:01,500\nHello.\n"
ORDERS = list(itertools.permutations(("v", "a", "s")))
SUBTITLE_CODEC = {"mov": "mov_text", "mp4": "mov_text", "mkv": "srt"}


@pytest.mark.parametrize("container", SUBTITLE_CODEC)
@pytest.mark.parametrize("order", ORDERS, ids=["".join(order) for order in ORDERS])
def test_streams_in_any_order(
    desk: Desk, tmp_path: Path, container: str, order: tuple[str, ...]
) -> None:
    """Pictures, sound, subtitles and side data in each order: every frame is decoded and counted.

    MOV and MP4 get a time code (a data stream), Matroska gets an attached font.
    """
    source = base(g="12")
    subtitles = text_file(tmp_path, "one.srt", SUBTITLES)
    inputs = {"v": ["-map", "0:v"], "a": ["-map", "0:a"], "s": ["-map", "1:s"]}
    if container == "mkv":
        font = text_file(tmp_path, "a.ttf", "no font, but that is not looked at")
        extra = ["-attach", str(font), "-metadata:s:t", "mimetype=application/x-truetype-font"]
    else:
        extra = ["-timecode", "01:00:00:00"]
    path = tmp_path / f"out.{container}"
    command = ["ffmpeg", "-loglevel", "error", "-nostdin", "-y", "-i", str(source)]
    command += ["-i", str(subtitles), *(word for one in order for word in inputs[one])]
    command += ["-c", "copy", "-c:s", SUBTITLE_CODEC[container], *extra, str(path)]
    subprocess.run(command, check=True, timeout=60)
    facts = analysis(desk, path)
    assert_counts(facts, path)
    assert (facts["audio"]["codec"], facts["subtitleStreams"]) == ("aac", 1)
    assert facts["durationS"] == pytest.approx(2, abs=0.1)
    assert facts["notes"] == []


DELAYING = {
    "h264.mp4": [*H264, "-g", "1000", "-bf", "3", "-c:a", "aac"],
    "hevc.mov": ["-c:v", "libx265", "-x265-params", "log-level=error", "-tag:v", "hvc1"],
    "wma.avi": ["-c:v", "mpeg4", "-c:a", "wmav2"],
    "wma.mkv": [*H264, "-c:a", "wmav2"],
    "wmv.wmv": ["-c:v", "wmv2", "-c:a", "wmav2"],
    "mpeg2.ts": ["-c:v", "mpeg2video", "-bf", "2", "-c:a", "mp2"],
    "h264.ts": [*H264, "-bf", "2", "-c:a", "ac3"],
    "opus.mkv": [*H264, "-c:a", "libopus"],
    "mpeg4.mp4": ["-c:v", "mpeg4", "-bf", "2", "-c:a", "aac"],
    "theora.ogv": ["-c:v", "libtheora", "-c:a", "libvorbis"],
}


@pytest.mark.parametrize("sound_first", [False, True], ids=["pictures-first", "sound-first"])
@pytest.mark.parametrize("name", DELAYING)
def test_decoders_that_hold_frames_back(desk: Desk, name: str, sound_first: bool) -> None:
    """What a decoder gives only at the end is counted, whichever stream comes first."""
    maps = ["-map", "1:a", "-map", "0:v"] if sound_first else ["-map", "0:v", "-map", "1:a"]
    path = clip(name, *pattern(SMALL), *tone(), *maps, *DELAYING[name])
    facts = analysis(desk, path, ANYTHING)
    assert_counts(facts, path)
    assert facts["audio"]["loudness"]["integratedLufs"] == pytest.approx(-21.8, abs=0.8)
    assert facts["durationS"] == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize("frames", [True, False], ids=["every-frame", "key-frames"])
def test_data_tracks_of_phones(desk: Desk, monkeypatch: pytest.MonkeyPatch, frames: bool) -> None:
    """A clip with a timed metadata track, as iPhones write it, goes through."""
    if not frames:
        monkeypatch.setattr(clip_facts, "EVERY_FRAME_PIXELS", 0)
    facts = analysis(desk, CLIPS / "iphone-like-mebx.mov")
    assert (facts["type"], facts["frames"], facts["durationS"]) == ("video/quicktime", 50, 2.0)
    assert facts["decodedFrames"] == (50 if frames else 1)


def test_audiobook_chapters(desk: Desk) -> None:
    """Chapters are a text track of an M4A, and it is sound all the same."""
    facts = analysis(desk, CLIPS / "chapters.m4a")
    assert (facts["type"], facts["kind"], facts["codec"]) == ("audio/mp4", "audio", "aac")
    assert facts["durationS"] == pytest.approx(2, abs=0.1)


def test_many_fonts(desk: Desk) -> None:
    """Attachments are no streams to play: a film may bring seventy fonts."""
    facts = analysis(desk, CLIPS / "fonts-70.mkv")
    assert (facts["frames"], facts["notes"]) == (50, [])


# ---- sound only


SOUND_ONLY = {
    "sound.avi": ("video/x-msvideo", ["-c:a", "mp3"]),
    "sound.mpg": ("video/mpeg", ["-c:a", "mp2", "-f", "mpeg"]),
    "sound.ts": ("video/mp2t", ["-c:a", "aac", "-f", "mpegts"]),
    "sound.flv": ("video/x-flv", ["-c:a", "aac"]),
    "sound.wma": ("audio/x-ms-wma", ["-c:a", "wmav2"]),
    "sound.mkv": ("audio/x-matroska", ["-c:a", "libopus"]),
    "sound.webm": ("audio/webm", ["-c:a", "libopus"]),
    "sound.mp4": ("audio/mp4", ["-c:a", "aac"]),
    "sound.mov": ("audio/mp4", ["-c:a", "pcm_s16le"]),
    "sound.m4b": ("audio/mp4", ["-c:a", "aac", "-f", "ipod"]),
    "sound.3gp": ("audio/3gpp", ["-c:a", "aac"]),
    "sound.3g2": ("audio/3gpp2", ["-c:a", "aac"]),
}


@pytest.mark.parametrize("name", SOUND_ONLY)
def test_containers_of_video_with_sound_only(desk: Desk, name: str) -> None:
    """Without moving pictures a file is sound, in every container."""
    media_type, options = SOUND_ONLY[name]
    facts = analysis(desk, clip(name, *tone(), *options), ANYTHING)
    assert (facts["kind"], facts["type"]) == ("audio", media_type)
    assert facts["durationS"] == pytest.approx(2, abs=0.1)
    assert facts["loudness"]["integratedLufs"] == pytest.approx(-21.8, abs=0.8)


COVERED = {
    "cover.m4a": ["-c:a", "aac", "-c:v", "png"],
    "cover.mp4": ["-c:a", "aac", "-c:v", "mjpeg"],
    "cover.flac": ["-c:a", "flac", "-c:v", "png"],
    "cover.mp3": ["-c:a", "mp3", "-c:v", "mjpeg"],
}


@pytest.mark.parametrize("cover_first", [False, True], ids=["sound-first", "cover-first"])
@pytest.mark.parametrize("name", COVERED)
def test_sound_with_a_cover(desk: Desk, name: str, cover_first: bool) -> None:
    """A cover makes no video, wherever it stands among the streams."""
    red = ["-f", "lavfi", "-i", "color=red:s=64x64:d=0.04"]
    maps = ["-map", "1", "-map", "0"] if cover_first else ["-map", "0", "-map", "1"]
    options = [*COVERED[name], "-disposition:v", "attached_pic"]
    path = clip(name, *tone(), *red, *maps, *options)
    facts = analysis(desk, path)
    assert (facts["kind"], facts["hasCover"], facts["notes"]) == ("audio", True, [])
    assert facts["durationS"] == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("kind", ["gif", "bmp", "tiff", "webp"])
def test_covers_that_are_not_decoded_here(desk: Desk, kind: str) -> None:
    """A cover in a codec that is not listed is noted, and the sound goes through."""
    facts = analysis(desk, CLIPS / f"cover-{kind}.mp3")
    assert (facts["kind"], facts["hasCover"]) == ("audio", True)
    assert facts["notes"] == [f"cover picture 1 (its codec {kind} is not accepted here)"]


def test_a_video_with_a_cover(desk: Desk) -> None:
    """The moving pictures are looked at, the cover in front of them is not."""
    red = ["-f", "lavfi", "-i", "color=red:s=64x64:d=0.04"]
    options = ["-c:v:0", "png", "-c:v:1", "libx264", "-pix_fmt:v:1", "yuv420p"]
    options += ["-disposition:v:0", "attached_pic"]
    path = clip("covered.mp4", *red, *pattern(SMALL), "-map", "0", "-map", "1", *options)
    assert_counts(analysis(desk, path), path)


# ---- side tracks that nothing here decodes


def test_a_second_sound_track_in_an_unknown_codec(desk: Desk) -> None:
    """iPhones add spatial sound (apac) beside AAC: the first is measured, the second is noted."""
    facts = analysis(desk, CLIPS / "apac-second-track.mov")
    assert (facts["audio"]["codec"], facts["audioStreams"]) == ("aac", 2)
    assert facts["notes"] == ["sound track 2 (its codec apac is not accepted here)"]
    assert facts["notChecked"] == facts["notes"]


def test_the_unknown_track_may_come_first(desk: Desk) -> None:
    """The first sound in a listed codec is the one that is described."""
    path = clip(
        "apac-first.mov", "-i", str(CLIPS / "apac-second-track.mov"), "-map", "0:2", "-map", "0:0",
        "-map", "0:1", "-c", "copy",
    )  # fmt: skip
    facts = analysis(desk, path)
    assert facts["audio"]["codec"] == "aac"
    assert len(facts["notes"]) == 1


def test_a_second_video_track_in_an_unlisted_codec(desk: Desk) -> None:
    """A further video track in a codec that is not listed is noted."""
    more = ["-map", "0", "-map", "1", "-c:v:0", "mpeg4", "-c:v:1", "zmbv", "-pix_fmt:v:1", "bgr0"]
    path = clip("two.avi", *pattern(SMALL), *pattern(SMALL), *more)
    facts = analysis(desk, path)
    assert_counts(facts, path)
    assert facts["notes"] == ["video track 2 (its codec zmbv is not accepted here)"]


def test_a_clip_whose_only_sound_is_unlisted_is_refused_by_the_tag(desk: Desk) -> None:
    """Where FFmpeg has no name for a codec, the refusal says the tag that the file has."""
    path = clip(
        "apac-only.mov", "-i", str(CLIPS / "apac-second-track.mov"), "-map", "0:0", "-map", "0:2",
        "-c", "copy",
    )  # fmt: skip
    error = refusal(desk.upload(path, "a.mov"))
    assert error.code == "rejected_type"
    assert error.detail == "The audio codec apac is not accepted here."


def test_no_unlisted_decoder_is_opened_while_a_clip_is_opened() -> None:
    """FFmpeg itself refuses decoders off the list, also those that it would probe streams with."""
    import av

    path = clip("odd.avi", *pattern(SMALL), *pattern(SMALL), "-map", "0", "-map", "1",
                "-c:v:0", "mpeg4", "-c:v:1", "zmbv", "-pix_fmt:v:1", "bgr0")  # fmt: skip
    with opened_clip(path, "video/x-msvideo", max_pixels=10**8) as opened:
        assert opened.options["format_whitelist"] == "avi"
        listed = opened.options["codec_whitelist"].split(",")
        assert {"h264", "aac", "mp3float", "libdav1d", "pcm_s16le", "amrnb"} <= set(listed)
        assert not {"zmbv", "gif", "srt", "ass", "h264_cuvid", "tiff", "exr"} & set(listed)
        context = opened.streams.video[0].codec_context
        assert context.options["codec_whitelist"].split(",") == listed
        context.options = {**context.options, "codec_whitelist": "aac"}
        with pytest.raises(av.error.FFmpegError):
            context.open(strict=False)


# ---- frames are not packets


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_trimmed_without_encoding(desk: Desk, suffix: str) -> None:
    """An edit list cuts away frames that later ones need: they are decoded and not counted."""
    long = clip("long.mp4", *pattern(SMALL, seconds="8"), *tone(seconds="8"), *H264, "-g", "250")
    path = clip(f"trimmed.{suffix}", "-ss", "3", "-i", str(long), "-c", "copy")
    facts = analysis(desk, path)
    if suffix == "mkv":  # it has no edit lists, and begins with the key frame
        assert facts["decodedFrames"] == 200
        return
    assert_counts(facts, path)
    assert facts["durationS"] == pytest.approx(5, abs=0.1)
    assert facts["frames"] == 125


def test_field_coded_pictures(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each packet is one field, two of them make a frame; also judged by key frames."""
    facts = analysis(desk, CLIPS / "paff-fields.mp4")
    assert (facts["frames"], facts["decodedFrames"], facts["durationS"]) == (30, 30, 1.2)
    assert facts["frameRate"] == pytest.approx(25, abs=0.1)
    monkeypatch.setattr(clip_facts, "EVERY_FRAME_PIXELS", 0)
    facts = analysis(desk, CLIPS / "paff-fields.mp4")
    assert (facts["frames"], facts["keyFrames"], facts["decodedFrames"]) == (30, 30, 30)


@pytest.mark.parametrize("name", ["h264.mp4", "mpeg2.mpg", "mpeg2.ts"])
def test_interlaced(desk: Desk, name: str) -> None:
    """Interlaced video whose packets are whole frames is counted by frames too."""
    codec = {"h264": H264, "mpeg2": ["-c:v", "mpeg2video"]}[name.partition(".")[0]]
    lace = ["-vf", "tinterlace=interleave_top,fieldorder=tff", "-flags", "+ildct+ilme"]
    path = clip(name, *pattern(SMALL, rate="50"), *codec, *lace)
    facts = analysis(desk, path, ANYTHING)
    assert_counts(facts, path)
    assert facts["durationS"] == pytest.approx(2, abs=0.1)


def test_a_stream_that_begins_in_the_middle(desk: Desk) -> None:
    """A transport stream cut before its first key frame is whole from that one on."""
    whole = clip(
        "whole.ts", *pattern(SMALL, seconds="8"), *H264, "-g", "100", "-x264-params", "scenecut=0",
        "-f", "mpegts",
    )  # fmt: skip
    data = whole.read_bytes()
    path = Path(desk.upload(data[188 * (len(data) // 188 // 6) :], "mid.ts").path)
    facts = analysis(desk, path)
    assert (facts["type"], facts["frames"]) == ("video/mp2t", counted(path))
    assert facts["decodedFrames"] == 100
    upload, _ = through(desk.upload(path, "mid.ts"), "validating")
    assert upload.results["validating"]["clip"]["frames"] == 100


def test_a_stream_that_appears_in_the_middle(desk: Desk) -> None:
    """A transport stream may get pictures on the way: that they were not looked at is noted."""
    sound = clip(
        "s.ts", *tone(seconds="120"), "-c:a", "mp2", "-b:a", "384k", "-mpegts_start_pid", "0x100",
        "-f", "mpegts",
    )  # fmt: skip
    both = clip(
        "b.ts", *tone(), *pattern(SMALL), "-c:v", "mpeg2video", "-c:a", "mp2",
        "-mpegts_start_pid", "0x100", "-map", "0", "-map", "1", "-f", "mpegts",
    )  # fmt: skip
    data = sound.read_bytes() + both.read_bytes() + sound.read_bytes()
    path = Path(desk.upload(data, "late.ts").path)
    facts = analysis(desk, path)
    assert facts["kind"] == "audio"
    assert facts["notes"] == ["streams that begin in the middle of the file (1)"]


def test_frames_that_a_decoder_leaves_out_are_missed(desk: Desk) -> None:
    """HEVC's decoder leaves damaged frames out without an error: the time shows that."""
    import av

    path = clip(
        "silent.mp4", *pattern("160x120", seconds="4"), "-c:v", "libx265",
        "-x265-params", "log-level=error:keyint=25",
    )  # fmt: skip
    data, chance = bytearray(path.read_bytes()), random.Random(1)
    with av.open(path) as opened:
        for packet in opened.demux(video=0):
            if packet.size and not packet.is_keyframe:
                begin, end = packet.pos + 12, packet.pos + packet.size
                data[begin:end] = chance.randbytes(max(end - begin, 0))
    through(desk.upload(bytes(data), "a.mp4"), "validating")
    error = refusal(desk.upload(bytes(data), "a.mp4"), "analyzing")
    assert (error.code, "of 100 frames" in error.detail) == ("corrupt_file", True)


def test_hidden_frames_of_vp8(desk: Desk, tmp_path: Path) -> None:
    """Alternate references are packets that are never shown: they are not frames."""
    path = tmp_path / "hidden.webm"
    make = [
        "ffmpeg", "-loglevel", "error", "-y", *pattern("160x120", seconds="4"), "-c:v", "libvpx",
        "-auto-alt-ref", "1", "-lag-in-frames", "25", "-b:v", "200k", "-cpu-used", "2",
        "-passlogfile", str(tmp_path / "log"),
    ]  # fmt: skip
    for which in ("1", "2"):
        command = [*make, "-pass", which, str(path)]
        subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)
    upload, _ = through(desk.upload(path, "a.webm"))
    facts = upload.results["analyzing"]
    assert facts["frames"] == facts["decodedFrames"] == counted(path) == 100
    assert upload.results["validating"]["clip"]["frames"] == 100


def test_a_screen_that_stands_still(desk: Desk) -> None:
    """A recording may end with a still picture for which nothing is sent: that is noted."""
    facts = analysis(desk, CLIPS / "static-tail.webm")
    assert (facts["durationS"], facts["frames"]) == (12.0, 40)
    assert facts["notes"] == ["the last 8.0 s (the file has no picture for them)"]


@pytest.mark.parametrize("name", ["fragments.mp4", "front.mp4", "live.mkv", "variable.mp4"])
def test_other_ways_of_writing(desk: Desk, name: str) -> None:
    """Fragments, an index in front, live recordings and uneven frames."""
    how = {
        "fragments.mp4": ["-movflags", "frag_keyframe+empty_moov+default_base_moof", "-g", "12"],
        "front.mp4": ["-movflags", "+faststart"],
        "live.mkv": ["-live", "1", "-f", "matroska"],
        "variable.mp4": ["-vf", "select='lt(n,25)+not(mod(n,5))'", "-vsync", "vfr"],
    }[name]
    path = clip(name, *pattern(SMALL), *tone(), *H264, "-c:a", "aac", *how)
    assert_counts(analysis(desk, path), path)


# ---- names and sizes


@pytest.mark.parametrize(
    ("brand", "media_type"),
    [
        (b"XAVC", "video/mp4"),
        (b"CAEP", "video/mp4"),
        (b"pana", "video/mp4"),
        (b"hvc1", "video/mp4"),
        (b"cmfc", "video/mp4"),
        (b"mp71", "video/mp4"),
        (b"f4v ", "video/mp4"),
        (b"MSNV", "video/mp4"),
        (b"kddi", "video/3gpp2"),
        (b"3g2a", "video/3gpp2"),
        (b"qt  ", "video/quicktime"),
        (b"zzzz", "video/mp4"),
    ],
)
def test_brands_decide_by_what_they_are_compatible_with(
    desk: Desk, brand: bytes, media_type: str
) -> None:
    """A major brand that is not known says nothing: the compatible ones tell the type."""
    data = bytearray(base().read_bytes())
    data[8:12] = brand
    upload, _ = through(desk.upload(bytes(data), "a.mp4"))
    assert upload.results["validating"]["contentType"] == media_type
    assert upload.results["analyzing"]["decodedFrames"] == 50


def test_brands_without_a_clip_are_refused(desk: Desk) -> None:
    """A brand opens the decoder, and the decoder decides; a raw picture is called what it is."""
    head = b"\0\0\0\x20ftypXAVC\0\0\0\0mp42isomXAVCavc1"
    assert refusal(desk.upload(head + b"\7" * 4000, "a.mp4")).code == "corrupt_file"
    raw = b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + b"\7" * 4000
    assert "image/x-canon-cr3" in refusal(desk.upload(raw, "a.cr3")).detail


def test_camcorder_transport_streams(desk: Desk) -> None:
    """AVCHD puts a time before each packet of a transport stream: 192 bytes."""
    path = clip("avchd.mts", "-i", str(base()), "-c", "copy", "-mpegts_m2ts_mode", "1",
                "-f", "mpegts")  # fmt: skip
    facts = analysis(desk, path)
    assert (facts["type"], facts["frames"], facts["audio"]["codec"]) == ("video/mp2t", 50, "aac")


@pytest.mark.parametrize(
    ("name", "seconds"), [("espeak-stdout.wav", 1.03), ("placeholder-7fffffff.wav", 1.0)]
)
def test_sizes_that_are_placeholders(desk: Desk, name: str, seconds: float) -> None:
    """A program that writes into a pipe does not know the size: what it put there is none."""
    assert analysis(desk, CLIPS / name)["durationS"] == pytest.approx(seconds, abs=0.05)


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFF024, 0x80000024, 0xFFFFFFFF, 0x80000000])
def test_more_placeholders(desk: Desk, size: int) -> None:
    """The same with the numbers of further programs, in both size fields."""
    data = bytearray(clip("a.wav", *tone()).read_bytes())
    at = data.find(b"data")
    data[4:8] = size.to_bytes(4, "little")
    data[at + 4 : at + 8] = (size - 36 if size > 36 else size).to_bytes(4, "little")
    path = Path(desk.upload(bytes(data), "a.wav").path)
    if size:
        assert analysis(desk, path)["durationS"] == pytest.approx(2, abs=0.05)


def test_a_header_without_sound(desk: Desk) -> None:
    """A WAV of a header only says so, and not that it was cut off."""
    error = refusal(desk.upload(CLIPS / "header-only.wav", "a.wav"))
    assert error.detail == "The file announces sound and holds none."


def test_a_cut_wav_is_still_refused(desk: Desk) -> None:
    """A true size is taken at its word."""
    data = clip("a.wav", *tone()).read_bytes()
    assert "was cut off" in refusal(desk.upload(data[: len(data) // 2], "a.wav")).detail
