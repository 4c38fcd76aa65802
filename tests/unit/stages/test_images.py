"""Pictures: every pixel decoded, bombs and polyglots refused, facts and thumbnails made."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import msgspec
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sse_progress.model.stage_api import Options
from sse_progress.stages.formats.images import images
from sse_progress.stages.formats.images.image_facts import perceptual_hash
from sse_progress.stages.validation import validate
from tests.helpers.media import encoded, gif, jpeg, noise, picture, png
from tests.unit.stages.helpers import Desk, Reports, refusal, through


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_", "."), data)
    return out.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header declares a size and whose data is one zero row, over and over."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


# ---- validating


@pytest.mark.parametrize(
    ("format", "mode", "media_type"),
    [
        ("JPEG", "RGB", "image/jpeg"),
        ("JPEG", "CMYK", "image/jpeg"),
        ("JPEG", "L", "image/jpeg"),
        ("PNG", "RGBA", "image/png"),
        ("PNG", "1", "image/png"),
        ("GIF", "P", "image/gif"),
        ("WEBP", "RGBA", "image/webp"),
        ("AVIF", "RGB", "image/avif"),
        ("TIFF", "CMYK", "image/tiff"),
        ("TIFF", "RGB", "image/tiff"),
        ("BMP", "RGB", "image/bmp"),
    ],
)
def test_every_default_picture_type_goes_all_the_way(
    desk: Desk, format: str, mode: str, media_type: str
) -> None:
    """Each accepted type is detected, decoded, analysed, approved and gets a thumbnail."""
    data = encoded(picture(200, 120).convert(mode), format)
    upload, _ = through(desk.upload(data, "odd name.bin"))
    assert upload.results["validating"]["contentType"] == media_type
    assert upload.results["validating"]["notChecked"] == []
    facts = upload.results["analyzing"]
    assert (facts["kind"], facts["width"], facts["height"]) == ("image", 200, 120)
    assert upload.results["moderating"]["verdict"] == "approved"
    with Image.open(Path(upload.scratch) / "thumbnail.webp") as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (200, 120))


def test_claims_are_noted_and_not_trusted(desk: Desk) -> None:
    """A PNG sent as photo.jpg and image/jpeg is a PNG, and the answer says what was claimed."""
    upload, _ = through(desk.upload(png(), "photo.jpg", claimed="image/jpeg"), "validating")
    result = upload.results["validating"]
    assert result["contentType"] == "image/png"
    assert result["claimedType"] == "image/jpeg"
    assert result["extensionMatches"] is False


def test_empty_file_is_refused(desk: Desk) -> None:
    """No byte at all is an `empty_file`."""
    assert refusal(desk.upload(b"", "photo.jpg")).code == "empty_file"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP"])
def test_truncated_picture_is_refused(desk: Desk, format: str) -> None:
    """A picture cut off at 60 % of its bytes is a `corrupt_file`, whatever its header says."""
    data = encoded(picture(300, 200), format)
    cut = desk.upload(data[: len(data) * 6 // 10], "photo")
    assert refusal(cut).code == "corrupt_file"


def test_pixel_bomb_is_refused_before_it_is_decoded(desk: Desk) -> None:
    """A 110 KB PNG of 900 megapixels is refused by its header, in a blink and without memory."""
    error = refusal(desk.upload(png_claiming(30_000, 30_000), "sky.png"))
    assert error.code == "decompression_bomb"
    assert "200000000" in error.detail


def test_the_pixel_limit_is_a_setting(desk: Desk) -> None:
    """One pixel above `max_pixels` is refused, exactly `max_pixels` is not."""
    exact = Options(allowed_types=("image/*",), max_pixels=640 * 480)
    below = Options(allowed_types=("image/*",), max_pixels=640 * 480 - 1)
    assert validate(desk.upload(png(), "a.png", options=exact), Reports())
    assert refusal(desk.upload(png(), "a.png", options=below)).code == "decompression_bomb"


def test_a_later_page_may_be_no_bomb_either(desk: Desk) -> None:
    """Each page of a TIFF has its own size: the second is held against the limit as the first."""
    out = io.BytesIO()
    picture(100, 100).save(out, "TIFF", save_all=True, append_images=[picture(101, 100)])
    exact = Options(allowed_types=("image/*",), max_pixels=10_100)
    below = Options(allowed_types=("image/*",), max_pixels=10_099)
    assert validate(desk.upload(out.getvalue(), "a.tif", options=exact), Reports())
    error = refusal(desk.upload(out.getvalue(), "a.tif", options=below))
    assert (error.code, "101 x 100" in error.detail) == ("decompression_bomb", True)


def test_frames_count_together(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that are small one by one may not add up without bound, in pixels or in number."""
    options = Options(allowed_types=("image/*",), max_pixels=120 * 90)
    assert refusal(desk.upload(gif(frames=11), "a.gif", options=options)).code == (
        "decompression_bomb"
    )
    assert validate(desk.upload(gif(frames=10), "a.gif", options=options), Reports())
    monkeypatch.setattr(images, "MAX_FRAMES", 9)
    error = refusal(desk.upload(gif(frames=10), "a.gif", options=options))
    assert (error.code, "limit is 9" in error.detail) == ("decompression_bomb", True)


