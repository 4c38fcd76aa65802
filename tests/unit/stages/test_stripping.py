"""Metadata removal: nothing private is left, every pixel and the orientation are."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import msgspec
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from sse_progress.model.stage_api import Upload
from sse_progress.stages.processing import process
from tests.helpers.media import encoded, picture
from tests.unit.stages.helpers import Desk, Reports, refusal, through

SECRET = b"Secret Works"
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(orientation: int) -> Image.Exif:
    data = Image.Exif()
    data[0x010F] = SECRET.decode()
    if orientation > 1:
        data[0x0112] = orientation
    gps = data.get_ifd(0x8825)
    gps[1], gps[2] = "N", (48.0, 8.0, 0.0)
    gps[3], gps[4] = "E", (11.0, 34.0, 0.0)
    return data


def photo(format: str, orientation: int) -> bytes:
    """A picture with EXIF, XMP, comments and a color profile, as far as the format has them."""
    image = picture(120, 80)
    options: dict[str, object] = {"icc_profile": ICC}
    if format in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        options["exif"] = exif(orientation)
    if format == "JPEG":
        options["comment"] = SECRET
        options["progressive"] = True
    if format in ("JPEG", "WEBP", "AVIF"):
        options["xmp"] = b"<x:xmpmeta>%b</x:xmpmeta>" % SECRET
    if format == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Author", SECRET.decode())
        texts.add_itxt("XML:com.adobe.xmp", SECRET.decode())
        options["pnginfo"] = texts
    if format == "GIF":
        return encoded(image.convert("P"), "GIF", comment=SECRET)
    return encoded(image, format, **options)


def stripped(desk: Desk, data: bytes) -> tuple[Upload, bytes]:
    options = msgspec.structs.replace(desk.options, strip_metadata=True)
    upload, _ = through(desk.upload(data, "a", options=options))
    original = upload.results["processing"]["original"]
    content = (Path(upload.scratch) / original["name"]).read_bytes()
    assert original["size"] == len(content)
    assert original["sha256"] == hashlib.sha256(content).hexdigest()
    return upload, content


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_nothing_private_is_left(desk: Desk, format: str, orientation: int) -> None:
    """Maker, place, comments and XMP are gone from the original; the file still decodes."""
    data = photo(format, orientation)
    assert SECRET in data
    _, content = stripped(desk, data)
    assert SECRET not in content
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        assert set(image.getexif()) <= {0x0112} or format == "TIFF"
        assert not image.getexif().get_ifd(0x8825)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_pixels_and_orientation_are_untouched(desk: Desk, format: str, orientation: int) -> None:
    """What is displayed is the same, bit by bit, and its color profile stays."""
    from PIL import ImageOps

    data = photo(format, orientation)
    _, content = stripped(desk, data)
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(content)) as after:
        shown = [ImageOps.exif_transpose(image).convert("RGB") for image in (before, after)]
        assert shown[0].size == shown[1].size
        assert shown[0].tobytes() == shown[1].tobytes()
        assert after.info.get("icc_profile") == before.info.get("icc_profile")


def test_what_hides_behind_the_end_goes(desk: Desk) -> None:
    """Bytes after the end of a JPEG or PNG, such as a second picture with its own EXIF, are cut."""
    inner = photo("JPEG", 1)
    for format in ("JPEG", "PNG", "GIF"):
        _, content = stripped(desk, photo(format, 1) + inner)
        assert SECRET not in content


def test_animations_keep_their_frames(desk: Desk) -> None:
    """Frames, times and loops of animations survive."""
    frames = [picture(60, 40, seed=seed) for seed in range(4)]
    for format in ("GIF", "WEBP", "PNG"):
        out = io.BytesIO()
        frames[0].save(out, format, save_all=True, append_images=frames[1:], duration=120, loop=0)
        _, content = stripped(desk, out.getvalue())
        with Image.open(io.BytesIO(content)) as image:
            assert (image.n_frames, image.info.get("loop")) == (4, 0)
            for number in range(4):
                image.seek(number)
                image.load()
            assert image.info["duration"] == 120


def test_thumbnail_and_original_agree(desk: Desk) -> None:
    """Stripping does not stop the thumbnail from being made."""
    upload, _ = stripped(desk, photo("JPEG", 6))
    assert [one["name"] for one in upload.results["processing"]["files"]] == ["thumbnail.webp"]
    with Image.open(Path(upload.scratch) / "thumbnail.webp") as thumbnail:
        assert thumbnail.size == (80, 120)


def test_other_files_are_left_alone(desk: Desk) -> None:
    """Formats without metadata, and what is no picture, keep their original."""
    options = msgspec.structs.replace(desk.options, strip_metadata=True)
    for data in (encoded(picture(60, 40), "BMP"), b"text\n"):
        upload, _ = through(desk.upload(data, "a.txt", options=options))
        assert "original" not in upload.results["processing"]


def test_a_promise_that_cannot_be_kept_is_refused(desk: Desk) -> None:
    """A picture whose metadata cannot be removed is refused instead of kept with it."""
    options = msgspec.structs.replace(desk.options, strip_metadata=True, allowed_types=("image/*",))
    data = encoded(picture(64, 64), "ICO")
    assert refusal(desk.upload(data, "a.ico", options=options), "processing").code == (
        "metadata_kept"
    )


def test_without_the_setting_nothing_is_rewritten(desk: Desk) -> None:
    """The original stays as it came unless the operator asks otherwise."""
    upload, _ = through(desk.upload(photo("JPEG", 1), "a.jpg"))
    assert "original" not in process(upload, Reports())
