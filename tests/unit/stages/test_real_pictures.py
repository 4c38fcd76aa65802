"""Pictures as phones, scanners, image generators and editors write them."""

from __future__ import annotations

import io
import re
import struct
import zlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from sse_progress.model.stage_api import Options
from sse_progress.settings import Settings
from sse_progress.stages.formats.images import image_copies, images
from sse_progress.stages.validation import validate
from tests.helpers.media import encoded, gif, picture, png
from tests.unit.stages.helpers import DATA, Desk, Reports, refusal, through
from tests.unit.stages.test_odd_files import CODES

ANYTHING = Options(allowed_types=("*/*",))


def tiff(
    samples: np.ndarray, *, photometric: int, sample_format: int, big: bool = False,
    order: str = "<", compressed: bool = True, private: bytes = b"Secret Works",
) -> bytes:  # fmt: skip
    """A TIFF of one strip, written here: Pillow writes neither 48-bit colors nor float ones."""
    height, width, channels = samples.shape
    body = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    body = zlib.compress(body) if compressed else body
    room, offset = (8, "Q") if big else (4, "I")
    mark = {"<": b"II", ">": b"MM"}[order]
    head = mark + struct.pack(f"{order}H", 43 if big else 42)
    head += struct.pack(f"{order}HH", 8, 0) if big else b""
    out = bytearray(head + bytes(room))
    tags: list[tuple[int, int, list[int] | bytes]] = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [samples.itemsize * 8] * channels),
        (259, 3, [8 if compressed else 1]), (262, 3, [photometric]), (270, 2, private + b"\0"),
        (273, 4, [len(out)]), (277, 3, [channels]), (278, 4, [height]), (279, 4, [len(body)]),
        (315, 2, private + b"\0"), (339, 3, [sample_format] * channels),
    ]  # fmt: skip
    if channels == 4 and photometric == 2:
        tags.insert(-1, (338, 3, [2]))
    out += body + bytes(-len(body) % 8)
    rows = []
    for tag, kind, value in sorted(tags, key=lambda one: one[0]):
        raw = value if isinstance(value, bytes) else struct.pack(
            f"{order}{len(value)}{'H' if kind == 3 else 'I'}", *value
        )  # fmt: skip
        count = len(value)
        if len(raw) > room:
            at, out = len(out), out + raw + bytes(-len(raw) % 8)
            raw = struct.pack(order + offset, at)
        rows.append(struct.pack(f"{order}HH{offset}", tag, kind, count) + raw.ljust(room, b"\0"))
    struct.pack_into(order + offset, out, 8 if big else 4, len(out))
    out += struct.pack(order + ("Q" if big else "H"), len(rows)) + b"".join(rows) + bytes(room)
    return bytes(out)


def deep(channels: int = 3, dtype: type = np.uint16) -> np.ndarray:
    ramp = np.linspace(0, np.iinfo(dtype).max, 80 * 100).reshape(80, 100).astype(dtype)
    return np.stack([ramp, ramp[::-1], ramp[:, ::-1], ramp[::-1, ::-1]][:channels], -1)


# ---- what goes through


def test_two_hundred_megapixels(desk: Desk) -> None:
    """A picture of the size that phones make is accepted by default, and a larger one is not."""
    sky = io.BytesIO()
    Image.new("1", (16_320, 12_240), 1).save(sky, "PNG")
    facts = through(desk.upload(sky.getvalue(), "a.png"))[0].results["analyzing"]
    assert (facts["width"], facts["height"]) == (16_320, 12_240)
    assert Settings.max_pixels == desk.options.max_pixels
    larger = io.BytesIO()
    Image.new("1", (20_000, 10_001), 1).save(larger, "PNG")
    assert refusal(desk.upload(larger.getvalue(), "a.png")).code == "decompression_bomb"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_large_pictures_shrink_alike_in_bands(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """A working copy that is made band by band shows what one made at once shows."""
    source = picture(1200, 900)
    grey = source.convert("L")
    image = grey.convert(mode) if mode in ("I", "F") else source.convert(mode.partition(";")[0])
    if mode == "I;16":
        image = grey.convert("I").point(lambda value: value * 256 + 0).convert("I;16")
    if mode == "P":
        image.info["transparency"] = 0
    whole = image_copies.shrunk(image.copy(), 100)
    monkeypatch.setattr(image_copies, "_BAND_PIXELS", 1200 * 50)
    banded = image_copies.shrunk(image, 100)
    assert (banded.size, banded.mode) == (whole.size, whole.mode)
    difference = np.abs(np.asarray(banded, dtype=int) - np.asarray(whole, dtype=int))
    assert difference.max() <= 1
    assert np.asarray(banded.convert("L")).std() > 10


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "tEXt", "iCCP"])
def test_large_texts_in_a_png(desk: Desk, kind: str) -> None:
    """Image generators keep their workflow in a PNG, some MiB of it: the pixels decide."""
    text = '{"nodes":[' + '{"id":1,"type":"KSampler"},' * 200_000 + "{}]}"
    notes = PngImagePlugin.PngInfo()
    if kind == "iTXt":
        notes.add_itxt("workflow", text, zip=True)
    elif kind != "iCCP":
        notes.add_text("workflow", text, zip=kind == "zTXt")
    options = {"icc_profile": text.encode()} if kind == "iCCP" else {"pnginfo": notes}
    upload, _ = through(desk.upload(encoded(picture(64, 48), "PNG", **options), "a.png"))
    assert upload.results["analyzing"]["width"] == 64