def test_progress_of_one_picture_follows_its_bytes(desk: Desk) -> None:
    """A large picture reports many times while its bytes go to the decoder."""
    noisy = encoded(Image.effect_noise((1500, 1000), 100), "PNG")
    _, reports = through(desk.upload(noisy, "a.png"), "validating")
    decoding = [text for text in reports["validating"].messages if text.startswith("Decoding")]
    assert len(decoding) > 5
    assert decoding[-1].endswith("MB")


def test_half_the_frames_are_half_the_reports(desk: Desk) -> None:
    """Progress of an animation counts frames: 20 make twice the reports that 10 make."""

    def frames_told(count: int) -> list[str]:
        _, reports = through(desk.upload(gif(frames=count), "a.gif"), "validating")
        return [text for text in reports["validating"].messages if "frame" in text]

    assert len(frames_told(20)) == 20
    assert len(frames_told(10)) == 10
    assert frames_told(10)[-1] == "Decoding frame 10 of 10"


def test_an_animation_is_timed_frame_by_frame(desk: Desk) -> None:
    """The duration of one round is a fact, and analysis reports each frame it looks at."""
    upload, reports = through(desk.upload(gif(frames=12), "a.gif"), "analyzing")
    facts = upload.results["analyzing"]
    assert (facts["frames"], facts["durationS"]) == (12, 1.2)
    assert sum("Timing frame" in text for text in reports["analyzing"].messages) == 12


def test_a_disk_that_fails_is_no_corrupt_file(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the machine is not blamed on the picture."""
    upload = desk.upload(jpeg(), "a.jpg")

    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(images._Fed, "readinto", broken)
    with pytest.raises(OSError, match="Input/output"):
        validate(upload, Reports())


# ---- not what it seems


@pytest.mark.parametrize(
    ("content", "name", "detected"),
    [
        (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00" + bytes(60), "a.jpg", "sharedlib"),
        (b"<!DOCTYPE html><html><body><script>x</script></body></html>", "a.png", "HTML page"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', "a.svg", "SVG picture"),
        (b"#!/bin/sh\nrm -rf /\n", "notes.txt", "text/x-shellscript"),
        (b"#!/usr/bin/env python3\nprint()\n", "notes.txt", "text/x-shellscript"),
        (b"<?php system($_GET['c']); ?>\n", "a.gif", "text/x-php"),
        (b"MZ" + bytes(58) + b"\x80\0\0\0" + bytes(64) + b"PE\0\0" + bytes(200), "a.pdf", "exec"),
        (noise(5000), "a.jpg", "application/octet-stream"),
    ],
)
def test_what_is_not_on_the_list_is_refused_by_what_it_is(
    desk: Desk, content: bytes, name: str, detected: str
) -> None:
    """Programs, pages, scripts and noise are `rejected_type`, and the sentence names the type."""
    error = refusal(desk.upload(content, name))
    assert error.code == "rejected_type"
    assert detected in error.detail


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        (zipped(a_txt=b"hello"), "zip"),
        (b"<html><script>alert(1)</script></html>", "script"),
        (b"<?php system('id'); ?>", "script"),
        (b"Rar!\x1a\x07\x01\x00" + bytes(50), "archive"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(50), "archive"),
        (b"\x7fELF\x02\x01\x01" + bytes(50), "program"),
    ],
)
@pytest.mark.parametrize("head", [jpeg(64, 48), png(64, 48), gif(64, 48)])
def test_polyglots_are_refused(desk: Desk, head: bytes, tail: bytes, says: str) -> None:
    """A whole picture with an archive, page, script or program behind it is refused by name."""
    assert validate(desk.upload(head, "a"), Reports())
    error = refusal(desk.upload(head + tail, "a"))
    assert error.code == "rejected_type"
    assert says in error.detail


@pytest.mark.parametrize("compressed", [False, True])
def test_markup_in_a_text_about_a_picture_is_harmless(desk: Desk, *, compressed: bool) -> None:
    """The prompt that it was made from, say; after the picture, or as PHP, it is refused."""
    info = PngInfo()
    info.add_text("prompt", "make a page: <html><body>hello</body></html>", zip=compressed)
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "navy").save(buffer, "PNG", pnginfo=info)
    picture = buffer.getvalue()
    upload, _ = through(desk.upload(picture, "made.png"), "moderating")
    assert upload.results["validating"]["contentType"] == "image/png"
    assert refusal(desk.upload(picture + b"<html>", "made.png")).code == "rejected_type"
    php = picture.replace(b"make a page: <html>", b"make a <?php $x?>  ")
    if not compressed:
        assert refusal(desk.upload(php, "made.png")).code == "rejected_type"


def test_a_pdf_hidden_in_a_picture_is_refused(desk: Desk) -> None:
    """A JPEG comment that a PDF reader takes for a document makes the file two things."""
    data = jpeg(64, 48)
    comment = b"%PDF-1.4\n1 0 obj"
    hidden = data[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + data[2:]
    assert "PDF" in refusal(desk.upload(hidden, "a.jpg")).detail


def test_a_script_across_a_chunk_border_is_found(desk: Desk) -> None:
    """The search for foreign content does not lose a match cut in two by its own reading."""
    head = encoded(picture(64, 48), "PNG")
    for shift in (1, 3, 6):
        padding = b"\0" * (1024 * 1024 - len(head) - shift)
        assert refusal(desk.upload(head + padding + b"<script>", "a.png")).code == "rejected_type"


# ---- analyzing


def camera_jpeg(orientation: int = 6) -> bytes:
    """What a camera writes: maker, time, a broken date, and a place on Earth."""
    exif = Image.Exif()
    exif[0x010F] = "Ca\0mera\x07 Works"
    exif[0x0112] = orientation
    exif[0x9999] = "unknown fields are not reported"
    camera = exif.get_ifd(0x8769)
    camera[0x829A] = (1, 250)
    camera[0x8827] = 400
    camera[0x9003] = "2026:01:15 10:30:00"
    camera[0xA431] = "SERIAL-123"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "S", (33.0, 51.0, 31.2)
    gps[3], gps[4] = "E", (151.0, 12.0, 51.5)
    gps[5], gps[6] = b"\x00", 58.0
    return encoded(picture(400, 300), "JPEG", exif=exif)


def test_facts_of_a_photo(desk: Desk) -> None:
    """Size as displayed, orientation, and known EXIF fields cleaned for people."""
    upload, _ = through(desk.upload(camera_jpeg(), "a.jpg"), "analyzing")
    facts = upload.results["analyzing"]
    assert (facts["width"], facts["height"], facts["orientation"]) == (300, 400, 6)
    assert facts["exif"]["make"] == "Ca mera Works"
    assert facts["exif"]["iso"] == 400
    assert facts["exif"]["dateTimeOriginal"] == "2026:01:15 10:30:00"
    assert "SERIAL-123" not in str(facts)
    assert "unknown" not in str(facts)


def test_location_only_where_allowed(desk: Desk) -> None:
    """The place is a fact only with `keep_location`; that there is one is always told."""
    upload, _ = through(desk.upload(camera_jpeg(), "a.jpg"), "analyzing")
    assert upload.results["analyzing"]["hasLocation"] is True
    assert "location" not in upload.results["analyzing"]
    assert "33.8" not in str(upload.results)

    keep = msgspec.structs.replace(desk.options, keep_location=True)
    upload, _ = through(desk.upload(camera_jpeg(), "a.jpg", options=keep), "analyzing")
    assert upload.results["analyzing"]["location"] == {
        "latitude": pytest.approx(-33.858667, abs=1e-5),
        "longitude": pytest.approx(151.214306, abs=1e-5),
        "altitudeM": 58.0,
    }


def test_dominant_colors(desk: Desk) -> None:
    """A flag of three parts gives its colors and shares; what is invisible does not count."""
    flag = Image.new("RGBA", (100, 100), (255, 0, 0, 255))
    flag.paste((0, 0, 255, 255), (0, 0, 30, 100))
    flag.paste((0, 255, 0, 0), (80, 0, 100, 100))
    upload, _ = through(desk.upload(encoded(flag, "PNG"), "a.png"), "analyzing")
    colors = upload.results["analyzing"]["colors"]
    assert [color["hex"] for color in colors[:2]] == ["#ff0000", "#0000ff"]
    assert colors[0]["share"] == pytest.approx(50 / 80, abs=0.02)
    assert sum(color["share"] for color in colors) == pytest.approx(1, abs=0.01)


def distance(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def test_perceptual_hash_tells_alike_from_different() -> None:
    """Recompressed and resized copies stay within 10 bits, other pictures are beyond 16."""
    original = picture(800, 600, seed=3)
    copies = [
        Image.open(io.BytesIO(encoded(original, "JPEG", quality=30))),
        original.resize((200, 150)),
    ]
    base = perceptual_hash(original)
    assert len(base) == 16
    assert all(distance(base, perceptual_hash(copy)) <= 10 for copy in copies)
    others = [perceptual_hash(picture(800, 600, seed=seed)) for seed in range(10, 16)]
    assert all(distance(base, other) > 16 for other in others)


def test_perceptual_hash_bits_are_as_documented() -> None:
    """A bit is 1 where a pixel is brighter than its left neighbour, first row first."""
    rising = Image.linear_gradient("L").rotate(90).resize((9, 8))
    assert perceptual_hash(rising) == "f" * 16
    assert perceptual_hash(rising.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == "0" * 16
    top = Image.new("L", (9, 8), 0)
    top.paste(rising.crop((0, 0, 9, 1)), (0, 0))
    assert perceptual_hash(top) == "ff00000000000000"


def test_broken_exif_costs_its_facts_alone(desk: Desk) -> None:
    """A photo with unreadable EXIF is still a photo."""
    data = bytearray(camera_jpeg())
    at = data.find(b"Exif\0\0") + 14
    data[at : at + 60] = b"\xff" * 60
    upload, _ = through(desk.upload(bytes(data), "a.jpg"))
    assert upload.results["analyzing"]["width"] in (300, 400)


# ---- processing


@pytest.mark.parametrize("orientation", range(1, 9))
def test_thumbnail_is_upright_and_without_metadata(desk: Desk, orientation: int) -> None:
    """Whatever the camera's orientation, the thumbnail shows the scene upright, with no EXIF."""
    scene = Image.new("RGB", (1200, 800), "white")
    scene.paste("red", (0, 0, 600, 400))  # top left
    turn_back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = scene.transpose(turn_back[orientation]) if orientation > 1 else scene
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Secret Works"
    data = encoded(stored, "JPEG", exif=exif, quality=95)
    upload, _ = through(desk.upload(data, "a.jpg"))
    assert upload.results["processing"]["files"] == [
        {"name": "thumbnail.webp", "contentType": "image/webp"}
    ]
    path = Path(upload.scratch) / "thumbnail.webp"
    assert b"Secret" not in path.read_bytes()
    assert b"EXIF" not in path.read_bytes()
    with Image.open(path) as thumbnail:
        assert thumbnail.size == (640, 427)
        red, green, _ = thumbnail.convert("RGB").getpixel((50, 50))
        assert (red > 200, green < 60) == (True, True)
        assert min(thumbnail.convert("RGB").getpixel((600, 400))) > 200


def test_only_what_is_named_lies_in_scratch(desk: Desk) -> None:
    """The scratch directory holds the derived files and nothing else."""
    upload, _ = through(desk.upload(jpeg(), "a.jpg"))
    assert [path.name for path in Path(upload.scratch).iterdir()] == ["thumbnail.webp"]


def test_deep_grey_is_shown_as_grey(desk: Desk) -> None:
    """A 16-bit grey picture keeps its tones in the thumbnail instead of being blown out."""
    deep = Image.new("I;16", (100, 100), 0x8000)
    upload, _ = through(desk.upload(encoded(deep, "PNG"), "a.png"))
    with Image.open(Path(upload.scratch) / "thumbnail.webp") as thumbnail:
        assert thumbnail.convert("L").getpixel((50, 50)) == pytest.approx(128, abs=6)