def test_a_text_without_end_is_still_refused(desk: Desk) -> None:
    """A text that inflates beyond the limit does not use up memory."""
    bomb = b"note\0\0" + zlib.compress(bytes(images.MAX_TEXT_BYTES + 1), 9)
    chunk = struct.pack(">I", len(bomb)) + b"zTXt" + bomb
    chunk += struct.pack(">I", zlib.crc32(b"zTXt" + bomb))
    whole = png(16, 16)
    assert refusal(desk.upload(whole[:33] + chunk + whole[33:], "a.png")).code == "corrupt_file"


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("times", [[100] * 8, [50, 150, 100]], ids=["even", "uneven"])
def test_animations_are_timed(desk: Desk, format: str, times: list[int]) -> None:
    """One round of an animation lasts as long as its frames together, in every format."""
    frames = [picture(40, 30, seed=number) for number in range(len(times))]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=times)
    facts = through(desk.upload(data, "a"), "analyzing")[0].results["analyzing"]
    assert facts["frames"] == len(times)
    assert facts["durationS"] == pytest.approx(sum(times) / 1000, abs=0.001)


# ---- HEIC


def heic(**options: object) -> bytes:
    import pillow_heif

    pillow_heif.register_heif_opener()
    out = io.BytesIO()
    image = options.pop("image", None) or picture(200, 120)
    image.save(out, "HEIF", quality=70, **options)
    return out.getvalue()


def private() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F] = "Secret Works"
    return exif


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_photos_of_iphones(desk: Desk, brand: bytes) -> None:
    """HEIC is accepted by default, decoded, looked at by the picture model and shown."""
    data = bytearray(heic(exif=private()))
    data[8:12] = brand
    upload, _ = through(desk.upload(bytes(data), "IMG_0001.HEIC"))
    assert upload.results["validating"]["contentType"] == "image/heic"
    facts = upload.results["analyzing"]
    assert (facts["format"], facts["width"], facts["height"]) == ("HEIF", 200, 120)
    assert facts["exif"]["make"] == "Secret Works"
    assert "pictures by the open_nsfw model" in upload.results["moderating"]["checks"]
    assert upload.results["moderating"]["notChecked"] == []
    with Image.open(Path(upload.scratch) / "thumbnail.webp") as thumbnail:
        assert thumbnail.size == (200, 120)


def test_a_heic_cut_off_is_refused(desk: Desk) -> None:
    """Half a HEIC is a `corrupt_file`; one beyond the pixel limit a `decompression_bomb`."""
    data = heic()
    assert refusal(desk.upload(data[: len(data) * 6 // 10], "a.heic")).code == "corrupt_file"
    small = msgspec.structs.replace(desk.options, max_pixels=200 * 120 - 1)
    error = refusal(desk.upload(data, "a.heic", options=small))
    assert error.code == "decompression_bomb"


# ---- not read here is not damaged


@pytest.mark.parametrize(
    "samples",
    [
        (np.zeros((8, 8, 3), np.float32), 2, 3),
        (np.zeros((8, 8, 3), np.float64), 2, 3),
        (np.zeros((8, 8, 3), np.uint32), 2, 1),
    ],
    ids=["float32", "float64", "uint32"],
)
def test_kinds_of_tiff_that_are_not_read(desk: Desk, samples: tuple[np.ndarray, int, int]) -> None:
    """A whole TIFF of a kind that Pillow does not know has a code of its own."""
    data, photometric, sample_format = samples
    whole = tiff(data, photometric=photometric, sample_format=sample_format)
    error = refusal(desk.upload(whole, "a.tif"))
    assert (error.code, error.detail) == (
        "unsupported_format",
        "This kind of TIFF picture cannot be opened here.",
    )


def test_compression_that_is_not_read(desk: Desk) -> None:
    """So has one whose compression method is not in Pillow's table."""
    data = tiff(deep(), photometric=2, sample_format=1)
    entry = struct.pack("<HHIHH", 259, 3, 1, 8, 0)
    lerc = struct.pack("<HHIHH", 259, 3, 1, 34887, 0)
    assert entry in data
    assert refusal(desk.upload(data.replace(entry, lerc), "a.tif")).code == "unsupported_format"


def test_jpeg_of_twelve_bits(desk: Desk) -> None:
    """And a JPEG with more than eight bits a sample."""
    data = bytearray(encoded(picture(64, 48), "JPEG"))
    at = data.find(b"\xff\xc0")
    data[at + 4] = 12
    assert refusal(desk.upload(bytes(data), "a.jpg")).code == "unsupported_format"


def test_a_broken_offset_is_not_the_disks_fault(desk: Desk) -> None:
    """A TIFF that points before its own beginning makes `seek` fail with EINVAL: it is corrupt."""
    data = bytearray(encoded(picture(64, 48), "TIFF"))
    struct.pack_into("<I", data, 4, 0xFFFFFFF0)
    assert refusal(desk.upload(bytes(data), "a.tif")).code == "corrupt_file"


def test_einval_of_a_seek_is_the_files_fault(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """EINVAL out of a decoder refuses the file; EIO is our disk's and stays one."""
    upload = desk.upload(png(), "a.png")

    def broken(*_: object) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(images._Fed, "readinto", broken)
    assert refusal(upload).code == "corrupt_file"

    def failing(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(images._Fed, "readinto", failing)
    with pytest.raises(OSError, match="Input/output"):
        validate(upload, Reports())


def test_every_code_is_documented() -> None:
    """Each code of the built-in stages has a row in the documentation of events."""
    text = (DATA.parents[1] / "docs" / "events.md").read_text()
    table = text.partition("| code | the file |")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([a-z_]+)`", table)) == CODES | {
        "metadata_kept",
        "stage_timeout",
        "too_demanding",
    }


# ---- metadata removed, samples kept


def stripped(desk: Desk, data: bytes, name: str) -> bytes:
    options = msgspec.structs.replace(ANYTHING, strip_metadata=True)
    upload, _ = through(desk.upload(data, name, options=options))
    original = upload.results["processing"]["original"]
    return (Path(upload.scratch) / original["name"]).read_bytes()


def strip_of(data: bytes) -> bytes:
    """The samples of a TIFF of one strip, read without Pillow."""
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    big = struct.unpack(f"{order}H", data[2:4])[0] == 43
    room, offset, count = (8, "Q", "Q") if big else (4, "I", "H")
    at = struct.unpack_from(order + offset, data, 8 if big else 4)[0]
    number = struct.unpack_from(order + count, data, at)[0]
    at += struct.calcsize(order + count)
    tags = {}
    for _ in range(number):
        tag, kind = struct.unpack_from(f"{order}HH", data, at)
        letter = {3: "H", 4: "I", 16: "Q"}.get(kind)
        if letter:
            tags[tag] = struct.unpack_from(order + letter, data, at + 4 + room)[0]
        at += 4 + 2 * room
    assert not {270, 315} & set(tags)
    body = data[tags[273] : tags[273] + tags[279]]
    return zlib.decompress(body) if tags[259] == 8 else body


def test_bigtiff_of_the_other_byte_order(desk: Desk) -> None:
    """Pillow 13 does not read a big-endian BigTIFF: it is not called damaged."""
    data = tiff(deep(), photometric=2, sample_format=1, big=True, order=">")
    assert refusal(desk.upload(data, "a.tif")).code == "unsupported_format"
    assert refusal(desk.upload(data[: len(data) * 6 // 10], "a.tif")).code == "corrupt_file"


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
@pytest.mark.parametrize("channels", [3, 4])
def test_deep_tiffs_keep_every_sample(desk: Desk, order: str, big: bool, channels: int) -> None:
    """Sixteen bits a channel stay sixteen bits when metadata is removed."""
    samples = deep(channels)
    data = tiff(samples, photometric=2, sample_format=1, big=big, order=order)
    content = stripped(desk, data, "a.tif")
    assert b"Secret" in data
    assert b"Secret" not in content
    after = np.frombuffer(strip_of(content), np.dtype(np.uint16).newbyteorder(order))
    assert np.array_equal(after.reshape(samples.shape), samples)


@pytest.mark.parametrize("mode", ["I;16", "F", "I", "CMYK", "1", "L", "P"])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "packbits"])
def test_pages_of_every_kind_are_copied(desk: Desk, mode: str, compression: str) -> None:
    """Two pages with their samples and palettes come out as they went in."""
    pages = [picture(60, 40, seed=seed) for seed in (1, 2)]
    pages = [
        page.convert("L").convert(mode) if mode in ("I", "F", "I;16") else page.convert(mode)
        for page in pages
    ]
    data = encoded(
        pages[0], "TIFF", save_all=True, append_images=pages[1:], compression=compression,
        description="Secret Works",
    )  # fmt: skip
    content = stripped(desk, data, "a.tif")
    assert b"Secret" in data
    assert b"Secret" not in content
    with Image.open(io.BytesIO(content)) as after, Image.open(io.BytesIO(data)) as before:
        assert after.n_frames == before.n_frames == 2
        for number in range(2):
            after.seek(number)
            before.seek(number)
            assert (after.mode, after.size) == (before.mode, before.size)
            assert after.tobytes() == before.tobytes()
            assert after.getpalette() == before.getpalette()


@pytest.mark.parametrize("format", ["HEIF", "AVIF"])
def test_heif_keeps_its_coded_picture(desk: Desk, format: str) -> None:
    """EXIF and XMP of HEIC and AVIF are blanked; the coded picture is the same, byte by byte."""
    xmp = b"<x:xmpmeta>Secret Works</x:xmpmeta>"
    if format == "HEIF":
        data = heic(exif=private(), xmp=xmp)
    else:
        data = encoded(picture(200, 120), "AVIF", exif=private(), xmp=xmp)
    content = stripped(desk, data, "a")
    assert b"Secret" in data
    assert b"Secret" not in content
    assert len(content) == len(data)
    with Image.open(io.BytesIO(content)) as after, Image.open(io.BytesIO(data)) as before:
        assert after.tobytes() == before.tobytes()
        assert not after.getexif().get(0x010F)


def test_old_jpeg_in_a_tiff_is_not_rewritten(desk: Desk) -> None:
    """A TIFF that cannot be copied strip by strip is refused instead of kept with its metadata."""
    data = tiff(deep(3, np.uint8), photometric=2, sample_format=1, compressed=False)
    path = Path(desk.upload(data, "a.tif").path)
    entry = struct.pack("<HHIHH", 259, 3, 1, 1, 0)
    path.write_bytes(data.replace(entry, struct.pack("<HHIHH", 259, 3, 1, 6, 0)))
    from sse_progress.model.errors import Rejected
    from sse_progress.stages.formats.images.image_metadata import strip_metadata

    with pytest.raises(Rejected, match="metadata_kept"):
        strip_metadata(path, path.with_name("out"), "image/tiff", max_pixels=10**8)


def test_an_animated_avif_keeps_its_frames(desk: Desk) -> None:
    """Frames and times of an animated AVIF survive, and its dates do not."""
    frames = [picture(60, 40, seed=seed) for seed in range(4)]
    data = encoded(frames[0], "AVIF", save_all=True, append_images=frames[1:], duration=120)
    content = stripped(desk, data, "a.avif")
    facts = through(desk.upload(content, "a.avif"), "analyzing")[0].results["analyzing"]
    assert (facts["frames"], facts["durationS"]) == (4, pytest.approx(0.48, abs=0.001))


def test_gifs_are_still_counted(desk: Desk) -> None:
    """Nothing changes for the animations that were timed before."""
    facts = through(desk.upload(gif(frames=12), "a.gif"), "analyzing")[0].results["analyzing"]
    assert facts["durationS"] == 1.2
